"""Sliced Wasserstein distance of one pair of measures, compiled: value and gradients in one pass over the directions.

For each direction both measures are projected and sorted, their masses cumulated, and the two staircases of cumulated
mass merged. The merge visits every pair of atoms that exchange mass, so it yields the cost, its gradient in the
projected points and what the dual potential needs in one go.

- Sorting: keys quantised to 22 bits, two radix passes of 11 bits (18 and 9 for few atoms), then the few inversions left
  among equal keys are repaired by insertion. Heavy tails (one atom far away) put too many atoms under one key; a merge
  sort takes over.
- Masses are 62-bit integers: their sums are exact, both staircases end at the same height, and no mass is lost.
- Two directions are merged at a time, because one merge waits on its own loads.

All compiled functions stand in this one file: the cache on disk watches the file of the function that is called, not
those it calls. ``no_type_check`` keeps the test run's shape checks from wrapping what numba must compile.
"""

from typing import no_type_check

import numpy as np
from numba import njit

MAX_ATOMS = 1 << 21
"""An atom's index shares a 32-bit word with 11 bits of its key while it is sorted."""

UNIT_MASS = 1 << 62
"""The integer that stands for mass one."""

RADIX_BITS = 11
FEW_ATOMS, FEW_RADIX_BITS = 4096, 9  # below, most of the time would go into counting empty buckets
NEVER = np.int64(np.iinfo(np.int64).max)  # height of a staircase past its end


@njit(cache=True, nogil=True)
@no_type_check
def prepare(x, a, y, b):
    """Points (d, n) and (d, m), contiguous along each axis, and masses as integers of the same sum."""
    x_masses, y_masses = _integer_masses(a), _integer_masses(b)
    # Both staircases must end at the same height: the heaviest atom of y takes the difference in rounding.
    y_masses[np.argmax(y_masses)] += np.sum(x_masses) - np.sum(y_masses)
    return _transpose(x), x_masses, _transpose(y), y_masses


@njit(cache=True, nogil=True)
@no_type_check
def directions_block(x_axes, x_masses, y_axes, y_masses, directions, block, blocks, p, gradient):
    """One block of the directions of one frame, each result summed over the block and divided by L.

    Returns the costs, and if ``gradient`` the gradients in the points (d, n) and in the weights (n), else empty arrays.
    """
    d, n = x_axes.shape
    m = y_axes.shape[1]
    dtype = x_axes.dtype
    longest = max(n, m)
    projection = np.empty(longest, dtype)
    key, swap = np.empty(longest, np.uint32), np.empty(longest, np.uint32)
    histograms = np.empty((2, 1 << RADIX_BITS), np.uint32)
    # Two of each: two directions are under way at a time. One slot past the end holds the staircases' end marks.
    x_order, y_order = np.empty((2, n), np.uint32), np.empty(m, np.uint32)
    x_sorted, y_sorted = np.empty((2, n + 1), dtype), np.empty((2, m + 1), dtype)
    x_heights, y_heights = np.empty((2, n + 1), np.int64), np.empty((2, m + 1), np.int64)
    slopes, partners = np.empty((2, n + 1), dtype), np.empty((2, n + 1), np.uint32)
    held = n if gradient else 0
    point_gradient, weight_gradient = np.zeros((d, held), dtype), np.zeros(held, dtype)

    count = len(directions)
    pairs = (count + 1) // 2
    cost = 0.0
    for pair in range(pairs * block // blocks, pairs * (block + 1) // blocks):
        members = min(2, count - 2 * pair)
        for k in range(members):
            theta = directions[2 * pair + k]
            _project(x_axes, theta, projection)
            _sort(projection, n, key, swap, histograms, x_order[k], x_sorted[k])
            _cumulate(x_masses, x_order[k], x_heights[k])
            _project(y_axes, theta, projection)
            _sort(projection, m, key, swap, histograms, y_order, y_sorted[k])
            _cumulate(y_masses, y_order, y_heights[k])
            x_sorted[k, n] = x_sorted[k, n - 1]
            y_sorted[k, m] = y_sorted[k, m - 1]
        if p == 2.0 and members == 2:
            cost += _merge_two_squared(x_sorted, x_heights, y_sorted, y_heights, slopes, partners)
        else:
            for k in range(members):
                cost += _merge(x_sorted[k], x_heights[k], y_sorted[k], y_heights[k], p, slopes[k], partners[k])
        if gradient:
            for k in range(members):
                _spread_slopes(slopes[k], x_order[k], directions[2 * pair + k], projection, point_gradient)
                _add_potential(x_sorted[k], x_heights[k], y_sorted[k], y_heights[k], partners[k], x_order[k], p,
                               weight_gradient)
    if gradient:
        point_gradient *= dtype.type(p / (float(UNIT_MASS) * count))
        mean = 0.0
        for i in range(n):
            mean += float(x_masses[i]) * weight_gradient[i]
        mean /= float(UNIT_MASS)
        for i in range(n):
            weight_gradient[i] = (weight_gradient[i] - mean) / count
    return cost / (float(UNIT_MASS) * count), point_gradient, weight_gradient


@njit(cache=True, nogil=True)
@no_type_check
def _transpose(points):
    axes = np.empty((points.shape[1], points.shape[0]), points.dtype)
    for axis in range(points.shape[1]):
        for i in range(points.shape[0]):
            axes[axis, i] = points[i, axis]
    return axes


@njit(cache=True, nogil=True)
@no_type_check
def _integer_masses(weights):
    """Weights as integers that sum to 2^62 but for rounding: equal weights stay equal, and so do their steps."""
    total = 0.0
    for weight in weights:
        total += weight
    masses = np.empty(len(weights), np.int64)
    for i in range(len(weights)):
        masses[i] = np.int64(np.rint(weights[i] / total * float(UNIT_MASS)))
    return masses


@njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def _project(axes, direction, projection):
    n = axes.shape[1]
    for i in range(n):
        projection[i] = axes[0, i] * direction[0]
    for axis in range(1, axes.shape[0]):
        share = direction[axis]
        along = axes[axis]
        for i in range(n):
            projection[i] += along[i] * share


@njit(cache=True, nogil=True)
@no_type_check
def _sort(values, n, key, swap, histograms, order, ordered):
    """Write the order of ``values[:n]`` and the sorted values."""
    bits = FEW_RADIX_BITS if n < FEW_ATOMS else RADIX_BITS
    _quantise(values, n, key, bits)
    _radix_order(key, n, swap, histograms, order, bits)
    if not _gather_and_repair(values, n, order, ordered):
        exact = np.argsort(values[:n], kind="mergesort")
        for k in range(n):
            order[k] = exact[k]
            ordered[k] = values[exact[k]]


@njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def _quantise(values, n, key, bits):
    """Keys of 2 ``bits`` bits, evenly spaced over the range of the values."""
    low = values[0]
    high = values[0]
    for i in range(n):
        low = min(low, values[i])
        high = max(high, values[i])
    span = high - low
    scale = values.dtype.type(0)
    if span > 1e-30:  # below, the scale would overflow; equal keys are then repaired like any others
        scale = values.dtype.type((1 << 2 * bits) - 4) / span  # with room for rounding
    for i in range(n):
        key[i] = np.uint32(np.int32((values[i] - low) * scale))


@njit(cache=True, nogil=True)
@no_type_check
def _radix_order(key, n, swap, histograms, order, bits):
    """Stable order of keys of 2 ``bits`` bits: one pass for the low half, one for the high half."""
    buckets = 1 << bits
    low, high = histograms[0, :buckets], histograms[1, :buckets]
    low[:] = 0
    high[:] = 0
    half = np.uint32(bits)
    mask = np.uint32(buckets - 1)
    index_bits = np.uint32(32 - RADIX_BITS)
    index_mask = np.uint32(MAX_ATOMS - 1)
    for i in range(n):
        low[key[i] & mask] += np.uint32(1)
        high[key[i] >> half] += np.uint32(1)
    low_start = np.uint32(0)
    high_start = np.uint32(0)
    for bucket in range(buckets):
        low_count, high_count = low[bucket], high[bucket]
        low[bucket], high[bucket] = low_start, high_start
        low_start += low_count
        high_start += high_count
    for i in range(n):
        bucket = key[i] & mask
        place = low[bucket]
        low[bucket] = place + np.uint32(1)
        swap[place] = ((key[i] >> half) << index_bits) | np.uint32(i)  # high half and index share the word
    for i in range(n):
        bucket = swap[i] >> index_bits
        place = high[bucket]
        high[bucket] = place + np.uint32(1)
        order[place] = swap[i] & index_mask


@njit(cache=True, nogil=True)
@no_type_check
def _gather_and_repair(values, n, order, ordered):
    """Sorted values by insertion of what the keys left out of order; False if that would take more than 4 n moves."""
    budget = 4 * n + 64
    highest = values[order[0]]
    ordered[0] = highest
    for k in range(1, n):
        index = order[k]
        value = values[index]
        if value >= highest:
            ordered[k] = value
            highest = value
        else:
            place = k
            while place > 0 and value < ordered[place - 1]:
                ordered[place] = ordered[place - 1]
                order[place] = order[place - 1]
                place -= 1
            ordered[place] = value
            order[place] = index
            budget -= k - place
            if budget < 0:
                return False
    return True


@njit(cache=True, nogil=True)
@no_type_check
def _cumulate(masses, order, heights):
    height = np.int64(0)
    for k in range(len(order)):
        height += masses[order[k]]
        heights[k] = height
    heights[len(order)] = NEVER


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _merge(xs, x_heights, ys, y_heights, p, slopes, partners):
    """Cost of one direction x 2^62.

    ``slopes[i]``: sum over the pieces of mass of atom i of mass x sign(gap) |gap|^(p - 1), gap = x - y.
    ``partners[i]``: the last atom that i exchanges mass with. All by rank.
    """
    i = np.int64(0)
    j = np.int64(0)
    below = np.int64(0)
    cost = 0.0
    slope = 0.0
    for _ in range(len(xs) + len(ys) - 2):
        x_height, y_height = x_heights[i], y_heights[j]
        height = min(x_height, y_height)
        gap = xs[i] - ys[j]
        force = float(gap) if p == 2.0 else np.sign(gap) * float(np.abs(gap)) ** (p - 1.0)
        push = float(height - below) * force
        below = height
        cost += push * gap
        slope += push
        slopes[i] = slope
        partners[i] = j
        advance = np.int64(x_height <= y_height)
        slope *= 1 - advance
        i += advance
        j += 1 - advance
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _merge_two_squared(xs, x_heights, ys, y_heights, slopes, partners):
    """:func:`_merge` for p = 2 and two directions at once, so that one works while the other waits for memory."""
    xs0, xs1 = xs[0], xs[1]
    ys0, ys1 = ys[0], ys[1]
    x_heights0, x_heights1 = x_heights[0], x_heights[1]
    y_heights0, y_heights1 = y_heights[0], y_heights[1]
    slopes0, slopes1 = slopes[0], slopes[1]
    partners0, partners1 = partners[0], partners[1]
    i0 = i1 = j0 = j1 = below0 = below1 = np.int64(0)
    cost0 = cost1 = 0.0
    slope0 = slope1 = xs.dtype.type(0)
    for _ in range(len(xs0) + len(ys0) - 2):
        x_height, y_height = x_heights0[i0], y_heights0[j0]
        height = min(x_height, y_height)
        gap = xs0[i0] - ys0[j0]
        push = xs.dtype.type(height - below0) * gap
        below0 = height
        cost0 += float(push * gap)
        slope0 += push
        slopes0[i0] = slope0
        partners0[i0] = j0
        advance = np.int64(x_height <= y_height)
        slope0 *= xs.dtype.type(1 - advance)
        i0 += advance
        j0 += 1 - advance

        x_height, y_height = x_heights1[i1], y_heights1[j1]
        height = min(x_height, y_height)
        gap = xs1[i1] - ys1[j1]
        push = xs.dtype.type(height - below1) * gap
        below1 = height
        cost1 += float(push * gap)
        slope1 += push
        slopes1[i1] = slope1
        partners1[i1] = j1
        advance = np.int64(x_height <= y_height)
        slope1 *= xs.dtype.type(1 - advance)
        i1 += advance
        j1 += 1 - advance
    return cost0 + cost1


@njit(cache=True, nogil=True, fastmath=True)
@no_type_check
def _spread_slopes(slopes, order, direction, buffer, point_gradient):
    """Add slope x direction to each atom's gradient."""
    n = len(order)
    for k in range(n):
        buffer[order[k]] = slopes[k]
    for axis in range(len(direction)):
        share = direction[axis]
        along = point_gradient[axis]
        for i in range(n):
            along[i] += buffer[i] * share


@njit(cache=True, nogil=True)
@no_type_check
def _add_potential(xs, x_heights, ys, y_heights, partners, order, p, weight_gradient):
    """Add the dual potential on the line: zero at the first atom, then what the cost to the same partner changes by.

    Where both staircases step at once the partner before and the one after serve as well; the mean of both is the
    derivative's own mean from both sides, and makes it zero between equal measures.
    """
    height = 0.0
    for k in range(1, len(order)):
        partner = partners[k - 1]
        after = partner + (x_heights[k - 1] == y_heights[partner])
        step = xs[k] - xs[k - 1]
        if p == 2.0:
            height += step * ((xs[k] - ys[partner]) + (xs[k - 1] - ys[after]))
        else:
            for y in (ys[partner], ys[after]):
                height += (np.abs(xs[k] - y) ** p - np.abs(xs[k - 1] - y) ** p) / 2
        weight_gradient[order[k]] += height
