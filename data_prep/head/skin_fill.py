"""Points that fill the skin of the built-in head between its edge loops, symmetric and with a prescribed spacing.

The parameters of the skin lie on a unit sphere: crown on top, centre of the neck's base at the bottom. Points repel each
other, at distances measured on the head, until their spacing follows `relative_size`. There are no random numbers, but over
seventy steps a difference in the last bit between two processors grows into another set of points. So they are stored:

    python -m data_prep.head.make_skin_fill        remakes skin_fill.npz; corpora and models must then be remade, too
"""

import functools
import importlib.resources

import numpy as np
from scipy.spatial import cKDTree

from data_prep.head import openings, surface
from data_prep.head.surface import ROWS, smoothstep

STORED = "skin_fill.npz"
_RIM_COLATITUDE = 0.9 * np.pi  # colatitude of the neck's rim on the parameter sphere
_RELAX_STEPS = 70
_CLEARANCE = 0.25  # distance of other points from the outermost rings, in units of the spacing at the middle of the face


def to_sphere(row: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Return unit vectors (N, 3) for parameters of the loft."""
    colatitude = _RIM_COLATITUDE * row / ROWS
    radius = np.sin(colatitude)
    return np.stack([radius * np.sin(azimuth), np.cos(colatitude), radius * np.cos(azimuth)], axis=1)


def from_sphere(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return row and azimuth for unit vectors (N, 3)."""
    row = np.arccos(np.clip(unit[:, 1], -1, 1)) / _RIM_COLATITUDE * ROWS
    return row, np.arctan2(unit[:, 0], unit[:, 2])


def relative_size(position: np.ndarray) -> np.ndarray:
    """Return the target spacing of skin points at loft positions (N, 3) mm, relative to the middle of the face."""
    x, y = np.abs(position[:, 0]), position[:, 1]
    face = surface.front_mask(position)
    size = 3.3 - 2.2 * face
    size += 0.8 * face * smoothstep(35, 90, y) + 1.2 * face * smoothstep(-118, -140, y)
    nose = np.exp(-((x / 21) ** 4) - ((y + 35) / 24) ** 4) * face
    features = np.exp(-((x / 62) ** 4) - ((y + 30) / 68) ** 4) * face
    chin = np.exp(-((x / 24) ** 4) - ((y + 108) / 13) ** 4) * face
    return size * (1 - 0.56 * nose) * (1 - 0.12 * features) * (1 - 0.38 * chin)


def fill(fixed: np.ndarray, count: int) -> np.ndarray:
    """Return points (count, 3) on the parameter sphere, symmetric in x, spaced by `relative_size` between fixed points.

    Args:
        fixed: (N, 3) unit vectors of points already placed.
        count: points to place.
    """
    colatitude = np.linspace(0.004, 0.996, 400) * _RIM_COLATITUDE
    azimuth = (np.arange(400) + 0.5) / 400 * np.pi  # left half
    c, a = (g.ravel() for g in np.meshgrid(colatitude, azimuth, indexing="ij"))
    row = c / _RIM_COLATITUDE * ROWS
    place = surface.loft(row, a)
    step = 1e-4
    normal = np.cross(surface.loft(row + step, a) - place, surface.loft(row, a + step) - place) / step**2
    area = np.linalg.norm(normal, axis=1)
    density = area / relative_size(place) ** 2
    # d(row) = ROWS / RIM d(colatitude); the factor 1.08 packs the points as triangles do
    cell = (colatitude[1] - colatitude[0]) * (azimuth[1] - azimuth[0]) * ROWS / _RIM_COLATITUDE
    density[_in_hole(place, 0.0)] = 0.0
    spacing = 1.08 * np.sqrt(2 * density.sum() * cell / count)
    density[_in_hole(place, _CLEARANCE * spacing)] = 0.0
    # Deterministic start: visit cells in serpentine order; place a point when the summed density passes the next integer.
    on_midline = max(8, round(1.05 * np.sqrt(count)))
    half = (count - on_midline) // 2
    on_midline = count - 2 * half
    grid = density.reshape(400, 400).copy()
    grid[1::2] = grid[1::2, ::-1]
    cumulated = np.cumsum(grid.ravel())
    ticks = (np.arange(half) + 0.5) / half * cumulated[-1]
    flat = np.searchsorted(cumulated, ticks)
    i, j = np.divmod(flat, 400)
    j = np.where(i % 2 == 1, 399 - j, j)
    moving = to_sphere(colatitude[i] / _RIM_COLATITUDE * ROWS, azimuth[j])
    middle = _midline(on_midline, _CLEARANCE * spacing)
    fixed_place = surface.loft(*from_sphere(fixed))
    for index in range(_RELAX_STEPS):
        moving, middle = _relax(moving, middle, fixed_place, spacing, 0.5 * (1 - 0.6 * index / _RELAX_STEPS))
    return np.concatenate([moving, moving * [-1, 1, 1], middle])


def stored_fill(count: int) -> np.ndarray:
    """Return the stored result of :func:`fill` for a head with ``count`` filling points, (count, 3).

    Raises:
        RuntimeError: no set of this size is stored, because the head's counts have changed.
    """
    if count not in _stored():
        raise RuntimeError(f"{STORED}: no stored set has {count} points; run python -m data_prep.head.make_skin_fill")
    row, azimuth = _stored()[count].T.astype(float)
    unit = to_sphere(row, azimuth)
    middle = np.isin(azimuth, [0.0, np.float32(np.pi)])
    unit[middle, 0] = 0.0
    return np.concatenate([unit[~middle], unit[~middle] * [-1, 1, 1], unit[middle]])


@functools.cache
def _stored() -> dict[int, np.ndarray]:
    """Return row and azimuth, (N, 2) float32, of the points on the left and the midline, by total number of points."""
    stored = importlib.resources.files("data_prep.head") / STORED
    with stored.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {int(name): arrays[name] for name in arrays}


def store_fill(unit: np.ndarray) -> np.ndarray:
    """Return row and azimuth, (N, 2) float32, of the points of :func:`fill` without the mirrored ones, for storage."""
    return np.abs(np.stack(from_sphere(unit[unit[:, 0] >= 0]), axis=1)).astype(np.float32)  # azimuth -pi is pi


def _in_hole(place: np.ndarray, clearance: float) -> np.ndarray:
    """Return which loft points (N, 3) mm lie within the outermost rings of mouth and eyes or under `clearance` mm away."""
    x, y = np.abs(place[:, 0]), place[:, 1]
    mouth_margin, orbit_margin = ((1 + clearance / short) ** 2 for short in (2 * openings.RING_STEP, openings.ORBIT[1]))
    mouth_long = np.hypot(openings.MOUTH_HALF_WIDTH, 2 * openings.RING_STEP)
    mouth = (x / mouth_long) ** 2 + ((y - openings.MOUTH[1]) / (2 * openings.RING_STEP)) ** 2
    orbit = ((x - openings.EYE[0]) / openings.ORBIT[0]) ** 2 + ((y - 1.0 - openings.EYE[1]) / openings.ORBIT[1]) ** 2
    return ((mouth < mouth_margin) | (orbit < orbit_margin)) & (place[:, 2] > 0)


def _midline(count: int, clearance: float) -> np.ndarray:
    """Return initial points on x = 0, by target spacing along the whole loop: from the rim over the crown to the rim."""
    angle = np.linspace(-_RIM_COLATITUDE, _RIM_COLATITUDE, 4001)[20:-20]
    unit = np.stack([np.zeros_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    place = surface.loft(*from_sphere(unit))
    pace = np.linalg.norm(np.gradient(place, axis=0), axis=1) / relative_size(place)
    pace[_in_hole(place, clearance)] = 0.0
    cumulated = np.cumsum(pace)
    return unit[np.searchsorted(cumulated, (np.arange(count) + 0.5) / count * cumulated[-1])]


def _relax(moving, middle, fixed_place, spacing, rate):
    """Return moving and middle points after one step of repulsion, measured on the loft in millimetres."""
    unit = np.concatenate([moving, middle])
    place = surface.loft(*from_sphere(unit))
    ghosts = place[: len(moving)] * [-1, 1, 1]
    everything = np.concatenate([place, ghosts, fixed_place])
    target = spacing * relative_size(place)
    distance, neighbour = cKDTree(everything).query(place, k=10)
    away = place[:, None] - everything[neighbour[:, 1:]]
    distance = np.maximum(distance[:, 1:], 1e-9)
    push = np.maximum(0.0, 1.0 - distance / (1.25 * target[:, None])) / distance
    force = rate * target[:, None] * (push[:, :, None] * away).sum(axis=1)
    step = 1e-4
    gradient = np.stack([(surface.loft(*from_sphere(unit_vectors(unit + step * axis))) - place) / step
                         for axis in np.eye(3)], axis=2)  # (N, 3 of the loft, 3 of the sphere)
    move = np.einsum("nij,nj->ni", np.linalg.pinv(gradient, rcond=1e-2), force)
    limit = 0.1 / np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 0.1)
    row, azimuth = from_sphere(unit_vectors(unit + move * limit))
    moved = to_sphere(np.minimum(row, ROWS - 0.25), azimuth)  # stay off the neck's rim
    blocked = _in_hole(surface.loft(*from_sphere(moved)), _CLEARANCE * spacing)
    moved = np.where(blocked[:, None], unit, moved)
    left, centre = moved[: len(moving)], moved[len(moving) :] * [0, 1, 1]
    left[:, 0] = np.abs(left[:, 0])
    return unit_vectors(left), unit_vectors(centre)


def unit_vectors(vector: np.ndarray) -> np.ndarray:
    """Scale the rows of (N, 3) to length 1."""
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)
