"""Sliced Wasserstein with loops over directions and atoms, in Python's floats, and closed forms on the line."""

import numpy as np


def line_cost(x, a, y, b, p):
    """W_p^p between sum a_i delta_{x_i} and sum b_j delta_{y_j} on the line: integral of |Q_x - Q_y|^p over the mass."""
    levels = sorted({*np.cumsum(a[np.argsort(x)]), *np.cumsum(b[np.argsort(y)])})
    cost, below = 0.0, 0.0
    for level in levels:
        middle = (below + level) / 2
        cost += (level - below) * abs(quantile(x, a, middle) - quantile(y, b, middle)) ** p
        below = level
    return cost


def quantile(x, a, mass):
    """Smallest x whose cumulated mass reaches ``mass``."""
    reached = 0.0
    for index in np.argsort(x):
        reached += a[index]
        if reached >= mass:
            return x[index]
    return np.max(x)


def sliced_cost(x, a, y, b, directions, p):
    """Mean over directions of the cost on the line."""
    return np.mean([line_cost(x @ theta, a, y @ theta, b, p) for theta in directions])


def gaussian_cost(mean_x, deviation_x, mean_y, deviation_y):
    """W_2^2 between two Gaussians on the line."""
    return (mean_x - mean_y) ** 2 + (deviation_x - deviation_y) ** 2
