"""Displacement and cost of each atom along one direction, compiled: one walk along two sorted measures.

The caller sorts (numpy sorts at least as fast as compiled code), so this file needs no other compiled file: numba's cache
on disk watches only the file of the function that is called. ``no_type_check`` keeps the test run's shape checks from
wrapping what numba must compile.
"""

from typing import no_type_check

import numpy as np

from otlib.measures.compiled.numba_cache import compiled
from otlib.measures.compiled.sliced_numba import UNIT_MASS

_MASS = 1.0 / UNIT_MASS


@compiled(error_model="numpy")
@no_type_check
def add_direction(x, y, y_points, direction, p, sums):
    """Add the matching along one direction to the sums of each atom of x.

    Args:
        x, y: masses, (N,) and (M,) int64 in units of 2^-62, with the same sum; projections, float64; and the indices that
            sort the projections.
        y_points: (M, d) float64.
        direction: (d,) float64.
        p: exponent of the cost.
        sums: of mass x target point, (N, d); of mass x gap, along the direction and towards y, (N, d); and of
            mass x |gap|^p, (N,).
    """
    (x_masses, x_values, x_order), (y_masses, y_values, y_order) = x, y
    target_sum, pull, cost = sums
    i = j = 0
    x_rest, y_rest = x_masses[x_order[0]], y_masses[y_order[0]]
    while True:
        atom, partner = x_order[i], y_order[j]
        piece = min(x_rest, y_rest)
        mass = float(piece) * _MASS
        gap = y_values[partner] - x_values[atom]
        for axis in range(len(direction)):
            target_sum[atom, axis] += mass * y_points[partner, axis]
            pull[atom, axis] += mass * gap * direction[axis]
        cost[atom] += mass * (gap * gap if p == 2.0 else np.abs(gap) ** p)
        x_rest -= piece
        y_rest -= piece
        # Both measures have the same total, so nothing is left once either runs out of atoms.
        if x_rest == 0:
            i += 1
            if i == len(x_order):
                return
            x_rest = x_masses[x_order[i]]
        if y_rest == 0:
            j += 1
            if j == len(y_order):
                return
            y_rest = y_masses[y_order[j]]
