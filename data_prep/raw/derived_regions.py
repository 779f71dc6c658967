"""Find the regions of a face of unknown topology from its motion, for recordings without lists of vertices.

Lips touch at rest and part in speech, in the middle of the face; lids part from eyes too, but at its sides. So we take the
pairs of vertices that lie close together on the template, keep those level with the pairs that open in the middle of the
face, and of these the ones that open most. The foremost (gums and teeth behind them part too) trace the line along which
the lips meet, and the middle pair is the lip gap. The rest is measured from that line, in distances of adult faces (our
choice). The result is a good guess that a picture must confirm.
"""

import numpy as np
from scipy.spatial import cKDTree

from otlib.errors import InputError

_TOUCHING = (0.0005, 0.001, 0.002, 0.004)  # metres; largest distances between touching lips at rest, tried in this order
_WIDE, _STEP = 0.025, 0.005  # metres; a line of lips from corner to corner is at least this long, its gaps at most this wide
_LEAST_OPENING = 0.003  # metres; in usable motion a mouth opens at least this far
_MIDDLE, _LEVEL = 0.008, 0.020  # metres; pairs this near to the middle belong to the mouth, as do those level with them
_PARTS = 0.35  # share of the largest opening above which a pair belongs to the lips
_LIP_HEIGHT, _LIP_DEPTH = 0.008, 0.006  # metres from the line where lips meet to their borders, and into the mouth
_BESIDE, _BEHIND = 0.004, 0.0015  # metres; a pair is off the line if one this near beside it lies this far in front of it
_EYES_ABOVE = 0.045  # metres above the mouth, where the upper face begins
_DEPTH = 0.080  # metres behind the mouth that still belong to the face


def derive_regions(template: np.ndarray, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Find lips, lip_gap (upper, lower) and upper_face.

    Args:
        template: (V, 3) metres, the mouth shut, y up and z out of the face.
        frames: (T, V, 3) metres, some frames of speech.

    Raises:
        InputError: no mouth opens in the middle, or there is no upper face above it.
    """
    pairs = _lips_line(template, frames)  # (N, 2)
    line = template[pairs].mean(1)  # (N, 3)
    _, nearest = cKDTree(line).query(template)
    near = np.linalg.norm(template - line[nearest], axis=1) < _LIP_HEIGHT
    lips = np.flatnonzero(near & (template[:, 2] > line[nearest, 2] - _LIP_DEPTH))
    middle = (line[:, 0].min() + line[:, 0].max()) / 2
    central = np.abs(line[:, 0] - middle)
    central = np.flatnonzero(central < max(_STEP / 2, central.min() + 1e-9))
    rest = np.linalg.norm(np.diff(template[pairs[central]], axis=1)[:, 0], axis=1)
    upper, lower = pairs[central[np.lexsort((np.abs(line[central, 0] - middle).round(6), rest.round(5)))[0]]]
    mouth = template[[upper, lower]].mean(0)
    above = (template[:, 1] > mouth[1] + _EYES_ABOVE) & (template[:, 2] > mouth[2] - _DEPTH)
    if not above.any():
        raise InputError("no vertex lies over 45 mm above the mouth, so the upper face is not found; name it with "
                         "--upper-face, and see that y points up and that --unit is right")
    return {"lips": lips, "lip_gap": np.array([upper, lower]), "upper_face": np.flatnonzero(above)}


def _lips_line(template: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return the pairs (upper, lower) of vertices at which the lips meet, (N, 2)."""
    widest, width, middle = None, -1.0, (template[:, 0].min() + template[:, 0].max()) / 2
    for touching in _TOUCHING:
        pairs, opening = _parting(template, frames, touching)
        place = template[pairs].mean(1)  # (N, 3)
        central = (np.abs(place[:, 0] - middle) < _MIDDLE) & (opening > _LEAST_OPENING)
        if not central.any():
            continue
        level = np.abs(place[:, 1] - np.median(place[central, 1])) < _LEVEL
        pairs, opening = pairs[level], opening[level]
        pairs = pairs[opening > _PARTS * opening.max()]
        pairs = pairs[_foremost(template[pairs].mean(1))]
        covered = _STEP * len(np.unique(np.floor(template[pairs, 0].mean(1) / _STEP)))
        if covered > width:
            widest, width = pairs, covered
        if width > _WIDE:
            break
    if widest is None:
        raise InputError("no two places that touch at rest part by 3 mm in motion, so the lips are not found; name the "
                         "regions with --lips, --upper-face and --lip-gap")
    return widest


def _parting(template: np.ndarray, frames: np.ndarray, touching: float) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (N, 2), upper first, that touch at rest, and by how many metres each opens at most (N,)."""
    pairs = cKDTree(template).query_pairs(touching, output_type="ndarray")
    swapped = template[pairs[:, 0], 1] < template[pairs[:, 1], 1]
    pairs[swapped] = pairs[swapped][:, ::-1]
    rest = np.linalg.norm(template[pairs[:, 0]] - template[pairs[:, 1]], axis=1)
    opening = np.zeros(len(pairs))
    for frame in frames:
        apart = frame[pairs[:, 0]].astype(float) - frame[pairs[:, 1]]
        opening = np.maximum(opening, np.linalg.norm(apart, axis=1) - rest)
    return pairs, opening


def _foremost(line: np.ndarray) -> np.ndarray:
    """Return which points (N, 3) have no point beside them, to the left or right, that lies clearly further in front."""
    order = np.argsort(line[:, 0])
    x, z = line[order, 0], line[order, 2]
    start, stop = np.searchsorted(x, x - _BESIDE), np.searchsorted(x, x + _BESIDE, side="right")
    front = np.array([z[first:last].max() for first, last in zip(start, stop, strict=True)])
    foremost = np.empty(len(line), dtype=bool)
    foremost[order] = z > front - _BEHIND
    return foremost
