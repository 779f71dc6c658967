"""Triangle meshes as tensors: corners, areas and unit normals of the faces."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otlib.checks import check_finite, check_tensor


def check_mesh(vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]) -> None:
    """Refuse an invalid mesh.

    Args:
        vertices: positions, float32 or float64, metres; any number of leading batch axes.
        faces: indices of the three corners of each face, int32 or int64, shared by the whole batch.

    Raises:
        ValueError: no tensors, a wrong shape or dtype, no face, an index out of range, a position that is not finite, or
            tensors on different devices; the message names the first offender.
    """
    check_tensor("vertices", vertices)
    check_tensor("faces", faces)
    if vertices.ndim < 2 or vertices.shape[-1] != 3 or not vertices.is_floating_point():
        raise ValueError(f"vertices must be floating point of shape (..., V, 3), got {vertices.dtype} "
                         f"{tuple(vertices.shape)}")
    if faces.ndim != 2 or faces.shape[-1] != 3 or faces.is_floating_point() or faces.dtype == torch.bool:
        raise ValueError(f"faces must be integers of shape (F, 3), got {faces.dtype} {tuple(faces.shape)}")
    if faces.device != vertices.device:
        raise ValueError(f"faces are on {faces.device}, vertices on {vertices.device}")
    if len(faces) == 0 or vertices.numel() == 0:
        raise ValueError(f"the mesh is empty: {len(faces)} faces, vertices of shape {tuple(vertices.shape)}")
    outside = (faces < 0) | (faces >= vertices.shape[-2])
    if outside.any():
        face = int(outside.any(dim=1).nonzero()[0, 0])
        raise ValueError(f"face {face} has corners {faces[face].tolist()}, but the mesh has {vertices.shape[-2]} vertices")
    check_finite("vertices", vertices)


def face_corners(
    vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]
) -> tuple[Float[Tensor, "*batch F 3"], Float[Tensor, "*batch F 3"], Float[Tensor, "*batch F 3"]]:
    """Positions of the first, second and third corner of every face.

    Args:
        vertices: positions, metres.
        faces: corner indices.

    Returns:
        Three tensors in metres, differentiable in ``vertices``.
    """
    first, second, third = (vertices.index_select(-2, faces[:, corner]) for corner in range(3))
    return first, second, third


def face_vectors(vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "*batch F 3"]:
    """Cross product of two edges of every face: it points along the outward normal and its length is twice the area.

    Args:
        vertices: positions, metres.
        faces: corner indices, counter-clockwise seen from outside.

    Returns:
        Vectors in square metres.
    """
    first, second, third = face_corners(vertices, faces)
    return torch.linalg.cross(second - first, third - first)


def face_areas(vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "*batch F"]:
    """Area of every face in square metres; a face without area has zero gradient.

    Args:
        vertices: positions, metres.
        faces: corner indices.
    """
    return torch.linalg.vector_norm(face_vectors(vertices, faces), dim=-1) / 2


def face_normals(vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "*batch F 3"]:
    """Unit normal of every face; zero, with zero gradient, for a face without area.

    Args:
        vertices: positions, metres.
        faces: corner indices, counter-clockwise seen from outside.
    """
    return unit_vectors(face_vectors(vertices, faces))


def unit_vectors(vectors: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """Scale each vector to length one; a zero vector stays zero and passes no gradient."""
    lengths = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    # Dividing by one where the length is zero keeps the unused branch of the gradient finite.
    return vectors / torch.where(lengths > 0, lengths, 1)
