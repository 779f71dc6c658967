"""Rounder pictures of coarse meshes: each triangle becomes four that bend with the normals."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Integer

_ROUNDNESS = 0.75  # 0 keeps triangles flat; the value that Boubekeur and Alexa recommend


class PhongTessellation:
    """Splits every edge once, with the new vertex lifted towards the tangent planes at the edge's ends.

    The mesh's own vertices stay where they are, so a picture shows no position that the data does not have; only the
    flat facets between them are rounded. Source: Boubekeur and Alexa, "Phong tessellation", 2008, equation 3; our choice,
    because VTK's own subdivision gives nothing for a mesh with three faces at an edge, and Loop's moves the vertices.

    Args:
        faces: (F, 3) vertex indices.
        copied: for each vertex, the vertex that it is a copy of; the two sides of a crease have copies
            (``otlib.viz.normals``), and edges there stay straight, so that both sides still meet.
    """

    def __init__(self, faces: Integer[np.ndarray, "F 3"], copied: Integer[np.ndarray, " V"]) -> None:
        corners = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1)  # (F, 3, 2): the edge after each corner
        self._edges, numbers = np.unique(np.sort(corners, axis=-1).reshape(-1, 2), axis=0, return_inverse=True)
        (a, b, c), (ab, bc, ca) = faces.T, numbers.reshape(-1, 3).T + len(copied)
        _, whose, sides = np.unique(np.sort(copied[self._edges]), axis=0, return_inverse=True, return_counts=True)
        self._roundness = np.where(sides[whose.ravel()] == 1, _ROUNDNESS, 0.0).astype(np.float32)[:, None]
        quarters = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        self.faces = np.stack([np.stack(corner, axis=-1) for corner in quarters], axis=1).reshape(-1, 3)

    def pieces(self, parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return, for each part's faces, the indices of their quarters: 4 f to 4 f + 3 for face f."""
        quarters = np.arange(4)
        return {name: (members[:, None] * 4 + quarters).ravel() for name, members in parts.items()}

    def points(
        self, vertices: Float[np.ndarray, "V 3"], normals: Float[np.ndarray, "V 3"]
    ) -> Float[np.ndarray, "points 3"]:
        """Return ``vertices`` (V, 3), followed by one vertex for each edge."""
        start, stop = self._edges.T
        half_edge = (vertices[stop] - vertices[start]) / 2
        lift = _along(half_edge, normals[stop]) - _along(half_edge, normals[start])
        return np.concatenate([vertices, vertices[start] + half_edge + self._roundness / 2 * lift])

    def values(self, values: Float[np.ndarray, "V C"]) -> Float[np.ndarray, "points C"]:
        """Return ``values`` at the vertices (V, C), followed by the mean over each edge's ends."""
        start, stop = self._edges.T
        return np.concatenate([values, (values[start] + values[stop]) / 2])


def _along(vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return the share of each vector along its unit normal."""
    return np.einsum("ec,ec->e", vectors, normals)[:, None] * normals
