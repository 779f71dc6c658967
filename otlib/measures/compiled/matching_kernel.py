"""What each atom moves by and pays on one direction, compiled: one walk along two sorted measures.

The orders come from outside (numpy sorts at least as fast as compiled code), so this file needs no other compiled one:
numba's cache on disk watches only the file of the function that is called. ``no_type_check`` keeps the test run's shape
checks from wrapping what numba must compile.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from otlib.measures.compiled.kernel import UNIT_MASS

_MASS = 1.0 / UNIT_MASS


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def add_direction(x_masses, x_values, x_order, y_masses, y_values, y_order, y_points, direction, p, reached, pull, cost):
    """Add to each atom of x what the matching along one direction asks of it.

    Args:
        x_masses, y_masses: (N,) and (M,) int64 in units of 2^-62, with the same sum.
        x_values, y_values: (N,) and (M,) float64, the projections.
        x_order, y_order: (N,) and (M,), what sorts them.
        y_points: (M, d) float64.
        direction: (d,) float64.
        p: exponent of the cost.
        reached: (N, d), gets the sum of mass x point reached.
        pull: (N, d), gets the sum of mass x gap, along the direction and towards y.
        cost: (N,), gets the sum of mass x |gap|^p.
    """
    i = j = 0
    x_left, y_left = x_masses[x_order[0]], y_masses[y_order[0]]
    while True:
        atom, partner = x_order[i], y_order[j]
        piece = min(x_left, y_left)
        mass = float(piece) * _MASS
        gap = y_values[partner] - x_values[atom]
        for axis in range(len(direction)):
            reached[atom, axis] += mass * y_points[partner, axis]
            pull[atom, axis] += mass * gap * direction[axis]
        cost[atom] += mass * (gap * gap if p == 2.0 else np.abs(gap) ** p)
        x_left -= piece
        y_left -= piece
        # Both masses have one sum, so what is left after the last atom of either has none.
        if x_left == 0:
            i += 1
            if i == len(x_order):
                return
            x_left = x_masses[x_order[i]]
        if y_left == 0:
            j += 1
            if j == len(y_order):
                return
            y_left = y_masses[y_order[j]]
