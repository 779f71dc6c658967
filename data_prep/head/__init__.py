"""The built-in talking head: a face made entirely by code, at three resolutions, moved by articulator controls.

Example:
    >>> head = make_head(resolution="low")
    >>> frames = pose(head, np.zeros((30, len(CONTROLS))))  # (30, V, 3) metres
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data_prep.head import identity as head_identity
from data_prep.head import mesh as head_mesh
from data_prep.head import parts as head_parts
from data_prep.head import rig as head_rig
from data_prep.head.identity import IDENTITY_DIRECTIONS
from data_prep.head.rig import CONTROLS, LOWEST_CONTROLS
from otlib.topology import Topology

__all__ = [
    "CONTROLS",
    "IDENTITY_DIRECTIONS",
    "LOWEST_CONTROLS",
    "RESOLUTIONS",
    "Head",
    "faces_checksum",
    "make_head",
    "pose",
]

RESOLUTIONS: tuple[str, ...] = tuple(head_mesh.DETAILS)
_METRE = 1e-3  # metres per millimetre


@dataclass(frozen=True)
class Head:
    """One person's head.

    Attributes:
        vertices: (V, 3) float64 metres, the neutral face: x to the head's left, y up, z out of the face.
        topology: int32 faces; regions lips, lips_upper, lips_lower, upper_face, jaw, and the pairs lip_gap [upper, lower]
            and mouth_corners [left, right]; parts skin, hair, lips, brows, eyes, iris, pupils, mouth and teeth, one for
            each face. All heads of a resolution share it.
        motion: (K, V, 3) float64 metres, the displacement for a weight of 1 of each of `head_rig.WEIGHTS`.
    """

    vertices: np.ndarray
    topology: Topology
    motion: np.ndarray


def make_head(identity: np.ndarray | None = None, resolution: str = "low") -> Head:
    """Make the head of one person; the same arguments give the same head.

    Args:
        identity: (len(IDENTITY_DIRECTIONS),) coefficients, drawn from N(0, 1) for a plausible person;
            None for the mean face.
        resolution: "low" (2,000 faces), "medium" (9,976, as FLAME) or "high" (46,068, as BIWI); all have the same shape.

    Raises:
        ValueError: an unknown resolution, a wrong number of coefficients, or one that is not finite.
    """
    if resolution not in head_mesh.DETAILS:
        raise ValueError(f"resolution must be one of {', '.join(RESOLUTIONS)}, not {resolution!r}")
    identity = np.zeros(len(IDENTITY_DIRECTIONS)) if identity is None else np.asarray(identity, dtype=float)
    if identity.shape != (len(IDENTITY_DIRECTIONS),):
        raise ValueError(f"identity must have shape ({len(IDENTITY_DIRECTIONS)},), not {identity.shape}")
    if not np.isfinite(identity).all():
        raise ValueError("identity holds a coefficient that is not finite")
    points, fields, topology = _mean_head(resolution)
    own = head_identity.shift(identity, points.position, points)
    motion = fields.copy()
    for index, name in enumerate(head_rig.WEIGHTS):
        if name.startswith("blink"):  # lids must follow this person's eyes, not the mean ones
            motion[index] += head_identity.shift(identity, points.position + fields[index], points) - own
    return Head(_METRE * (points.position + own), topology, _METRE * motion)


def faces_checksum(faces: np.ndarray) -> str:
    """Return the SHA-256 of triangles (F, 3) as little-endian int32: equal for heads whose vertices correspond by index."""
    return hashlib.sha256(np.ascontiguousarray(faces, dtype="<i4").tobytes()).hexdigest()


def pose(head: Head, controls: np.ndarray) -> np.ndarray:
    """Return the vertices of the head in each frame.

    Args:
        head: the person's head.
        controls: (T, len(CONTROLS)) articulator controls, 0 to 1, but `brow` and `smirk` -1 to 1.

    Returns:
        (T, V, 3) float32 metres.

    Raises:
        ValueError: controls of a wrong shape, out of range, or not finite.
    """
    weights = head_rig.weights(np.asarray(controls))
    flat = weights.astype(np.float32) @ head.motion.reshape(len(head.motion), -1).astype(np.float32)
    flat += head.vertices.reshape(1, -1).astype(np.float32)
    return flat.reshape(len(weights), -1, 3)


@lru_cache(maxsize=len(head_mesh.DETAILS))
def _mean_head(resolution: str):
    detail = head_mesh.DETAILS[resolution]
    mean = head_mesh.build(detail, head_parts.PIECES)
    parts = {str(name): np.flatnonzero(mean.parts == name) for name in np.unique(mean.parts)}
    topology = Topology(mean.faces.astype(np.int32), _regions(mean, detail), parts, len(mean.points.position))
    return mean.points, head_rig.fields(mean.points), topology


def _regions(mean: head_mesh.MeanHead, detail: head_mesh.Detail) -> dict[str, np.ndarray]:
    points, seam, lips = mean.points, mean.seam, mean.lips
    quarter = detail.mouth // 4
    sine = np.sin(points.mouth_angle[lips])
    y = points.nominal[:, 1]
    skin = np.unique(mean.faces[np.isin(mean.parts, ["skin", "brows"])])
    face = skin[points.position[skin, 2] > 20]
    return {
        "lips": lips,
        "lips_upper": lips[sine > 1e-6],
        "lips_lower": lips[sine < -1e-6],
        "upper_face": face[(y[face] > -15) & (y[face] < 75)],
        "jaw": face[(y[face] < -85) & (points.row[face] < 13)],
        "lip_gap": seam[[quarter, 3 * quarter]],
        "mouth_corners": seam[[0, 2 * quarter]],
    }
