"""Motion of the built-in head: articulator controls times displacement fields.

Every field is a smooth function on the head. Fields that must keep the lips sealed have the same value on both lips where
they touch; only `aperture` and `tuck` part them. A frame is the template plus a weighted sum of fields; the weights
are the controls or simple functions of them (sine and cosine of the jaw's rotation, a square for the lids' path over the
ball). Our choice throughout.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator

from data_prep.head import openings, surface
from data_prep.head.surface import MOUTH, MOUTH_HALF_WIDTH, RING_STEP, Points, smoothstep

CONTROLS = ("jaw", "aperture", "round", "spread", "protrude", "press", "tuck", "brow", "blink", "smirk")
LOWEST_CONTROLS = np.array([-1.0 if name in ("brow", "smirk") else 0.0 for name in CONTROLS])
WEIGHTS = ("jaw turn", "jaw drop", "aperture", "round", "spread", "protrude", "press", "tuck", "brow up", "brow down",
           "blink", "blink square", "smirk left", "smirk right")

_JAW_HINGE = np.array([0.0, -52.0, -6.0])  # of the fitted rotation; lower than the joint, which also slides forward
_JAW_TURN = 0.185  # radians at jaw 1: the chin drops 18 mm
_APERTURE_UP, _APERTURE_DOWN = 7.5, 14.5  # mm at aperture 1
_JAW_BY_ROW = PchipInterpolator(
    [0, 7.7, 8.6, 9.35, 9.75, 10.3, 10.9, 12.3, 13.2, 14.2, 15.6, 17.0, 18.0],
    [0, 0.0, 0.02, 0.14, 0.32, 0.70, 1.0, 1.0, 0.85, 0.45, 0.0, 0.0, 0.0],
)


def weights(controls: np.ndarray) -> np.ndarray:
    """Return the weights of the fields, (T, len(WEIGHTS)), for controls (T, len(CONTROLS))."""
    if controls.ndim != 2 or controls.shape[1] != len(CONTROLS):
        raise ValueError(f"controls must have shape (T, {len(CONTROLS)}), not {controls.shape}")
    if not np.isfinite(controls).all():
        raise ValueError("controls hold a value that is not finite")
    outside = ((controls < LOWEST_CONTROLS - 1e-6) | (controls > 1 + 1e-6)).any(axis=0)
    if outside.any():
        raise ValueError(f"controls out of range: {', '.join(np.array(CONTROLS)[outside])}")
    jaw, aperture, rounding, spread, protrude, press, tuck, brow, blink, smirk = np.asarray(controls, dtype=float).T
    turn = _JAW_TURN * jaw
    return np.stack(
        [
            np.sin(turn),
            1 - np.cos(turn),
            aperture,
            rounding,
            spread,
            protrude,
            press * smoothstep(0.3, 0.0, aperture),  # only closed lips press
            tuck * smoothstep(0.7, 0.1, aperture),
            np.maximum(brow, 0),
            np.maximum(-brow, 0),
            blink,
            blink**2,
            np.maximum(smirk, 0),
            np.maximum(-smirk, 0),
        ],
        axis=1,
    )


def mouth_coordinates(points: Points) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ring coordinate, and cosine and sine of the angle, on the confocal ellipses around the slit, each (N,)."""
    x, y = (points.nominal - MOUTH).T
    excess = x**2 + y**2 - MOUTH_HALF_WIDTH**2
    short = np.sqrt(np.maximum(0.5 * (excess + np.sqrt(excess**2 + (2 * MOUTH_HALF_WIDTH * y) ** 2)), 0.0))
    long = np.sqrt(short**2 + MOUTH_HALF_WIDTH**2)
    known = np.isfinite(points.mouth_angle)
    cosine = np.where(known, np.cos(points.mouth_angle), np.clip(x / long, -1, 1))
    sine = np.where(known, np.sin(points.mouth_angle), np.clip(y / np.maximum(short, 1e-6), -1, 1))
    return short / RING_STEP, cosine, sine


def vermilion_profile(ring: np.ndarray) -> np.ndarray:
    """Return 0 where the lips touch, 1 at their border; it grows no faster than the lips part, so they never cross."""
    return ring**3 * np.exp(1.5 * (1 - ring**2)) * smoothstep(3.0, 1.5, ring)


def fields(points: Points) -> np.ndarray:
    """Return the displacement fields of the mean head, (len(WEIGHTS), N, 3) mm for a weight of 1."""
    ring, cosine, sine = mouth_coordinates(points)
    front = surface.front_mask(surface.loft(points.row, points.azimuth))
    rigid = points.depth > 1.5  # teeth: they move with the jaw or not at all
    lips = np.where(rigid, 0.0, front * smoothstep(0.75, 0.05, points.depth))
    zero = np.zeros_like(ring)

    def field(x=zero, y=zero, z=zero, mask=lips):
        return mask[:, None] * np.stack([x + zero, y + zero, z + zero], axis=1)

    # The two halves of the slit open without a kink beyond its corners.
    soft = 0.35 * ring
    size = np.sqrt(sine**2 + soft**2) - soft
    upper, lower = 0.5 * (size + sine), 0.5 * (size - sine)
    above = smoothstep(2.2, 0.6, ring)
    below = smoothstep(4.3, 0.7, ring)
    wide = smoothstep(4.6, 0.0, ring)
    near = smoothstep(3.2, 0.3, ring)
    vermilion = vermilion_profile(ring)
    side = cosine**2
    corner = np.exp(-((ring / 2.4) ** 2))
    left, right = (corner * smoothstep(-0.1, 1.0, sign * cosine) for sign in (1, -1))
    aperture = field(y=_APERTURE_UP * upper * above - _APERTURE_DOWN * lower * below, z=-3.5 * lower * below)
    rounding = field(x=-7.0 * cosine * wide, y=0.9 * sine * vermilion, z=(1.0 + 2.5 * side) * near)
    spread = field(x=4.0 * cosine * wide, y=1.5 * side * wide, z=-(0.6 + 2.0 * side) * wide)
    protrude = field(y=1.1 * sine * vermilion, z=(7.0 - 3.0 * side) * near)
    press = field(y=-2.8 * np.abs(sine) * sine * vermilion, z=-1.3 * np.abs(sine) * vermilion - 0.6 * near)
    tuck = field(y=2.4 * upper * above + 0.5 * lower**2 * smoothstep(2.0, 0.2, ring),
                 z=-5.0 * lower**2 * smoothstep(2.6, 0.3, ring) + 0.4 * upper * above)
    smirk_left = field(x=2.6 * left, y=5.0 * left, z=-1.0 * left)
    smirk_right = field(x=-2.6 * right, y=5.0 * right, z=-1.0 * right)
    return np.stack([*_jaw(points, rigid), aperture, rounding, spread, protrude, press, tuck, *_brow(points, front),
                     *_blink(points), smirk_left, smirk_right])


def _jaw(points: Points, rigid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation about the hinge as sine and 1 - cosine: full at the chin, a third where the lips touch."""
    share = _JAW_BY_ROW(points.row) * smoothstep(-45.0, 30.0, surface.loft(points.row, points.azimuth)[:, 2])
    inside = smoothstep(0.1, 0.5, points.depth)
    below = np.where(np.isfinite(points.mouth_angle), 0.5 - 0.5 * np.sin(points.mouth_angle), 0.5)
    share = share + inside * (smoothstep(0.1, 0.9, below) - share)
    share = np.where(rigid, (points.row > 9).astype(float), share)
    arm = points.position - _JAW_HINGE
    turn = np.stack([0 * arm[:, 0], -arm[:, 2], arm[:, 1]], axis=1)
    drop = np.stack([0 * arm[:, 0], -arm[:, 1], -arm[:, 2]], axis=1)
    return share[:, None] * turn, share[:, None] * drop


def _brow(points: Points, front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return brows up by 6 mm, and down and together by 3 mm; no motion at the lids' edges and above the forehead."""
    x, y = points.nominal.T
    height = smoothstep(7.0, 19.0, y) * smoothstep(62.0, 22.0, y)
    lid = np.where(np.isfinite(points.lid), smoothstep(0.3, 1.0, points.lid), 1.0)
    breadth = smoothstep(68.0, 30.0, np.abs(x))
    amount = front * height * lid * breadth
    up = amount[:, None] * np.array([0.0, 6.0, -0.4])
    inner = smoothstep(40.0, 8.0, np.abs(x))
    down = np.stack([-2.0 * np.tanh(x / 8.0) * inner, -3.0 + 0 * x, 0.5 + 0 * x], axis=1)
    return up, amount[:, None] * down


def _blink(points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Return the path of the lids over the ball: a parabola through open, half closed and closed."""
    half, closed = np.zeros_like(points.position), np.zeros_like(points.position)
    lids = np.isfinite(points.lid_angle)
    angle = points.lid_angle[lids]
    for side in (1, -1):
        own = np.sign(points.nominal[lids, 0]) == side
        index, around = np.flatnonzero(lids)[own], angle[own]
        ring = points.lid[index]
        nominal = openings.lid_nominal(ring, around)
        start = openings.lid_surface(nominal, ring)
        for goal, amount in ((half, 0.5), (closed, 1.0)):
            end = openings.lid_surface(nominal + openings.blink_shift(around, ring, amount), ring)
            goal[index] = (end - start) * [side, 1, 1]
    return 4 * half - closed, 2 * closed - 4 * half
