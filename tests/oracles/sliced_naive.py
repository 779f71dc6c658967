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


def weight_slopes(x, a, y, b, directions, p, step=1e-6):
    """Derivative of the cost in each weight of x, scaled to sum to one, as mass is added: the only side for an atom without.

    The cost is linear in the weights until two steps of the staircases meet, so a small step gives the derivative itself.
    """
    total, unit = a.sum(), np.eye(len(a))
    here = sliced_cost(x, a / total, y, b, directions, p)
    return np.array([sliced_cost(x, (a + step * total * more) / (total * (1 + step)), y, b, directions, p) - here
                     for more in unit]) * (1 + step) / (step * total)


def gaussian_cost(mean_x, deviation_x, mean_y, deviation_y):
    """W_2^2 between two Gaussians on the line."""
    return (mean_x - mean_y) ** 2 + (deviation_x - deviation_y) ** 2
