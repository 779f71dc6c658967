"""Arrays of motion and sounds that a user brings: read whole, or refused in one sentence."""

import os
from pathlib import Path

import numpy as np
import soundfile

from otlib.errors import InputError

_UNKNOWN_LENGTH = (0, 0xFFFFFFFF)  # what a program that writes wav into a pipe leaves in the header


def map_numbers(path: Path) -> np.ndarray:
    """Map a .npy file of numbers read-only; nothing is unpickled.

    Raises:
        InputError: no such file, cut short, or no array of numbers.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # unlike np.load it knows no archives and no pickles
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: is not a whole .npy array of numbers; copy it again") from error
    if array.dtype.kind not in "iuf":
        raise InputError(f"{path}: is not a .npy array of numbers")
    return array


def map_motion(path: Path, vertex_count: int) -> np.ndarray:
    """Map a motion read-only as (T, V, 3), its number type kept; values are not looked at.

    Args:
        path: a .npy of (T, 3V), rows x0 y0 z0 x1 ..., or of (T, V, 3).
        vertex_count: V.

    Raises:
        InputError: it cannot be read, holds no floating-point numbers, or another number of vertices.
    """
    array = map_numbers(path)
    if array.dtype.kind != "f":
        raise InputError(f"{path}: holds numbers of the type {array.dtype}, expected floating-point numbers")
    if not array.ndim or not len(array) or array.shape[1:] not in ((3 * vertex_count,), (vertex_count, 3)):
        raise InputError(f"{path}: has shape {array.shape}, expected (T, {3 * vertex_count}) for {vertex_count} vertices")
    return array.reshape(len(array), vertex_count, 3)


def check_finite(frames: np.ndarray, source: Path | str) -> np.ndarray:
    """Return the frames (T, V, 3).

    Raises:
        InputError: one of them holds a value that is not finite.
    """
    finite = np.isfinite(frames).all((1, 2))
    if not finite.all():
        raise InputError(f"{source}: frame {int((~finite).argmax())} holds a value that is not finite; leave the clip out")
    return frames


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """Read a wav file as (S,) int16 and its rate in Hz; 16-bit mono comes through as it is, channels are averaged.

    Raises:
        InputError: no such file, no wav file, cut short, no samples, or a sample that is not finite.
    """
    check_sound(path)
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    if not len(samples) or not np.isfinite(samples).all():
        raise InputError(f"{path}: has {'a sample that is not finite' if len(samples) else 'no samples'}; export it again")
    return np.clip(np.rint(samples.mean(1) * 2**15), -(2**15), 2**15 - 1).astype(np.int16), rate


def check_sound(path: Path) -> None:
    """Check a wav file by its header.

    Raises:
        InputError: no such file, no wav file, or cut short.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if (promised := _promised_bytes(path)) > (there := path.stat().st_size):
            raise InputError(f"{path}: is cut short, {there} bytes of {promised}; copy it again")
        soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: is not a wav file that can be read; convert it to 16-bit wav") from error


def _promised_bytes(path: Path) -> int:
    """Return how long a wav file must be by its own header; libsndfile reads a shorter one without a word."""
    with open(path, "rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return 0
        while len(header := file.read(8)) == 8:
            size = int.from_bytes(header[4:], "little")
            if header[:4] == b"data":
                return 0 if size in _UNKNOWN_LENGTH else file.tell() + size
            file.seek(size + size % 2, os.SEEK_CUR)
    raise InputError(f"{path}: is cut short, it holds no samples; copy it again")
