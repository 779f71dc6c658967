"""BIWI's own files: one .vl for each frame, and sounds under several names."""

import os
from pathlib import Path

import numpy as np

from data_prep.raw.safe_folder import Folder
from otlib.errors import InputError
from otlib.files import read_bytes

_HEADER = np.dtype("<u4")
_POSITION = np.dtype("<f4")


def read_vl(path: Path, vertex_count: int | None = None) -> np.ndarray:
    """Read one frame: a little-endian uint32 n, then n times three float32.

    Args:
        path: the .vl file.
        vertex_count: how many vertices it must have, if known.

    Returns:
        (V, 3) float32, in the file's unit.

    Raises:
        InputError: it cannot be read, is longer or shorter than its header says, has another number of vertices, or holds
            a value that is not finite.
    """
    content = read_bytes(path)
    if len(content) < _HEADER.itemsize:
        raise InputError(f"{path}: is cut short, {len(content)} bytes; unpack it again")
    count = int(np.frombuffer(content, _HEADER, 1)[0])
    if len(content) != _HEADER.itemsize + 3 * _POSITION.itemsize * count:
        raise InputError(f"{path}: has {len(content)} bytes where its {count} vertices take "
                         f"{_HEADER.itemsize + 3 * _POSITION.itemsize * count}, so it is cut short; unpack it again")
    if vertex_count is not None and count != vertex_count:
        raise InputError(f"{path}: has {count} vertices, the template has {vertex_count}")
    vertices = np.frombuffer(content, _POSITION, offset=_HEADER.itemsize).reshape(count, 3).astype(np.float32)
    if not np.isfinite(vertices).all():
        raise InputError(f"{path}: vertex {int((~np.isfinite(vertices)).any(1).argmax())} is not a finite position")
    return vertices


def check_sizes(files: list[Path], vertex_count: int) -> None:
    """Check frames by the sizes of their files alone.

    Raises:
        InputError: the size of a file is not that of a frame with this number of vertices.
    """
    size = _HEADER.itemsize + 3 * _POSITION.itemsize * vertex_count
    for path in files:
        if not os.path.isfile(path) or os.path.getsize(path) != size:
            read_vl(path, vertex_count)


def read_frames(files: list[Path], vertex_count: int) -> np.ndarray:
    """Read frames as (T, V, 3) float32."""
    return np.stack([read_vl(path, vertex_count) for path in files])


def sound_files(folder: Folder) -> dict[str, Path]:
    """Return the sounds by ``<subject>_<sentence>``; a file with BIWI's suffix "_cut" takes precedence.

    Raises:
        InputError: there are none in audio/ or wav/, or two have one name.
    """
    for place in ("audio", "wav"):
        if folder.holds_folder(place) and (sounds := folder.folder(place).by_stem({".wav"})):
            whole = {stem: path for stem, path in sounds.items() if not stem.endswith("_cut")}
            return whole | {stem.removesuffix("_cut"): path for stem, path in sounds.items() if stem.endswith("_cut")}
    raise InputError(f"{folder}: holds no .wav files in audio/ or wav/; put there <subject>_<sentence>.wav, which ffmpeg "
                     "extracts from videos/")
