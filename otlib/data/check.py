"""Faults of a data set folder; nothing in it is changed.

The folder is described in :mod:`otlib.data.dataset`. Nothing here unpickles, and no path is followed out of the folder.
"""

import os
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from otlib.data.manifest import (
    MANIFEST,
    OLDEST,
    array_files,
    is_frame_rate,
    manifest_faults,
    number_files,
    read_manifest,
    referenced_files,
    sequences,
    stays_inside,
    subjects,
    topology_files,
)
from otlib.errors import InputError
from otlib.files import map_array, opened, read_json, sha256
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.settings import SOUND_RATES
from otlib.topology import Topology

REQUIRED_REGIONS = ("lips", "upper_face", "lip_gap")  # what the metrics read; other regions are free

# Recordings and captures are cut by hand, so sound and motion may differ by this much; a wrong frame rate is far outside.
AUDIO_TOLERANCE_FRAMES = 3

FARTHEST = 10_000.0  # metres from the origin: beyond it float32 no longer resolves a millimetre
_CHUNK_FRAMES = 256  # so that the finiteness check of a long sequence needs little memory


def validate(path: Path | str, *, checksums: bool = True) -> list[str]:
    """Return all faults of a data set, one sentence each; an empty list means that it is sound.

    Args:
        path: the data set's folder.
        checksums: also compare the SHA-256 of every file, which reads everything once more.
    """
    folder = Path(path)
    try:
        manifest = read_manifest(folder)
    except InputError as error:
        return [str(error)]
    faults = [*quick_faults(folder, manifest), *_content_faults(folder, manifest)]
    return [*faults, *_checksum_faults(folder, manifest)] if checksums else faults


def quick_faults(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Return the faults that the manifest, the sizes and the headers of the files show."""
    faults = [*manifest_faults(manifest), *_file_faults(folder, manifest)]
    vertex_count = _vertex_count(folder, manifest)
    faults += _topology_faults(folder, manifest, vertex_count)
    for _, entry in subjects(manifest):
        faults += _array_faults(folder, entry["template"], (vertex_count, 3))
    for entry in sequences(manifest):
        for name in ("vertices", "mean_style"):
            if entry.get(name) is not None:
                faults += _array_faults(folder, entry[name], (entry["frames"], vertex_count, 3))
        faults += _audio_faults(folder, entry, manifest.get("frame_rate"))
    return faults


def _vertex_count(folder: Path, manifest: dict[str, Any]) -> int | None:
    """Return the number of vertices that most arrays have, so that the fault of one is not told of all others."""
    arrays = [_load(folder, entry["template"]) for _, entry in subjects(manifest)]
    arrays += [_load(folder, entry["vertices"]) for entry in sequences(manifest)]
    counts = [array.shape[-2] for array in arrays if array is not None and array.ndim > 1]
    return statistics.mode(counts) if counts else None


def _readable(folder: Path, relative: Any) -> bool:
    """Return whether a path names a file of the folder; if it does not, _file_faults has reported it."""
    return isinstance(relative, str) and stays_inside(folder, relative) and os.path.isfile(folder / relative)


def _load(folder: Path, relative: Any) -> np.ndarray | None:
    """Map an array, or return None if that is impossible."""
    if not _readable(folder, relative):
        return None
    try:
        return map_array(folder / relative)
    except InputError:  # _file_faults has reported it
        return None


def _file_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    files = manifest.get("files") if isinstance(manifest.get("files"), dict) else {}
    arrays = array_files(manifest)
    for relative in referenced_files(manifest):
        listed = files.get(relative)
        if not stays_inside(folder, relative):
            yield f"{MANIFEST}: names {relative!r}, which does not lie in the data set's folder"
            continue
        try:
            with opened(folder / relative):
                if relative in arrays:
                    map_array(folder / relative)
        except InputError as error:
            yield _within(folder, error)
            continue
        if not isinstance(listed, dict):
            yield f"{relative}: the manifest has no checksum for it"
        elif (size := os.path.getsize(folder / relative)) != listed.get("bytes"):
            yield f"{relative}: has {size} bytes where the manifest says {listed.get('bytes')}"


def _within(folder: Path, error: InputError) -> str:
    """Return an error's message with the file's path relative to the folder."""
    return str(error).removeprefix(f"{folder}{os.sep}")


def _array_faults(folder: Path, relative: str, shape: tuple[int | None, ...], dtype: type = np.float32) -> Iterator[str]:
    """Check dtype and shape by the header alone; None in ``shape`` matches anything."""
    array = _load(folder, relative)
    if array is None:
        return
    if array.dtype != dtype:
        yield f"{relative}: has dtype {array.dtype}, expected {np.dtype(dtype)}"
    if array.ndim != len(shape) or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True)):
        expected = ", ".join("*" if size is None else str(size) for size in shape)
        yield f"{relative}: has shape {array.shape}, expected ({expected})"


def _topology_faults(folder: Path, manifest: dict[str, Any], vertex_count: int | None) -> Iterator[str]:
    relative = manifest.get("faces")
    faces = _load(folder, relative)
    if faces is None:
        return
    if faults := list(_array_faults(folder, relative, (None, 3), np.int32)):
        yield from faults
        return
    lists: dict[str, dict[str, Any]] = {}
    try:
        Topology(faces, vertex_count=vertex_count)
        for name in ("regions", "parts"):
            relative = manifest.get(_file_of(name, manifest))
            if not _readable(folder, relative):
                return
            lists[name] = named_lists(folder, manifest, name)
            Topology(faces, vertex_count=vertex_count, **lists)
    except InputError as error:
        yield _within(folder, error)
    except ValueError as error:
        yield f"{relative}: {error}"
    else:
        yield from (f"{manifest['regions']}: the region {name} is missing" for name in REQUIRED_REGIONS
                    if name not in lists["regions"])


def named_lists(folder: Path, manifest: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the "regions" or the "parts" of a data set, their indices unchecked.

    Raises:
        InputError: the file cannot be read.
        ValueError: it holds no object.
    """
    lists = read_json(folder / manifest[_file_of(name, manifest)])
    if isinstance(lists, dict) and manifest["version"] == OLDEST:
        parts = lists.pop("face_parts", {})
        lists = parts if name == "parts" else lists
    if not isinstance(lists, dict):
        raise ValueError(f"the {name} are not an object of named lists")
    return lists


def _file_of(name: str, manifest: dict[str, Any]) -> str:
    """Return the manifest's name of the file that has the regions or the parts."""
    return name if name in topology_files(manifest) else "regions"


def _audio_faults(folder: Path, entry: dict[str, Any], frame_rate: Any) -> Iterator[str]:
    relative = entry["audio"]
    if not _readable(folder, relative):
        return
    try:
        with opened(folder / relative) as file:
            info = soundfile.info(file)
    except InputError:  # _file_faults has reported it
        return
    except soundfile.LibsndfileError as error:
        yield f"{relative}: cannot be read as audio ({error.error_string})"
        return
    if (info.format, info.subtype, info.channels) != ("WAV", "PCM_16", 1):
        yield f"{relative}: is {info.format} {info.subtype} with {info.channels} channels, expected mono 16-bit WAV"
    if info.samplerate not in SOUND_RATES:
        yield f"{relative}: has {info.samplerate} samples a second, which must be {SOUND_RATES}"
    elif is_frame_rate(frame_rate):
        if abs(info.duration * frame_rate - entry["frames"]) > AUDIO_TOLERANCE_FRAMES:
            yield (f"{relative}: lasts {info.duration:.3f} s, but {entry['id']} has {entry['frames'] / frame_rate:.3f} s "
                   "of motion")
        elif info.duration * frame_rate < 1:
            yield f"{relative}: lasts {info.duration:.3f} s, which is less than a frame"


def _content_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield the faults that show only when every number is read."""
    for entry in sequences(manifest):
        if _readable(folder, entry.get("phonemes")):
            yield from _phoneme_faults(folder, entry, manifest.get("frame_rate"))
    for relative in number_files(manifest):
        array = _load(folder, relative)
        if array is not None and array.dtype.kind == "f":
            chunks = (array[start:start + _CHUNK_FRAMES] for start in range(0, len(array), _CHUNK_FRAMES))
            if not all(is_within_reach(chunk).all() for chunk in chunks):
                yield f"{relative}: holds a value that is not finite, or beyond {FARTHEST:g} m"


def is_within_reach(positions: np.ndarray) -> np.ndarray:
    """Return for each coordinate, in metres, of an array of any shape whether it is finite and resolved by float32."""
    return np.abs(positions) <= FARTHEST


def _phoneme_faults(folder: Path, entry: dict[str, Any], frame_rate: Any) -> Iterator[str]:
    try:
        spans = read_phonemes(folder / entry["phonemes"])
    except InputError as error:
        yield _within(folder, error)
        return
    last = max(span.end for span in spans)
    if is_frame_rate(frame_rate) and last > (entry["frames"] + AUDIO_TOLERANCE_FRAMES) / frame_rate:
        yield f"{entry['phonemes']}: a phoneme ends at {last:g} s, after the motion of {entry['id']}"


def read_phonemes(path: Path) -> tuple[Phoneme, ...]:
    """Read the phonemes of a sequence.

    Raises:
        InputError: the file cannot be read, or is not a list of phonemes, at least one, in the order of time.
    """
    spans = read_json(path)
    if not isinstance(spans, list) or not spans or not all(_is_span(span) for span in spans):
        raise InputError(f"{path}: is not a list of at least one object with phoneme, start and end, 0 <= start < end")
    if any(earlier["start"] > later["start"] for earlier, later in pairwise(spans)):
        raise InputError(f"{path}: the phonemes are not in the order of time")
    return tuple(Phoneme(span["phoneme"], float(span["start"]), float(span["end"])) for span in spans)


def _is_span(span: Any) -> bool:
    return (isinstance(span, dict) and isinstance(span.get("phoneme"), str)
            and all(type(span.get(name)) in (int, float) for name in ("start", "end")) and 0 <= span["start"] < span["end"])


def _checksum_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    files = manifest.get("files")
    for relative, listed in files.items() if isinstance(files, dict) else ():
        if _readable(folder, relative) and isinstance(listed, dict) and sha256(folder / relative) != listed.get("sha256"):
            yield f"{relative}: its SHA-256 is not the manifest's, so the file was changed or damaged"
