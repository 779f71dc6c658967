"""A mesh as a probability measure: weighted atoms that approximate the uniform distribution on its surface."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otlib.checks import check_finite, check_tensor, extremes
from otlib.meshes.geometry import check_mesh, face_areas, face_corners

WEIGHT_SUM_TOLERANCE = 1e-5
"""Largest accepted |sum of the weights - 1|: ten times the rounding of float32 weights of 50,000 atoms."""

NORMAL_WEIGHT = 0.01
"""Metres per unit of normal in :func:`varifold`: turning a face by 0.1 rad costs as much as moving it by 1 mm.

Our choice (Le et al. 2024 use the bare normal, which dominates when lengths are metres)."""

_AREAS = "the areas of the faces"


@dataclass(frozen=True)
class Measure:
    """Probability measures with finitely many atoms, one for each index of the batch.

    Attributes:
        points: positions of the atoms, float32 or float64.
        weights: their non-negative masses, which sum to one for each measure within :data:`WEIGHT_SUM_TOLERANCE`.

    Raises:
        ValueError: no tensors, wrong shapes, dtypes or devices, no atom, a value that is not finite, a negative weight, or
            weights that do not sum to one; the message names the offender.
    """

    points: Float[Tensor, "*batch N d"]
    weights: Float[Tensor, "*batch N"]

    def __post_init__(self) -> None:
        points, weights = self.points, self.weights
        check_tensor("points", points)
        check_tensor("weights", weights)
        if points.ndim < 2 or points.shape[:-1] != weights.shape:
            raise ValueError(f"points must have shape (..., N, d) and weights (..., N), got {tuple(points.shape)} and "
                             f"{tuple(weights.shape)}")
        if points.dtype not in (torch.float32, torch.float64) or points.dtype != weights.dtype:
            raise ValueError("points and weights must both be float32 or both float64, got "
                             f"{points.dtype} and {weights.dtype}")
        if points.device != weights.device:
            raise ValueError(f"points are on {points.device}, weights on {weights.device}")
        if points.numel() == 0:
            raise ValueError(f"the measure is empty: points have shape {tuple(points.shape)}")
        check_finite("points", points)
        check_finite("weights", weights)
        check_not_negative("weights", weights)
        total = total_mass(weights)
        off = ((total - 1).abs() > WEIGHT_SUM_TOLERANCE).nonzero()
        if len(off):
            raise ValueError(f"weights must sum to one within {WEIGHT_SUM_TOLERANCE}; those of measure "
                             f"{tuple(off[0].tolist())} sum to {float(total[tuple(off[0])]):.6g}")

    @property
    def batch_shape(self) -> torch.Size:
        """Leading axes: one measure for each index."""
        return self.weights.shape[:-1]

    def restrict(self, atoms: Int[Tensor, " n"]) -> "Measure":
        """Keep the atoms of a region and rescale their masses to sum to one.

        Args:
            atoms: indices of the atoms to keep, the same for the whole batch.

        Raises:
            ValueError: no atom, an index out of range, or a region without mass.
        """
        check_tensor("atoms", atoms)
        count = self.weights.shape[-1]
        if atoms.numel() == 0 or int(atoms.min()) < 0 or int(atoms.max()) >= count:
            raise ValueError(f"atoms must be a non-empty set of indices in [0, {count}), got {atoms.tolist()[:8]}")
        weights = self.weights.index_select(-1, atoms)
        return Measure(self.points.index_select(-2, atoms), _normalise(weights, "the weights of the chosen atoms"))


def varifold(
    vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"], normal_weight: float = NORMAL_WEIGHT
) -> Measure:
    """Discrete oriented varifold of a mesh: one atom a face at (barycentre, normal_weight x unit normal) in R^6.

    Error: if the mesh triangulates a smooth surface with edges of length h, its positions are off by O(h^2), its normals
    by O(h), and each face shrinks to a point, so the distance to the continuous varifold is O(h) = O(F^-1/2).

    Args:
        vertices: positions, metres.
        faces: corner indices, counter-clockwise seen from outside.
        normal_weight: metres per unit of normal; 0 leaves the normals out of every distance.

    Returns:
        Atoms with mass area / total area; differentiable in ``vertices``, masses included. A face without area has
        mass zero.

    Raises:
        ValueError: a bad mesh (see :func:`otlib.meshes.geometry.check_mesh`), a mesh without area, or a ``normal_weight``
            that is negative or not finite.

    Source: Le et al. 2024 (arXiv 2305.17555); the weight of the normals is ours.
    """
    if not 0 <= normal_weight < float("inf"):
        raise ValueError(f"normal_weight must be finite and not negative, got {normal_weight}")
    check_mesh(vertices, faces)
    first, second, third = face_corners(vertices, faces)
    vectors = torch.linalg.cross(second - first, third - first)
    lengths = torch.linalg.vector_norm(vectors, dim=-1)
    # Dividing by one where the length is zero keeps the unused branch of the gradient finite.
    normals = vectors * (normal_weight / torch.where(lengths > 0, lengths, 1))[..., None]
    points = torch.cat([(first + second + third) / 3, normals], dim=-1)  # (..., F, 6)
    return Measure(points, _normalise(lengths, _AREAS))


def barycentres(vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]) -> Measure:
    """One atom a face at its barycentre, mass area / total area, in R^3.

    Error: moving a face's mass to its barycentre costs O(h^2) in W_2^2 for edges of length h, so O(h) = O(F^-1/2) in
    W_2. Blind to the orientation of the surface.

    Args:
        vertices: positions, metres.
        faces: corner indices.

    Returns:
        Atoms differentiable in ``vertices``, masses included. A face without area has mass zero.

    Raises:
        ValueError: a bad mesh (see :func:`otlib.meshes.geometry.check_mesh`) or a mesh without area.

    Source: Le et al. 2024 without the normals; our choice as the simplest measure with exact masses.
    """
    check_mesh(vertices, faces)
    first, second, third = face_corners(vertices, faces)
    lengths = torch.linalg.vector_norm(torch.linalg.cross(second - first, third - first), dim=-1)
    return Measure((first + second + third) / 3, _normalise(lengths, _AREAS))


def surface_samples(
    vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"], count: int, generator: torch.Generator
) -> Measure:
    """Empirical measure of ``count`` points drawn uniformly from the surface, in R^3.

    Error: O(count^-1/2) in the sliced distance (Le et al. 2024), random.

    Args:
        vertices: positions, metres.
        faces: corner indices.
        count: number of points drawn for each mesh of the batch.
        generator: source of randomness, on the device of ``vertices``.

    Returns:
        Points with mass 1 / count. They follow ``vertices`` at fixed barycentric coordinates, so the gradient ignores
        that other faces might have been drawn; the masses have no gradient.

    Raises:
        ValueError: a bad mesh (see :func:`otlib.meshes.geometry.check_mesh`), a mesh without area, or a count below one.
    """
    if count < 1:
        raise ValueError(f"count must be at least one, got {count}")
    check_mesh(vertices, faces)
    batch = vertices.shape[:-2]
    corners = face_corners(vertices, faces)
    with torch.no_grad():
        masses = _normalise(face_areas(vertices, faces), _AREAS)
        drawn_faces = torch.multinomial(masses.reshape(-1, len(faces)), count, replacement=True, generator=generator)
        drawn_faces = drawn_faces.reshape(*batch, count, 1).expand(*batch, count, 3)
        u, v = torch.rand(2, *batch, count, 1, generator=generator, dtype=vertices.dtype, device=vertices.device)
        # The square root makes the density uniform over the triangle (Osada et al. 2002, equation 1).
        root = u.sqrt()
        coordinates = (1 - root, root * (1 - v), root * v)
    points = sum(share * corner.gather(-2, drawn_faces) for share, corner in zip(coordinates, corners, strict=True))
    weights = torch.full((*batch, count), 1 / count, dtype=vertices.dtype, device=vertices.device)
    return Measure(points, weights)


def check_not_negative(name: str, weights: Float[Tensor, "*batch N"]) -> None:
    """Raise ValueError naming ``name`` and the index of its first weight below zero."""
    weights = weights.detach()
    if extremes(weights)[0] < 0:
        index = tuple((weights < 0).nonzero()[0].tolist())
        raise ValueError(f"{name} must not be negative, found {float(weights[index])} at index {index}")


def total_mass(weights: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch"]:
    """Return sums in float64; on the CPU by numpy, for the reason given in :func:`otlib.checks.extremes`."""
    weights = weights.detach()
    if weights.device.type == "cpu":
        return torch.from_numpy(np.asarray(weights.numpy().sum(-1, dtype=np.float64)))
    return weights.sum(dim=-1, dtype=torch.float64)


def _normalise(weights: Float[Tensor, "*batch N"], name: str) -> Float[Tensor, "*batch N"]:
    total = weights.sum(dim=-1, keepdim=True)
    if not bool((total > 0).all()):
        raise ValueError(f"{name} are all zero in measure {tuple((total[..., 0] <= 0).nonzero()[0].tolist())}")
    return weights / total
