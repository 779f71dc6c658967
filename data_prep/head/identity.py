"""Identity of the built-in head: displacement directions of the mean head, one standard deviation each.

Most are smooth fields in space with slopes far below 1, so no plausible sum of them folds the surface; lip fullness moves
only the vermilion. Our choice: sized by eye, between the spread of adult faces and what keeps the face intact at 2.5
deviations.
"""

from collections.abc import Callable

import numpy as np

from data_prep.head.rig import mouth_coordinates, vermilion_profile
from data_prep.head.surface import Points, smoothstep

Field = Callable[[np.ndarray, Points], np.ndarray]


def _along(x=0.0, y=0.0, z=0.0, like: np.ndarray | None = None) -> np.ndarray:
    return np.stack([component + np.zeros(len(like)) for component in (x, y, z)], axis=1)


def _bell(p: np.ndarray, centre: tuple[float, float, float], size: tuple[float, float, float]) -> np.ndarray:
    """Gaussian of |x|, y, z around a centre on the head's left (and its mirror image)."""
    return _single_bell(np.column_stack([np.abs(p[:, 0]), p[:, 1:]]), centre, size)


def _single_bell(p: np.ndarray, centre: tuple[float, float, float], size: tuple[float, float, float]) -> np.ndarray:
    return np.exp(-((((p - centre) / size) ** 2).sum(axis=1)))


def _face_width(p, _):
    return _along(x=0.038 * p[:, 0] * smoothstep(-170, -60, p[:, 1]), like=p)


def _face_length(p, _):
    lower = smoothstep(-5, -70, p[:, 1]) * smoothstep(-170, -120, p[:, 1])
    return _along(y=-4.0 * lower + 2.0 * smoothstep(20, 100, p[:, 1]), like=p)


def _head_depth(p, _):
    return _along(z=0.04 * (p[:, 2] - 40) * smoothstep(70, -60, p[:, 2]), like=p)


def _head_height(p, _):
    return _along(y=4.5 * smoothstep(25, 110, p[:, 1]), like=p)


def _jaw_width(p, _):
    amount = smoothstep(-30, -85, p[:, 1]) * smoothstep(-165, -105, p[:, 1]) * smoothstep(-60, 20, p[:, 2])
    return _along(x=0.07 * p[:, 0] * amount, like=p)


def _chin_length(p, _):
    amount = _single_bell(p, (0, -118, 82), (32, 22, 40))
    return _along(y=-3.0 * amount, z=1.0 * amount, like=p)


def _chin_forward(p, _):
    return _along(z=3.0 * _single_bell(p, (0, -106, 95), (30, 20, 45)), like=p)


def _forehead_slope(p, _):
    return _along(z=-4.5 * smoothstep(15, 90, p[:, 1]) * smoothstep(0, 60, p[:, 2]), like=p)


def _brow_ridge(p, _):
    return _along(z=1.6 * _bell(p, (20, 19, 95), (26, 9, 30)), like=p)


def _cheekbones(p, _):
    amount = _bell(p, (54, -26, 65), (18, 16, 32))
    return _along(x=2.2 * amount * np.tanh(p[:, 0] / 10), z=1.4 * amount, like=p)


def _cheek_fullness(p, _):
    amount = _bell(p, (48, -66, 60), (16, 22, 34))
    return _along(x=2.4 * amount * np.tanh(p[:, 0] / 10), z=1.4 * amount, like=p)


def _nose_length(p, _):
    amount = smoothstep(5, -36, p[:, 1]) * smoothstep(-66, -44, p[:, 1]) * np.exp(-((p[:, 0] / 20) ** 2))
    amount = amount * smoothstep(70, 100, p[:, 2])
    return _along(y=-1.6 * amount, like=p)


def _nose_size(p, _):
    return _along(z=2.4 * _single_bell(p, (0, -36, 118), (15, 15, 28)), like=p)


def _nose_width(p, _):
    amount = _single_bell(p, (0, -41, 105), (24, 13, 26))
    return _along(x=0.11 * p[:, 0] * amount, like=p)


def _nose_bridge(p, _):
    return _along(z=1.7 * _single_bell(p, (0, -12, 102), (12, 14, 26)), like=p)


def _eye_spacing(p, _):
    amount = _bell(p, (31, 0, 78), (24, 22, 38))
    return _along(x=1.3 * amount * np.tanh(p[:, 0] / 12), like=p)


def _eye_size(p, _):
    amount = _bell(p, (31, 0, 78), (22, 16, 34))
    x = p[:, 0] - 31.0 * np.tanh(p[:, 0] / 8)
    return _along(x=0.03 * x * amount, y=0.075 * p[:, 1] * amount, like=p)


def _eye_slant(p, _):
    amount = _bell(p, (31, 0, 78), (26, 18, 36))
    return _along(y=0.05 * (np.abs(p[:, 0]) - 31) * amount, like=p)


def _mouth_width(p, _):
    return _along(x=0.055 * p[:, 0] * _single_bell(p, (0, -68, 92), (36, 20, 42)), like=p)


def _mouth_height(p, _):
    return _along(y=1.5 * _single_bell(p, (0, -68, 92), (40, 19, 44)), like=p)


def _lip_fullness(p, points):
    ring, _, sine = mouth_coordinates(points)
    outside = np.where(points.depth > 0, 0.0, 1.0) * smoothstep(0, 40, p[:, 2])
    swell = vermilion_profile(ring) * outside
    return _along(y=0.75 * np.abs(sine) * sine * swell, z=0.7 * np.abs(sine) * swell, like=p)


def _neck_thickness(p, _):
    amount = smoothstep(-75, -135, p[:, 1]) * smoothstep(70, 35, p[:, 2])
    return _along(x=0.055 * p[:, 0] * amount, z=0.035 * (p[:, 2] + 17) * amount, like=p)


def _ear_size(p, _):
    amount = smoothstep(64, 78, np.abs(p[:, 0])) * np.exp(-(((p[:, 1] + 17) / 40) ** 4))
    return _along(x=1.0 * amount * np.sign(p[:, 0]), y=0.06 * (p[:, 1] + 17) * amount, like=p)


_DIRECTIONS: dict[str, Field] = {field.__name__.lstrip("_"): field for field in (
    _face_width, _face_length, _head_depth, _head_height, _jaw_width, _chin_length, _chin_forward, _forehead_slope,
    _brow_ridge, _cheekbones, _cheek_fullness, _nose_length, _nose_size, _nose_width, _nose_bridge, _eye_spacing, _eye_size,
    _eye_slant, _mouth_width, _mouth_height, _lip_fullness, _neck_thickness, _ear_size)}
IDENTITY_DIRECTIONS: tuple[str, ...] = tuple(_DIRECTIONS)


def shift(identity: np.ndarray, position: np.ndarray, points: Points) -> np.ndarray:
    """Return the displacement (N, 3) mm that turns points of the mean head at `position` (N, 3) mm into a person's."""
    result = np.zeros_like(position)
    for coefficient, direction in zip(identity, _DIRECTIONS.values(), strict=True):
        if coefficient:
            result += coefficient * direction(position, points)
    return result
