"""Where mass goes: exact plans, one-dimensional matchings, and each atom's displacement and cost.

For inspection, not for training: everything here works on one pair of measures and without gradients.
"""

import math
from dataclasses import dataclass

import numpy as np
import ot
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from otlib.measures import sliced_batched
from otlib.measures.compiled.matching_numba import add_direction
from otlib.measures.compiled.sliced_numba import UNIT_MASS
from otlib.measures.measure import Measure
from otlib.measures.sliced import check_directions, check_exponent, check_pair, check_power

EXACT_ATOMS = 1000
"""Largest number of atoms in :func:`exact_plan`: 0.2 s on our machine; time grows a little faster than quadratically."""


@dataclass(frozen=True)
class ExactPlan:
    """Optimal plan between two measures in R^d.

    Attributes:
        mass: mass moved from atom i of x to atom j of y, float64; rows sum to the weights of x, columns to those of y.
        cost: W_p^p, the sum of mass x distance^p.
    """

    mass: Float[Tensor, "N M"]
    cost: float


@dataclass(frozen=True)
class SlicedMatching:
    """Optimal transport between the projections of two measures on one direction.

    The quantile function of x takes the value ``x_values[k]`` between the masses ``x_levels[k - 1]`` and
    ``x_levels[k]``; likewise for y. Cutting at the steps of both functions gives the pieces, in ascending order.

    Attributes:
        x_values: projections of the atoms of x in ascending order.
        x_order: the atom at each rank.
        x_levels: cumulative mass up to and including each rank; the last is one.
        y_values: as x_values, for y.
        y_order: as x_order, for y.
        y_levels: as x_levels, for y.
        mass: mass of each piece, positive, summing to one.
        x_atom: the atom of x that the piece leaves.
        y_atom: the atom of y that it reaches.
        cost: W_p^p of the projections, the sum of mass x |gap|^p.
    """

    x_values: Float[Tensor, " N"]
    x_order: Int64[Tensor, " N"]
    x_levels: Float[Tensor, " N"]
    y_values: Float[Tensor, " M"]
    y_order: Int64[Tensor, " M"]
    y_levels: Float[Tensor, " M"]
    mass: Float[Tensor, " pieces"]
    x_atom: Int64[Tensor, " pieces"]
    y_atom: Int64[Tensor, " pieces"]
    cost: float


@dataclass(frozen=True)
class AtomTransport:
    """What the sliced distance asks of each atom of x. An atom without mass neither moves nor pays.

    Attributes:
        displacement: mean target of the atom's mass under the plan averaged over directions, minus the atom's position.
            It may differ in direction from the gradient: atoms that match in a projection need not be close.
        descent: minus the gradient of SW_2^2 in the atom's position, its mass held, per unit of mass and times d / 2. For a
            pure translation and many directions it equals that translation. Training steps elsewhere: it moves vertices,
            which change masses, too, and measures varifolds (notebook 10 sets the two beside each other).
        cost: the atom's share of SW_p^p; the shares sum to SW_p^p.
    """

    displacement: Float[Tensor, "N d"]
    descent: Float[Tensor, "N d"]
    cost: Float[Tensor, " N"]


def exact_plan(x: Measure, y: Measure, p: float = 2.0) -> ExactPlan:
    """Solve the transport between two small measures exactly, with POT's network simplex.

    Args:
        x: one measure of at most :data:`EXACT_ATOMS` atoms; :meth:`otlib.measures.measure.Measure.restrict` cuts out a
            region.
        y: one measure in the same space, with the same limit.
        p: exponent of the distance, at least one.

    Returns:
        The plan and its cost W_p^p (not its root).

    Raises:
        ValueError: a batch of measures, incompatible measures, too many atoms, p below one, or (NotFiniteError) a cost
            that the dtype cannot hold.

    Source: Bonneel et al. 2011, as implemented by POT's ``ot.emd``.
    """
    _check_single(x, y)
    check_exponent(p)
    largest = max(len(x.weights), len(y.weights))
    if largest > EXACT_ATOMS:
        raise ValueError(f"exact transport is for at most {EXACT_ATOMS} atoms, got {largest}: choose a smaller region")
    a, b = (measure.weights.detach().double().cpu() for measure in (x, y))
    distance = torch.cdist(x.points.detach().double(), y.points.detach().double(),
                           compute_mode="donot_use_mm_for_euclid_dist").cpu()  # N M
    cost = distance ** p
    dearest = cost.max()
    check_power("the cost", p, cost, torch.isfinite(dearest) & ((dearest > 0) | (distance.max() == 0)))
    mass = torch.from_numpy(ot.emd((a / a.sum()).numpy(), (b / b.sum()).numpy(), cost.numpy(), numItermax=10_000_000))
    return ExactPlan(mass.to(x.points.device), float((mass * cost).sum()))


def sliced_matching(x: Measure, y: Measure, direction: Float[Tensor, " d"], p: float = 2.0) -> SlicedMatching:
    """Match two measures along one direction: sort both and pair their masses from the lowest up.

    Args:
        x: one measure.
        y: one measure in the same space.
        direction: unit vector.
        p: exponent of the cost, at least one; the matching is optimal for every such p.

    Returns:
        Both quantile functions and the pieces of the matching.

    Raises:
        ValueError: a batch of measures, incompatible measures or direction, p below one, or (NotFiniteError) a cost
            that the dtype cannot hold.
    """
    _check_single(x, y)
    check_directions(direction[None], x)
    check_exponent(p)
    sorted_x, sorted_y = _project(x, y, direction[None])
    pieces = sliced_batched.merge(sorted_x, sorted_y)
    full = pieces.mass[0, 0] > 0
    mass, x_rank, y_rank = (part[0, 0][full] for part in (pieces.mass, pieces.x_rank, pieces.y_rank))
    gap = sorted_x.values[0, 0, x_rank] - sorted_y.values[0, 0, y_rank]
    cost = (mass * gap.abs() ** p).sum(dtype=torch.float64)
    check_power("the cost", p, mass, torch.isfinite(cost))
    quantiles = [
        (projected.values[0, 0], projected.order[0, 0], (projected.heights[0, 0].double() / UNIT_MASS).to(mass.dtype))
        for projected in (sorted_x, sorted_y)
    ]
    return SlicedMatching(*quantiles[0], *quantiles[1], mass=mass, x_atom=sorted_x.order[0, 0, x_rank],
                          y_atom=sorted_y.order[0, 0, y_rank], cost=float(cost))


def atom_transport(x: Measure, y: Measure, directions: Float[Tensor, "L d"], p: float = 2.0) -> AtomTransport:
    """Average the one-dimensional matchings over directions, for each atom of x.

    Args:
        x: one measure.
        y: one measure in the same space.
        directions: unit vectors.
        p: exponent of the cost, at least one; it affects the cost only.

    Returns:
        Each atom's two displacements and its cost.

    Raises:
        ValueError: a batch of measures, incompatible measures or directions, p below one, or (NotFiniteError) a cost
            that the dtype cannot hold.

    Source: the averaged plan is the expected sliced plan of Liu et al. 2024 (arXiv 2410.12176), summed over targets.
    """
    _check_single(x, y)
    check_directions(directions, x)
    check_exponent(p)
    x_points, y_points, axes = (tensor.detach().double().cpu().numpy() for tensor in (x.points, y.points, directions))
    x_masses, y_masses = (masses[0].cpu().numpy()
                          for masses in sliced_batched.integer_masses(x.weights[None], y.weights[None]))
    target_sum, pull, cost = np.zeros_like(x_points), np.zeros_like(x_points), np.zeros(len(x_points))
    for direction in axes:
        x_values, y_values = x_points @ direction, y_points @ direction
        add_direction((x_masses, x_values, x_values.argsort()), (y_masses, y_values, y_values.argsort()), y_points,
                      direction, float(p), (target_sum, pull, cost))
    mass = x_masses[:, None] * (len(axes) / UNIT_MASS)  # N 1; multiplying first could overflow 64 bits
    massive = mass > 0
    share = np.where(massive, mass, 1)
    displacement = np.where(massive, target_sum / share - x_points, 0)
    descent = x_points.shape[1] * pull / share  # zero for massless atoms
    result = AtomTransport(*(torch.from_numpy(part).to(x.points) for part in (displacement, descent, cost / len(axes))))
    check_power("the cost", p, result.cost, torch.isfinite(result.cost.sum()))
    return result


def sliced_bound(dimension: int, p: float = 2.0) -> float:
    """Return the smallest c with SW_p^p <= c W_p^p in R^d: the mean of abs(<direction, u>)^p for a unit vector u.

    Equality holds for translations and nearly holds when all atoms move alike, so W_p is seldom far above SW_p / c^(1/p).

    Args:
        dimension: dimension d of the measures, at least one.
        p: exponent of the distances, at least one; c is 1 / d for p = 2, and 1 / (p + 1) for d = 3.

    Raises:
        ValueError: a dimension or p below one.

    Source: Bonnotte 2013, proposition 5.1.3; the integral by the beta function.
    """
    check_exponent(p)
    if dimension < 1:
        raise ValueError(f"dimension must be at least one, got {dimension}")
    logarithms = (math.lgamma(dimension / 2), math.lgamma((p + 1) / 2), -math.lgamma(0.5), -math.lgamma((dimension + p) / 2))
    return math.exp(sum(logarithms))


def _check_single(x: Measure, y: Measure) -> None:
    for name, measure in (("x", x), ("y", y)):
        if measure.batch_shape:
            raise ValueError(f"{name} must be one measure, got a batch of shape {tuple(measure.batch_shape)}")
    check_pair(x, y)


def _project(x: Measure, y: Measure, directions: Float[Tensor, "L d"]) -> list[sliced_batched.Projected]:
    masses = sliced_batched.integer_masses(x.weights[None], y.weights[None])
    with torch.autocast(directions.device.type, enabled=False):
        return [sliced_batched.project(measure.points.detach()[None], mass, directions[None])
                for measure, mass in zip((x, y), masses, strict=True)]
