"""Faces of the built-in head: edge loops around mouth and eyes, and an even, graded filling between them.

The skin's parameters lie on a unit sphere (see `data_prep.head.skin_fill`). Rings around mouth and eyes, the neck's rim, the
hairline and a few anchors come first, then filling points; their convex hull on the sphere is the triangulation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from data_prep.head import openings, surface
from data_prep.head.skin_fill import from_sphere, relative_size, stored_fill, to_sphere, unit_vectors
from data_prep.head.surface import ROWS, Points

# Front-view places where every resolution has a point: bridge, tip and base of the nose, its wings, the chin.
_ANCHORS = np.array(
    [(0, 3), (0, -37.5), (0, -43.5), (0, -47.2), (0, -103), (15, -41), (-15, -41), (9, -44), (-9, -44)], dtype=float
)


@dataclass(frozen=True)
class Detail:
    """Number of points in each part.

    Attributes:
        faces: target number for the whole head.
        mouth: points in a ring around the mouth.
        lip_rings, skin_rings: strips in the vermilion, and in the skin around it.
        eye: points in a ring around an eye; lid_rings, ball_rings: strips in the lids, and in each part of the ball.
        cavity: depths of the rings behind the lips.
        neck, hairline: points on the neck's rim and on the hairline, even numbers.
        brow, ear, teeth: strips (along, across) in these parts.
    """

    faces: int
    mouth: int
    lip_rings: int
    skin_rings: int
    eye: int
    lid_rings: int
    ball_rings: int
    cavity: tuple[float, ...]
    neck: int
    hairline: int
    brow: tuple[int, int]
    ear: tuple[int, int]
    teeth: tuple[int, int]


DETAILS = {
    "low": Detail(
        faces=2_000, mouth=28, lip_rings=3, skin_rings=2, eye=16, lid_rings=3, ball_rings=1, cavity=(0.12, 0.45, 0.8),
        neck=16, hairline=40, brow=(6, 2), ear=(12, 2), teeth=(10, 2),
    ),
    "medium": Detail(
        faces=9_976, mouth=56, lip_rings=6, skin_rings=5, eye=32, lid_rings=6, ball_rings=2,
        cavity=(0.06, 0.12, 0.25, 0.45, 0.7, 0.9), neck=32, hairline=106, brow=(12, 4), ear=(24, 5), teeth=(24, 6),
    ),
    "high": Detail(
        faces=46_068, mouth=120, lip_rings=13, skin_rings=12, eye=72, lid_rings=13, ball_rings=4,
        cavity=(0.03, 0.06, 0.09, 0.12, 0.16, 0.2, 0.25, 0.3, 0.37, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95),
        neck=64, hairline=240, brow=(28, 8), ear=(52, 12), teeth=(60, 12),
    ),
}  # fmt: skip


def ring_angles(count: int) -> np.ndarray:
    """Return the angles of a ring, (count,); count is a multiple of 4, so that the ring is symmetric both ways."""
    return 2 * np.pi * np.arange(count) / count


def strip(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Return two triangles for each quad between two closed counter-clockwise rings, (2 N, 3).

    The diagonals run away from the inner ring's corners (angles 0 and pi) on both sides, so that faces there stay open
    when lips or lids close, and they mirror each other across x = 0, so that a symmetric ring gives a symmetric strip.
    """
    following_inner, following_outer = np.roll(inner, -1), np.roll(outer, -1)
    backward = np.arange(len(inner)) // (len(inner) // 4) % 2 == 1
    first = np.stack([inner, outer, np.where(backward, following_inner, following_outer)], axis=1)
    second = np.stack([np.where(backward, outer, inner), following_outer, following_inner], axis=1)
    return np.concatenate([first, second])


def fan(ring: np.ndarray, centre: int) -> np.ndarray:
    """Return triangles from a counter-clockwise ring to a point inside it, (N, 3)."""
    return np.stack([ring, np.roll(ring, -1), np.full_like(ring, centre)], axis=1)


class _Builder:
    """Collects points and named faces."""

    def __init__(self):
        self.points: list[Points] = []
        self.faces: list[np.ndarray] = []
        self.parts: list[str] = []
        self.count = 0

    def add(self, points: Points) -> np.ndarray:
        self.points.append(points)
        index = np.arange(self.count, self.count + len(points.position))
        self.count += len(points.position)
        return index

    def cover(self, part: str, faces: np.ndarray) -> None:
        self.faces.append(faces)
        self.parts.extend([part] * len(faces))


@dataclass(frozen=True)
class MeanHead:
    """The mean head at one resolution.

    Attributes:
        points: all points.
        faces: (F, 3) triangles.
        parts: (F,) name of each face's part.
        seam: point indices of the ring where the lips touch.
        lips: point indices of the rings from the seam to the lips' border.
    """

    points: Points
    faces: np.ndarray
    parts: np.ndarray
    seam: np.ndarray
    lips: np.ndarray


def build(detail: Detail, parts: Sequence[Callable[[Detail], list]],
          fill: Callable[[np.ndarray, int], np.ndarray] | None = None) -> MeanHead:
    """Make the mesh of the mean head.

    Args:
        detail: number of points in each part.
        parts: functions of (detail) that return [(name, Points, faces)], the separate pieces (brows, ears, teeth).
        fill: places points between fixed ones, as :func:`data_prep.head.skin_fill.fill` does; None takes the stored points.
    """
    out = _Builder()
    angles = ring_angles(detail.mouth)
    seam = out.add(openings.mouth_ring(0.0, angles))
    lip_rings = [seam]
    for ring in np.arange(1, detail.lip_rings + 1) / detail.lip_rings:
        lip_rings.append(out.add(openings.mouth_ring(ring, angles)))
        out.cover("lips", strip(lip_rings[-2], lip_rings[-1]))
    previous = lip_rings[-1]
    for ring in 1 + np.arange(1, detail.skin_rings + 1) / detail.skin_rings:
        current = out.add(openings.mouth_ring(ring, angles))
        out.cover("skin", strip(previous, current))
        previous = current
    mouth_outer = previous
    previous = seam
    for depth in detail.cavity:
        current = out.add(openings.cavity_ring(depth, angles))
        out.cover("lips" if depth <= 0.12 else "mouth", strip(current, previous))
        previous = current
    end = openings.cavity_ring(1.0, angles)
    middle = out.add(surface.points(end.position.mean(axis=0, keepdims=True), end.row[:1], 0 * end.azimuth[:1],
                                    surface.MOUTH[None], mouth_angle=np.zeros(1), depth=np.ones(1)))
    out.cover("mouth", fan(previous, middle[0]))

    eye_outer = []
    for side in (1, -1):
        around = ring_angles(detail.eye)  # [::side] below keeps the rings counter-clockwise
        edge = out.add(openings.lid_ring(0.0, around, side))[::side]
        previous = edge
        for ring in (np.arange(1, detail.lid_rings + 1) / detail.lid_rings) ** 1.15:
            current = out.add(openings.lid_ring(ring, around, side))[::side]
            out.cover("skin", _side_strip(previous, current, side))
            previous = current
        eye_outer.append(previous)
        previous = edge
        shares = np.arange(detail.ball_rings + 1) / detail.ball_rings
        for share in np.concatenate([shares, 1 + shares[1:]]):
            current = out.add(openings.ball_ring(share, around, side))[::side]
            faces = _side_strip(current, previous, side)
            if share == 0:  # the upper lid's edge is as dark as its lashes
                upper = np.arange(len(faces)) % detail.eye < 0.4 * detail.eye
                out.cover("brows", faces[upper])
                out.cover("skin", faces[~upper])
            else:
                out.cover("eyes" if share <= 1 else "iris", faces)
            previous = current
        centre = out.add(openings.ball_centre(side))
        out.cover("pupils", fan(previous, centre[0]))

    pieces = [piece for part in parts for piece in part(detail)]
    used = sum(len(f) for f in out.faces) + sum(len(f) for _, _, f in pieces)
    rim = _on_skin(np.full(detail.neck, float(ROWS)), np.arange(detail.neck) / detail.neck * 2 * np.pi)
    base = surface.points(rim.position.mean(axis=0, keepdims=True), np.array([float(ROWS)]), np.zeros(1))
    rings = [mouth_outer, *eye_outer]
    ring_points = surface.concatenate(out.points)
    outer = np.concatenate(rings)
    ring_units = to_sphere(ring_points.row[outer], ring_points.azimuth[outer])
    anchors = _on_skin(*np.concatenate([surface.from_front_view(*_ANCHORS.T), _hairline(detail.hairline)], axis=1))
    # Euler: a closed surface of V points has 2 V - 4 triangles; a hole of n points saves n - 2 of them.
    fixed = len(outer) + len(anchors.row) + detail.neck + 1
    saved = sum(len(r) - 2 for r in rings)
    count = (detail.faces - used + saved + 4) // 2 - fixed
    anchor_units, rim_units = to_sphere(anchors.row, anchors.azimuth), to_sphere(rim.row, rim.azimuth)
    filler = fill(np.concatenate([ring_units, anchor_units, rim_units]), count) if fill else stored_fill(count)
    filled = out.add(_on_skin(*from_sphere(filler)))
    unit = np.concatenate([ring_units, filler, anchor_units, rim_units, [[0.0, -1.0, 0.0]]])
    index = np.concatenate([outer, filled, out.add(anchors), out.add(rim), out.add(base)])
    sheet = _sphere_faces(unit, index, rings)
    place = surface.concatenate(out.points)
    row, azimuth = from_sphere(unit_vectors(to_sphere(place.row, place.azimuth)[sheet].mean(axis=1)))
    hair = row < surface.hairline(azimuth)
    out.cover("hair", sheet[hair])
    out.cover("skin", sheet[~hair])
    for name, points, faces in pieces:
        out.cover(name, out.add(points)[faces])
    return MeanHead(surface.concatenate(out.points), np.concatenate(out.faces), np.array(out.parts), seam,
                    np.concatenate(lip_rings))


def _on_skin(row: np.ndarray, azimuth: np.ndarray) -> Points:
    return surface.points(surface.skin(row, azimuth), row, azimuth)


def _hairline(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row and azimuth of an even, symmetric set of points along the hairline, as dense as the skin around it."""
    azimuth = np.linspace(0, np.pi, 2001)
    place = surface.loft(surface.hairline(azimuth), azimuth)
    length = np.append(0, np.cumsum(np.linalg.norm(np.diff(place, axis=0), axis=1) / relative_size(place)[1:]))
    half = np.interp(np.arange(count // 2 + 1) / (count // 2) * length[-1], length, azimuth)
    azimuth = np.concatenate([half, -half[1:-1]])
    return surface.hairline(azimuth), azimuth


def _side_strip(inner: np.ndarray, outer: np.ndarray, side: int) -> np.ndarray:
    """Return the strip around one eye; its diagonals mirror those of the other eye."""
    return strip(inner[::side], outer[::side])[:, ::side]


def _sphere_faces(unit: np.ndarray, index: np.ndarray, rings: list[np.ndarray]) -> np.ndarray:
    """Return the outward triangles of the convex hull on the sphere, without those inside the rings."""
    faces = index[sphere_triangulation(unit)]
    keep = np.ones(len(faces), dtype=bool)
    for ring in rings:
        inside = np.isin(faces, ring).all(axis=1)
        if inside.sum() != len(ring) - 2:
            raise RuntimeError("a ring's edge is missing from the triangulation: a point lies too close to it")
        keep &= ~inside
    return faces[keep]


TIE_BREAK = 1e-8
"""How far points move off the unit sphere before triangulation, each by a different fraction (our choice).

Two mirrored pairs of points lie on one circle, so rounding, about 1e-15 and different on each processor, would decide which
diagonal joins them. The step is far above rounding and far below anything visible.
"""


def sphere_triangulation(unit: np.ndarray) -> np.ndarray:
    """Return the outward triangles of points on the unit sphere, (F, 3), independent of rounding in the points.

    The smallest index comes first in each triangle, and the triangles are sorted.
    """
    share = np.arange(len(unit)) * (np.sqrt(5) - 1) / 2 % 1  # all different, neighbours far apart
    faces = ConvexHull(unit * (1 + TIE_BREAK * share[:, None])).simplices
    corner = unit[faces]
    inward = np.einsum("ni,ni->n", np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), corner[:, 0]) < 0
    faces[inward] = faces[inward][:, ::-1]
    first = faces.argmin(axis=1)[:, None]
    faces = np.take_along_axis(faces, (first + np.arange(3)) % 3, axis=1)
    return faces[np.lexsort(faces.T[::-1])]
