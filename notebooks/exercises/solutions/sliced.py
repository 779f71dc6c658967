"""Answers to the exercises of notebook 04."""

import numpy as np


def sliced_squared(x, y, directions):
    """(N, 3), (N, 3), (L, 3) -> a number."""
    return np.mean((np.sort(x @ directions.T, axis=0) - np.sort(y @ directions.T, axis=0)) ** 2)


def sliced_gradient(x, y, directions):
    """(N, 3), (N, 3), (L, 3) -> (N, 3)."""
    along = x @ directions.T  # N L
    order = np.argsort(along, axis=0)
    gaps = np.empty_like(along)
    np.put_along_axis(gaps, order, np.take_along_axis(along, order, axis=0) - np.sort(y @ directions.T, axis=0), axis=0)
    return 2 * gaps @ directions / gaps.size
