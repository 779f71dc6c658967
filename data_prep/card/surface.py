"""Whether a face stays a surface while it moves: triangles that collapse, lips that pass through each other."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from otlib.data.dataset import Dataset, Sequence
from otlib.topology import Topology

FRAMES = 1_000  # drawn at random from the whole data set
_MILLIMETRES = 1000.0


def measure_surface(dataset: Dataset, frames: int = FRAMES, seed: int = 0) -> dict[str, Any]:
    """Return how far faces shrink and lips cross at worst in some random frames.

    Args:
        dataset: any data set.
        frames: number of frames to measure; all if there are fewer.
        seed: the same seed draws the same frames.

    Returns:
        The number of frames; the smallest area of a face relative to the same face at rest; the largest depth in mm by
        which a point of the upper lip lies below the facing point of the lower lip, null if the data set's regions do not
        say which points face each other (:func:`facing_lips`).
    """
    smallest, deepest, count = np.inf, 0.0, 0
    faces, facing = dataset.topology.faces, facing_lips(dataset.topology)
    for sequence, numbers in _random_frames(dataset, frames, seed):
        resting = _areas(sequence.template[None], faces)[0]
        whole = resting > 0  # a face without area at rest cannot collapse
        for start in range(0, len(numbers), 32):  # few at a time: 46,000 faces of 32 frames are 35 MB an array
            vertices = np.asarray(sequence.vertices[numbers[start:start + 32]])
            smallest = min(smallest, float((_areas(vertices, faces) / np.where(whole, resting, 1))[:, whole].min()))
            if facing is not None:
                upper, lower = (vertices[:, points, 1].astype(float) for points in facing)
                deepest = max(deepest, _MILLIMETRES * float((lower - upper).max()))
        count += len(numbers)
    return {"frames": count, "smallest_area_ratio": round(smallest, 4),
            "lip_overlap_mm": None if facing is None else round(deepest, 4)}


def _random_frames(dataset: Dataset, count: int, seed: int) -> Iterator[tuple[Sequence, np.ndarray]]:
    """Yield sequences with the numbers of their drawn frames, ascending."""
    ends = np.cumsum([sequence.frames for sequence in dataset.sequences])
    drawn = np.sort(np.random.default_rng(seed).choice(ends[-1], min(count, ends[-1]), replace=False))
    for sequence, end in zip(dataset.sequences, ends, strict=True):
        own = drawn[(drawn >= end - sequence.frames) & (drawn < end)] - (end - sequence.frames)
        if len(own):
            yield sequence, own


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return twice the area of each face, (T, F), for vertices (T, V, 3)."""
    a, b, c = (vertices[:, faces[:, corner]].astype(float) for corner in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=-1)


def facing_lips(topology: Topology) -> tuple[np.ndarray, np.ndarray] | None:
    """Return upper and lower lip vertices that face each other, or None if the regions do not tell.

    The built-in head lists its lips ring by ring around the mouth, each from one corner over the upper lip to the other
    and back under the lower one; a data set has this order if it makes the points of ``lip_gap`` face each other.

    Returns:
        Two arrays (N,) of vertex indices, without the corners.
    """
    lips, corners = topology.lips, topology.regions.get("mouth_corners", ())
    places = np.flatnonzero(np.isin(lips, corners))
    if len(places) != 2 or places[0] != 0 or len(lips) % (2 * places[1]):
        return None
    half = int(places[1])
    rings = lips.reshape(-1, 2 * half)
    upper, lower = rings[:, 1:half], rings[:, :half:-1]
    middle = half // 2 - 1
    if [upper[0, middle], lower[0, middle]] != list(topology.lip_gap):
        return None
    return upper.ravel(), lower.ravel()
