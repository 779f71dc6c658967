"""The manifest of a data set: read, walked through, and checked against its format.

The format is described in :mod:`otlib.data.dataset`; :mod:`otlib.data.check` checks the content of the other files.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from otlib.errors import InputError
from otlib.files import read_json
from otlib.settings import FRAME_RATES

FORMAT, VERSION, MANIFEST = "otlib-dataset", 2, "manifest.json"
OLDEST = 1  # oldest version that is read: it kept the parts among the regions, under "face_parts"
SPLITS = ("train", "val", "test")

_REQUIRED = {"id": str, "subject": str, "sentence": str, "split": str, "frames": int, "vertices": str, "audio": str}
_OPTIONAL = {"phonemes": str, "mean_style": str, "text": str}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the data set in ``folder``, its content unchecked.

    Raises:
        InputError: there is no such folder, no manifest (a preparation that was interrupted) or another format.
    """
    path = folder / MANIFEST
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such data set folder; `python -m data_prep` makes one")
    try:
        manifest = read_json(path)
    except InputError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise InputError(f"{folder}: holds no {MANIFEST}, so it is not a data set or its preparation was interrupted; "
                             "prepare it again") from error
        raise
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path}: is not the manifest of an {FORMAT}; choose another folder")
    if type(manifest.get("version")) is not int or not OLDEST <= manifest["version"] <= VERSION:
        raise InputError(f"{path}: has format version {manifest.get('version')!r}, and this otlib reads {OLDEST} to "
                         f"{VERSION}; prepare the data set again, or use a newer otlib")
    return manifest


def manifest_faults(manifest: dict[str, Any]) -> Iterator[str]:
    """Yield everything in the manifest that the format does not allow, one sentence each."""
    if not is_frame_rate(manifest.get("frame_rate")):
        yield f"the frame rate is {manifest.get('frame_rate')!r}, not a number {FRAME_RATES}"
    if manifest.get("units") != "m":
        yield f"the units are {manifest.get('units')!r}, not 'm'"
    for name in ("subjects", "files", "provenance"):
        if not isinstance(manifest.get(name), dict):
            yield f"the manifest's {name} is missing or not an object"
    for name in ("name", *topology_files(manifest)):
        if not isinstance(manifest.get(name), str):
            yield f"the manifest's {name} is missing or not text"
    known = {subject for subject, _ in subjects(manifest)}
    if isinstance(manifest.get("subjects"), dict):
        yield from (f"the subject {subject} names no template" for subject in manifest["subjects"].keys() - known)
    entries = manifest.get("sequences")
    if not isinstance(entries, list) or not entries:
        yield "the manifest lists no sequences"
        return
    seen: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        if fault := _sequence_fault(entry):
            yield f"the manifest's sequence number {number} {fault}"
            continue
        if entry["id"] in seen:
            yield f"two sequences have the id {entry['id']}"
        seen.add(entry["id"])
        if entry["split"] not in SPLITS:
            yield f"{entry['id']}: the split {entry['split']!r} is unknown, the splits are {', '.join(SPLITS)}"
        if entry["subject"] not in known:
            yield f"{entry['id']}: the subject {entry['subject']} is unknown"


def _sequence_fault(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return "is not an object"
    for field, kind in _REQUIRED.items():
        if type(entry.get(field)) is not kind:  # not isinstance: True is an int
            return f"has no {field}, or one that is not {'text' if kind is str else 'a whole number'}"
    for field, kind in _OPTIONAL.items():
        if entry.get(field) is not None and type(entry[field]) is not kind:
            return f"has a {field} that is neither text nor null"
    return None if entry["frames"] > 0 else f"has {entry['frames']} frames"


def topology_files(manifest: dict[str, Any]) -> tuple[str, ...]:
    """Return the manifest's names of the files of the topology."""
    return ("faces", "regions") if manifest["version"] == OLDEST else ("faces", "regions", "parts")


def subjects(manifest: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and entry of every subject whose entry is well formed."""
    entries = manifest.get("subjects")
    for subject, entry in entries.items() if isinstance(entries, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("template"), str):
            yield subject, entry


def sequences(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the entry of every sequence whose entry is well formed."""
    entries = manifest.get("sequences")
    yield from (entry for entry in (entries if isinstance(entries, list) else ()) if _sequence_fault(entry) is None)


def referenced_files(manifest: dict[str, Any]) -> list[str]:
    """Return every relative path that the manifest uses or lists, each once."""
    paths = [manifest[name] for name in topology_files(manifest) if isinstance(manifest.get(name), str)]
    paths += [entry["template"] for _, entry in subjects(manifest)]
    for entry in sequences(manifest):
        paths += [entry[name] for name in ("vertices", "audio", "phonemes", "mean_style") if entry.get(name) is not None]
    files = manifest.get("files")
    return list(dict.fromkeys(paths + list(files if isinstance(files, dict) else ())))


def stays_inside(folder: Path, relative: str) -> bool:
    """Return whether a path of the manifest stays in the folder, symbolic links followed."""
    path = PurePosixPath(relative)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in relative or "\0" in relative:
        return False
    return Path(os.path.realpath(folder / relative)).is_relative_to(os.path.realpath(folder))


def array_files(manifest: dict[str, Any]) -> list[str]:
    """Return every relative path that the manifest uses as an array."""
    paths = [manifest["faces"]] if isinstance(manifest.get("faces"), str) else []
    return paths + number_files(manifest)


def number_files(manifest: dict[str, Any]) -> list[str]:
    """Return every relative path that the manifest uses as an array of positions, each once."""
    paths = [entry["template"] for _, entry in subjects(manifest)]
    for entry in sequences(manifest):
        paths += [entry[name] for name in ("vertices", "mean_style") if entry.get(name) is not None]
    return list(dict.fromkeys(paths))


def is_frame_rate(value: Any) -> bool:
    """Return whether a value read from JSON is an allowed number of frames a second."""
    return type(value) in (int, float) and value in FRAME_RATES
