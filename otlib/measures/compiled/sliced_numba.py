"""Sliced Wasserstein distance of one pair of measures, compiled: value and gradients in one pass over the directions.

For each direction, both measures are projected and sorted, their masses are accumulated, and the two staircases of
cumulative mass are merged. The merge visits every pair of atoms that exchange mass, so one walk yields the cost, its
gradient in the projected points and the data for the dual potential.

- Sorting: keys quantised to 22 bits, two radix passes of 11 bits (18 and 9 for few atoms); an insertion sort then repairs
  the few inversions among equal keys. Heavy tails (one atom far away) put too many atoms under one key; then a merge sort
  takes over.
- Masses are 62-bit integers: their sums are exact, both staircases end at the same height, and no mass is lost.
- The merge is split into two halves that run side by side, because one alone would wait for its loads. Together they take
  the same steps as a single merge.
- One direction at a time, in buffers made once per thread, so that ten thousand atoms stay in a core's own cache.

All these functions are in one file: numba's cache on disk watches the file of the function that is called, not those it
calls. ``no_type_check`` keeps the test run's shape checks from wrapping what numba must compile.
"""

from typing import no_type_check

import numpy as np

from otlib.measures.compiled.numba_cache import compiled

MAX_ATOMS = 1 << 21
"""During the sort an atom's index shares a 32-bit word with 11 bits of its key."""

UNIT_MASS = 1 << 62
"""The integer that represents a mass of one."""

RADIX_BITS = 11
FEW_ATOMS, FEW_RADIX_BITS = 4096, 9  # for fewer atoms, counting empty buckets would dominate
STRETCH = 64  # sorted atoms checked for inversions at once
PORTION = 2048  # atoms projected at once, so that they stay in the fastest cache across axes


@compiled()
@no_type_check
def prepare(x, a, y, b):
    """Prepare both measures: points (d, n), contiguous along each axis, their bounds (d, 2), and integer masses.

    Both masses have the same sum. Massless atoms of y are dropped: they change neither the cost nor its gradient in x.
    """
    x_masses, y_masses = _integer_masses(a), _integer_masses(b)
    # Both staircases must end at the same height: the heaviest atom of y absorbs the difference in rounding.
    y_masses[np.argmax(y_masses)] += np.sum(x_masses) - np.sum(y_masses)
    if np.min(y_masses) == 0:
        massive = np.flatnonzero(y_masses)
        y, y_masses = y[massive], y_masses[massive]
    x_axes, x_bounds = _transpose(x)
    y_axes, y_bounds = _transpose(y)
    return (x_axes, x_bounds, x_masses), (y_axes, y_bounds, y_masses)


@compiled()
@no_type_check
def make_buffers(x, y):
    """Scratch space of :func:`directions_block` for measures as large as the points ``x`` and ``y``; one per thread."""
    n, m = len(x), len(y)
    dtype = x.dtype
    longest = max(n, m)
    projection, key, swap = np.empty(longest, dtype), np.empty(longest, np.uint32), np.empty(longest, np.uint32)
    histograms = np.empty((2, 1 << RADIX_BITS), np.uint32)
    by_rank = (np.empty(n, np.uint32), np.empty(n, dtype), np.empty(n, np.int64), np.empty(m, dtype), np.empty(m, np.int64))
    exchange = np.empty(n, dtype), np.empty(n, np.uint32)
    return projection, key, swap, histograms, by_rank, exchange


@compiled()
@no_type_check
def directions_block(x, y, directions, block, blocks, p, gradient, buffers):
    """Solve one block of one frame's directions; each result is summed over the block and divided by L.

    Eight arguments, since compiled code has no objects. Takes the measures from :func:`prepare`. Returns the cost and, with
    ``gradient``, the gradients in the points (d, n) and in the weights (n), otherwise empty arrays.
    """
    x_axes, x_bounds, x_masses = x
    y_axes, y_bounds, y_masses = y
    projection, key, swap, histograms, by_rank, (slopes, partners) = buffers
    x_order, x_sorted, x_heights, y_sorted, y_heights = by_rank
    y_sorted, y_heights = y_sorted[:len(y_masses)], y_heights[:len(y_masses)]
    d, n = x_axes.shape
    gradient_size = n if gradient else 0
    point_gradient, weight_gradient = np.zeros((d, gradient_size), x_axes.dtype), np.zeros(gradient_size, x_axes.dtype)

    count = len(directions)
    reach = 2.0 * d * max(np.abs(x_bounds).max(), np.abs(y_bounds).max())  # no gap is larger
    # Slopes are kept x 2^62; where the power of a large gap would then leave the dtype, as they are.
    large = p != 2.0 and float(UNIT_MASS) * count * reach ** (p - 1.0) > np.finfo(x_axes.dtype).max
    scale = 1.0 / float(UNIT_MASS) if large else 1.0
    cost = 0.0
    for number in range(count * block // blocks, count * (block + 1) // blocks):
        theta = directions[number]
        _project(x_axes, theta, projection)
        _sort(projection, _range(x_bounds, theta), key, swap, histograms, x_order, x_sorted)
        _cumulate(x_masses, x_order, x_heights)
        _project(y_axes, theta, projection)
        y_order = key  # the keys are read before the order is written
        _sort(projection, _range(y_bounds, theta), key, swap, histograms, y_order, y_sorted)
        _cumulate(y_masses, y_order, y_heights)
        if p == 2.0:
            cost += _merge_squared(x_sorted, x_heights, y_sorted, y_heights, slopes, partners)
        else:
            cost += _merge(x_sorted, x_heights, y_sorted, y_heights, p, scale, slopes, partners)
        if gradient:
            _back_to_atoms(x_sorted, x_heights, y_sorted, y_heights, slopes, partners, x_order, p, projection,
                           weight_gradient)
            _add_along(projection, theta, point_gradient)
    if gradient:
        point_gradient *= x_axes.dtype.type(p / (float(UNIT_MASS) * scale * count))
        _centre(weight_gradient, x_masses, count)
    return cost / (float(UNIT_MASS) * count), point_gradient, weight_gradient


@compiled()
@no_type_check
def _transpose(points):
    n, d = points.shape
    axes, bounds = np.empty((d, n), points.dtype), np.empty((d, 2), points.dtype)
    for axis in range(d):
        low = high = points[0, axis]
        for i in range(n):
            value = points[i, axis]
            axes[axis, i] = value
            low = min(low, value)
            high = max(high, value)
        bounds[axis, 0], bounds[axis, 1] = low, high
    return axes, bounds


@compiled()
@no_type_check
def _integer_masses(weights):
    """Weights as integers that sum to 2^62 up to rounding: equal weights stay equal, and so do their steps."""
    total = 0.0
    for weight in weights:
        total += weight
    masses = np.empty(len(weights), np.int64)
    for i in range(len(weights)):
        masses[i] = np.int64(np.rint(weights[i] / total * float(UNIT_MASS)))
    return masses


@compiled(fastmath=True)
@no_type_check
def _project(axes, direction, projection):
    n = axes.shape[1]
    for start in range(0, n, PORTION):
        stop = min(n, start + PORTION)
        part = projection[start:stop]
        along, share = axes[0, start:stop], direction[0]
        for i in range(len(part)):
            part[i] = along[i] * share
        for axis in range(1, len(axes)):
            along, share = axes[axis, start:stop], direction[axis]
            for i in range(len(part)):
                part[i] += along[i] * share


@compiled()
@no_type_check
def _range(bounds, direction):
    """Interval that contains the projections of all atoms, with room for rounding."""
    low = high = slack = 0.0
    for axis in range(len(direction)):
        at_low, at_high = bounds[axis, 0] * np.float64(direction[axis]), bounds[axis, 1] * np.float64(direction[axis])
        low += min(at_low, at_high)
        high += max(at_low, at_high)
        slack += max(abs(at_low), abs(at_high))
    slack *= (len(direction) + 4) * float(np.finfo(bounds.dtype).eps)
    return bounds.dtype.type(low - slack), bounds.dtype.type(high + slack)


@compiled()
@no_type_check
def _sort(values, limits, key, swap, histograms, order, ordered):
    """Write the order and the sorted values of the first ``len(ordered)`` values."""
    n = len(ordered)
    bits = FEW_RADIX_BITS if n < FEW_ATOMS else RADIX_BITS
    _quantise(values, n, limits, key, bits)
    _radix_order(values, key, swap, histograms, order, ordered, bits)
    if not _repair(order, ordered):
        exact = np.argsort(values[:n], kind="mergesort")
        for k in range(n):
            order[k] = exact[k]
            ordered[k] = values[exact[k]]


@compiled(fastmath=True)
@no_type_check
def _quantise(values, n, limits, key, bits):
    """Keys of 2 ``bits`` bits, evenly spaced over an interval that contains the values."""
    low, high = limits
    span = high - low
    scale = values.dtype.type(0)
    if span > 1e-30:  # for less, the scale would overflow; equal keys are then repaired like any others
        scale = values.dtype.type((1 << 2 * bits) - 4) / span  # leaves room for rounding
    for i in range(n):
        key[i] = np.uint32(np.int32((values[i] - low) * scale))


@compiled()
@no_type_check
def _radix_order(values, key, swap, histograms, order, ordered, bits):
    """Stable order of keys of 2 ``bits`` bits: one pass for the low half, one for the high half."""
    n = len(ordered)
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
        index = swap[i] & index_mask
        place = high[bucket]
        high[bucket] = place + np.uint32(1)
        order[place] = index
        ordered[place] = values[index]


@compiled()
@no_type_check
def _repair(order, ordered):
    """Sort by insertion what the keys left unsorted; False if that would take more than 4 n moves."""
    n = len(ordered)
    budget = 4 * n + 64
    for start in range(1, n, STRETCH):
        stop = min(n, start + STRETCH)
        if _inversions(ordered[start - 1:stop - 1], ordered[start:stop]) == 0:
            continue
        for k in range(start, stop):
            value, index = ordered[k], order[k]
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


@compiled()
@no_type_check
def _inversions(before, after):
    count = 0
    for k in range(len(after)):
        count += after[k] < before[k]
    return count


@compiled()
@no_type_check
def _cumulate(masses, order, heights):
    height = np.int64(0)
    for k in range(len(masses)):
        height += masses[order[k]]
        heights[k] = height


@compiled(error_model="numpy")
@no_type_check
def _merge(xs, x_heights, ys, y_heights, p, scale, slopes, partners):
    """Cost of one direction x 2^62.

    ``slopes[i]``: sum of mass x sign(gap) |gap|^(p - 1) over the pieces of atom i, where gap = x - y, x 2^62 x ``scale``.
    ``partners[i]``: the last atom of y that i exchanges mass with. All by rank. After the last atom of x, y has no mass
    left.
    """
    i = j = np.uint64(0)  # numba does not check unsigned indices for counting from the end
    below = np.int64(0)
    cost = 0.0
    slope = 0.0
    while i < len(xs):
        x_height, y_height = x_heights[i], y_heights[j]
        height = min(x_height, y_height)
        gap = np.float64(xs[i] - ys[j])
        push = np.float64(height - below) * np.sign(gap) * np.abs(gap) ** (p - 1.0)
        below = height
        cost += push * gap
        slope += push
        slopes[i] = slope * scale
        partners[i] = j
        x_ends = x_height <= y_height
        slope = 0.0 if x_ends else slope
        i += np.uint64(x_ends)
        j += np.uint64(not x_ends)
    return cost


@compiled(error_model="numpy")
@no_type_check
def _merge_squared(xs, x_heights, ys, y_heights, slopes, partners):
    """:func:`_merge` for p = 2, from the lowest and from the middle atom of x at the same time."""
    n = len(xs)
    middle = n // 2
    half_mass = x_heights[middle - 1] if middle > 0 else np.int64(0)
    y_middle = np.searchsorted(y_heights, half_mass) if middle > 0 else 0  # steps of y that the merge takes below it
    y_end = np.searchsorted(y_heights, x_heights[n - 1])
    steps0, steps1 = middle + y_middle, n - middle + y_end - y_middle
    i0 = j0 = np.uint64(0)
    i1, j1 = np.uint64(middle), np.uint64(y_middle)
    below0, below1 = np.int64(0), half_mass
    cost0 = cost1 = 0.0
    slope0 = slope1 = xs.dtype.type(0)
    for _ in range(min(steps0, steps1)):
        i0, j0, below0, slope0, cost = _step(xs, x_heights, ys, y_heights, slopes, partners, i0, j0, below0, slope0)
        cost0 += cost
        i1, j1, below1, slope1, cost = _step(xs, x_heights, ys, y_heights, slopes, partners, i1, j1, below1, slope1)
        cost1 += cost
    if steps0 > steps1:
        i1, j1, below1, slope1 = i0, j0, below0, slope0
    for _ in range(abs(steps0 - steps1)):
        i1, j1, below1, slope1, cost = _step(xs, x_heights, ys, y_heights, slopes, partners, i1, j1, below1, slope1)
        cost1 += cost
    return cost0 + cost1


@compiled(error_model="numpy")
@no_type_check
def _step(xs, x_heights, ys, y_heights, slopes, partners, i, j, below, slope):
    """Move one piece of mass, p = 2: return the new state and the cost."""
    x_height, y_height = x_heights[i], y_heights[j]
    height = min(x_height, y_height)
    gap = xs[i] - ys[j]
    push = xs.dtype.type(height - below) * gap
    slope += push
    slopes[i] = slope
    partners[i] = np.uint32(j)
    x_ends = x_height <= y_height
    x_step = np.uint64(x_ends)
    slope = xs.dtype.type(0) if x_ends else slope
    return i + x_step, j + (x_step ^ np.uint64(1)), height, slope, np.float64(push) * np.float64(gap)


@compiled()
@no_type_check
def _back_to_atoms(xs, x_heights, ys, y_heights, slopes, partners, order, p, atom_slopes, weight_gradient):
    """Write each atom's slope and add the dual potential on the line to its weight gradient.

    The potential is zero at the first atom with mass. From one atom to the next it changes by the change in cost to their
    common partner. Where both staircases step at once there are two such partners, one before and one after. We take the
    mean of both: it is the mean of the one-sided derivatives, and it is zero between equal measures. Below all mass the
    only partner is the first atom of y, above it the last one.
    """
    first, last = np.searchsorted(x_heights, np.int64(1)), len(ys) - 1
    for k in range(first + 1):
        atom_slopes[order[k]] = slopes[k]
        weight_gradient[order[k]] += _rise(xs[first], xs[k], ys[0], ys[0], p)
    potential = 0.0
    for k in range(first + 1, len(order)):
        atom = order[k]
        atom_slopes[atom] = slopes[k]
        partner = partners[k - 1]
        after = partner + (partner < last and x_heights[k - 1] == y_heights[partner])
        potential += _rise(xs[k - 1], xs[k], ys[partner], ys[after], p)
        weight_gradient[atom] += potential


@compiled()
@no_type_check
def _rise(start, end, before, after, p):
    """Rise of the cost from start to end, averaged over two partners."""
    if p == 2.0:
        return (end - start) * ((end - before) + (start - after))
    change = 0.0
    for partner in (before, after):
        change += np.abs(end - partner) ** p - np.abs(start - partner) ** p
    return change / 2


@compiled(fastmath=True)
@no_type_check
def _add_along(atom_slopes, direction, point_gradient):
    """Add slope x direction to each atom's gradient."""
    for axis in range(len(direction)):
        share = direction[axis]
        along = point_gradient[axis]
        for i in range(len(along)):
            along[i] += atom_slopes[i] * share


@compiled(fastmath=True)
@no_type_check
def _centre(weight_gradient, masses, count):
    """Make the masses times the gradient sum to zero, and divide by the number of directions."""
    mean = 0.0
    for i in range(len(masses)):
        mean += float(masses[i]) * weight_gradient[i]
    mean /= float(UNIT_MASS)
    for i in range(len(masses)):
        weight_gradient[i] = (weight_gradient[i] - mean) / count
