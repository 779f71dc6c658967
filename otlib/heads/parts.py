"""The pieces of a head by what they are: skin, eyeballs, upper and lower teeth, tongue, and what is worn.

A piece is what hangs together. Each moves as such: eyeballs and upper teeth stand still, lower teeth and tongue follow the
jaw as one rigid body, and whatever else there is (ears, brows, lashes, hair, a beard, a collar) follows the skin nearest to
it, because a scalp does not move and a chin does. All sizes are our choice, in metres from the middle of the lips.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

KINDS = ("skin", "eye", "upper teeth", "lower teeth", "tongue", "other")
_EYES = np.array([[0.012, 0.035, -0.070], [0.055, 0.105, 0.020]])  # |x|, y, z of an eyeball's middle, least and most
_EYE_SIZE, _ROUND = (0.012, 0.045), 0.55  # of an eyeball: largest extent, and smallest as a share of it
_WITHIN_EYE = 0.020  # metres from its middle: cornea, iris and lens belong to an eyeball
_MOUTH = np.array([[0.0, -0.045, -0.090], [0.035, 0.030, 0.004]])  # the same of teeth and tongue
_MOUTH_SIZE = 0.110  # the largest extent of what is in a mouth: both gums and the tongue in one piece
_TONGUE_MIDDLE, _TONGUE_BACK = 0.006, 0.35  # beside the midline; share of its depth behind which an arch of teeth is empty
_TONGUE_DEPTH = 0.020  # of a tongue at least, and of no single tooth
_CHIN = np.array([[0.0, -0.045, -0.030], [0.022, -0.018, 0.010]])  # the skin that the jaw carries
_HINGE = np.array([[0.060, 0.035, -0.090], [-0.060, 0.035, -0.090]])  # the joints of the jaw
_HINGE_WEIGHT = 0.5  # of both joints beside all points of the chin: the jaw turns about them and slides a little
_PALATE, _GUMS = 0.012, (-0.002, 0.008)  # above the mouth: a tongue that reaches the first hangs together with upper gums,
# and is carried by the jaw below the second and not above the third
_NEIGHBOURS = 4


@dataclass(frozen=True, eq=False)
class Parts:
    """Which vertices are what.

    Attributes:
        kind: (V,) the number in KINDS of each vertex.
        pieces: kinds to how many pieces are of that kind.
    """

    kind: np.ndarray
    pieces: dict[str, int]

    def of(self, *kinds: str) -> Integer[np.ndarray, " N"]:
        """Return the vertices of some kinds."""
        return np.flatnonzero(np.isin(self.kind, [KINDS.index(name) for name in kinds]))

    @property
    def said(self) -> str:
        """What there is beside skin, for people."""
        return ", ".join(f"{count} piece{'s' * (count > 1)} of {name}" if name == "other" else
                         f"{count} eyeball{'s' * (count > 1)}" if name == "eye" else name
                         for name, count in self.pieces.items() if name != "skin")


def find_parts(vertices: Float[np.ndarray, "N 3"], pieces: Integer[np.ndarray, " N"], skin: int,
               mouth: Float[np.ndarray, "3"]) -> Parts:
    """Tell the parts of a head.

    Args:
        vertices: metres, y up, z forward.
        pieces: the number of each vertex's piece.
        skin: the piece with the mouth.
        mouth: the middle of the line of the lips.
    """
    kind, counts = np.zeros(len(vertices), dtype=int), dict.fromkeys(KINDS, 0)
    order = np.argsort(pieces, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(pieces[order])) + 1)
    names = ["skin" if pieces[own[0]] == skin else _kind(vertices[own] - mouth) for own in members]
    eyes = np.array([_middle(vertices[own]) for own, name in zip(members, names, strict=True) if name == "eye"])
    for own, name in zip(members, names, strict=True):
        if name == "other" and len(eyes) and len(own) > 2:
            away = np.linalg.norm(vertices[own, None] - eyes, axis=-1).min(1)
            name = "eye" if away.max() < _WITHIN_EYE and _is_round(vertices[own]) else name
        kind[own] = KINDS.index(name)
        counts[name] += 1
    return Parts(kind, {name: count for name, count in counts.items() if count})


def _kind(place: np.ndarray) -> str:
    """Return what a piece is by its places (N, 3) from the mouth."""
    middle, size = _middle(place), np.ptp(place, axis=0)
    if _within(middle, _EYES) and _EYE_SIZE[0] < size.max() < _EYE_SIZE[1] and _is_round(place):
        return "eye"
    if not _within(middle, _MOUTH) or size.max() > _MOUTH_SIZE or place[:, 2].max() > _MOUTH[1, 2]:
        return "other"
    back = place[:, 2] < place[:, 2].min() + _TONGUE_BACK * size[2]
    if size[2] > _TONGUE_DEPTH and abs(middle[0]) < _TONGUE_MIDDLE and (np.abs(place[back, 0]) < _TONGUE_MIDDLE).any():
        return "tongue"
    return "upper teeth" if middle[1] > 0 else "lower teeth"


def _middle(place: np.ndarray) -> np.ndarray:
    return (place.min(0) + place.max(0)) / 2


def _within(place: Float[np.ndarray, "*n 3"], bounds: Float[np.ndarray, "2 3"]) -> Bool[np.ndarray, "*n"] | np.bool_:
    beside = np.concatenate([np.abs(place[..., :1]), place[..., 1:]], -1)
    return ((beside >= bounds[0]) & (beside <= bounds[1])).all(-1)


def fading(value: np.ndarray, whole: float, none: float) -> np.ndarray:
    """Return a smooth step from 1 at ``whole`` to 0 at ``none``."""
    t = np.clip((value - none) / (whole - none), 0, 1)
    return t * t * (3 - 2 * t)


def _is_round(place: np.ndarray) -> bool:
    size = np.ptp(place, axis=0)
    return bool(size.min() > _ROUND * size.max())


class PartMotion:
    """Moves all parts of a head after its skin.

    Args:
        vertices: (N, 3) metres, y up, z forward, at rest.
        parts: of these vertices.
        mouth: the middle of the line of the lips.
    """

    def __init__(self, vertices: np.ndarray, parts: Parts, mouth: np.ndarray) -> None:
        self._jaw = parts.of("lower teeth", "tongue")
        self._other, self._still = parts.of("other"), parts.of("eye", "upper teeth")
        skin = parts.of("skin")
        self._chin = skin[_within(vertices[skin] - mouth, _CHIN)]
        height = vertices[self._jaw, 1] - mouth[1]
        gums = np.isin(self._jaw, parts.of("tongue")) & bool((height > _PALATE).any())
        self._carried = np.where(gums, fading(height, *_GUMS), 1.0)[:, None]
        self._hinge, self._rest = mouth + _HINGE, vertices
        if len(self._other):
            away, near = cKDTree(vertices[skin]).query(vertices[self._other], k=min(_NEIGHBOURS, len(skin)))
            away, near = away.reshape(len(self._other), -1), near.reshape(len(self._other), -1)
            weight = 1 / (away + 1e-6)
            self._near, self._weight = skin[near], weight / weight.sum(1, keepdims=True)

    def __call__(self, moved: Float[np.ndarray, "T N 3"]) -> None:
        """Set the displacements of all but the skin, in place, from those of the skin."""
        moved[:, self._still] = 0
        if len(self._other):
            moved[:, self._other] = np.einsum("tnkc,nk->tnc", moved[:, self._near], self._weight)
        for frame in moved if len(self._jaw) else ():
            frame[self._jaw] = self._of_jaw(frame)

    def _of_jaw(self, moved: np.ndarray) -> np.ndarray:
        """Return the displacements of lower teeth and tongue: the rigid motion that fits the chin and the jaw's joints."""
        if not len(self._chin):
            return np.zeros((len(self._jaw), 3))
        rest = np.concatenate([self._rest[self._chin], self._hinge])
        goal = np.concatenate([rest[:-2] + moved[self._chin], self._hinge])
        weight = np.concatenate([np.full(len(self._chin), 1 / len(self._chin)), np.full(2, _HINGE_WEIGHT / 2)])
        middle, goal_middle = (np.average(place, axis=0, weights=weight) for place in (rest, goal))
        rotation = Rotation.align_vectors(goal - goal_middle, rest - middle, weights=weight)[0]
        jaw = self._rest[self._jaw]
        return self._carried * (rotation.apply(jaw - middle) + goal_middle - jaw)

