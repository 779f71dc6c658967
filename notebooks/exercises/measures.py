"""Exercises of notebook 03, a mesh is a measure."""

import numpy as np

from notebooks.exercises.exercise import Exercise, same

ROUNDING = 1e-9  # rounding error of sums over a few faces in float64
CORNERS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.0, 3.0, 0.0], [0.5, 0.5, 0.0]])
TWO, FINE = np.array([[0, 1, 2], [0, 2, 3]]), np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])


def _mean(answer):
    same("a rectangle of 1 by 3 in two triangles", answer(CORNERS[:4], TWO), [0.5, 1.5, 0.0], ROUNDING)
    same("the same rectangle in four triangles of different size", answer(CORNERS, FINE), [0.5, 1.5, 0.0], ROUNDING)
    generator = np.random.default_rng(0)
    moved = CORNERS + generator.normal(size=(5, 3))
    legs = [moved[FINE[:, k]] - moved[FINE[:, 0]] for k in (1, 2)]
    areas = np.array([np.linalg.norm(np.cross(a, b)) / 2 for a, b in zip(*legs, strict=True)])
    expected = sum(area * moved[face].mean(0) for area, face in zip(areas, FINE, strict=True)) / areas.sum()
    same("a crumpled rectangle", answer(moved, FINE), expected, ROUNDING)


def _place(answer):
    triangle = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    cases = {(0.25, 0.5): (0.25, 0.5), (0.0, 0.0): (0.0, 0.0), (1.0, 1.0): (0.0, 0.0), (0.75, 0.5): (0.25, 0.5)}
    for uniform, (x, y) in cases.items():
        same(f"uniform numbers {uniform} in the triangle (0, 0), (1, 0), (0, 1)", answer(triangle, np.array([uniform])),
             [[x, y, 0.0]], ROUNDING)
    generator = np.random.default_rng(0)
    corners, uniform = generator.normal(size=(3, 3)), generator.random((50, 2))
    folded = np.where(uniform.sum(1, keepdims=True) > 1, 1 - uniform, uniform)
    expected = corners[0] + folded @ (corners[1:] - corners[0])
    same("fifty points in a triangle in space", answer(corners, uniform), expected, ROUNDING)


SURFACE_MEAN = Exercise(
    question="surface_mean(vertices (V, 3), faces (F, 3)) -> (3,): the mean of the surface as a measure, the same for every "
             "mesh of it.",
    hint="The mean of the atoms, each at the middle of its face, weighted by mass. The mass of a face is its share of the "
         "area, and the area is half the length of a cross product.",
    try_on=_mean)

TRIANGLE_POINTS = Exercise(
    question="triangle_points(corners (3, 3), uniform (n, 2)) -> (n, 3): points that are uniform in the triangle when the "
             "numbers are uniform in the unit square; (u, v) with u + v <= 1 is corner 0 plus u times the first edge plus v "
             "times the second.",
    hint="Half of the square lies outside the triangle. Do not throw that half away: fold it back, (u, v) to "
         "(1 - u, 1 - v).",
    try_on=_place)
