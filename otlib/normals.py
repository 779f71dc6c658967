"""Smooth vertex normals of a triangle mesh whose vertices move, as pictures and glTF need them."""

import numpy as np
import scipy.sparse
from jaxtyping import Float, Integer


class VertexNormals:
    """Area-weighted vertex normals for one fixed face list.

    Args:
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        vertex_count: number of vertices the indices refer to.

    Raises:
        ValueError: no faces, or an index outside the vertices.
    """

    def __init__(self, faces: Integer[np.ndarray, "F 3"], vertex_count: int) -> None:
        if len(faces) == 0:
            raise ValueError("faces: an empty mesh has no normals")
        if faces.min() < 0 or faces.max() >= vertex_count:
            raise ValueError(f"faces: indices {faces.min()} to {faces.max()} do not fit {vertex_count} vertices")
        self._faces = faces
        rows = faces.ravel()
        columns = np.repeat(np.arange(len(faces)), 3)
        # (V, F): adds to each vertex the doubled-area vectors of its faces
        self._sum_of_faces = scipy.sparse.csr_matrix(
            (np.ones(len(rows), np.float32), (rows, columns)), shape=(vertex_count, len(faces))
        )

    def __call__(self, vertices: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, "V 3"]:
        """Return unit normals of ``vertices`` (V, 3), same dtype.

        A vertex without a face, or whose faces have no area, gets +z: a picture must still be drawn, and the formats
        that store normals demand unit length.
        """
        a, b, c = (vertices[self._faces[:, corner]] for corner in range(3))
        normals = self._sum_of_faces @ np.cross(b - a, c - a)  # (V, 3)
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        flat = lengths[:, 0] == 0
        normals[flat] = (0.0, 0.0, 1.0)
        lengths[flat] = 1.0
        return (normals / lengths).astype(vertices.dtype)
