"""The mouth and the eyes of the built-in head: rings of points around the slit between the lips and around the lids.

Both are maps of (ring coordinate, angle), so a ring of any number of points lies on the same surface. Lengths are
millimetres.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator

from data_prep.head import surface
from data_prep.head.surface import (
    EYE,
    EYEBALL,
    EYEBALL_RADIUS,
    LID_THICKNESS,
    MOUTH,
    MOUTH_HALF_WIDTH,
    ORBIT,
    RING_STEP,
    Points,
    smooth_maximum,
    smoothstep,
)

LIP_REST_GAP = 0.1  # mm between the touching lips of the neutral face
_UPPER_HEIGHT, _LOWER_HEIGHT = 7.4, 8.8  # height of the vermilion at its highest
_UPPER_BULGE, _LOWER_BULGE = 5.2, 6.4  # how far the vermilion protrudes in front of the line where the lips meet
_UPPER_TURN, _LOWER_TURN = np.radians([98.0, 122.0])  # how far the lips' section turns, starting at that line
IRIS_RADIUS, PUPIL_RADIUS = 5.9, 2.5
_CORNER_DEPTH = 2.8  # depth of the ball's edge behind the corners of the lids


def mouth_nominal(ring: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return front-view coordinates of the confocal ellipses around the slit, (N, 2)."""
    short = RING_STEP * np.maximum(ring, 0.0)
    long = np.sqrt(MOUTH_HALF_WIDTH**2 + short**2)
    return MOUTH + np.stack([long * np.cos(angle), short * np.sin(angle)], axis=1)


def _lip_heights(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.cos(angle)
    swell = np.abs(np.sin(angle))
    bow = 1.0 - 0.24 * np.exp(-((x / 0.13) ** 2)) + 0.06 * np.exp(-(((np.abs(x) - 0.24) / 0.12) ** 2))
    return _UPPER_HEIGHT * swell**1.25 * bow, _LOWER_HEIGHT * swell * (1 - 0.1 * np.exp(-((x / 0.3) ** 2)))


def _seam(angle: np.ndarray) -> np.ndarray:
    """Return the line where the lips meet, (N, 3): a shallow bow, a little behind the skin around it."""
    x = MOUTH_HALF_WIDTH * np.cos(angle)
    row, azimuth = surface.from_front_view(x, np.full_like(x, MOUTH[1]))
    seam = surface.skin(row, azimuth)
    share = np.cos(angle)
    seam[:, 1] += 0.5 - 1.1 * np.exp(-((share / 0.22) ** 2)) + 0.3 * np.exp(-(((np.abs(share) - 0.5) / 0.25) ** 2))
    seam[:, 1] += 0.8 * share**4
    seam[:, 2] -= 1.8 + 0.8 * share**4
    return seam


def lips(ring: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return points on the red of the lips, (N, 3): they meet at ring 0, and ring 1 is the vermilion border."""
    upper = np.sin(angle) > 0
    height_upper, height_lower = _lip_heights(angle)
    height = np.where(upper, height_upper, height_lower)
    bulge = np.where(upper, _UPPER_BULGE, _LOWER_BULGE) * np.abs(np.sin(angle)) ** 0.8
    full = np.where(upper, _UPPER_TURN, _LOWER_TURN)
    turn = full * ring
    out = _seam(angle)
    reach = np.sqrt(MOUTH_HALF_WIDTH**2 + (RING_STEP * ring) ** 2) - MOUTH_HALF_WIDTH
    out[:, 0] += reach * np.cos(angle)
    out[:, 1] += np.where(upper, 1, -1) * height * (1 - np.cos(turn)) / (1 - np.cos(full))
    out[:, 1] += 0.5 * LIP_REST_GAP * np.sin(angle)
    out[:, 2] += bulge * np.sin(turn)
    return out


def mouth_ring(ring: float, angle: np.ndarray) -> Points:
    """Return one ring around the mouth: 0 to 1 on the lips, 1 to 2 on the skin, at 2 on the undisturbed skin."""
    rings = np.full_like(angle, ring)
    nominal = mouth_nominal(rings, angle)
    row, azimuth = surface.from_front_view(*nominal.T)
    if ring <= 1:
        position = lips(rings, angle)
    else:
        ones = np.ones_like(angle)
        border = surface.from_front_view(*mouth_nominal(ones, angle).T)
        step = lips(ones, angle) - surface.skin(*border)
        fade = step * smoothstep(2.0, 0.75, rings)[:, None] / smoothstep(2.0, 0.75, ones)[0]
        position = surface.skin(row, azimuth) + fade
    return surface.points(position, row, azimuth, nominal, mouth_angle=angle)


# The mouth cavity behind the seam, by depth coordinate: how far it reaches up (upper half), down (lower half) and back
# from the seam in mm, its width relative to the seam's, and its lift: the touching faces slant, so that one cannot see
# between them.
_CAVITY = PchipInterpolator([0.0, 0.12, 0.25, 0.45, 0.7, 1.0], np.transpose([
    [0.0, 0.0, 9.5, 12.5, 12.0, 4.0],  # up
    [0.0, 0.0, 10.0, 13.5, 13.0, 4.0],  # down
    [0.0, 3.2, 5.2, 13.0, 30.0, 48.0],  # back
    [1.0, 1.0, 1.05, 1.16, 1.08, 0.6],  # width
    [0.0, 1.3, 1.3, 0.8, 0.0, 0.0],  # lift
]))


def cavity_ring(depth: float, angle: np.ndarray) -> Points:
    """Return one ring of the dark cavity behind the lips, depth 0 at the seam, 1 at its end."""
    up, down, back, width, lift = _CAVITY(depth)
    upper = np.sin(angle) > 0
    swell = np.abs(np.sin(angle)) ** np.where(upper, 0.55, 0.4)
    position = lips(np.zeros_like(angle), angle)
    position[:, 0] *= width
    position[:, 1] += np.where(upper, up, -down) * swell + lift * np.sin(angle) ** 2
    position[:, 2] -= back
    nominal = mouth_nominal(np.zeros_like(angle), angle)
    row, azimuth = surface.from_front_view(*nominal.T)
    return surface.points(position, row, azimuth, nominal, mouth_angle=angle, depth=np.full_like(angle, depth))


def lid_edge(angle: np.ndarray) -> np.ndarray:
    """Return the edge of the left eye's lids in front view, angle 0 at the outer corner, (N, 2)."""
    x, y = np.cos(angle), np.sin(angle)
    height = np.where(y > 0, 5.6 * np.abs(y) ** 1.7 * (1 - 0.12 * x), -4.3 * np.abs(y) ** 1.7 * (1 + 0.12 * x))
    return EYE + np.stack([15.0 * x, height + 0.9 * x], axis=1)


def eyeball(x: np.ndarray, y: np.ndarray, offset: float) -> np.ndarray:
    """Return the height z of the left eye's ball at front-view coordinates."""
    square = (EYEBALL_RADIUS + offset) ** 2 - (x - EYEBALL[0]) ** 2 - (y - EYEBALL[1]) ** 2
    return EYEBALL[2] + np.sqrt(smooth_maximum(square, np.full_like(square, 4.0), 4.0))


def lid_surface(xy: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Return lids and socket of the left eye, (N, 3): like a sheet over the ball where it bulges out of the socket."""
    flat = surface.skin(*surface.from_front_view(*xy.T))
    over = eyeball(flat[:, 0], flat[:, 1], LID_THICKNESS)
    lid = smooth_maximum(flat[:, 2], over, 2.0 * smoothstep(0.0, 0.3, ring))
    share = smoothstep(1.0, 0.7, ring) * smoothstep(20.5, 15.0, np.abs(xy[:, 0] - EYE[0]))  # no ridge beyond the corners
    flat[:, 2] += (np.where(ring > 0, lid, over) - flat[:, 2]) * share
    return flat


def blink_shift(angle: np.ndarray, ring: np.ndarray, closed: float) -> np.ndarray:
    """Return the front-view shift of the lids when `closed` (0 to 1), (N, 2)."""
    goal = EYE[1] + 0.9 * np.cos(angle) - 2.1 * np.sin(angle) ** 4
    goal -= 0.12 * np.sin(angle) ** 3  # the upper lid ends a little past the lower one, which leaves no slit between them
    edge = lid_edge(angle)[:, 1]
    reach = 0.13 + 0.72 * np.abs(np.sin(angle))  # shorter at the corners, where the lids are short
    shift = closed * (goal - edge) * smoothstep(1.0, 0.0, np.maximum(ring, 0.0) / reach)
    return np.stack([np.zeros_like(shift), shift], axis=1)


def lid_nominal(ring: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return front-view coordinates of a ring around the left eye, (N, 2): 0 is the lids' edge, 1 the orbit."""
    orbit = EYE + [0, 1.0] + ORBIT * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return lid_edge(angle) + (orbit - lid_edge(angle)) * ring[:, None]


def lid_ring(ring: float, angle: np.ndarray, side: int) -> Points:
    """Return one ring around an open eye (side +1 left, -1 right)."""
    rings = np.full_like(angle, ring)
    nominal = lid_nominal(rings, angle)
    row, azimuth = surface.from_front_view(*nominal.T)
    return surface.points(lid_surface(nominal, rings) * [side, 1, 1], row, side * azimuth, nominal * [side, 1],
                          lid=rings, lid_angle=angle)


def ball_ring(share: float, angle: np.ndarray, side: int) -> Points:
    """Return one ring of the visible ball: share 0 is behind the lids, 1 the rim of the iris, 2 the rim of the pupil."""
    hidden = EYE + (lid_edge(angle) - EYE) * [1.02, 1.65]
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    iris, pupil = EYE + [0, 0.4] + IRIS_RADIUS * circle, EYE + [0, 0.4] + PUPIL_RADIUS * circle
    xy = hidden + (iris - hidden) * share if share <= 1 else iris + (pupil - iris) * (share - 1)
    z = eyeball(xy[:, 0], xy[:, 1], 0.0)
    z -= _CORNER_DEPTH * np.cos(angle) ** 4 * max(0.0, 1 - share) ** 2  # keeps closing lids from flattening the fold
    return _ball_points(xy, z, side)


def ball_centre(side: int) -> Points:
    """Return the centre of the pupil."""
    xy = (EYE + [0, 0.4])[None]
    return _ball_points(xy, eyeball(xy[:, 0], xy[:, 1], 0.0), side)


def _ball_points(xy: np.ndarray, z: np.ndarray, side: int) -> Points:
    row, azimuth = surface.from_front_view(*xy.T)
    return surface.points(np.column_stack([xy, z]) * [side, 1, 1], row, side * azimuth, xy * [side, 1],
                          lid=np.full(len(xy), -1.0))
