"""A moving mesh as one shape plus a few weighted displacements, as animation formats store it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

TOLERANCE_MM = 0.1
"""Largest error to aim for: a tenth of what the eye sees on a life-size face (our choice)."""
_OVERSAMPLING = 16  # extra directions that keep the first ones exact, after Halko et al. 2011, section 4.2
_ITERATIONS = 4  # each multiplies the gap between kept and dropped directions by their squared ratio
_CHUNK_VALUES = 4_000_000  # values in float64 at a time: 32 MB, whatever the sequence's length


@dataclass(frozen=True)
class MorphTargets:
    """Frame t is ``base + sum over k of weights[t, k] * displacements[k]``.

    Attributes:
        base: (V, 3) float32 metres.
        displacements: (K, V, 3) float32 metres, in falling order of how much motion they carry.
        weights: (T, K) float32; each displacement's largest weight is 1 or -1.
        max_error_mm: the largest distance between the sum and the sequence, over all frames and vertices.
        names: (K,) the displacements' names; empty for principal components, which have none.
    """

    base: Float[np.ndarray, "V 3"]
    displacements: Float[np.ndarray, "K V 3"]
    weights: Float[np.ndarray, "T K"]
    max_error_mm: float
    names: tuple[str, ...] = ()


def targets_of(vertices: Float[np.ndarray, "T V 3"], template: Float[np.ndarray, "V 3"] | None = None,
               targets: MorphTargets | None = None, max_targets: int = 64) -> MorphTargets:
    """Return the targets that somebody gave for a sequence, or else its principal displacements.

    Args:
        vertices: (T, V, 3) metres.
        template: (V, 3) metres, the base of principal displacements; the mean over the frames when None.
        targets: named shapes and weights that follow ``vertices``, or None.
        max_targets: the most principal displacements; there are fewer if these reach 0.1 mm.

    Raises:
        ValueError: shapes that do not fit, an empty sequence, a value that is not finite, or a template beside targets.
    """
    if targets is None:
        base = vertices.mean(0, dtype=np.float64).astype(np.float32) if template is None else template
        return fit_morph_targets(vertices, base, max_targets, TOLERANCE_MM)
    if template is not None:
        raise ValueError("template: the targets have a shape at rest of their own")
    if targets.base.shape != vertices.shape[1:] or len(targets.weights) != len(vertices):
        raise ValueError(f"targets: {len(targets.weights)} frames of {len(targets.base)} vertices do not fit vertices of "
                         f"shape {vertices.shape}")
    return targets


def fit_morph_targets(
    vertices: Float[np.ndarray, "T V 3"], base: Float[np.ndarray, "V 3"], max_targets: int, tolerance_mm: float
) -> MorphTargets:
    """Find few displacements whose weighted sums follow a sequence, by principal components about ``base``.

    The components come from randomised orthogonal iteration (Halko et al. 2011) with a fixed seed. It reads the sequence in
    pieces, so the sequence may be a memory map of any length; it reads it five times, while ``scipy.sparse.linalg.svds``
    reads it some 300 times for the same 64 components. The error is then measured, not estimated, from the numbers as they
    are stored.

    Args:
        vertices: (T, V, 3) metres.
        base: (V, 3) metres.
        max_targets: the most displacements allowed.
        tolerance_mm: the largest error to aim for, millimetres.

    Returns:
        The smallest number of displacements, at least one, that reaches the tolerance; or ``max_targets`` displacements and
        a larger ``max_error_mm`` if that many do not reach it.

    Raises:
        ValueError: no frames, shapes that do not fit, a value that is not finite, or no displacement allowed.
    """
    if len(vertices) == 0:
        raise ValueError("vertices: the sequence has no frames")
    if base.shape != vertices.shape[1:]:
        raise ValueError(f"base: shape {base.shape} does not fit vertices of shape {vertices.shape}")
    if max_targets < 1:
        raise ValueError(f"max_targets: {max_targets} leaves no displacement to move the mesh with")
    base = base.astype(np.float32)
    directions = _principal_directions(vertices, base, max_targets)  # (3V, K)
    weights = np.concatenate([motion @ directions for motion in motion_blocks(vertices, base)])  # (T, K)
    scale = np.abs(weights).max(0)
    displacements = (directions * scale).T.astype(np.float32)  # (K, 3V)
    weights = (weights / np.where(scale > 0, scale, 1.0)).astype(np.float32)

    def error_mm(count: int) -> float:
        return largest_error_mm(vertices, base, displacements[:count], weights[:, :count])

    # Bisection: `enough` reaches the tolerance, or is all there are; `too_few` does not reach it.
    too_few, enough = 0, displacements.shape[0]
    error = error_mm(enough)
    while error <= tolerance_mm and enough - too_few > 1:
        middle = (too_few + enough) // 2
        middle_error = error_mm(middle)
        if middle_error <= tolerance_mm:
            enough, error = middle, middle_error
        else:
            too_few = middle
    return MorphTargets(base, displacements[:enough].reshape(enough, -1, 3), weights[:, :enough].copy(), error)


def motion_blocks(vertices: np.ndarray, base: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the displacements from ``base`` of a few frames at a time, (frames, 3V) float64."""
    step = max(1, _CHUNK_VALUES // base.size)
    for start in range(0, len(vertices), step):
        chunk = vertices[start : start + step].astype(np.float64) - base
        if not np.isfinite(chunk).all():
            raise ValueError(f"vertices: a value in frames {start} to {start + len(chunk) - 1} is not finite")
        yield chunk.reshape(len(chunk), -1)


def _principal_directions(vertices: np.ndarray, base: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` orthonormal directions, (3V, K), that carry most of the squared motion."""
    size = min(count + _OVERSAMPLING, len(vertices), base.size)
    basis = np.random.default_rng(0).standard_normal((base.size, size))
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(basis)[0]
        basis = sum(motion.T @ (motion @ basis) for motion in motion_blocks(vertices, base))
    basis = np.linalg.qr(basis)[0]
    coefficients = (motion @ basis for motion in motion_blocks(vertices, base))
    _, rotation = np.linalg.eigh(sum(part.T @ part for part in coefficients))  # (size, size), rising order
    return basis @ rotation[:, ::-1][:, :count]


def largest_error_mm(vertices: np.ndarray, base: np.ndarray, displacements: np.ndarray, weights: np.ndarray) -> float:
    """Return the largest vertex error, millimetres, of the sum of ``displacements`` (K, 3V) by ``weights`` (T, K)."""
    largest, start = 0.0, 0
    for motion in motion_blocks(vertices, base):
        stop = start + len(motion)
        error = motion - weights[start:stop].astype(np.float64) @ displacements
        largest = max(largest, float((error.reshape(-1, 3) ** 2).sum(1).max()))
        start = stop
    return 1e3 * largest**0.5
