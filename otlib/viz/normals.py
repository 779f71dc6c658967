"""Smooth vertex normals of a triangle mesh whose vertices move, as pictures and glTF need them."""

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
from jaxtyping import Float, Integer

_CREASE_DEGREES = 95.0  # a narrow nose of few triangles bends by 80 degrees and must look round; a cut neck bends by 105


class VertexNormals:
    """Area-weighted vertex normals for one fixed face list.

    Args:
        faces: (F, 3) vertex indices, counter-clockwise seen from outside, such as a topology's or :func:`split_creases`'s.
        vertex_count: number of vertices that the indices refer to.
    """

    def __init__(self, faces: Integer[np.ndarray, "F 3"], vertex_count: int) -> None:
        self._faces = faces
        rows = faces.ravel()
        columns = np.repeat(np.arange(len(faces)), 3)
        # (V, F): adds to each vertex the doubled-area vectors of its faces
        self._sum_of_faces = scipy.sparse.csr_matrix(
            (np.ones(len(rows), np.float32), (rows, columns)), shape=(vertex_count, len(faces))
        )

    def __call__(self, vertices: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, "V 3"]:
        """Return unit normals of ``vertices`` (V, 3), same dtype.

        A vertex that has no faces, or only faces without area, gets +z: pictures must still be drawn, and file formats
        require unit normals.
        """
        a, b, c = (vertices[self._faces[:, corner]] for corner in range(3))
        normals = self._sum_of_faces @ np.cross(b - a, c - a)  # (V, 3)
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        flat = lengths[:, 0] == 0
        normals[flat] = (0.0, 0.0, 1.0)
        lengths[flat] = 1.0
        return (normals / lengths).astype(vertices.dtype)


def split_creases(
    vertices: Float[np.ndarray, "V 3"], faces: Integer[np.ndarray, "F 3"]
) -> tuple[Integer[np.ndarray, "F 3"], Integer[np.ndarray, " N"]]:
    """Give the two sides of each sharp edge vertices of their own, so that their normals do not mix.

    Args:
        vertices: (V, 3) metres, the shape at rest; its edges are sharp where faces meet at over 95 degrees.
        faces: (F, 3) vertex indices.

    Returns:
        The faces (F, 3) with new indices, and for each of the N new vertices the index of its original. Vertices in no
        face are dropped.
    """
    a, b, c = (vertices[column] for column in faces.T)
    face_normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(face_normals, axis=1, keepdims=True)
    face_normals = face_normals / np.where(lengths > 0, lengths, 1.0)

    # Half-edge h runs from corner h, of the 3F corners of all faces, to the next corner of the same face.
    vertex_at = faces.ravel()
    corner = np.arange(faces.size)
    following = 3 * (corner // 3) + (corner + 1) % 3
    ends = np.sort(np.stack([vertex_at, vertex_at[following]], axis=1), axis=1)
    _, edge, sharing = np.unique(ends, axis=0, return_inverse=True, return_counts=True)
    by_edge = np.argsort(edge, kind="stable")
    pairs = by_edge[sharing[edge[by_edge]] == 2].reshape(-1, 2)  # an edge of one face, or of three, stays sharp
    cosine = np.einsum("ec,ec->e", *(face_normals[side // 3] for side in pairs.T))
    first, second = pairs[cosine >= np.cos(np.radians(_CREASE_DEGREES))].T

    # Across a smooth edge the corners at either end are one vertex. Two well-oriented faces run along it in opposite
    # directions; two that disagree run the same way.
    opposed = vertex_at[first] != vertex_at[second]
    here = np.concatenate([first, following[first]])
    there = np.concatenate([np.where(opposed, following[second], second), np.where(opposed, second, following[second])])
    joined = scipy.sparse.coo_matrix((np.ones(len(here)), (here, there)), shape=(faces.size, faces.size))
    _, new_vertex_at = scipy.sparse.csgraph.connected_components(joined, directed=False)
    _, first_corner = np.unique(new_vertex_at, return_index=True)
    return new_vertex_at.reshape(-1, 3), vertex_at[first_corner]
