"""Smooth vertex normals of a triangle mesh whose vertices move, as pictures and glTF need them."""

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
from jaxtyping import Float, Integer

_CREASE_DEGREES = 95.0  # a narrow nose in few triangles bends by 80 degrees and is to look round; a cut neck by 105


def check_faces(faces: Integer[np.ndarray, "F 3"], vertex_count: int) -> None:
    """Raise ValueError when there is no face, or one with a corner that is no vertex."""
    if len(faces) == 0:
        raise ValueError("faces: the mesh is empty")
    if faces.min() < 0 or faces.max() >= vertex_count:
        raise ValueError(f"faces: indices {faces.min()} to {faces.max()} do not fit {vertex_count} vertices")


class VertexNormals:
    """Area-weighted vertex normals for one fixed face list.

    Args:
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        vertex_count: number of vertices the indices refer to.

    Raises:
        ValueError: no faces, or an index outside the vertices.
    """

    def __init__(self, faces: Integer[np.ndarray, "F 3"], vertex_count: int) -> None:
        check_faces(faces, vertex_count)
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


def split_creases(
    vertices: Float[np.ndarray, "V 3"], faces: Integer[np.ndarray, "F 3"]
) -> tuple[Integer[np.ndarray, "F 3"], Integer[np.ndarray, " N"]]:
    """Give the two sides of each sharp edge vertices of their own, so that their normals don't mix.

    Args:
        vertices: (V, 3) metres, the shape at rest, which decides what is sharp: faces that meet at over 95 degrees.
        faces: (F, 3) vertex indices.

    Returns:
        The faces (F, 3) with new indices, and for each of the N >= V' new vertices the vertex that it is a copy of.
    """
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    face_normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(face_normals, axis=1, keepdims=True)
    face_normals = face_normals / np.where(lengths > 0, lengths, 1.0)

    # Half-edges: corner i of face f starts the one from i to i + 1. Sorted by edge, the two of an edge are neighbours.
    starts = np.arange(faces.size)  # 3 f + i
    ends = 3 * (starts // 3) + (starts + 1) % 3
    edges = np.sort(np.stack([faces.ravel()[starts], faces.ravel()[ends]], axis=1), axis=1)
    _, edge, sharing = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(edge, kind="stable")
    paired = order[sharing[edge[order]] == 2].reshape(-1, 2)  # edges of one face, or of three, stay sharp
    cosine = np.einsum("ec,ec->e", *(face_normals[side // 3] for side in paired.T))
    smooth = paired[cosine >= np.cos(np.radians(_CREASE_DEGREES))]

    # Across a smooth edge the corners at both its ends are one vertex; neighbours run along it in opposite directions.
    same = faces.ravel()[starts[smooth[:, 0]]] == faces.ravel()[starts[smooth[:, 1]]]
    here = np.concatenate([starts[smooth[:, 0]], ends[smooth[:, 0]]])
    there_start = np.where(same, starts[smooth[:, 1]], ends[smooth[:, 1]])
    there_end = np.where(same, ends[smooth[:, 1]], starts[smooth[:, 1]])
    there = np.concatenate([there_start, there_end])
    joined = scipy.sparse.coo_matrix((np.ones(len(here)), (here, there)), shape=(faces.size, faces.size))
    _, corners = scipy.sparse.csgraph.connected_components(joined, directed=False)
    _, first = np.unique(corners, return_index=True)
    return corners.reshape(-1, 3), faces.ravel()[first]
