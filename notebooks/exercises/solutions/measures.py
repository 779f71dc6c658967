"""Answers to the exercises of notebook 03."""

import numpy as np


def surface_mean(vertices, faces):
    """(V, 3), (F, 3) -> (3,)."""
    first, second, third = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    areas = np.linalg.norm(np.cross(second - first, third - first), axis=1)  # twice the areas: shares are the same
    return areas @ (first + second + third) / (3 * areas.sum())


def triangle_points(corners, uniform):
    """(3, 3), (n, 2) -> (n, 3)."""
    inside = np.where(uniform.sum(1, keepdims=True) <= 1, uniform, 1 - uniform)
    return corners[0] + inside @ (corners[1:] - corners[0])
