"""Sliced Wasserstein distance on a GPU: both staircases of mass merged, with cost and gradients, in Triton kernels.

Written and tested in Triton's interpreter, on no card yet: ``python -m tests.benchmarks.bench_sliced_gpu --out FILE`` checks
and times it on one. The same computation as :mod:`otlib.measures.sliced_batched`, whose interface :func:`solve` has.
Between the projection and the gradient each atom of each direction is read and written a handful of times:

- One program takes one direction of one frame (a row) and walks its sorted atoms in tiles, so that sums along the row
  are carried from tile to tile: the same bits come out of every run, without an atomic operation.
- A piece of mass of the optimal matching ends at a step of x or at one of y. The pieces that end at steps of y are made
  from the side of y and summed up along the row, those at steps of x from the side of x: an atom of x then has its own
  piece and the difference of two sums, however many atoms it exchanges mass with. These sums are float64.
- Where a step of one staircase lies on the other is found by bisection: neighbouring threads take nearly the same path
  and read side by side; those that each walk a stretch of the merge would read far apart.
- Masses are the 62-bit integers of the other paths, so both staircases end at the same height.
- Atoms of y without mass change nothing: they are sorted behind all others and left out.

``no_type_check`` keeps the test run's shape checks from wrapping what Triton must compile.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from otlib.measures.compiled.sliced_numba import UNIT_MASS
from otlib.measures.sliced_batched import blocks, integer_masses

TILE, WARPS = 1024, 8
"""Atoms that a program takes at once, and the groups of 32 threads that share them. Our choice by the compiler's report for
an H100, not yet by the clock: four atoms a thread take at most 110 registers for p = 2, eight take 156."""

COLLECTED = 128  # atoms whose gradient one program sums over the directions
_BYTES_PER_ATOM = 64  # of one direction: sorted key, order, height, slope and potential or sum, and the sort's own copies
_UNIT = tl.constexpr(float(UNIT_MASS))


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

    Seven arguments: PyTorch follows gradients through tensors, not through the measures that hold them.

    Returns:
        The values, and if ``gradient`` the gradients in ``x_points`` and in ``x_weights`` (centred: the masses times
        it sum to zero), else None twice.
    """
    with torch.cuda.device_of(x_points):
        frames, count = len(x_points), directions.shape[1]
        x_masses, y_masses = (masses.contiguous() for masses in integer_masses(x_weights, y_weights))
        others = (y_masses > 0).sum(dim=-1, dtype=torch.int32)
        x_points, y_points = x_points.detach().contiguous(), y_points.detach().contiguous()
        directions = directions.expand(frames, -1, -1)
        value = torch.zeros(frames, dtype=torch.float64, device=x_points.device)
        point_gradient = torch.zeros_like(x_points) if gradient else None
        weight_gradient = torch.zeros_like(x_masses, dtype=torch.float64) if gradient else None
        bytes_per_direction = _BYTES_PER_ATOM * (x_points.shape[1] + y_points.shape[1])
        for frame_slice, direction_slice in blocks(frames, count, bytes_per_direction, x_points.device):
            theta = directions[frame_slice, direction_slice].contiguous()
            x = _sorted_projections(x_points[frame_slice], theta, None)
            y = _sorted_projections(y_points[frame_slice], theta, y_masses[frame_slice])
            masses = x_masses[frame_slice], y_masses[frame_slice]
            cost, slopes, potentials = _match(x, y, *masses, others[frame_slice], p, gradient)
            value[frame_slice] += cost.sum(dim=-1)
            if gradient:
                _collect_directions(slopes, potentials, theta, point_gradient[frame_slice], weight_gradient[frame_slice])
        value = (value / count).to(x_points.dtype)
        if not gradient:
            return value, None, None
        mean = (x_masses * weight_gradient).sum(dim=-1, keepdim=True) / UNIT_MASS
        total = x_weights.sum(dim=-1, keepdim=True, dtype=torch.float64)
        return value, point_gradient.mul_(p / count), ((weight_gradient - mean) / (count * total)).to(x_points.dtype)


def _sorted_projections(points: Tensor, theta: Tensor, masses: Tensor | None) -> tuple[Tensor, Tensor]:
    """Projections (T, L, N) of points (T, N, d) on directions (T, L, d), ascending, and the atom at each rank.

    With ``masses`` (T, N) the atoms that have none come last.
    """
    frames, atoms, dimension = points.shape
    count = theta.shape[1]
    values = points.new_empty(frames, count, atoms)
    grid = (frames * count, triton.cdiv(atoms, TILE))
    _project[grid](points, theta, masses, values, count, atoms, dimension, TILE, num_warps=WARPS)
    return values.sort(dim=-1, stable=True)


def _match(
    x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], x_masses: Tensor, y_masses: Tensor, others: Tensor, p: float,
    gradient: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Cost (T, L) of each direction, and if ``gradient`` each atom's slope and dual potential (T, L, N).

    ``others`` (T): atoms of y that have mass.
    """
    (x_values, x_order), (y_values, y_order) = x, y
    frames, count, x_atoms = x_values.shape
    y_atoms = y_values.shape[-1]
    rows = (frames * count,)
    x_heights, y_heights = torch.empty_like(x_order), torch.empty_like(y_order)
    y_cost, x_cost = (torch.empty(frames, count, dtype=torch.float64, device=x_values.device) for _ in range(2))
    sums = torch.empty_like(y_order, dtype=torch.float64) if gradient else None
    slopes, potentials = (torch.empty_like(x_values) if gradient else None for _ in range(2))
    _cumulate[rows](x_order, x_masses, x_heights, count, x_atoms, TILE, num_warps=WARPS)
    _pieces_of_y[rows](x_values, x_heights, y_values, y_order, y_masses, y_heights, sums, y_cost, others, count, x_atoms,
                       y_atoms, x_atoms.bit_length(), p, gradient, TILE, num_warps=WARPS)
    _pieces_of_x[rows](x_values, x_order, x_heights, y_values, y_heights, sums, slopes, potentials, x_cost, others, count,
                       x_atoms, y_atoms, x_atoms.bit_length(), y_atoms.bit_length(), p, gradient, TILE, num_warps=WARPS,
                       enable_fp_fusion=False)  # a^3 - a^3 is zero only if both are rounded
    return y_cost + x_cost, slopes, potentials


def _collect_directions(slopes: Tensor, potentials: Tensor, theta: Tensor, points: Tensor, weights: Tensor) -> None:
    """Add slopes x directions to the gradient in the points (T, N, d), potentials to that in the weights (T, N)."""
    frames, atoms, dimension = points.shape
    _collect[(frames, triton.cdiv(atoms, COLLECTED))](
        slopes, potentials, theta, points, weights, theta.shape[1], atoms, dimension,
        triton.next_power_of_2(dimension), COLLECTED, num_warps=WARPS)


@triton.jit
@no_type_check
def _project(points, theta, masses, values, count, atoms, DIMENSION: tl.constexpr, TILE: tl.constexpr):
    """Projections of one tile of one row; if there are masses, atoms without one go to infinity."""
    row = tl.program_id(0).to(tl.int64)
    atom = tl.program_id(1) * TILE + tl.arange(0, TILE)
    inside = atom < atoms
    points += row // count * atoms * DIMENSION
    along = tl.zeros((TILE,), values.dtype.element_ty)
    for axis in range(DIMENSION):
        share = tl.load(theta + row * DIMENSION + axis)
        along += tl.load(points + atom.to(tl.int64) * DIMENSION + axis, mask=inside, other=0.0) * share
    if masses is not None:
        massive = tl.load(masses + row // count * atoms + atom, mask=inside, other=0) > 0
        along = tl.where(massive, along, float("inf"))
    tl.store(values + row * atoms + atom, along, mask=inside)


@triton.jit
@no_type_check
def _cumulate(order, masses, heights, count, atoms, TILE: tl.constexpr):
    """Cumulated mass of one row, up to and with each rank."""
    row = tl.program_id(0).to(tl.int64)
    order += row * atoms
    heights += row * atoms
    masses += row // count * atoms
    below = tl.zeros((), tl.int64)
    for start in range(0, atoms, TILE):
        rank = start + tl.arange(0, TILE)
        inside = rank < atoms
        mass = tl.load(masses + tl.load(order + rank, mask=inside, other=0), mask=inside, other=0)
        tl.store(heights + rank, below + tl.cumsum(mass), mask=inside)
        below += tl.sum(mass)


@triton.jit
@no_type_check
def _steps_below(heights, height, count, bits, WITH_EQUAL: tl.constexpr):
    """Number of the ``count`` < 2^bits ascending heights that lie below each ``height``, or at it."""
    place = tl.zeros(height.shape, tl.int32)
    for bit in range(bits):
        more = place + (1 << (bits - 1 - bit))
        valid = more <= count
        step = tl.load(heights + more - 1, mask=valid, other=0)
        if WITH_EQUAL:
            place = tl.where(valid & (step <= height), more, place)
        else:
            place = tl.where(valid & (step < height), more, place)
    return place


@triton.jit
@no_type_check
def _power(length, EXPONENT: tl.constexpr):
    """length^EXPONENT of float64 lengths of at least zero; zero to the power zero is one."""
    if EXPONENT == 0:
        return tl.full(length.shape, 1.0, tl.float64)
    elif EXPONENT == 1:
        return length
    elif EXPONENT == 2:
        return length * length
    elif EXPONENT == 3:
        return length * length * length
    else:
        return tl.where(length > 0, tl.exp(EXPONENT * tl.log(tl.where(length > 0, length, 1.0))), 0.0)


@triton.jit
@no_type_check
def _push(mass, gap, P: tl.constexpr):
    """mass x sign(gap) |gap|^(P - 1): what a piece adds to its atom's slope; times the gap, its cost."""
    size = _power(tl.abs(gap), P - 1)
    return mass * tl.where(gap > 0, size, tl.where(gap < 0, -size, 0.0))


@triton.jit
@no_type_check
def _rise(start, end, before, after, P: tl.constexpr):
    """By how much the cost to a partner, the mean of two, is higher at the end than at the start."""
    if P == 2:
        return (end - start).to(tl.float64) * ((end - before) + (start - after)).to(tl.float64)
    else:
        return (_power(tl.abs(end - before).to(tl.float64), P) - _power(tl.abs(start - before).to(tl.float64), P)
                + _power(tl.abs(end - after).to(tl.float64), P) - _power(tl.abs(start - after).to(tl.float64), P)) / 2


@triton.jit
@no_type_check
def _pieces_of_y(x_values, x_heights, y_values, y_order, y_masses, y_heights, sums, cost, others, count, x_atoms, y_atoms,
                 x_bits, P: tl.constexpr, GRADIENT: tl.constexpr, TILE: tl.constexpr):
    """Of one row: cumulated mass of y, the sums of the pushes of all pieces up to each step of y, and their cost."""
    row = tl.program_id(0).to(tl.int64)
    x_values += row * x_atoms
    x_heights += row * x_atoms
    y_values += row * y_atoms
    y_order += row * y_atoms
    y_heights += row * y_atoms
    y_masses += row // count * y_atoms
    massive = tl.load(others + row // count)
    below = tl.zeros((), tl.int64)
    pushed = tl.zeros((), tl.float64)
    spent = tl.zeros((TILE,), tl.float64)
    for start in range(0, massive, TILE):
        rank = start + tl.arange(0, TILE)
        inside = rank < massive
        mass = tl.load(y_masses + tl.load(y_order + rank, mask=inside, other=0), mask=inside, other=0)
        top = below + tl.cumsum(mass)
        below += tl.sum(mass)
        tl.store(y_heights + rank, top, mask=inside)
        place = _steps_below(x_heights, top, x_atoms, x_bits, True)
        lower = tl.load(x_heights + place - 1, mask=place > 0, other=0)
        share = (top - tl.maximum(lower, top - mass)).to(tl.float64)
        # After the last step of x no mass is left: any atom serves.
        partner = tl.load(x_values + tl.minimum(place, x_atoms - 1))
        gap = (partner - tl.load(y_values + rank, mask=inside, other=0.0)).to(tl.float64)
        push = _push(tl.where(inside, share, 0.0), gap, P)
        spent += push * gap
        if GRADIENT:
            tl.store(sums + row * y_atoms + rank, pushed + tl.cumsum(push), mask=inside)
            pushed += tl.sum(push)
    tl.store(cost + row, tl.sum(spent) / _UNIT)


@triton.jit
@no_type_check
def _pieces_of_x(x_values, x_order, x_heights, y_values, y_heights, sums, slopes, potentials, cost, others, count, x_atoms,
                 y_atoms, x_bits, y_bits, P: tl.constexpr, GRADIENT: tl.constexpr, TILE: tl.constexpr):
    """Of one row: cost of the pieces that end at steps of x, and by atom of x the slope and the dual potential.

    The potential is zero at the first atom with mass and changes as in ``otlib.measures.sliced_batched``.
    """
    row = tl.program_id(0).to(tl.int64)
    x_values += row * x_atoms
    x_heights += row * x_atoms
    y_values += row * y_atoms
    y_heights += row * y_atoms
    massive = tl.load(others + row // count)
    lane = tl.arange(0, TILE)
    first = tl.zeros((), tl.int32)
    if GRADIENT:
        sums += row * y_atoms
        if tl.load(x_heights) == 0:
            first = _steps_below(x_heights, tl.zeros((), tl.int64), x_atoms, x_bits, True)
    origin, nearest = tl.load(x_values + first), tl.load(y_values)
    last_partner = tl.zeros((), tl.int32)
    potential = tl.zeros((), tl.float64)
    spent = tl.zeros((TILE,), tl.float64)
    for start in range(0, x_atoms, TILE):
        rank = start + lane
        inside = rank < x_atoms
        top = tl.load(x_heights + rank, mask=inside, other=0)
        bottom = tl.load(x_heights + rank - 1, mask=inside & (rank > 0), other=0)
        right = tl.load(x_values + rank, mask=inside, other=0.0)
        partner = _steps_below(y_heights, top, massive, y_bits, False)
        lower = tl.load(y_heights + partner - 1, mask=partner > 0, other=0)
        share = (top - tl.maximum(lower, bottom)).to(tl.float64)
        gap = (right - tl.load(y_values + partner)).to(tl.float64)
        push = _push(tl.where(inside, share, 0.0), gap, P)
        spent += push * gap
        if GRADIENT:
            before = tl.where(lane == 0, last_partner, tl.gather(partner, tl.maximum(lane - 1, 0), 0))
            last_partner = tl.max(partner)
            # The pieces that end at steps of y between those of the atom below and of this one are this atom's, too.
            slope = (push + tl.load(sums + partner - 1, mask=partner > 0, other=0.0)
                     - tl.load(sums + before - 1, mask=before > 0, other=0.0))
            together = (tl.load(y_heights + before) == bottom).to(tl.int32)
            left = tl.load(x_values + rank - 1, mask=inside & (rank > 0), other=0.0)
            change = _rise(left, right, tl.load(y_values + before),
                           tl.load(y_values + tl.minimum(before + together, massive - 1)), P)
            above = inside & (rank > first)
            change = tl.where(above, change, 0.0)
            value = tl.where(above, potential + tl.cumsum(change), _rise(origin, right, nearest, nearest, P))
            potential += tl.sum(change)
            atom = row * x_atoms + tl.load(x_order + row * x_atoms + rank, mask=inside, other=0)
            tl.store(slopes + atom, slope / _UNIT, mask=inside)
            tl.store(potentials + atom, value, mask=inside)
    tl.store(cost + row, tl.sum(spent) / _UNIT)


@triton.jit
@no_type_check
def _collect(slopes, potentials, theta, point_gradient, weight_gradient, count, atoms, dimension,
             AXES: tl.constexpr, TILE: tl.constexpr):
    """Add the sums over the directions of one frame to the gradients of one tile of its atoms."""
    frame = tl.program_id(0).to(tl.int64)
    atom = tl.program_id(1) * TILE + tl.arange(0, TILE)
    axis = tl.arange(0, AXES)
    inside = atom < atoms
    points = tl.zeros((TILE, AXES), point_gradient.dtype.element_ty)
    weights = tl.zeros((TILE,), tl.float64)
    for row in range(frame * count, (frame + 1) * count):
        slope = tl.load(slopes + row * atoms + atom, mask=inside, other=0.0)
        share = tl.load(theta + row * dimension + axis, mask=axis < dimension, other=0.0)
        points += slope[:, None] * share[None, :]
        weights += tl.load(potentials + row * atoms + atom, mask=inside, other=0.0).to(tl.float64)
    point_place = point_gradient + (frame * atoms + atom)[:, None] * dimension + axis[None, :]
    wanted = inside[:, None] & (axis < dimension)[None, :]
    tl.store(point_place, tl.load(point_place, mask=wanted, other=0.0) + points, mask=wanted)
    weight_place = weight_gradient + frame * atoms + atom
    tl.store(weight_place, tl.load(weight_place, mask=inside, other=0.0) + weights, mask=inside)
