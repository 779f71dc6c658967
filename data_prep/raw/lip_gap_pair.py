"""Find from motion the pair of vertices whose distance is the opening of the mouth, when nobody has named it."""

import numpy as np

from otlib.errors import InputError

_STRIP = 0.04  # half-width of the strip about the midline, as a share of the lip region's width
_NEAR = 4.0  # weight of the distance at rest against that in speech; 2 to 8 give the same pair on the built-in head
_PARTED = 2.0  # least ratio of the largest distance of the two to that at rest


def find_lip_gap(template: np.ndarray, frames: np.ndarray, lips: np.ndarray, source: object) -> np.ndarray:
    """Return the upper and the lower vertex on the midline of the lips between which the mouth opens.

    Of all pairs of lip vertices near the midline, this is the one with the greatest difference between its largest distance
    and four times its distance at rest: inner lips touch at rest, and part. Our choice, because it needs neither names nor
    faces; on the built-in head the pair opens like the head's own to within half a millimetre (a test).

    Args:
        template: (V, 3), at rest, y up.
        frames: (T, V, 3) of speech by the same person, in the same pose.
        lips: vertices of the lips, or of a wider mouth region.
        source: the files, named in messages.

    Raises:
        InputError: fewer than two lip vertices lie near the midline, or the mouth never opens.
    """
    x = template[lips, 0]
    near = lips[np.abs(x - (x.min() + x.max()) / 2) <= _STRIP * np.ptp(x)]
    near = near[np.argsort(-template[near, 1], kind="stable")]  # from above down
    upper, lower = np.triu_indices(len(near), 1)
    if not len(upper):
        raise InputError(f"{source}: fewer than two lip vertices lie on the midline; name the two with --lip-gap")
    rest = _distance(template, near[upper], near[lower])
    opened = np.zeros(len(upper))
    for frame in frames:
        np.maximum(opened, _distance(frame, near[upper], near[lower]), out=opened)
    best = int(np.argmax(opened - _NEAR * rest))
    if opened[best] <= _PARTED * rest[best]:
        raise InputError(f"{source}: no two lip vertices on the midline part from each other; name the two with --lip-gap")
    return np.array([near[upper[best]], near[lower[best]]])


def _distance(vertices: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vertices[first] - vertices[second], axis=1)
