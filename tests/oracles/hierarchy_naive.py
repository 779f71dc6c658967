"""Mesh sampling by brute force: all distances at once, every choice in a loop."""

import numpy as np


def all_distances(edges, lengths, count):
    """Floyd and Warshall's shortest paths, infinite between separate parts."""
    distance = np.full((count, count), np.inf)
    np.fill_diagonal(distance, 0.0)
    for (i, j), length in zip(edges, lengths, strict=True):
        distance[i, j] = distance[j, i] = length
    for k in range(count):
        distance = np.minimum(distance, distance[:, k:k + 1] + distance[k:k + 1])
    return distance


def greedy_farthest(distance, first, count):
    """Each next vertex is the farthest from all before, the lower index on a tie."""
    chosen = [first]
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance[chosen].min(axis=0))))
    return chosen


def adjacent_cells(edges, cells):
    """Pairs of cells joined by an edge."""
    return {tuple(sorted((cells[i], cells[j]))) for i, j in edges if cells[i] != cells[j]}
