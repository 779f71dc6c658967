"""What the model sees of a head, and how its motion comes back to all of it.

The model knows heads cut at the neck, and counts positions from the middle of a head's bounding box. Neck, shoulders, chest,
hair and stray vertices are cut off for it by their place from the mouth; where what is left still has another middle than
such heads (a face without a back), the middle is put where it lies from their mouths.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from otlib.heads.parts import Parts, fading

_LEAST, _MOST = np.array([-0.115, -0.115, -0.26]), np.array([0.115, 0.30, 0.06])  # metres from the mouth: a head
_MIDDLE = np.array([0.0, 0.038, -0.089])  # metres from the mouth to the middle of the bounding box of the built-in head
_OFF = 0.010  # metres by which a middle may differ from that
_BEYOND = 0.008  # metres by which a piece may stand out over the skin, as an ear does and hair does not
_NECK = (-0.075, -0.105)  # metres above the mouth, from where motion fades and from where nothing moves
_NAPE = (-0.085, -0.125)  # the same, in front of the mouth: ears, and what is behind them
_SCALP = (0.100, 0.135)  # the same, above the mouth
_BRIDGE, _BONE = np.array([0.0, 0.068, 0.0]), (0.028, 0.014)  # from the mouth to the bridge of the nose, which is bone
_SHORT_NECK, _EDGE = -0.070, 0.004  # a neck that ends below the first stands still from so far above its end


@dataclass(frozen=True, eq=False)
class Seen:
    """What the model sees.

    Attributes:
        vertices: (M,) those of the whole surface that it sees.
        faces: (F, 3) in them.
        middle: (3,) metres, from where it should count positions; None for the middle of their bounding box.
        share: (N,) how much of the motion each vertex of the whole surface takes, 0 to 1.
    """

    vertices: np.ndarray
    faces: np.ndarray
    middle: np.ndarray | None
    share: np.ndarray


def seen_of(vertices: Float[np.ndarray, "N 3"], faces: np.ndarray, pieces: np.ndarray, parts: Parts,
            mouth: Float[np.ndarray, "3"]) -> Seen:
    """Return what the model is to see of a head.

    Args:
        vertices: metres, y up, z forward.
        faces: (F, 3).
        pieces: (N,) the number of each vertex's piece.
        parts: of the vertices.
        mouth: the middle of the line of the lips.
    """
    place = vertices - mouth
    near = ((place > _LEAST) & (place < _MOST)).all(1)
    skin = np.zeros(len(vertices), dtype=bool)
    skin[parts.of("skin")] = True
    low, high = vertices[near & skin].min(0) - _BEYOND, vertices[near & skin].max(0) + _BEYOND
    beyond = np.unique(pieces[~skin & ((vertices < low) | (vertices > high)).any(1)])
    near &= skin | ~np.isin(pieces, beyond)
    kept = faces[near[faces].all(1)]
    used = np.unique(kept)
    middle = (vertices[used].min(0) + vertices[used].max(0)) / 2
    known = mouth + _MIDDLE
    share = _share(place, place[skin & near, 1].min())
    share[~near] = 0
    return Seen(used, np.searchsorted(used, kept), known if np.abs(middle - known).max() > _OFF else None, share)


def _share(place: np.ndarray, lowest: float) -> np.ndarray:
    neck = _NECK
    if neck[1] < lowest < _SHORT_NECK:
        neck = (neck[0] + (lowest + _EDGE - neck[1]), lowest + _EDGE)
    bridge = fading(np.linalg.norm(place - _BRIDGE, axis=1), *_BONE)
    return bridge * fading(place[:, 1], *neck) * fading(place[:, 2], *_NAPE) * fading(place[:, 1], *_SCALP)
