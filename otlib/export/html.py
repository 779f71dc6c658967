"""A talking head as one HTML file that plays anywhere: nothing is loaded, WebGL draws it, and it moves with its sound.

The motion is stored as in a glb, by principal displacements (:mod:`otlib.export.morph_targets`), here in whole numbers of
16 bits; the page adds them up for each picture and computes the normals. Numbers are packed byte by byte, low bytes first,
and compressed, which browsers undo since 2023 (DecompressionStream).
"""

import base64
import gzip
import importlib.resources
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from otlib.errors import InputError
from otlib.export.morph_targets import fit_morph_targets, largest_error_mm
from otlib.export.talking_head import TalkingHead
from otlib.files import atomic_write
from otlib.speech.recording import Recording, resampled
from otlib.viz import palette
from otlib.viz.materials import part_colour, part_gloss, split_faces
from otlib.viz.normals import split_creases

_TEMPLATE = "talking_page.html"
_MOST_SHAPES, _AIM_MM = 64, 0.08  # as in a glb, with a little of its 0.1 mm left for rounding
_STEPS = 32767  # of a 16-bit integer
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_BLOCK = 1 << 18  # samples


def write_html(path: Path | str, head: TalkingHead) -> float:
    """Write the page.

    Args:
        path: the file to write; it appears only when it is whole.
        head: the head, its motion and its sound.

    Returns:
        The largest distance, over all frames and vertices, from the page's motion to the head's, millimetres.

    Raises:
        ValueError: a value that is not finite.
        InputError: the file cannot be written.
    """
    facts, numbers = _packed(head)
    facts |= {"title": head.name, "seconds": head.recording.seconds, "background": palette.BACKGROUND}
    text = (importlib.resources.files("otlib.export") / _TEMPLATE).read_text(encoding="utf-8")
    for place, content in (("FACTS", json.dumps(facts, allow_nan=False).replace("<", "\\u003c")),
                           ("NUMBERS", _base64(gzip.compress(numbers, mtime=0))), ("SOUND", _base64(_mp3(head.recording)))):
        text = text.replace(f">{place}<", f">{content}<", 1)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return facts["error_mm"]


def _packed(head: TalkingHead) -> tuple[dict[str, Any], bytes]:
    """Return what the page must know, and its arrays as bytes, in the order in which the page reads them."""
    targets = fit_morph_targets(head.motion, head.template, _MOST_SHAPES, _AIM_MM)
    middle = (targets.base.min(0) + targets.base.max(0)) / 2
    unit = float(np.abs(targets.base - middle).max()) / _STEPS
    shape_unit = float(np.abs(targets.displacements).max()) / _STEPS or 1.0
    base = _rounded((targets.base - middle) / unit)
    shapes = _rounded(targets.displacements / shape_unit)  # (K, V, 3)
    weights = _rounded(targets.weights * _STEPS)  # (T, K)
    error_mm = largest_error_mm(head.motion, base * unit + middle, shapes.reshape(len(shapes), -1) * shape_unit,
                                weights.astype(np.float32) / np.float32(_STEPS))
    faces, copied = split_creases(targets.base, head.topology.faces)
    parts = split_faces(faces, head.topology.parts)
    changes = np.diff(weights, axis=0, prepend=np.int16(0))  # small numbers, which wrap around as the page's do
    arrays = [base, shapes, changes.T, copied.astype(np.uint32), np.concatenate(list(parts.values())).astype(np.uint32)]
    facts = {"frame_rate": head.frame_rate, "frames": len(weights), "vertices": len(base), "shapes": len(shapes),
             "copies": len(copied), "faces": len(faces), "unit": unit, "shape_unit": shape_unit, "steps": _STEPS,
             "error_mm": error_mm, "parts": [_part(name, len(part)) for name, part in parts.items()]}
    return facts, b"".join(map(_planes, arrays))


def _part(name: str, faces: int) -> dict[str, Any]:
    red, green, blue = bytes.fromhex(part_colour(name)[1:])
    share, exponent = part_gloss(name)
    return {"name": name, "faces": faces, "colour": [red / 255, green / 255, blue / 255], "gloss": [share, exponent]}


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.int16)


def _planes(array: np.ndarray) -> bytes:
    """Return the lowest byte of every number, then the next, and so on: alike bytes in a row compress well."""
    numbers = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return numbers.reshape(-1, 1).view(np.uint8).T.tobytes()


def _mp3(recording: Recording) -> bytes:
    """Return the sound as mp3, which every browser plays; at 16 kHz if mp3 does not know its rate."""
    samples, rate = recording.samples, recording.sample_rate
    if rate not in _MP3_RATES:
        recording = Recording(resampled(recording).numpy(), 16_000)
        samples, rate = recording.samples, recording.sample_rate
    coded = io.BytesIO()
    try:
        with soundfile.SoundFile(coded, "w", rate, 1, format="MP3", subtype="MPEG_LAYER_III") as file:
            for start in range(0, len(samples), _BLOCK):
                file.write(np.asarray(samples[start: start + _BLOCK]))
    except soundfile.LibsndfileError as error:
        raise InputError(f"the sound cannot be written as mp3 ({error.error_string}): libsndfile 1.1 or later is needed; "
                         "install soundfile again") from error
    return coded.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
