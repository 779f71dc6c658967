"""The lips around the slit of a mouth: the line along which they meet, their vertices, and the pair in the middle."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from scipy.spatial import cKDTree

from otlib.heads.slits import Slit

_STEP = 0.002  # metres along the line
_DEEP = 0.012  # metres behind the front of the slit where lips may still meet
_HEIGHT, _DEPTH = 0.008, 0.006  # metres from the line to the lips' borders and into the mouth, as in data_prep.raw
_MIDDLE = 0.004  # metres beside the middle of the line for the pair that says how far the mouth is open


@dataclass(frozen=True, eq=False)
class Lips:
    """Lips of a face in metres, y up and z forward.

    Attributes:
        line: (L, 3) metres, from the face's right to its left.
        vertices: (N,) vertices of the lips.
        gap: upper and lower vertex in the middle; None where the line was not found.
    """

    line: np.ndarray
    vertices: np.ndarray
    gap: np.ndarray | None

    @property
    def middle(self) -> Float[np.ndarray, "3"]:
        """The middle of the line, metres."""
        return _middle(self.line)


def lips_around(vertices: Float[np.ndarray, "N 3"], skin: Integer[np.ndarray, " M"], slit: Slit,
                named: Integer[np.ndarray, " K"] | None = None) -> Lips:
    """Return the lips at a slit.

    Args:
        vertices: metres, y up, z forward.
        skin: those of the piece with the mouth.
        slit: of the mouth, metres, y up, z forward; where a side is a vertex of the mesh it has its number, else -1.
        named: the lips if somebody has named them.
    """
    points = slit.points
    line = _line(points, slit.apart)
    if named is None:
        distance, nearest = cKDTree(line).query(vertices[skin])
        near = (distance < _HEIGHT) & (vertices[skin, 2] > line[nearest, 2] - _DEPTH)
        named = skin[near]
    return Lips(line, named, _gap(vertices, skin, line, slit))


def lips_named(vertices: Float[np.ndarray, "N 3"], named: Integer[np.ndarray, " K"]) -> Lips:
    """Return lips that somebody has named, on a face whose slit is not found; arguments as above."""
    place = vertices[named]
    step = np.floor((place[:, 0] - place[:, 0].min()) / _STEP).astype(int)
    line = np.stack([(place[step == number].min(0) + place[step == number].max(0)) / 2 for number in np.unique(step)])
    return Lips(line, named, None)


def _line(points: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Return, for each step to the left, where the two sides are nearest to each other, near the front."""
    step = np.floor((points[:, 0] - points[:, 0].min()) / _STEP).astype(int)
    line = []
    for number in np.unique(step):
        own = np.flatnonzero(step == number)
        own = own[points[own, 2] > points[own, 2].max() - _DEEP]
        nearest = own[apart[own] <= apart[own].min() + 1e-4]
        line.append(points[nearest[points[nearest, 2].argmax()]])
    return np.array(line)


def _gap(vertices: np.ndarray, skin: np.ndarray, line: np.ndarray, slit: Slit) -> np.ndarray:
    """Return the vertices of the upper and of the lower lip that are nearest to each other in the middle."""
    points, middle = slit.points, _middle(line)
    both = (slit.sides >= 0).all(1) & (np.abs(points[:, 0] - middle[0]) < _MIDDLE)
    both &= np.linalg.norm(points - middle, axis=1) < _HEIGHT
    if both.any():
        pairs, apart = slit.sides[both], slit.apart[both] + np.abs(points[both, 0] - middle[0])
        pair = pairs[apart.argmin()]
    else:  # the mesh is coarse: the nearest vertex on each side of the line
        away = np.linalg.norm(vertices[skin] - middle, axis=1)
        above = vertices[skin, 1] > middle[1]
        pair = np.array([skin[np.where(above == side, away, np.inf).argmin()] for side in (True, False)])
    return pair[np.argsort(-vertices[pair, 1], kind="stable")]


def _middle(line: np.ndarray) -> np.ndarray:
    return line[np.abs(line[:, 0] - (line[0, 0] + line[-1, 0]) / 2).argmin()]
