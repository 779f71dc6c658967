"""Sliced Wasserstein distance on any device: batched sorts, searches and scatters over frames and directions at once.

The same computation as :mod:`otlib.measures.compiled.threads` (masses as 62-bit integers, merged staircases, analytic
gradients), in blocks of frames and directions that fit a byte budget, so memory does not grow with frames x directions x
atoms.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from otlib.measures.compiled.kernel import UNIT_MASS

BYTE_BUDGET = 128 << 20
"""Bytes that the temporaries of one block may take: large enough to keep a device busy, small beside its memory."""

_BYTES_PER_PIECE = 100  # sorted values, integer heights, indices and gathers of one atom of one direction


def solve(
    x_points: Float[Tensor, "T N d"],
    x_weights: Float[Tensor, "T N"],
    y_points: Float[Tensor, "T M d"],
    y_weights: Float[Tensor, "T M"],
    directions: Float[Tensor, "#T L d"],
    p: float,
    gradient: bool,
) -> tuple[Float[Tensor, " T"], Float[Tensor, "T N d"] | None, Float[Tensor, "T N"] | None]:
    """SW_p^p of each pair of measures and its gradient in the first one. Arguments as checked by ``otlib.measures.sliced``.

    Returns:
        The values, and if ``gradient`` the gradients in ``x_points`` and in ``x_weights`` (centred: the masses times
        it sum to zero), else None twice.
    """
    frames, count = len(x_points), directions.shape[1]
    directions = directions.expand(frames, -1, -1)
    x_masses, y_masses = integer_masses(x_weights, y_weights)
    value = torch.zeros(frames, dtype=torch.float64, device=x_points.device)
    point_gradient = torch.zeros_like(x_points) if gradient else None
    weight_gradient = torch.zeros_like(x_weights, dtype=torch.float64) if gradient else None
    for frame_slice, direction_slice in blocks(frames, count, x_points.shape[1] + y_points.shape[1]):
        theta = directions[frame_slice, direction_slice]
        x = project(x_points[frame_slice], x_masses[frame_slice], theta)
        y = project(y_points[frame_slice], y_masses[frame_slice], theta)
        pieces = merge(x, y)
        gaps = x.values.gather(-1, pieces.x_rank) - y.values.gather(-1, pieces.y_rank)
        push = pieces.mass * gaps.sign() * gaps.abs() ** (p - 1)
        value[frame_slice] += (push * gaps).sum(dim=(-2, -1), dtype=torch.float64)
        if gradient:
            slopes = torch.zeros_like(x.values).scatter_add_(-1, pieces.x_rank, push)
            slopes = torch.empty_like(slopes).scatter_(-1, x.order, slopes)  # by atom again
            point_gradient[frame_slice] += p * slopes.transpose(-1, -2) @ theta
            potential = _potential(x, y, pieces.last_partner, p)
            weight_gradient[frame_slice] += torch.empty_like(potential).scatter_(-1, x.order, potential).sum(dim=-2)
    value = (value / count).to(x_points.dtype)
    if not gradient:
        return value, None, None
    mean = (x_masses * weight_gradient).sum(dim=-1, keepdim=True) / UNIT_MASS
    total = x_weights.sum(dim=-1, keepdim=True, dtype=torch.float64)
    return value, point_gradient / count, ((weight_gradient - mean) / (count * total)).to(x_points.dtype)


@dataclass(frozen=True)
class Projected:
    """Measures projected on directions, sorted.

    Attributes:
        values: projections in ascending order.
        order: the atom at each rank.
        heights: cumulated mass up to and with each rank, in units of 2^-62.
    """

    values: Float[Tensor, "T L N"]
    order: Int64[Tensor, "T L N"]
    heights: Int64[Tensor, "T L N"]


@dataclass(frozen=True)
class Pieces:
    """The N + M pieces of mass of the optimal matching on a line, in ascending order; some are empty.

    Attributes:
        mass: mass of the piece, as a share of one.
        x_rank: rank of the atom it leaves.
        y_rank: rank of the atom it reaches.
        last_partner: rank of the atom of y that each atom of x exchanges its last mass with.
    """

    mass: Float[Tensor, "T L pieces"]
    x_rank: Int64[Tensor, "T L pieces"]
    y_rank: Int64[Tensor, "T L pieces"]
    last_partner: Int64[Tensor, "T L N"]


def integer_masses(
    x_weights: Float[Tensor, "T N"], y_weights: Float[Tensor, "T M"]
) -> tuple[Int64[Tensor, "T N"], Int64[Tensor, "T M"]]:
    """Weights as integers of the same sum, 2^62 but for rounding; the heaviest atom of y takes the difference."""
    x_masses, y_masses = (
        torch.round(weights.double() / weights.sum(dim=-1, keepdim=True, dtype=torch.float64) * UNIT_MASS).to(torch.int64)
        for weights in (x_weights.detach(), y_weights.detach())
    )
    difference = x_masses.sum(dim=-1, keepdim=True) - y_masses.sum(dim=-1, keepdim=True)
    return x_masses, y_masses.scatter_add_(-1, y_masses.argmax(dim=-1, keepdim=True), difference)


def project(
    points: Float[Tensor, "T N d"], masses: Int64[Tensor, "T N"], directions: Float[Tensor, "T L d"]
) -> Projected:
    """Project measures on directions and sort."""
    values, order = (directions @ points.transpose(-1, -2)).sort(dim=-1, stable=True)  # (T, L, N)
    sorted_masses = masses[:, None, :].expand_as(order).gather(-1, order)
    return Projected(values, order, sorted_masses.cumsum(dim=-1))


def merge(x: Projected, y: Projected) -> Pieces:
    """Cut the unit of mass at every step of both staircases; a step of x comes before an equal one of y."""
    last_partner = torch.searchsorted(y.heights, x.heights, right=False)  # also: steps of y before each step of x
    atoms, others = x.heights.shape[-1], y.heights.shape[-1]
    place = last_partner + torch.arange(atoms, device=last_partner.device)
    x_ends = last_partner.new_zeros((*place.shape[:-1], atoms + others)).scatter_(-1, place, 1)
    x_rank = x_ends.cumsum(dim=-1) - x_ends  # steps of x before each piece
    y_rank = torch.arange(atoms + others, device=place.device) - x_rank
    # After the last step of one measure only empty pieces of the other follow: give them its last atom.
    x_rank.clamp_(max=atoms - 1)
    y_rank.clamp_(max=others - 1)
    heights = torch.minimum(x.heights.gather(-1, x_rank), y.heights.gather(-1, y_rank))
    mass = heights.diff(dim=-1, prepend=torch.zeros_like(heights[..., :1]))
    return Pieces(mass.to(x.values.dtype) / UNIT_MASS, x_rank, y_rank, last_partner.clamp_(max=others - 1))


def _potential(x: Projected, y: Projected, last_partner: Int64[Tensor, "T L N"], p: float) -> Float[Tensor, "T L N"]:
    """Dual potential of x by rank: from one atom to the next, the cost to the same partner changes by this much.

    Where both staircases step at once the partner before and the one after serve as well; the mean of both is the
    derivative's own mean from both sides, and makes it zero between equal measures. Below all mass the first atom of y
    with mass is the only partner, above it the last one. The potential is zero at the first atom of x with mass.
    """
    before, after = (ranks[..., :-1] for ranks in (last_partner, torch.searchsorted(y.heights, x.heights, right=True)))
    below = x.heights[..., :-1] == 0
    after = torch.where(after == y.heights.shape[-1], before, after)
    before = torch.where(below, after, before)
    left, right = x.values[..., :-1], x.values[..., 1:]
    y_before, y_after = (y.values.gather(-1, rank) for rank in (before, after))
    if p == 2:
        change = (right - left) * ((right - y_before) + (left - y_after))
    else:
        change = sum((right - y).abs() ** p - (left - y).abs() ** p for y in (y_before, y_after)) / 2
    massless, massive = (torch.nn.functional.pad(change.where(kept, 0).cumsum(dim=-1, dtype=torch.float64), (1, 0))
                         for kept in (below, ~below))
    return massive.add_(massless.sub_(massless[..., -1:].clone()))


def blocks(frames: int, directions: int, atoms: int) -> list[tuple[slice, slice]]:
    """Cut frames x directions into blocks whose temporaries, ``atoms`` long a direction, keep to the byte budget."""
    rows = max(1, BYTE_BUDGET // (_BYTES_PER_PIECE * atoms))
    frame_step = min(frames, rows)
    direction_step = max(1, rows // frame_step)
    return [
        (slice(frame, frame + frame_step), slice(direction, direction + direction_step))
        for frame in range(0, frames, frame_step)
        for direction in range(0, directions, direction_step)
    ]
