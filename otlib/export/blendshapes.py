"""Vertices to weights of named shapes: what most animation tools store of a face, solved by bounded least squares."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import solveh_banded
from scipy.optimize import lsq_linear

from otlib.export.morph_targets import MorphTargets, largest_error_mm, motion_blocks

_STEP = 0.1  # of a weight from one frame to the next: a quick jaw at 30 frames a second (our choice)
_RANK = 1e-9  # singular values below this share of the largest are zero: shapes that this head does not tell apart
_ROUNDS = 10  # of the active sets, for each weight; one is usual


@dataclass(frozen=True, eq=False)
class Blendshapes:
    """A face and named shapes of it: the face is ``neutral + sum over k of weights[k] * displacements[k]``.

    Attributes:
        neutral: (V, 3) metres, the face with all weights at 0.
        names: (K,) the shapes' names, each once.
        displacements: (K, V, 3) metres, what each shape adds at a weight of 1.

    Raises:
        ValueError: shapes that do not fit, a name that comes twice, or a value that is not finite.
    """

    neutral: Float[np.ndarray, "V 3"]
    names: tuple[str, ...]
    displacements: Float[np.ndarray, "K V 3"]

    def __post_init__(self) -> None:
        if not self.names or self.displacements.shape != (len(self.names), *self.neutral.shape):
            raise ValueError(f"displacements: shape {self.displacements.shape}, expected "
                             f"{(len(self.names), *self.neutral.shape)} as names and neutral, with at least one name")
        if len(set(self.names)) < len(self.names):
            raise ValueError("names: a name comes twice")
        if not np.isfinite(self.neutral).all() or not np.isfinite(self.displacements).all():
            raise ValueError("neutral or displacements: a value is not finite")

    def pose(self, weights: Float[np.ndarray, "T K"]) -> Float[np.ndarray, "T V 3"]:
        """Return the vertices, metres, for weights of the shapes."""
        return self.neutral + np.tensordot(weights, self.displacements, 1)


def solve_weights(vertices: Float[np.ndarray, "T V 3"], shapes: Blendshapes, *,
                  noise_mm: float = 0.0) -> Float[np.ndarray, "T K"]:
    """Return the weights, from 0 to 1, whose faces lie nearest to a sequence, by least squares over all coordinates.

    A thin QR factorisation reduces the 3V equations of a frame to K. With noise, the sequence of unbounded weights is
    smoothed first (Whittaker 1923): the squared distance counts against squared changes from frame to frame, as noise of
    ``noise_mm`` against usual changes of 0.1. What vertices say clearly stays as it is, in time too; what they say only
    faintly becomes smooth. Each frame is then brought within the bounds by active sets (scipy's bounded-variable least
    squares), in the same squared distance. Smoothness before bounds is our choice: each step is then solved exactly, and a
    thousand frames take seconds. A shape that moves no vertex gets a weight of 0.

    Args:
        vertices: (T, V, 3) metres, a sequence whose head does not turn; it may be a memory map, read in pieces.
        shapes: the person's own face and its shapes.
        noise_mm: standard deviation of the noise of a coordinate, millimetres; 0 for none, and each frame by itself.

    Returns:
        (T, K) float64. :func:`named_targets` tells how far the faces with these weights are from the sequence.

    Raises:
        ValueError: no frames, shapes that do not fit, a value that is not finite, or negative noise; or weights that do
            not settle, because shapes are all but the same.
    """
    if not len(vertices):
        raise ValueError("vertices: the sequence has no frames")
    if vertices.shape[1:] != shapes.neutral.shape:
        raise ValueError(f"vertices: shape {vertices.shape}, expected (T, {len(shapes.neutral)}, 3) as the shapes")
    if not 0 <= noise_mm < np.inf:
        raise ValueError(f"noise_mm: {noise_mm} is not a number from 0 on")
    count = len(shapes.names)
    basis, triangle = np.linalg.qr(shapes.displacements.reshape(count, -1).T.astype(float))  # (3V, K), (K, K)
    seen = np.concatenate([motion @ basis for motion in motion_blocks(vertices, shapes.neutral)])  # (T, K)
    left, singular, _ = np.linalg.svd(triangle)
    clear = singular > _RANK * max(singular[0], np.finfo(float).tiny)
    strength = (1e-3 * noise_mm / _STEP) ** 2
    modes = np.zeros_like(seen)  # (T, K) the weights in the triangle's own directions
    for mode in np.flatnonzero(clear):
        modes[:, mode] = _smoothed(singular[mode] * (seen @ left[:, mode]), singular[mode] ** 2, strength)
    return np.stack([_bounded(triangle, frame) for frame in (modes * singular) @ left.T])


def _bounded(triangle: Float[np.ndarray, "K K"], wanted: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    solved = lsq_linear(triangle, wanted, (0.0, 1.0), method="bvls", max_iter=_ROUNDS * len(wanted))
    if not solved.success:
        raise ValueError("vertices: a frame's weights do not settle within their bounds, since shapes are all but the same")
    return np.clip(solved.x, 0.0, 1.0)


def _smoothed(pull: Float[np.ndarray, " T"], weight: float, strength: float) -> Float[np.ndarray, " T"]:
    """Return the x (T,) that minimises sum of weight x^2 - 2 pull x, plus strength times the squared changes of x."""
    if len(pull) == 1:
        return pull / weight
    diagonal = np.full(len(pull), weight + 2 * strength)
    diagonal[[0, -1]] -= strength
    return solveh_banded(np.stack([np.full(len(pull), -strength), diagonal]), pull)


def named_targets(vertices: Float[np.ndarray, "T V 3"], shapes: Blendshapes,
                  weights: Float[np.ndarray, "N K"]) -> MorphTargets:
    """Return named shapes and solved weights as morph targets, with their largest distance from the sequence measured.

    Args:
        vertices: (T, V, 3) metres.
        shapes: the shapes.
        weights: (T, K), of :func:`solve_weights`.

    Raises:
        ValueError: shapes that do not fit, or a value that is not finite.
    """
    if weights.shape != (len(vertices), len(shapes.names)):
        raise ValueError(f"weights: shape {weights.shape}, expected {(len(vertices), len(shapes.names))}")
    if vertices.shape[1:] != shapes.neutral.shape:
        raise ValueError(f"vertices: shape {vertices.shape}, expected (T, {len(shapes.neutral)}, 3) as the shapes")
    base, displacements = shapes.neutral.astype(np.float32), shapes.displacements.astype(np.float32)
    stored = weights.astype(np.float32)
    error = largest_error_mm(vertices, base, displacements.reshape(len(displacements), -1), stored)
    return MorphTargets(base, displacements, stored, error, shapes.names)
