"""Normals that move with morph targets, as files with morph targets store them."""

import numpy as np
from jaxtyping import Float, Integer

from otlib.export.morph_targets import MorphTargets
from otlib.viz.normals import VertexNormals

_FRAMES = 300  # frames that principal components' normals are fitted to: several times the 64 unknowns per coordinate


def moving_normals(
    vertices: Float[np.ndarray, "T V 3"],
    faces: Integer[np.ndarray, "F 3"],
    copied: Integer[np.ndarray, " N"],
    targets: MorphTargets,
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "K N 3"]]:
    """Return unit normals of the shape at rest (N, 3), and their displacements by each target (K, N, 3).

    Those of a named shape are its own, whatever the sequence shows of it; those of principal components fit the true normals
    of the sequence by least squares, with the positions' weights.

    Args:
        vertices: (T, V, 3) metres.
        faces: (F, 3) indices of the N vertices as the file has them, such as :func:`otlib.viz.normals.split_creases`'s.
        copied: (N,) the vertex of the mesh that each of them is.
        targets: K of them, with weights that follow ``vertices``.
    """
    normals_of = VertexNormals(faces, len(copied))
    normals = normals_of(targets.base[copied])
    if targets.names:
        shapes = (targets.base + displacement for displacement in targets.displacements)
        return normals, np.stack([normals_of(shape[copied]) - normals for shape in shapes]).astype(np.float32)
    frames = np.unique(np.linspace(0, len(vertices) - 1, min(len(vertices), _FRAMES)).round().astype(int))
    poses = (vertices[frame][copied].astype(np.float32) for frame in frames)
    changes = np.stack([normals_of(pose) - normals for pose in poses])  # (n, N, 3)
    displacements = np.linalg.lstsq(targets.weights[frames], changes.reshape(len(frames), -1), rcond=None)[0]  # (K, 3N)
    return normals, displacements.reshape(-1, *normals.shape).astype(np.float32)
