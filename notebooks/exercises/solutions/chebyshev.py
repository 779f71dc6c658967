"""Answers to the exercises of notebook 06."""

import numpy as np


def chebyshev_terms(laplacian, signal, terms):
    """(V, V), (V,), K -> (K, V): only ever a matrix times a vector."""
    rows = [signal, laplacian @ signal]
    while len(rows) < terms:
        rows.append(2 * laplacian @ rows[-1] - rows[-2])
    return np.array(rows[:terms])


def least_terms(edges, start, goal):
    """(E, 2), two vertices -> K: breadth first."""
    reached, terms = {start}, 1
    while goal not in reached:
        grown = reached | {int(b) for a, b in edges if a in reached} | {int(a) for a, b in edges if b in reached}
        if grown == reached:
            return 0
        reached, terms = grown, terms + 1
    return terms
