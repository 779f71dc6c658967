"""Sliced Wasserstein distance on any device: batched sorts, searches and scatters over frames and directions at once.

It computes what :mod:`otlib.measures.compiled.sliced_cpu` computes (masses as 62-bit integers, merged staircases,
analytic gradients), in blocks of frames and directions that fit a byte budget: memory does not grow with frames x
directions x atoms.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from otlib.measures.compiled.sliced_numba import UNIT_MASS

BYTE_BUDGET = 128 << 20
"""Bytes that the temporaries of one block may take on the CPU."""

GPU_SHARE, GPU_BYTE_BUDGET = 8, 2 << 30
"""On a GPU a block may take one part in ``GPU_SHARE`` of the free memory, at most ``GPU_BYTE_BUDGET`` bytes.

Small blocks leave a GPU idle: on an H200, 1 GB is up to 4 times as fast as 128 MB, and 8 GB gains another 20 % at most."""

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
    """SW_p^p of each pair of measures and its gradient in the first; ``otlib.measures.sliced`` has checked the arguments.

    Seven arguments: PyTorch follows gradients through tensors, not through the measures that hold them.

    Returns:
        The values; with ``gradient`` also the gradients in ``x_points`` and in ``x_weights`` (centred: weighted by the
        masses, the latter sums to zero), otherwise None twice.
    """
    frames, count = len(x_points), directions.shape[1]
    directions = directions.expand(frames, -1, -1)
    x_masses, y_masses = integer_masses(x_weights, y_weights)
    value = torch.zeros(frames, dtype=torch.float64, device=x_points.device)
    point_gradient = torch.zeros_like(x_points) if gradient else None
    weight_gradient = torch.zeros_like(x_weights, dtype=torch.float64) if gradient else None
    bytes_per_direction = _BYTES_PER_PIECE * (x_points.shape[1] + y_points.shape[1])
    for frame_slice, direction_slice in blocks(frames, count, bytes_per_direction, x_points.device):
        theta = directions[frame_slice, direction_slice]
        x = project(x_points[frame_slice], x_masses[frame_slice], theta)
        y = project(y_points[frame_slice], y_masses[frame_slice], theta)
        pieces = merge(x, y)
        gaps = x.values.gather(-1, pieces.x_rank) - y.values.gather(-1, pieces.y_rank)
        push = pieces.mass * gaps.sign() * gaps.abs() ** (p - 1)
        value[frame_slice] += (push * gaps).sum(dim=(-2, -1), dtype=torch.float64)
        if gradient:
            slopes = torch.zeros_like(x.values).scatter_add_(-1, pieces.x_rank, push)
            slopes = torch.empty_like(slopes).scatter_(-1, x.order, slopes)  # back to the order of the atoms
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
        heights: cumulative mass up to and including each rank, in units of 2^-62.
    """

    values: Float[Tensor, "T L N"]
    order: Int64[Tensor, "T L N"]
    heights: Int64[Tensor, "T L N"]


@dataclass(frozen=True)
class Pieces:
    """The N + M pieces of mass that the optimal matching on a line moves, in ascending order; some are empty.

    Attributes:
        mass: mass of the piece, as a fraction of the total.
        x_rank: rank of the atom of x that it leaves.
        y_rank: rank of the atom of y that it reaches.
        last_partner: for each atom of x, the rank of the atom of y that receives its last mass.
    """

    mass: Float[Tensor, "T L pieces"]
    x_rank: Int64[Tensor, "T L pieces"]
    y_rank: Int64[Tensor, "T L pieces"]
    last_partner: Int64[Tensor, "T L N"]


def integer_masses(
    x_weights: Float[Tensor, "T N"], y_weights: Float[Tensor, "T M"]
) -> tuple[Int64[Tensor, "T N"], Int64[Tensor, "T M"]]:
    """Weights as integers with equal sums, 2^62 up to rounding; the heaviest atom of y absorbs the difference."""
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
    """Cut the unit of mass at every step of either staircase; in a tie the step of x comes first."""
    last_partner = torch.searchsorted(y.heights, x.heights, right=False)  # also: steps of y before each step of x
    atoms, others = x.heights.shape[-1], y.heights.shape[-1]
    place = last_partner + torch.arange(atoms, device=last_partner.device)
    x_ends = last_partner.new_zeros((*place.shape[:-1], atoms + others)).scatter_(-1, place, 1)
    x_rank = x_ends.cumsum(dim=-1) - x_ends  # steps of x before each piece
    y_rank = torch.arange(atoms + others, device=place.device) - x_rank
    # After the last step of one measure all pieces are empty: they get its last atom.
    x_rank.clamp_(max=atoms - 1)
    y_rank.clamp_(max=others - 1)
    heights = torch.minimum(x.heights.gather(-1, x_rank), y.heights.gather(-1, y_rank))
    mass = heights.diff(dim=-1, prepend=torch.zeros_like(heights[..., :1]))
    return Pieces(mass.to(x.values.dtype) / UNIT_MASS, x_rank, y_rank, last_partner.clamp_(max=others - 1))


def _potential(x: Projected, y: Projected, last_partner: Int64[Tensor, "T L N"], p: float) -> Float[Tensor, "T L N"]:
    """Dual potential of x by rank: from one atom to the next it changes by the change in cost to their common partner.

    Where both staircases step at once there are two such partners, one before and one after. We take the mean of both: it
    is the mean of the one-sided derivatives, and it is zero between equal measures. Below all mass the only partner is the
    first atom of y with mass, above it the last one. The potential is zero at the first atom of x with mass.
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
    massless, massive = (torch.nn.functional.pad(change.where(side, 0).cumsum(dim=-1, dtype=torch.float64), (1, 0))
                         for side in (below, ~below))
    return massive.add_(massless.sub_(massless[..., -1:].clone()))


def blocks(frames: int, directions: int, bytes_per_direction: int, device: torch.device) -> list[tuple[slice, slice]]:
    """Cut frames x directions into blocks whose temporaries keep to the byte budget of the device."""
    budget = byte_budget(device, frames * directions * bytes_per_direction)
    rows = max(1, budget // bytes_per_direction)
    frame_step = min(frames, rows)
    direction_step = max(1, rows // frame_step)
    return [
        (slice(frame, frame + frame_step), slice(direction, direction + direction_step))
        for frame in range(0, frames, frame_step)
        for direction in range(0, directions, direction_step)
    ]


def byte_budget(device: torch.device, needed: int) -> int:
    """Bytes that one block may take; a GPU is asked for its free memory only if more than the least budget is needed."""
    if device.type != "cuda" or needed <= BYTE_BUDGET:
        return BYTE_BUDGET
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, free to be used again
    return min(GPU_BYTE_BUDGET, (torch.cuda.mem_get_info(device)[0] + kept) // GPU_SHARE)
