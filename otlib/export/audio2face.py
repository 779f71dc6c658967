"""Weights of ARKit's shapes as the JSON that NVIDIA's Audio2Face exports, which Maya, Blender and Unreal plug-ins read."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from otlib.export.arkit import ARKIT_NAMES, in_arkit_order
from otlib.files import atomic_write

_DIGITS = 8  # after the point


def write_audio2face(path: Path | str, names: Sequence[str], weights: Float[np.ndarray, "T K"], frame_rate: float) -> None:
    """Write {exportFps, numFrames, numPoses, facsNames [P], weightMat [T][P]} with all 52 shapes, P = 52.

    Args:
        path: the file to write; it appears only when it is whole.
        names: (K,) ARKit's names, in any order; shapes that are not named are 0.
        weights: (T, K), 0 to 1; frame t is at t / frame_rate seconds.
        frame_rate: frames a second.

    Raises:
        ValueError: names or weights that :func:`otlib.export.arkit.in_arkit_order` refuses, or a frame rate that is not
            positive.
        InputError: the file cannot be written.
    """
    if not frame_rate > 0:
        raise ValueError(f"frame_rate: {frame_rate} is not positive")
    table = in_arkit_order(names, weights).astype(float).round(_DIGITS)
    facts = json.dumps({"exportFps": float(frame_rate), "numFrames": len(table), "numPoses": len(ARKIT_NAMES),
                        "facsNames": ARKIT_NAMES})
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(f'{facts[:-1]}, "weightMat": [\n')  # then row by row: an hour's would take a gigabyte at once
        for frame, row in enumerate(table):
            file.write(f"{',' if frame else ''}{json.dumps(row.tolist())}\n")
        file.write("]}\n")
