"""The built-in head's skin as a smooth map: a parameter (row, azimuth) gives one point of the mean head.

A loft through level sections of the skull, face and neck carries analytic features (nose, brows, cheeks, chin).
Lengths here are millimetres: x to the head's left, y up from the eye line, z out of the face from the ear axis.
All numbers are our own choice, set by eye near the usual adult proportions (chin to crown 230 mm, width 150 mm).
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial import cKDTree

# One section per row, from the crown to the rim of the neck:
# front y, front z | side y, half width, z of the widest point | back y, back z | squareness front, back
_SECTIONS = np.array(
    [
        [115, -10, 115, 0, -10, 115, -10, 0.00, 0.00],
        [110, 32, 107, 36, -10, 108, -52, 0.00, 0.00],
        [94, 65, 91, 57, -12, 91, -83, 0.02, 0.03],
        [72, 83, 67, 71, -14, 65, -98, 0.04, 0.04],
        [46, 91, 42, 76, -15, 37, -103, 0.05, 0.03],
        [22, 93, 16, 74, -12, 10, -102, 0.06, 0.02],
        [2, 89, -8, 70, -8, -16, -95, 0.05, 0.01],
        [-20, 90, -30, 67, -1, -38, -84, 0.03, 0.00],
        [-42, 93, -50, 63, 3, -57, -74, 0.01, 0.00],
        [-62, 95, -67, 59, 4, -74, -67, 0.00, 0.00],
        [-82, 91, -79, 56, 2, -88, -64, 0.02, 0.00],
        [-101, 90, -87, 52.5, -4, -100, -63, 0.03, 0.00],
        [-114, 80, -95, 48.5, -10, -110, -62, 0.04, 0.00],
        [-118, 58, -104, 46.5, -14, -120, -62, 0.02, 0.00],
        [-123, 40, -115, 46.5, -16, -131, -63, 0.02, 0.00],
        [-138, 32, -132, 48, -17, -145, -65, 0.02, 0.00],
        [-158, 32, -156, 52, -17, -161, -68, 0.02, 0.00],
        [-180, 36, -180, 60, -17, -180, -73, 0.02, 0.00],
    ],
    dtype=float,
)
ROWS = len(_SECTIONS) - 1

MOUTH = np.array([0.0, -68.0])  # nominal centre of the slit between the lips
MOUTH_HALF_WIDTH = 25.0
RING_STEP = 9.5  # short semi-axis of the confocal ellipse at the vermilion border (ring 1), mm

EYE = np.array([31.5, 0.0])  # nominal centre of the left eye's opening
EYEBALL = np.array([30.5, 0.0, 60.0])
EYEBALL_RADIUS = 17.5  # wider than an eyeball's 12 mm, so that both corners of the lids lie on it
LID_THICKNESS = 1.3
ORBIT = np.array([24.0, 17.5])  # semi-axes of the outermost ring around the eye


def smoothstep(start: float, stop: float, value: np.ndarray) -> np.ndarray:
    """Rise from 0 at start to 1 at stop with zero slope and curvature at both ends (start > stop gives a fall)."""
    x = np.clip((value - start) / (stop - start), 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x**2)


def smooth_maximum(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """Maximum of a and b, its corner rounded over about `width`."""
    return 0.5 * (a + b + np.sqrt((a - b) ** 2 + width**2))


def _bump(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    return np.exp(-(((x - centre[0]) / size[0]) ** 2) - ((y - centre[1]) / size[1]) ** 2)


def _section_spline() -> CubicSpline:
    """Spline through the sections, continued over the crown, where front and back swap."""
    mirrored = _SECTIONS[3:0:-1][:, [5, 6, 2, 3, 4, 0, 1, 8, 7]] * [1, 1, 1, -1, 1, 1, 1, 1, 1]
    return CubicSpline(np.arange(-3, ROWS + 1), np.concatenate([mirrored, _SECTIONS]))


_SPLINE = _section_spline()


def loft(row: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Return points of the featureless head.

    Args:
        row: (N,) 0 at the crown to ROWS at the rim of the neck.
        azimuth: (N,) radians, 0 in front, positive to the head's left.

    Returns:
        (N, 3) millimetres.
    """
    front_y, front_z, side_y, width, side_z, back_y, back_z, square_front, square_back = _SPLINE(row).T
    c, s = np.cos(azimuth), np.sin(azimuth)
    square = 0.5 * (square_front + square_back) + 0.5 * (square_front - square_back) * c
    x = width * (s + square * np.sin(3 * azimuth)) / (1 - square)
    y = side_y + 0.5 * (front_y - back_y) * c + (0.5 * (front_y + back_y) - side_y) * c**2
    z = side_z + 0.5 * (front_z - back_z) * c + (0.5 * (front_z + back_z) - side_z) * c**2
    return np.stack([x, y, z], axis=-1)


_NOSE_Y = [-60, -54, -50.5, -47, -43, -37, -30, -20, -8, 3, 12, 22]
_NOSE_HEIGHT = PchipInterpolator(_NOSE_Y, [0, 0, 2.0, 9.5, 20.5, 25.5, 22.0, 14.5, 7.0, 2.0, 0.5, 0])
_NOSE_WIDTH = PchipInterpolator(_NOSE_Y, [8, 8, 8.5, 9, 9.6, 10.2, 9.2, 7.8, 7.2, 8, 10, 12])


def features(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the displacement (N, 3) mm by the face's features at nominal front-view coordinates."""
    ax = np.abs(x)
    rise = 3.2 * np.minimum(ax / 15, 1.0) ** 2 * smoothstep(-24, -44, y)  # the base of the nose rises towards its wings
    inside = np.clip(y - rise, _NOSE_Y[0], _NOSE_Y[-1])
    nose = _NOSE_HEIGHT(inside) * np.exp(-((np.sqrt((x / _NOSE_WIDTH(inside)) ** 2 + 0.04) - 0.2) ** 2) * 1.25)
    wing = 8.0 * _bump(ax, y, (14.2, -41.5), (4.6, 5.8)) - 1.6 * _bump(ax, y, (10.5, -34.5), (4.0, 4.5))
    tip = 1.6 * _bump(ax, y, (3.5, -37.5), (6.0, 5.5))
    nostril = _bump(ax, y, (7.6, -45.5), (3.4, 3.0))
    socket = 9.0 * _bump(ax, y, (28.5, 1.0), (15.0, 12.5)) + 3.0 * _bump(ax, y, (15.0, 4.0), (6.0, 9.0))
    brow_line = 17.5 + 3.0 * np.exp(-(((ax - 36) / 16) ** 2)) - 0.004 * np.maximum(ax - 40, 0) ** 2
    brow = 3.4 * np.exp(-(((y - brow_line) / 7.0) ** 2)) * np.exp(-(((ax - 26) / 24) ** 4))
    glabella = 1.5 * _bump(x, y, (0, 17), (13, 9))
    cheekbone = 4.2 * _bump(ax, y, (47, -24), (17, 13))
    cheek_hollow = -2.5 * _bump(ax, y, (48, -62), (13, 20))
    fold = -1.6 * np.exp(-(((ax - 19 - 0.42 * (-44 - y)) / 4.5) ** 2)) * _bump(0 * y, y, (0, -52), (1, 13))
    muzzle = 3.0 * _bump(x, y, (0, -66), (24, 19))
    philtrum = -1.3 * _bump(x, y, (0, -54), (2.6, 6.0)) + 0.7 * _bump(ax, y, (5.0, -55), (2.4, 6.0))
    chin_crease = -3.2 * _bump(x, y, (0, -86), (18, 7.0))
    chin = 5.5 * _bump(x, y, (0, -103), (20, 12))
    forehead = 1.5 * _bump(ax, y, (26, 52), (20, 18))
    depth = nose + tip + wing - 2.0 * nostril - socket + brow + glabella + cheekbone + cheek_hollow + fold
    depth += muzzle + philtrum + chin_crease + chin + forehead
    droop = -0.16 * nose * smoothstep(-20, -40, y) - 0.1 * wing + 2.2 * nostril
    widen = np.tanh(x / 4.0) * (0.35 * cheekbone + 0.15 * wing)
    return np.stack([widen, droop, depth], axis=-1)


def front_mask(base: np.ndarray) -> np.ndarray:
    """Return 1 on the face and 0 on the back half of the head, (N,), for loft points (N, 3)."""
    return smoothstep(-5.0, 35.0, base[:, 2])


_HAIRLINE_DEGREES = [0, 15, 30, 44, 57, 66, 74, 82, 96, 108, 118, 130, 150, 180]
_HAIRLINE_ROW = [3.45, 3.4, 3.45, 3.85, 4.5, 5.2, 6.4, 6.7, 6.4, 6.9, 7.8, 8.5, 9.0, 9.15]
HAIR_THICKNESS = 5.0
_HAIRLINE = PchipInterpolator(
    np.radians(np.concatenate([-np.array(_HAIRLINE_DEGREES[:0:-1]), _HAIRLINE_DEGREES])),
    _HAIRLINE_ROW[:0:-1] + _HAIRLINE_ROW,
)


def hairline(azimuth: np.ndarray) -> np.ndarray:
    """Return the row where the hair begins at each azimuth."""
    return _HAIRLINE(np.arctan2(np.sin(azimuth), np.cos(azimuth)))


def _loft_normal(base: np.ndarray, row: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Return the outward unit normals of the loft at `base`; straight up at the crown."""
    step = 1e-4
    along = loft(row, azimuth + step) - loft(row, azimuth - step)  # central: the head is symmetric in azimuth
    normal = np.cross(loft(row + step, azimuth) - base, along)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.where(length > 1e-14, normal / np.maximum(length, 1e-300), np.array([0.0, 1.0, 0.0]))


def skin(row: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Return the loft plus the face's features, without lips and eyelids, (N, 3) mm."""
    base = loft(row, azimuth)
    hair = HAIR_THICKNESS * smoothstep(0.0, 1.1, hairline(azimuth) - row)
    face = front_mask(base)[:, None] * features(base[:, 0], base[:, 1])
    return base + face + hair[:, None] * _loft_normal(base, row, azimuth)


def _inverse_grid() -> tuple[cKDTree, np.ndarray]:
    row, azimuth = np.meshgrid(np.linspace(3, 13, 120), np.linspace(-1.35, 1.35, 121), indexing="ij")
    parameters = np.stack([row.ravel(), azimuth.ravel()], axis=1)
    return cKDTree(loft(*parameters.T)[:, :2]), parameters


_GRID_TREE, _GRID_PARAMETERS = _inverse_grid()


def from_front_view(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return row and azimuth of the loft point whose front-view coordinates are (x, y), by Newton's method."""
    target = np.stack([x, y], axis=1)
    _, nearest = _GRID_TREE.query(target)
    parameters = _GRID_PARAMETERS[nearest].copy()
    step = 1e-5
    for _ in range(8):
        here = loft(*parameters.T)[:, :2]
        by_row = (loft(parameters[:, 0] + step, parameters[:, 1])[:, :2] - here) / step
        by_azimuth = (loft(parameters[:, 0], parameters[:, 1] + step)[:, :2] - here) / step
        jacobian = np.stack([by_row, by_azimuth], axis=2)
        parameters -= np.linalg.solve(jacobian, (here - target)[:, :, None])[:, :, 0]
    return parameters[:, 0], parameters[:, 1]


@dataclass(frozen=True)
class Points:
    """Points of the mean head with the coordinates that the rig needs.

    Attributes:
        position: (N, 3) mm.
        row, azimuth: (N,) parameters of the loft below the point.
        nominal: (N, 2) front-view coordinates of that loft point.
        mouth_angle: (N,) angle around the lips' slit, 0 at the left corner, pi / 2 above; NaN off the mouth's rings.
        depth: (N,) 0 outside, rising to 1 at the end of the mouth cavity; 2 for the teeth.
        lid: (N,) coordinate from an eyelid's edge (0) to the orbit (1), below 0 on the ball; NaN elsewhere.
        lid_angle: (N,) angle around the lids' edge, 0 at the outer corner of either eye; NaN elsewhere.
    """

    position: np.ndarray
    row: np.ndarray
    azimuth: np.ndarray
    nominal: np.ndarray
    mouth_angle: np.ndarray
    depth: np.ndarray
    lid: np.ndarray
    lid_angle: np.ndarray


def points(position: np.ndarray, row: np.ndarray, azimuth: np.ndarray, nominal: np.ndarray | None = None,
           **others: np.ndarray) -> Points:
    """Make Points; without ``others`` the depth is 0, and mouth angle, lid and lid angle are NaN."""
    nominal = loft(row, azimuth)[:, :2] if nominal is None else nominal
    nan = np.full(len(position), np.nan)
    defaults = {"mouth_angle": nan, "depth": np.zeros(len(position)), "lid": nan, "lid_angle": nan}
    return Points(position, row, azimuth, nominal, **(defaults | others))


def concatenate(parts: list[Points]) -> Points:
    """Join several sets of points, in order."""
    return Points(*(np.concatenate([getattr(p, name) for p in parts]) for name in Points.__dataclass_fields__))
