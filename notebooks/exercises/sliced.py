"""Exercises of notebook 04, the sliced Wasserstein distance."""

import numpy as np

from notebooks.exercises.exercise import Exercise, same

ROUNDING = 1e-9  # rounding error of sums of a few products in float64
STEP = 1e-6  # step of central differences: small beside the gaps between projections, so that no order changes
DIFFERENCES = 1e-6  # relative error of central differences with this step


def _clouds(count=7, lines=5):
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(lines, 3))
    return (generator.normal(size=(count, 3)), generator.normal(size=(count, 3)),
            directions / np.linalg.norm(directions, axis=1, keepdims=True))


def _squared(x, y, directions):
    return float(np.mean([np.mean((np.sort(x @ line) - np.sort(y @ line)) ** 2) for line in directions]))


def _distance(answer):
    x, y, directions = _clouds()
    line = np.array([[1.0, 0.0, 0.0]])
    moved = np.array([[1.0, 9.0, 0.0], [3.0, 0.0, 9.0]])
    same("two atoms moved by 1 and 3 along the line", answer(np.zeros((2, 3)), moved, line), 5.0, ROUNDING)
    same("seven atoms, five directions", answer(x, y, directions), _squared(x, y, directions), ROUNDING)
    same("the same atoms in another order", 1.0 + answer(x, x[::-1], directions), 1.0, ROUNDING)


def _gradient(answer):
    x, y, directions = _clouds()
    expected = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = STEP
        expected[index] = (_squared(x + step, y, directions) - _squared(x - step, y, directions)) / (2 * STEP)
    same("seven atoms, five directions", answer(x, y, directions), expected, DIFFERENCES)


SLICED_SQUARED = Exercise(
    question="sliced_squared(x (N, 3), y (N, 3), directions (L, 3)) -> SW_2^2 of N atoms of equal mass, no root: the mean "
             "over directions of the mean squared gap between equal ranks.",
    hint="Project both clouds on all lines at once, x @ directions.T, and sort each column by itself.",
    try_on=_distance)

SLICED_GRADIENT = Exercise(
    question="sliced_gradient(x (N, 3), y (N, 3), directions (L, 3)) -> (N, 3): the gradient of sliced_squared in x.",
    hint="Sorting only says who is compared with whom. Along one line an atom of rank r is pulled by its gap to y's rank r, "
         "so you need argsort of x, to send each gap back to its atom; then a factor 2 / (N L), and the line's direction.",
    try_on=_gradient)
