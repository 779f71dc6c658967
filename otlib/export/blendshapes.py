"""Vertices to weights of named shapes: what most animation tools store of a face, solved by bounded least squares."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from scipy.linalg import solveh_banded
from scipy.optimize import lsq_linear, nnls

from otlib.export.morph_targets import MorphTargets, largest_error_mm, motion_blocks
from otlib.topology import MILLIMETRES, Topology

_STEP = 0.1  # of a weight from one frame to the next: a quick jaw at 30 frames a second (our choice)
_RANK = 1e-9  # singular values below this share of the largest are zero: shapes that this head does not tell apart
_GAP = 30.0  # times a vertex: closures of the lips survive, while shapes miss the rest of the mouth a little (our choice)
_FRAMES = 1000  # at a time
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


def solve_weights(vertices: Float[np.ndarray, "T V 3"], shapes: Blendshapes, *, noise_mm: float = 0.0,
                  gap: Integer[np.ndarray, "2"] | None = None,
                  progress: Callable[[Iterable[Any]], Iterable[Any]] = iter) -> Float[np.ndarray, "T K"]:
    """Return the weights, from 0 to 1, whose faces lie nearest to a sequence, by least squares over all coordinates.

    A thin QR factorisation reduces the 3V equations of a frame to K. With noise, the sequence of unbounded weights is
    smoothed first (Whittaker 1923): the squared distance counts against squared changes from frame to frame, as noise of
    ``noise_mm`` against usual changes of 0.1. What vertices say clearly stays as it is, in time too; what they say only
    faintly becomes smooth. Each frame is then brought within the bounds by active sets (scipy's non-negative and
    bounded-variable least squares), in the same squared distance. Smoothness before bounds is our choice: each step is then
    solved exactly, and a thousand frames take a second. A shape that moves no vertex gets a weight of 0.

    Where the shapes cannot follow a mouth exactly, least squares leave lips a millimetre apart that should meet, since few
    vertices say so. With ``gap`` the way from one lip to the other counts 30 times as much as a vertex's: nearly a
    condition, to which the mouth's other vertices give way.

    Args:
        vertices: (T, V, 3) metres, a sequence whose head does not turn; it may be a memory map, read in pieces.
        shapes: the person's own face and its shapes.
        noise_mm: standard deviation of the noise of a coordinate, millimetres; 0 for none, and each frame by itself.
        gap: the upper and the lower vertex between which the mouth opens (:attr:`otlib.topology.Topology.lip_gap`).
        progress: passes on the T frames one by one, and may show how far it is.

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
    basis, triangle = np.linalg.qr(_with_gap(shapes.displacements.reshape(count, -1).astype(float), gap).T)
    seen = np.concatenate([_with_gap(motion, gap) @ basis for motion in motion_blocks(vertices, shapes.neutral)])  # (T, K)
    left, singular, _ = np.linalg.svd(triangle)
    clear = singular > _RANK * max(singular[0], np.finfo(float).tiny)
    strength = (1e-3 * noise_mm / _STEP) ** 2
    modes = np.zeros_like(seen)  # (T, K) the weights in the triangle's own directions
    for mode in np.flatnonzero(clear):
        modes[:, mode] = _smoothed(singular[mode] * (seen @ left[:, mode]), singular[mode] ** 2, strength)
    return np.stack([_bounded(triangle, frame) for frame in progress((modes * singular) @ left.T)])


def _with_gap(motion: Float[np.ndarray, "n V3"], gap: Integer[np.ndarray, "2"] | None) -> Float[np.ndarray, "n C"]:
    """Return displacements with that of the gap between two vertices as a further one, of the weight that it has."""
    if gap is None:
        return motion
    upper, lower = (motion[:, 3 * vertex: 3 * vertex + 3] for vertex in gap)
    return np.concatenate([motion, _GAP * (upper - lower)], 1)


def _bounded(triangle: Float[np.ndarray, "K K"], wanted: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    with contextlib.suppress(RuntimeError):  # it did not settle
        found = nnls(triangle, wanted)[0]  # forty times as fast, and the solution if no weight is above 1
        if found.max() <= 1:
            return found
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


def lips_lost(vertices: Float[np.ndarray, "T V 3"], shapes: Blendshapes, weights: Float[np.ndarray, "T K"],
              topology: Topology) -> str:
    """Return in words what weights lose of a motion: distances at the lips, and of the gap between them.

    Args:
        vertices: (T, V, 3) metres, T at least 1; it may be a memory map, read in pieces.
        shapes: the shapes.
        weights: (T, K), of :func:`solve_weights`.
        topology: has the regions lips and lip_gap.
    """
    seen = np.concatenate([topology.lips, topology.lip_gap])
    neutral, displacements = shapes.neutral[seen], shapes.displacements[:, seen]
    total, most, gap_total, gap_most = 0.0, 0.0, 0.0, 0.0
    for start in range(0, len(vertices), _FRAMES):
        true = MILLIMETRES * vertices[start: start + _FRAMES, seen].astype(float)
        solved = MILLIMETRES * (neutral + np.tensordot(weights[start: start + _FRAMES], displacements, 1))
        error = np.linalg.norm(solved - true, axis=2)[:, :-2]
        gaps = (np.linalg.norm(points[:, -2] - points[:, -1], axis=1) for points in (solved, true))
        of_gap = np.abs(next(gaps) - next(gaps))
        total, most = total + error.mean(1).sum(), max(most, error.max())
        gap_total, gap_most = gap_total + of_gap.sum(), max(gap_most, of_gap.max())
    count = len(vertices)
    return (f"lips within {total / count:.2f} mm of the motion on average and {most:.2f} mm at most, their gap within "
            f"{gap_total / count:.2f} and {gap_most:.2f} mm")
