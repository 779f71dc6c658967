"""Separate pieces of the built-in head: brows, ears and teeth, closed surfaces sunk a little into it. Lengths are mm."""

from itertools import pairwise

import numpy as np

from data_prep.head import surface
from data_prep.head.mesh import Detail, fan, ring_angles, strip
from data_prep.head.surface import Points, smoothstep

Piece = tuple[str, Points, np.ndarray]


def _tube(sections: np.ndarray) -> np.ndarray:
    """Faces (F, 3) of a tube with point indices (along, around), its ends closed by fans."""
    faces = [strip(a, b) for a, b in pairwise(sections)]
    first, last = sections[0], sections[-1]
    faces += [np.stack([np.full(len(first) - 2, first[0]), first[1:-1], first[2:]], axis=1)]
    faces += [np.stack([np.full(len(last) - 2, last[0]), last[2:], last[1:-1]], axis=1)]
    return np.concatenate(faces)


def _outward(position: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the faces of a closed piece, oriented so that its volume is positive."""
    corner = position[faces] - position.mean(axis=0)
    volume = np.einsum("ni,ni->", np.cross(corner[:, 0], corner[:, 1]), corner[:, 2])
    return faces if volume > 0 else faces[:, ::-1]


def brows(detail: Detail) -> list[Piece]:
    """Two thin ridges over the eyes."""
    along, across = detail.brow
    s, a = (g.ravel() for g in np.meshgrid(np.arange(along + 1) / along, ring_angles(2 * across), indexing="ij"))
    x = 11.0 + 36.0 * s
    middle = 16.5 + 5.5 * np.sin(np.pi * 0.8 * s) ** 1.2 - 4.5 * s**3
    half = 3.1 * (1 - 0.75 * s**1.6) * (0.55 + 0.45 * np.minimum(1, 8 * s))
    y = middle + half * np.cos(a)
    row, azimuth = surface.from_front_view(x, y)
    position = surface.skin(row, azimuth)
    ahead = surface.skin(row, azimuth + 1e-4) - position
    below = surface.skin(row + 1e-4, azimuth) - position
    normal = np.cross(below, ahead)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    position += normal * (0.35 + 1.1 * np.sin(a) * (1 - 0.4 * s))[:, None]
    return _pair("brows", position, row, azimuth, _tube(np.arange(len(s)).reshape(along + 1, 2 * across)))


def _pair(part: str, position: np.ndarray, row: np.ndarray, azimuth: np.ndarray, faces: np.ndarray) -> list[Piece]:
    """Return a piece on the head's left and its mirror image."""
    return [(part, surface.points(mirrored, row, side * azimuth), _outward(mirrored, faces))
            for side, mirrored in ((1, position), (-1, position * [-1, 1, 1]))]


def ears(detail: Detail) -> list[Piece]:
    """Two shells with a raised rim, an inner fold, a hollow and a lobe."""
    around, across = detail.ear
    angle = ring_angles(around)
    rings = [(r, 0.0) for r in np.arange(1, across + 1) / across] + [(0.86, 1.0)]
    position = np.concatenate([
        _ear_point(np.zeros(1), np.zeros(1), 0.0),
        *(_ear_point(np.full(around, radius), angle, back) for radius, back in rings),
        _ear_point(np.zeros(1), np.zeros(1), 1.0)])
    index = [1 + k * around + np.arange(around) for k in range(len(rings))]
    faces = [fan(index[0], 0), *(strip(a, b) for a, b in pairwise(index)), fan(index[-1][::-1], len(position) - 1)]
    # no motion reaches this row and azimuth
    row, azimuth = np.full(len(position), 6.0), np.full(len(position), np.pi / 2)
    return _pair("skin", position, row, azimuth, np.concatenate(faces))


def _ear_point(radius: np.ndarray, angle: np.ndarray, back: float) -> np.ndarray:
    """Return points of the left ear for polar coordinates, angle 0 in front and pi / 2 on top, (N, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    forward = radius * c * (14.5 + 3.0 * s)
    up = radius * (30.5 * s)
    forward += 2.5 * radius * np.maximum(-s, 0) ** 2  # the lobe hangs forward
    rear = 0.5 * (1 - np.cos(angle - 0.35))  # 0 near the cheek, 1 behind
    rim = np.exp(-(((radius - 0.86) / 0.13) ** 2)) * (0.25 + 0.75 * np.maximum(rear, np.clip(s, 0, 1)))
    rim *= 1 - 0.8 * np.clip(-s - 0.55, 0, 1) / 0.45
    fold = np.exp(-(((radius - 0.5) / 0.14) ** 2)) * rear
    hollow = np.exp(-(((forward - 2.0) / 7.0) ** 2) - ((up + 4.0) / 10.0) ** 2)
    out = 4.5 * rim + 3.0 * fold - 5.0 * hollow
    if back:
        out = np.full_like(out, -4.0) - 5.0 * (1 - radius)
    stand = 0.38 * (14 - forward) * (0.6 + 0.4 * smoothstep(-30, 5, up))  # the rear edge stands off the head
    sunk = 3.5 * radius * smoothstep(0.2, 1.0, c)  # the front edge merges into the cheek
    x = 72.5 + stand + out - 3.5 * smoothstep(0, -30, up) - sunk
    return np.stack([x, -17.0 + up, -12.0 + forward + 0.3 * out - 0.10 * up], axis=1)


def teeth(detail: Detail) -> list[Piece]:
    """Upper and lower teeth: bands along the dental arch that taper towards its ends."""
    along, around = detail.teeth[0], 2 * detail.teeth[1]
    s, a = (g.ravel() for g in np.meshgrid(np.linspace(-1, 1, along + 1), ring_angles(around), indexing="ij"))
    faces = _tube(np.arange(len(s)).reshape(along + 1, around))
    height = np.sin(a)
    pieces = []
    for lower in (False, True):
        half_width, length, front = (23.5, 32.0, 86.5) if not lower else (22.0, 32.0, 84.0)
        x = half_width * np.sin(1.45 * s) / np.sin(1.45)
        z = front - length * (0.35 * s**2 + 0.65 * s**4)
        thick = 2.2 * np.cos(a)
        slope = np.arctan2(length * (0.7 * s + 2.6 * s**3), half_width * 1.45 * np.cos(1.45 * s) / np.sin(1.45))
        normal = np.stack([np.sin(slope), np.cos(slope)], axis=1)
        edge, root = (-67.5 + 1.2 * s**2, -59.0) if not lower else (-69.5 - 1.5 * s**2, -77.5)
        y = root + 0.5 * (edge - root) * (1 - height) * (1 - 0.7 * s**6)
        position = np.stack([x + thick * normal[:, 0], y, z + thick * normal[:, 1]], axis=1)
        row = np.full(len(s), 12.0 if lower else 6.0)
        points = surface.points(position, row, np.zeros(len(s)), depth=np.full(len(s), 2.0))
        pieces.append(("teeth", points, _outward(position, faces)))
    return pieces


PIECES = (brows, ears, teeth)
