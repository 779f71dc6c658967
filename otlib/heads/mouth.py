"""The mouth of a face of any unit and axes: the slit across the plane in which the face is its own mirror image."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree
from trimesh.triangles import cross

from otlib.heads.slits import Sampled

WIDTHS = (0.025, 0.085)  # metres; the slit of an adult's mouth is about 50 mm wide, and its corners are not found
_AROUND = 0.070  # metres around the mouth where a face is compared with its mirror image, and the way out is averaged
_UNLIKE = 0.0030  # metres; median distance between a face and its mirror image at most, people's faces being a little uneven
_BREADTHS, _LEVEL, _DEEP = (0.070, 0.220), 0.025, 0.120  # metres: of a face level with its mouth, within so much depth
_STEPS = 8  # of the mirror plane towards the best one
_MOST_POINTS = 1500  # that are compared
_LEAST_POINTS = 8  # of a slit
_FACE, _UNLIKE_FACE = 0.130, 0.0060  # metres; the same for the whole face: around an ear nothing is symmetric


@dataclass(frozen=True, eq=False)
class Mouth:
    """Where a mouth is, in the axes of the file.

    Attributes:
        points: (N, 3) metres, places of the slit.
        middle: (3,) metres, on the mirror plane at the front of the slit.
        across, outward: (3,) unit vectors; across is the normal of the mirror plane, of either sign, and outward the mean
            way out of the face around the mouth.
        width: metres.
        unlike: metres between the face and its mirror image.
    """

    points: np.ndarray
    middle: np.ndarray
    across: np.ndarray
    outward: np.ndarray
    width: float
    unlike: float


def mouth_at(surface: Sampled, points: Float[np.ndarray, "N 3"]) -> Mouth | None:
    """Return the mouth whose slit, or whose lips, have these places; None if they cannot be a mouth's.

    A lid, an ear's fold or the skin between toes is no mouth: the surface around it is not symmetric about its middle.

    Args:
        surface: metres.
        points: places of one slit.
    """
    if len(points) < _LEAST_POINTS:
        return None
    middle = (points.min(0) + points.max(0)) / 2
    near = np.linalg.norm(surface.vertices - middle, axis=1) < _AROUND
    if near.sum() < _LEAST_POINTS:
        return None
    around, outward = surface.vertices[near], surface.outward[near]
    axes = np.linalg.svd(points - points.mean(0), full_matrices=False)[2]
    starts = np.concatenate([axes, np.eye(3)[[np.abs(axes @ axis).max() < 0.9999 for axis in np.eye(3)]]])
    found = [_mirror_plane(around, outward, points.mean(0), start, points) for start in starts]
    unlike, across, offset, width = min(found, key=lambda one: (not WIDTHS[0] < one[3] < WIDTHS[1], one[0]))
    if unlike > _UNLIKE or not WIDTHS[0] < width < WIDTHS[1]:
        return None
    face = np.linalg.norm(surface.vertices - middle, axis=1) < _FACE
    unlike = _unlike(surface.vertices[face], surface.outward[face], across, offset)[0]
    if unlike > _UNLIKE_FACE:
        return None
    way = _way_out(surface, near, across)
    place = (surface.vertices - middle) @ np.stack([across, np.cross(way, across), way], 1)
    level = place[(np.abs(place[:, 1]) < _LEVEL) & (place[:, 2] > -_DEEP), 0]
    if not _BREADTHS[0] < np.ptp(level) < _BREADTHS[1]:  # in too long a unit, the middle of a mouth passes for a mouth
        return None
    front = points @ way
    side = points @ across - offset
    central = np.abs(side) < max(0.1 * width, np.abs(side).min() + 1e-9)
    middle = points[central][front[central].argmax()]
    middle = middle - across * (middle @ across - offset)
    return Mouth(points, middle, across, way, width, unlike)


def _mirror_plane(around: np.ndarray, outward: np.ndarray, middle: np.ndarray, across: np.ndarray,
                  points: np.ndarray) -> tuple[float, np.ndarray, float, float]:
    """Return the distance of a surface from its mirror image, the plane's normal and offset, and a slit's width across."""
    offset, least, best = float(middle @ across), np.inf, (across, 0.0)
    for _ in range(_STEPS):
        unlike, some, match = _unlike(around, outward, across, offset)
        if unlike < least:
            least, best = unlike, (across, offset)
        apart, between = some - match, (some + match) / 2
        turned = np.linalg.eigh(apart.T @ apart)[1][:, -1]
        across = turned * np.sign(turned @ across or 1)
        offset = float(np.median(between @ across))
    across, offset = best
    side = points @ across - offset
    width = 2 * min(side.max(), -side.min())  # a slit on one side of the plane has none
    return least, across, offset, float(width)


def _unlike(vertices: np.ndarray, outward: np.ndarray, across: np.ndarray,
            offset: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the median distance of a surface from its mirror image, some of its points, and those that match them."""
    some = vertices[::1 + len(vertices) // _MOST_POINTS]
    image = some - 2 * np.outer(some @ across - offset, across)
    _, match = cKDTree(vertices).query(image)
    away = ((image - vertices[match]) * outward[match]).sum(1)
    return float(np.median(np.abs(away))), some, vertices[match]


def _way_out(surface: Sampled, near: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return the way out of the face: the vector area of the surface around the mouth, to which pockets add nothing."""
    area = cross(surface.vertices[surface.faces[near[surface.faces].all(1)]]).sum(0)
    area -= across * (area @ across)
    return area / max(np.linalg.norm(area), 1e-30)
