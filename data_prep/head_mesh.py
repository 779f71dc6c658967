"""Faces of the built-in head: edge loops around mouth and eyes, and an even, graded filling of the skin between them.

The skin's parameters lie on a unit sphere (crown above, centre of the neck's base below). Rings come first; other points repel each
other until their spacing follows a given size; the convex hull of all of them on the sphere is the triangulation.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from data_prep import head_openings as openings
from data_prep import head_surface as surface
from data_prep.head_surface import ROWS, Points, smoothstep

_RIM_COLATITUDE = 0.9 * np.pi  # of the neck's rim on the sphere of parameters
_RELAX_STEPS = 70
_HOLE_MARGIN = 1.08  # squared, of the outermost rings, that other points keep off


@dataclass(frozen=True)
class Detail:
    """How many points each part gets.

    Attributes:
        faces: target of the whole head.
        mouth: points of a ring around the mouth; lip_rings, skin_rings: strips of the vermilion, and of the skin around it.
        eye: points of a ring around an eye; lid_rings, ball_rings: strips of the lids, and of each part of the ball.
        cavity: depths of the rings behind the lips.
        neck: points of the neck's rim.
        brow, ear, teeth: (along, across) strips of these parts.
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
    brow: tuple[int, int]
    ear: tuple[int, int]
    teeth: tuple[int, int]


DETAILS = {
    "low": Detail(
        2_000, 28, 3, 2, 16, 3, 1, (0.12, 0.45, 0.8), 16, (6, 2), (12, 2), (10, 2)
    ),
    "medium": Detail(
        9_976,
        56,
        6,
        5,
        32,
        6,
        2,
        (0.06, 0.12, 0.25, 0.45, 0.7, 0.9),
        32,
        (12, 4),
        (24, 5),
        (24, 6),
    ),
    "high": Detail(
        46_068,
        120,
        13,
        12,
        72,
        13,
        4,
        (
            0.03,
            0.06,
            0.09,
            0.12,
            0.16,
            0.2,
            0.25,
            0.3,
            0.37,
            0.45,
            0.55,
            0.65,
            0.75,
            0.85,
            0.95,
        ),
        64,
        (28, 8),
        (52, 12),
        (60, 12),
    ),
}


def ring_angles(count: int) -> np.ndarray:
    """Angles of a ring, (count,) with count a multiple of 4, so that it is symmetric both ways."""
    return 2 * np.pi * np.arange(count) / count


def strip(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Two triangles for each quad between two closed rings that run counter-clockwise, (2 N, 3).

    The diagonals mirror each other across x = 0, so that a symmetric ring gives a symmetric strip.
    """
    following_inner, following_outer = np.roll(inner, -1), np.roll(outer, -1)
    quarter = len(inner) // 4
    index = np.arange(len(inner))
    right = (index >= quarter) & (index < 3 * quarter)
    first = np.where(
        right[:, None],
        np.stack([inner, outer, following_inner], axis=1),
        np.stack([inner, outer, following_outer], axis=1),
    )
    second = np.where(
        right[:, None],
        np.stack([outer, following_outer, following_inner], axis=1),
        np.stack([inner, following_outer, following_inner], axis=1),
    )
    return np.concatenate([first, second])


def fan(ring: np.ndarray, centre: int) -> np.ndarray:
    """Triangles from a counter-clockwise ring to a point inside it, (N, 3)."""
    return np.stack([ring, np.roll(ring, -1), np.full_like(ring, centre)], axis=1)


def _to_sphere(row: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    colatitude = _RIM_COLATITUDE * row / ROWS
    radius = np.sin(colatitude)
    return np.stack(
        [radius * np.sin(azimuth), np.cos(colatitude), radius * np.cos(azimuth)], axis=1
    )


def _from_sphere(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    row = np.arccos(np.clip(unit[:, 1], -1, 1)) / _RIM_COLATITUDE * ROWS
    return row, np.arctan2(unit[:, 0], unit[:, 2])


def relative_size(position: np.ndarray) -> np.ndarray:
    """Wanted spacing of skin points at loft positions (N, 3) mm, relative to the middle of the face."""
    x, y, z = np.abs(position[:, 0]), position[:, 1], position[:, 2]
    face = surface.front_mask(position)
    size = 3.0 - 1.9 * face
    size += 0.8 * face * smoothstep(35, 90, y) + 1.2 * face * smoothstep(-118, -140, y)
    nose = np.exp(-((x / 21) ** 4) - ((y + 35) / 24) ** 4) * face
    features = np.exp(-((x / 62) ** 4) - ((y + 30) / 68) ** 4) * face
    return size * (1 - 0.52 * nose) * (1 - 0.12 * features)


def _fill(fixed: np.ndarray, count: int) -> np.ndarray:
    """Points (count, 3) on the sphere of parameters, symmetric in x, spaced by `relative_size` between fixed ones.

    Args:
        fixed: (N, 3) ring points.
        count: points to place.
    """
    colatitude = np.linspace(0.004, 0.996, 400) * _RIM_COLATITUDE
    azimuth = (np.arange(400) + 0.5) / 400 * np.pi  # left half
    c, a = (g.ravel() for g in np.meshgrid(colatitude, azimuth, indexing="ij"))
    row = c / _RIM_COLATITUDE * ROWS
    place = surface.loft(row, a)
    step = 1e-4
    normal = (
        np.cross(
            surface.loft(row + step, a) - place, surface.loft(row, a + step) - place
        )
        / step**2
    )
    area = np.linalg.norm(normal, axis=1)
    density = area / relative_size(place) ** 2
    density[_in_hole(place)] = 0.0
    # Deterministic start: cells in serpentine order, a point whenever the accumulated density passes the next integer.
    on_midline = max(8, int(round(1.05 * np.sqrt(count))))
    half = (count - on_midline) // 2
    on_midline = count - 2 * half
    grid = density.reshape(400, 400).copy()
    grid[1::2] = grid[1::2, ::-1]
    cumulated = np.cumsum(grid.ravel())
    ticks = (np.arange(half) + 0.5) / half * cumulated[-1]
    flat = np.searchsorted(cumulated, ticks)
    i, j = np.divmod(flat, 400)
    j = np.where(i % 2 == 1, 399 - j, j)
    moving = _to_sphere(colatitude[i] / _RIM_COLATITUDE * ROWS, azimuth[j])
    middle = _midline(on_midline)
    spacing_unit = np.sqrt(
        2 * density.sum() * (colatitude[1] - colatitude[0]) * (azimuth[1] - azimuth[0])
    )
    spacing_unit *= np.sqrt(ROWS / _RIM_COLATITUDE)  # d(row) = ROWS / RIM d(colatitude)
    spacing = 1.08 * spacing_unit / np.sqrt(count)
    fixed_place = surface.loft(*_from_sphere(fixed))
    for index in range(_RELAX_STEPS):
        moving, middle = _relax(
            moving, middle, fixed_place, spacing, 0.5 * (1 - 0.6 * index / _RELAX_STEPS)
        )
    return np.concatenate([moving, moving * [-1, 1, 1], middle])


def _in_hole(place: np.ndarray) -> np.ndarray:
    """Which loft points (N, 3) mm lie within, or almost on, the outermost rings around mouth and eyes."""
    x, y = np.abs(place[:, 0]), place[:, 1]
    mouth_long = np.hypot(openings.MOUTH_HALF_WIDTH, 2 * openings.RING_STEP)
    mouth = (x / mouth_long) ** 2 + (
        (y - openings.MOUTH[1]) / (2 * openings.RING_STEP)
    ) ** 2
    orbit = ((x - openings.EYE[0]) / openings.ORBIT[0]) ** 2 + (
        (y - 1.0 - openings.EYE[1]) / openings.ORBIT[1]
    ) ** 2
    return ((mouth < _HOLE_MARGIN) | (orbit < _HOLE_MARGIN)) & (place[:, 2] > 0)


def _midline(count: int) -> np.ndarray:
    """Start of the points on x = 0, spread by their wanted size over the whole loop from rim over the crown to rim."""
    angle = np.linspace(-_RIM_COLATITUDE, _RIM_COLATITUDE, 4001)[20:-20]
    unit = np.stack([np.zeros_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    place = surface.loft(*_from_sphere(unit))
    pace = np.linalg.norm(np.gradient(place, axis=0), axis=1) / relative_size(place)
    pace[_in_hole(place)] = 0.0
    cumulated = np.cumsum(pace)
    return unit[
        np.searchsorted(cumulated, (np.arange(count) + 0.5) / count * cumulated[-1])
    ]


def _relax(moving, middle, fixed_place, spacing, rate):
    """One step of repulsion, measured on the loft in millimetres."""
    unit = np.concatenate([moving, middle])
    row, azimuth = _from_sphere(unit)
    place = surface.loft(row, azimuth)
    ghosts = place[: len(moving)] * [-1, 1, 1]
    everything = np.concatenate([place, ghosts, fixed_place])
    wanted = spacing * relative_size(place)
    distance, neighbour = cKDTree(everything).query(place, k=10)
    away = place[:, None] - everything[neighbour[:, 1:]]
    distance = np.maximum(distance[:, 1:], 1e-9)
    push = np.maximum(0.0, 1.0 - distance / (1.25 * wanted[:, None])) / distance
    force = rate * wanted[:, None] * (push[:, :, None] * away).sum(axis=1)
    step = 1e-4
    basis = np.stack(
        [np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, 1.0])]
    )
    gradient = np.stack(
        [
            (surface.loft(*_from_sphere(_unit(unit + step * axis))) - place) / step
            for axis in basis
        ],
        axis=2,
    )  # (N, 3 of the loft, 3 of the sphere)
    move = np.einsum("nij,nj->ni", np.linalg.pinv(gradient, rcond=1e-2), force)
    limit = 0.1 / np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 0.1)
    moved = _unit(unit + move * limit)
    moved[:, 1] = np.maximum(moved[:, 1], np.cos(0.985 * _RIM_COLATITUDE))
    moved = _unit(moved)
    blocked = _in_hole(surface.loft(*_from_sphere(moved)))
    moved = np.where(blocked[:, None], unit, moved)
    left, centre = moved[: len(moving)], moved[len(moving) :] * [0, 1, 1]
    left[:, 0] = np.abs(left[:, 0])
    return _unit(left), _unit(centre)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


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
class Topology:
    """The mean head at one resolution: points, faces (F, 3), the part of each face, and index rings the regions are read from."""

    points: Points
    faces: np.ndarray
    parts: np.ndarray
    named: dict[str, np.ndarray]


def build(detail: Detail, parts: list) -> Topology:
    """Mesh of the mean head.

    Args:
        detail: counts of every part.
        parts: functions of (detail) that give [(name, Points, faces)], the separate pieces (brows, ears, teeth).
    """
    out = _Builder()
    named: dict[str, np.ndarray] = {}
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
    middle = out.add(
        surface.points(
            end.position.mean(axis=0, keepdims=True),
            end.row[:1],
            0 * end.azimuth[:1],
            nominal=surface.MOUTH[None],
            mouth_angle=np.zeros(1),
            depth=np.ones(1),
        )
    )
    out.cover("mouth", fan(previous, middle[0]))
    named["seam"], named["lips"] = seam, np.concatenate(lip_rings)

    eye_outer = []
    for side in (1, -1):
        around = ring_angles(detail.eye)
        place = (
            (lambda ring: ring) if side == 1 else (lambda ring: ring[::-1])
        )  # keep rings counter-clockwise
        edge = place(out.add(openings.lid_ring(0.0, around, side)))
        previous = edge
        for ring in (np.arange(1, detail.lid_rings + 1) / detail.lid_rings) ** 1.15:
            current = place(out.add(openings.lid_ring(ring, around, side)))
            out.cover("skin", _side_strip(previous, current, side))
            previous = current
        eye_outer.append(previous)
        previous = edge
        shares = np.arange(detail.ball_rings + 1) / detail.ball_rings
        for number, share in enumerate(np.concatenate([shares, 1 + shares[1:]])):
            current = place(out.add(openings.ball_ring(share, around, side)))
            part = "skin" if number == 0 else "eyes" if share <= 1 else "iris"
            out.cover(part, _side_strip(current, previous, side))
            previous = current
        centre = out.add(openings.ball_centre(side))
        out.cover("pupils", fan(previous, centre[0]))

    pieces = [piece for part in parts for piece in part(detail)]
    used = sum(len(f) for f in out.faces) + sum(len(f) for _, _, f in pieces)
    rim_azimuth = np.arange(detail.neck) / detail.neck * 2 * np.pi
    rim = surface.points(
        surface.skin(np.full(detail.neck, float(ROWS)), rim_azimuth),
        np.full(detail.neck, float(ROWS)),
        rim_azimuth,
    )
    base = surface.points(
        rim.position.mean(axis=0, keepdims=True), np.array([float(ROWS)]), np.zeros(1)
    )
    rings = [mouth_outer, *eye_outer]
    ring_points = surface.concatenate(out.points)
    outer = np.concatenate(rings)
    ring_units = _to_sphere(ring_points.row[outer], ring_points.azimuth[outer])
    # Euler: a closed sheet of V points has 2 V - 4 triangles; a hole of n points saves n - 2 of them.
    fixed = len(outer) + detail.neck + 1
    saved = sum(len(r) - 2 for r in rings)
    count = (detail.faces - used + saved + 4) // 2 - fixed
    filler = _fill(
        np.concatenate([ring_units, _to_sphere(rim.row, rim.azimuth)]), count
    )
    row, azimuth = _from_sphere(filler)
    filled = out.add(surface.points(surface.skin(row, azimuth), row, azimuth))
    rim_index, base_index = out.add(rim), out.add(base)
    unit = np.concatenate(
        [ring_units, filler, _to_sphere(rim.row, rim.azimuth), [[0.0, -1.0, 0.0]]]
    )
    index = np.concatenate([outer, filled, rim_index, base_index])
    out.cover("skin", _sphere_faces(unit, index, rings))
    for name, points, faces in pieces:
        out.cover(name, out.add(points)[faces])
    return Topology(
        surface.concatenate(out.points),
        np.concatenate(out.faces),
        np.array(out.parts),
        named,
    )


def _side_strip(inner: np.ndarray, outer: np.ndarray, side: int) -> np.ndarray:
    """Strip of one eye, whose diagonals mirror those of the other eye."""
    if side == 1:
        return strip(inner, outer)
    return strip(inner[::-1], outer[::-1])[:, ::-1]


def _sphere_faces(
    unit: np.ndarray, index: np.ndarray, rings: list[np.ndarray]
) -> np.ndarray:
    """Outward triangles of the sphere's convex hull without those inside the rings."""
    faces = ConvexHull(unit).simplices
    corner = unit[faces]
    inward = (
        np.einsum(
            "ni,ni->n",
            np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]),
            corner[:, 0],
        )
        < 0
    )
    faces[inward] = faces[inward][:, ::-1]
    faces = index[faces]
    keep = np.ones(len(faces), dtype=bool)
    for ring in rings:
        keep &= ~np.isin(faces, ring).all(axis=1)
    return faces[keep]
