"""Weights of ARKit's shapes as the CSV that the app Live Link Face records, which Unreal and Blender's add-ons read."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from otlib.export.arkit import ARKIT_NAMES, in_arkit_order
from otlib.files import atomic_write

_ANGLES = ("HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch",
           "RightEyeRoll")
LIVE_LINK_COLUMNS: tuple[str, ...] = (
    "Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in ARKIT_NAMES), *_ANGLES)
"""The 63 columns in the app's own order, JawRight before JawLeft and MouthRight before MouthLeft."""
_COUNT = len(LIVE_LINK_COLUMNS) - 2  # the app counts its angles among the shapes
_TIMECODE_RATE = 60  # frames a second, the app's own; a recording at another rate has the timecodes of its moments
_DIGITS = 8  # after the point, as the app writes


def write_live_link(path: Path | str, names: Sequence[str], weights: Float[np.ndarray, "T K"], frame_rate: float) -> None:
    """Write one row a frame; the angles of head and eyes are 0, since a talking head of this project does not turn.

    Args:
        path: the file to write; it appears only when it is whole.
        names: (K,) ARKit's names, in any order; columns of shapes that are not named are 0.
        weights: (T, K), 0 to 1; frame t is at t / frame_rate seconds.
        frame_rate: frames a second.

    Raises:
        ValueError: names or weights that :func:`otlib.export.arkit.in_arkit_order` refuses, or a frame rate that is not
            positive.
        InputError: the file cannot be written.
    """
    if not frame_rate > 0:
        raise ValueError(f"frame_rate: {frame_rate} is not positive")
    ordered, still = in_arkit_order(names, weights), ["0"] * len(_ANGLES)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(LIVE_LINK_COLUMNS)
        for frame, row in enumerate(ordered):
            table.writerow([timecode(frame / frame_rate), _COUNT, *(f"{weight:.{_DIGITS}f}" for weight in row), *still])


def timecode(seconds: float) -> str:
    """Return a moment as the app writes it, HH:MM:SS:FF.sss: frames at 60 a second, and thousandths of a frame."""
    whole, thousandths = divmod(round(seconds * _TIMECODE_RATE * 1000), 1000)
    whole, frames = divmod(whole, _TIMECODE_RATE)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}:{frames:02d}.{thousandths:03d}"
