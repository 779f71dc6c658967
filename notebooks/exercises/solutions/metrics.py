"""Answers to the exercises of notebook 09."""

import numpy as np


def lip_vertex_error(truth, prediction, lips):
    """(T, V, 3), (T, V, 3), (N,) -> m^2."""
    squared = ((prediction[:, lips] - truth[:, lips]) ** 2).sum(-1)  # T N
    return squared.max(1).mean()


def delay(truth_gap, predicted_gap, most):
    """(T,), (T,), frames -> frames."""
    frames = len(truth_gap)

    def correlation(lag):
        one, two = truth_gap[max(0, -lag): frames - max(0, lag)], predicted_gap[max(0, lag): frames - max(0, -lag)]
        return np.corrcoef(one, two)[0, 1]

    return max(range(-most, most + 1), key=correlation)
