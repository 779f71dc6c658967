"""Talking-head metrics written out with loops over frames, vertices and coordinates."""

import math


def lip_vertex_error(truth, prediction, lips):
    """Largest squared distance over the lips, one number a frame."""
    frames = []
    for t in range(len(truth)):
        squared = [sum((prediction[t][v][c] - truth[t][v][c]) ** 2 for c in range(3)) for v in lips]
        frames.append(max(squared))
    return frames


def upper_face_dynamics_deviation(truth, prediction, template, upper_face):
    """Mean over vertices of the deviation in time of the squared displacement, truth minus prediction."""
    def variation(motion):
        total = 0.0
        for v in upper_face:
            squared = [sum((frame[v][c] - template[v][c]) ** 2 for c in range(3)) for frame in motion]
            mean = sum(squared) / len(squared)
            total += math.sqrt(sum((value - mean) ** 2 for value in squared) / len(squared))
        return total / len(upper_face)

    return variation(truth) - variation(prediction)


def warping_cost(first, second):
    """Least cost of any warping path, by recursion over all of them."""
    def cost(i, j):
        here = abs(first[i] - second[j])
        before = [cost(a, b) for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if a >= 0 and b >= 0]
        return here + (min(before) if before else 0.0)

    return cost(len(first) - 1, len(second) - 1)


def chamfer(first, first_mass, first_targets, second, second_mass, second_targets):
    """Half the sum of the mass-weighted mean distances to the nearest target of the other."""
    def one_way(points, mass, targets):
        return sum(m * min(math.dist(p, q) for q in targets) for p, m in zip(points, mass, strict=True))

    return (one_way(first, first_mass, second_targets) + one_way(second, second_mass, first_targets)) / 2
