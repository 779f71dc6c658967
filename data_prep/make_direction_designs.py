"""Make ``otlib/measures/direction_designs.npz``: sets of lines spread so evenly that sliced Wasserstein needs few of them.

A projection and its opposite cost the same, so the cost is an even function on the sphere, and what matters is how well
L lines average even functions. If the lines are rotated at random, the squared error of their mean is, in spherical
harmonics,

    sum over even k > 0 of  e_k r_k,    r_k = 1 / L^2  sum over pairs of  P_k(u . v),

where e_k is the function's energy in degree k and P_k the Gegenbauer polynomial with P_k(1) = 1. Independent lines
have r_k = 1 / L on average; a set with r_k = 0 for k = 2 ... t integrates every polynomial up to degree t + 1 exactly
(an antipodal spherical design). We minimise the sum of dim(k) r_k, where dim(k) is the number of harmonics of degree k, up
to the largest t for which the coordinates outnumber the conditions. The remaining freedom goes to degree t + 2 with a
weight of 1/1000. This yields designs where they exist and the best set of lines elsewhere; it finds the six axes of the
icosahedron by itself. (Weights that fall like k^-6 or k^-8 do no better on talking heads and converge badly for many lines.)

Run ``python -m data_prep.make_direction_designs``; it takes about two minutes on one core. It keeps the best of several
fixed starts. The last digits depend on the linear algebra library, but any set with the same residuals serves as well.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

from math import comb
from pathlib import Path

import numpy as np
from numpy.polynomial import chebyshev
from scipy.optimize import minimize
from scipy.special import eval_gegenbauer
from tqdm import tqdm

from otlib.commands import Parser, command
from otlib.files import atomic_write

SIZES = {
    3: (6, 10, 12, 16, 24, 32, 50, 64, 100, 128, 200, 500),
    6: (12, 16, 18, 24, 30, 36, 48, 64, 100, 128, 200, 500),
}
SPARE_WEIGHT = 1e-3  # weight of degree t + 2 relative to the degrees up to t
ITERATIONS = 1500
SEED = 0
TARGET = Path(__file__).resolve().parents[1] / "otlib" / "measures" / "direction_designs.npz"


def harmonics(degree: int, dimension: int) -> int:
    """Number of independent spherical harmonics of a degree on the sphere in R^dimension."""
    return comb(degree + dimension - 1, dimension - 1) - comb(degree + dimension - 3, dimension - 1)


def zonal(degree: int, dimension: int, cosine: np.ndarray) -> np.ndarray:
    """Gegenbauer polynomial of the sphere in R^dimension, scaled to one at cosine one."""
    order = (dimension - 2) / 2
    return eval_gegenbauer(degree, order, cosine) / eval_gegenbauer(degree, order, 1.0)


def residuals(lines: np.ndarray, degree: int) -> np.ndarray:
    """r_k for k = 2, 4, ... degree of lines (L, d): zero for a design, 1 / L for independent lines on average."""
    cosine = np.clip(lines @ lines.T, -1, 1)
    return np.array([zonal(k, lines.shape[1], cosine).mean() for k in range(2, degree + 1, 2)])


def strongest_degree(count: int, dimension: int) -> int:
    """Largest even t for which ``count`` lines have at least as many coordinates as conditions up to t."""
    degree, conditions = 0, 0
    while True:
        conditions += harmonics(degree + 2, dimension)
        if conditions > count * (dimension - 1):
            return max(2, degree)
        degree += 2


def spread_lines(start: np.ndarray, degree: int) -> tuple[np.ndarray, float]:
    """Move lines (L, d) towards a design of even ``degree``; return them and their remaining weighted sum of residuals."""
    count, dimension = start.shape
    nodes = np.cos(np.pi * (np.arange(degree + 3) + 0.5) / (degree + 3))
    energies = {k: harmonics(k, dimension) * (1 if k <= degree else SPARE_WEIGHT) for k in range(2, degree + 3, 2)}
    kernel_values = sum(energy * zonal(k, dimension, nodes) for k, energy in energies.items())
    kernel = chebyshev.chebfit(nodes, kernel_values, degree + 2)
    slope = chebyshev.chebder(kernel)

    def error(flat: np.ndarray) -> tuple[float, np.ndarray]:
        free = flat.reshape(count, dimension)
        length = np.linalg.norm(free, axis=1, keepdims=True)
        lines = free / length
        cosine = np.clip(lines @ lines.T, -1, 1)
        gradient = 2 * chebyshev.chebval(cosine, slope) @ lines
        gradient = (gradient - (gradient * lines).sum(axis=1, keepdims=True) * lines) / length
        return chebyshev.chebval(cosine, kernel).sum() / count**2, gradient.ravel() / count**2

    options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "ftol": 0.0, "gtol": 1e-15, "maxcor": 30}
    solution = minimize(error, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    lines = solution.x.reshape(count, dimension)
    return lines / np.linalg.norm(lines, axis=1, keepdims=True), float(solution.fun)


def make_design(count: int, dimension: int) -> np.ndarray:
    """The set of ``count`` lines in R^dimension to store: the best of several random starts, fewer for larger sets."""
    generator = np.random.default_rng([SEED, dimension, count])
    degree = strongest_degree(count, dimension)
    starts = max(1, 400 // count)
    candidates = [spread_lines(generator.normal(size=(count, dimension)), degree) for _ in range(starts)]
    return min(candidates, key=lambda pair: pair[1])[0]


@command
def main(arguments: list[str] | None = None) -> None:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=Path, default=TARGET)
    target = parser.parse_args(arguments).target
    jobs = [(dimension, count) for dimension, counts in SIZES.items() for count in counts]
    sets = {f"d{dimension}_L{count}": make_design(count, dimension) for dimension, count in tqdm(jobs, desc="designs")}
    with atomic_write(target) as temporary:
        np.savez(temporary, **sets)
