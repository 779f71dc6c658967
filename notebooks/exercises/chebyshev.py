"""Exercises of notebook 06, Chebyshev filters."""

import numpy as np

from notebooks.exercises.exercise import Exercise, same

ROUNDING = 1e-9  # rounding error of sums of a few products in float64


def _terms(answer):
    generator = np.random.default_rng(0)
    vectors = np.linalg.qr(generator.standard_normal((6, 6)))[0]
    values = np.cos(np.linspace(0.2, 3.0, 6))  # eigenvalues of a scaled Laplacian: in [-1, 1]
    matrix, signal = vectors * values @ vectors.T, generator.standard_normal(6)
    for terms in (1, 2, 3, 7):
        by_cosines = [vectors @ (np.cos(k * np.arccos(values)) * (vectors.T @ signal)) for k in range(terms)]
        same(f"{terms} terms on 6 vertices", answer(matrix.copy(), signal.copy(), terms), by_cosines, ROUNDING)


def _least(answer):
    path = np.array([[0, 1], [1, 2], [2, 3], [5, 4]])
    for start, goal, expected in ((2, 2, 1), (0, 1, 2), (3, 0, 4), (0, 4, 0)):
        same(f"a path 0-1-2-3 and an edge 4-5, from {start} to {goal}", answer(path.copy(), start, goal), expected)
    ring = np.array([[i, (i + 1) % 9] for i in range(9)])
    same("a ring of 9, from 0 to 7", answer(ring, 0, 7), 3)


CHEBYSHEV_TERMS = Exercise(
    question="chebyshev_terms(laplacian (V, V), signal (V,), terms) -> (terms, V): T_0 x to T_{K-1} x, without multiplying "
             "two matrices.",
    hint="T_k x needs only T_{k-1} x and T_{k-2} x, which are vectors. What remains to be done for one term?",
    try_on=_terms)

LEAST_TERMS = Exercise(
    question="least_terms(edges (E, 2), start, goal) -> the smallest K with which start reaches goal, 0 if none does.",
    hint="K terms reach K - 1 edges. Let a set of reached vertices grow by one edge at a time, in both directions, until it "
         "contains the goal or stops growing.",
    try_on=_least)
