"""The 52 facial shapes of Apple's ARKit, by which face tracking apps, game engines and avatars name what a face does."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
_MOUTH_SIDED = ("Smile", "Frown", "Dimple", "Stretch")
_MOUTH_MIDDLE = ("RollLower", "RollUpper", "ShrugLower", "ShrugUpper")
ARKIT_NAMES: tuple[str, ...] = (
    *(f"eye{what}{side}" for side in ("Left", "Right") for what in _EYE),
    "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft",
    *(f"mouth{what}{side}" for what in _MOUTH_SIDED for side in ("Left", "Right")),
    *(f"mouth{what}" for what in _MOUTH_MIDDLE),
    *(f"mouth{what}{side}" for what in ("Press", "LowerDown", "UpperUp") for side in ("Left", "Right")),
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)
"""In the order of the columns that Live Link Face records, as its own files have them; left is the head's own left."""


def in_arkit_order(names: Sequence[str], weights: Float[np.ndarray, "T K"]) -> Float[np.ndarray, "T N"]:
    """Return weights in the order of :data:`ARKIT_NAMES`, N = 52; shapes that the head does not have stay at 0.

    Args:
        names: (K,) ARKit's names, in any order.
        weights: (T, K), 0 to 1.

    Raises:
        ValueError: a name is not ARKit's or comes twice, the shapes do not fit, there is no frame, or a weight is not from
            0 to 1.
    """
    if unknown := [name for name in names if name not in ARKIT_NAMES]:
        raise ValueError(f"names: {unknown[0]!r} is not one of ARKit's 52 shapes")
    if len(set(names)) < len(names):
        raise ValueError("names: a name comes twice")
    if weights.shape[1] != len(names) or not len(weights):
        raise ValueError(f"weights: shape {weights.shape}, expected (T, {len(names)}) as the names, T at least 1")
    if not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError("weights: a value is not from 0 to 1")
    table = np.zeros((len(weights), len(ARKIT_NAMES)), weights.dtype)
    table[:, [ARKIT_NAMES.index(name) for name in names]] = weights
    return table
