"""The rings of edges around the mouth of MakeHuman's base head, from the border of the lips to where they touch.

The base mesh is quads around the slit of the mouth, so walking straight on from edge to edge leads around it; each ring
starts in the middle of the upper lip and goes by the left corner under the lower lip, 38 vertices in all.
"""

from collections import defaultdict

import numpy as np
from scipy.spatial import cKDTree

from data_prep.head.surface import smoothstep

RING = 38
_STARTS = ((455, 7214), (466, 7222), (467, 7223), (509, 7257), (468, 7224), (474, 7229), (520, 7267))  # first edges
_INNER_START = (537, 7282)  # behind the lips: what lies beyond is the inner mouth
_TOUCHING = 5  # the ring where the lips meet
_REACH = 0.018  # metres from where lips touch to skin that their shutting leaves alone
_LEFT, _RIGHT, _BOTTOM = 12, 26, 19  # places in a ring: corners of the mouth, and the middle of the lower lip


def rings(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rings of the lips, (7, 38) vertices from the border inwards, and the ring behind them, (38,).

    Args:
        quads: (F, 4), the skin.

    Raises:
        ValueError: the quads do not close around the mouth, so they are not those of MakeHuman's base mesh.
    """
    walks = _walk(quads, (*_STARTS, _INNER_START))
    return walks[:-1], walks[-1]


def regions_of_lips(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return lips, lips_upper, lips_lower, and the pairs lip_gap and mouth_corners, for rings (7, 38)."""
    place = np.arange(RING)
    above = (place <= _LEFT) | (place >= _RIGHT)
    touching = rows[_TOUCHING]
    return {"lips": rows.ravel(), "lips_upper": rows[:, above].ravel(), "lips_lower": rows[:, ~above].ravel(),
            "lip_gap": touching[[0, _BOTTOM]], "mouth_corners": touching[[_LEFT, _RIGHT]]}


class Seal:
    """Which points of the two lips touch, and how skin near the mouth follows where lips are brought together.

    Points of the upper lip face points of the lower lip's line, fixed to the skin: so whether lips touch is linear in the
    vertices, and a face made of displacements that keep the lips together keeps them together too.

    Args:
        rows: (7, 38), the rings.
        skin: (N,) vertices of the skin and the inner mouth.
        vertices: (V, 3) metres, a face with lips all but shut, whose mouth lies along x: by x, points face each other.
    """

    def __init__(self, rows: np.ndarray, skin: np.ndarray, vertices: np.ndarray) -> None:
        touching = rows[_TOUCHING]
        self.upper = np.roll(touching, RING - _RIGHT)[:RING - _RIGHT + _LEFT + 1]  # from the right corner to the left one
        self.lower = touching[_LEFT:_RIGHT + 1][::-1]
        over, under = vertices[self.upper, 0], vertices[self.lower, 0]
        self._below = _interpolation(over, under)  # (n, m): the lower lip at the upper lip's points
        distance = cKDTree(vertices[touching]).query(vertices[skin])[0]
        skin, distance = skin[distance < _REACH], distance[distance < _REACH]
        above = vertices[skin, 1] > np.interp(vertices[skin, 0], over, vertices[self.upper, 1])
        place = np.arange(RING)
        above |= np.isin(skin, rows[:, (place < _LEFT) | (place > _RIGHT)])
        above &= ~np.isin(skin, rows[:, (place > _LEFT) & (place < _RIGHT)])
        near = smoothstep(_REACH, 0.0, distance)[:, None]
        self._upper_skin, self._lower_skin = skin[above], skin[~above]
        self._follow_upper = near[above] * _interpolation(vertices[self._upper_skin, 0], over)
        self._follow_lower = near[~above] * _interpolation(vertices[self._lower_skin, 0], under)
        self._meet = _interpolation(under, over)

    def partings(self, vertices: np.ndarray) -> np.ndarray:
        """Return the way from the lower lip to the upper one, (..., n, 3) metres, or how displacements change it.

        Args:
            vertices: (..., V, 3) metres.
        """
        return vertices[..., self.upper, :] - self._below @ vertices[..., self.lower, :]

    def close(self, vertices: np.ndarray, apart: np.ndarray) -> np.ndarray:
        """Return vertices or displacements (V, 3) with the lips ``apart`` (n, 3), metres; each lip goes half of the way."""
        vertices = vertices.copy()
        vertices[self._lower_skin] += self._follow_lower @ (self._meet @ (self.partings(vertices) - apart)) / 2
        vertices[self._upper_skin] -= self._follow_upper @ (self.partings(vertices) - apart)
        return vertices


def _interpolation(at: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the matrix (N, M) that interpolates linearly from the ascending places ``known`` (M,) to ``at`` (N,)."""
    return np.stack([np.interp(at, known, unit) for unit in np.eye(len(known))], 1)


def _walk(quads: np.ndarray, starts: tuple[tuple[int, int], ...]) -> np.ndarray:
    neighbours, faces_of = defaultdict(set), defaultdict(set)
    for number, quad in enumerate(quads.tolist()):
        for one, other in zip(quad, quad[1:] + quad[:1], strict=True):
            neighbours[one].add(other)
            neighbours[other].add(one)
            faces_of[frozenset((one, other))].add(number)

    def ahead(before: int, at: int) -> int:
        """Return the neighbour of ``at`` that shares no face with the edge from ``before``."""
        behind = faces_of[frozenset((before, at))]
        onward = [other for other in neighbours[at] - {before} if not behind & faces_of[frozenset((at, other))]]
        if len(onward) != 1:
            raise ValueError(f"the edges around the mouth part at vertex {at}")
        return onward[0]

    walks = []
    for start in starts:
        walk = [*start]
        while len(walk) < RING:
            walk.append(ahead(*walk[-2:]))
        if ahead(*walk[-2:]) != start[0] or len(set(walk)) != RING:
            raise ValueError(f"the edges around the mouth do not close from vertex {start[0]}")
        walks.append(walk)
    return np.array(walks)
