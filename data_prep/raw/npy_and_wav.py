"""Motion and sound files from users: read whole, or refused in one sentence."""

import os
from pathlib import Path

import numpy as np
import soundfile

from otlib.data.check import FARTHEST, is_within_reach
from otlib.errors import InputError
from otlib.files import map_array, opened
from otlib.settings import SOUND_RATES
from otlib.speech.recording import read_recording

_UNKNOWN_LENGTH = (0, 0xFFFFFFFF)  # what a program that writes wav into a pipe leaves in the header


def map_motion(path: Path, vertex_count: int) -> np.ndarray:
    """Map a motion read-only as (T, V, 3) in its own number type; values are not checked.

    Args:
        path: a .npy of (T, 3V), rows x0 y0 z0 x1 ..., or of (T, V, 3).
        vertex_count: V.

    Raises:
        InputError: it cannot be read, holds no floating-point numbers, or another number of vertices.
    """
    array = map_array(path)
    if array.dtype.kind != "f":
        raise InputError(f"{path}: holds numbers of the type {array.dtype}, expected floating-point numbers")
    if not array.ndim or not len(array) or array.shape[1:] not in ((3 * vertex_count,), (vertex_count, 3)):
        raise InputError(f"{path}: has shape {array.shape}, expected (T, {3 * vertex_count}) for {vertex_count} vertices")
    return array.reshape(len(array), vertex_count, 3)


def check_finite(frames: np.ndarray, source: Path | str) -> np.ndarray:
    """Return the frames (T, V, 3), in metres.

    Raises:
        InputError: a frame holds a value that is not finite, or too large for the format.
    """
    fine = is_within_reach(frames).all((1, 2))
    if not fine.all():
        raise InputError(f"{source}: frame {int((~fine).argmax())} holds a value that is not finite, or beyond {FARTHEST:g} "
                         "m; leave the clip out")
    return frames


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """Read a wav file as (S,) int16 and its rate in Hz; 16-bit mono stays unchanged.

    Otherwise as :func:`otlib.speech.recording.read_recording`: one of several channels, peaks above 1 scaled down.

    Raises:
        InputError: no such file, no wav file, cut short, no samples, or a sample that is not finite.
    """
    check_sound(path)
    return read_any_sound(path)


def read_any_sound(path: Path) -> tuple[np.ndarray, int]:
    """Read a sound or film of any format as :func:`read_sound` reads a wav file.

    Raises:
        InputError: a wav file that is cut short, or what :func:`otlib.speech.recording.read_recording` refuses.
    """
    if path.is_file():
        _check_whole(path)
    recording = read_recording(path, frame_rate=None)
    samples = np.clip(np.rint(recording.samples * np.float32(2**15)), -(2**15), 2**15 - 1)
    return samples.astype(np.int16), recording.sample_rate


def check_sound(path: Path) -> None:
    """Check a wav file by its header.

    Raises:
        InputError: no such file, no wav file, cut short, or of an impossible rate.
    """
    try:
        _check_whole(path)
        with opened(path) as file:  # given a name, libsndfile opens only UTF-8
            rate = soundfile.info(file).samplerate
        if rate not in SOUND_RATES:
            raise InputError(f"{path}: has {rate} samples a second, which must be {SOUND_RATES}; export it again")
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: is not a wav file that can be read; convert it to 16-bit wav") from error


def _check_whole(path: Path) -> None:
    """Refuse a wav file that is shorter than its header promises, which libsndfile reads without complaint."""
    if (promised := _promised_bytes(path)) > (there := path.stat().st_size):
        raise InputError(f"{path}: is cut short, {there} bytes of {promised}; copy it again")


def _promised_bytes(path: Path) -> int:
    """Return the length in bytes that a wav file's header promises, 0 for what is no wav file."""
    with opened(path) as file:
        beginning = file.read(12)
        if beginning[:4] != b"RIFF" or beginning[8:] not in (b"WAVE", b""):
            return 0
        while len(header := file.read(8)) == 8:
            size = int.from_bytes(header[4:], "little")
            if header[:4] == b"data":
                return 0 if size in _UNKNOWN_LENGTH else file.tell() + size
            file.seek(size + size % 2, os.SEEK_CUR)
    raise InputError(f"{path}: is cut short, it holds no samples; copy it again")
