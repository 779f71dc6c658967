"""Faces of a mesh one at a time, and small meshes to try things on."""

import numpy as np


def face_by_face(vertices, faces):
    """Area, unit normal and barycentre of every face."""
    areas, normals, centres = [], [], []
    for a, b, c in vertices[np.asarray(faces)]:
        cross = np.cross(b - a, c - a)
        areas.append(np.linalg.norm(cross) / 2)
        normals.append(cross / np.linalg.norm(cross))
        centres.append((a + b + c) / 3)
    return np.array(areas), np.array(normals), np.array(centres)


def bumpy_grid(rows=5, columns=7, seed=0):
    """A height field over a 0.1 m square in regular triangles, its heights random: (V, 3) float64 and (F, 3)."""
    heights = np.random.default_rng(seed).uniform(0, 0.02, (rows, columns))
    z, x = np.meshgrid(np.linspace(0, 0.1, rows), np.linspace(0, 0.1, columns), indexing="ij")
    vertices = np.stack([x, heights, z], axis=-1).reshape(-1, 3)
    corner = np.arange(rows * columns).reshape(rows, columns)
    low, right, up, far = (part.ravel() for part in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]))
    return vertices, np.concatenate([np.stack([low, up, right], 1), np.stack([right, up, far], 1)])
