"""Look through a folder of tables and sounds: what belongs together, and everything that does not; no table is read.

Takes lie in the folder itself, named SUBJECT_SENTENCE as everywhere, or in a folder of their speaker's name, and there also
one deeper, as the app Live Link Face leaves them: a folder a take, with <slate>_<take>_<subject>.csv, the film of the same
name, and lists of its own. Of a take that the app has calibrated, the table that ends in _cal is the one.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_prep.raw.safe_folder import Folder
from data_prep.sources.clip_table import TABLE, ClipRow, read_rows, with_splits
from otlib.errors import InputError

TABLES = (".csv", ".json")
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".caf", ".w64", ".au", ".wma",
          ".mov", ".mp4", ".m4v", ".mkv", ".webm", ".avi")
_OF_THE_APP = ("frame_log.csv", "take.json", "audio_metadata.json", "video_metadata.json")  # what is no table of weights
_CALIBRATED, _UNUSED = "_cal", ("_raw", "_neutral")


@dataclass(frozen=True)
class Take:
    """A recording: its name, who says what in which split, the table of weights and the sound."""

    name: str
    row: ClipRow
    table: Path
    sound: Path


@dataclass(eq=False)
class Takes:
    """The contents of a folder.

    Attributes:
        takes: with a table and a sound, sorted by name.
        problems: the faults of the folder, one sentence each.
        incomplete: names of the other takes, each with its fault.
    """

    takes: list[Take] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    incomplete: dict[str, str] = field(default_factory=dict)


def look_through(path: Path) -> Takes:
    """Find the takes in a folder.

    Raises:
        InputError: there is no such folder, or it cannot be listed.
    """
    result, found, taken = Takes(), {}, set()
    for speaker, folder in _places(Folder(path), result.problems):
        if speaker and os.path.lexists(folder.path / TABLE):
            result.problems.append(f"{folder.path / TABLE}: is not read there; put its lines into {path / TABLE}")
        tables = _chosen(_by_name(folder, TABLES, result.problems))
        sounds = _by_name(folder, SOUNDS, result.problems)
        for folded in sorted(tables.keys() | sounds.keys()):
            (stem, table), (sound_stem, sound) = tables.get(folded, ("", None)), sounds.get(folded, ("", None))
            stem = stem or sound_stem
            name = f"{speaker}_{stem.replace('_', '-')}" if speaker else stem
            if name.casefold() in taken:
                result.problems.append(f"{table or sound}: would be called {name}, as another take is; rename it")
            else:
                found[name] = table, sound
                taken.add(name.casefold())
    rows = read_rows(path / TABLE, list(found), result.problems)
    if not found and not result.problems:
        result.problems.append(f"{path}: holds no takes; for each put NAME.csv or NAME.json there, and NAME.wav")
    for name, (table, sound) in sorted(found.items()):
        if table is None:
            result.incomplete[name] = f"{sound}: has no table of weights beside it, {sound.stem}.csv or .json"
        elif sound is None:
            result.incomplete[name] = (f"{table}: has no sound beside it; put {table.stem}.wav there, or another sound or "
                                       "film of that name")
        else:
            result.takes.append(Take(name, rows[name], table, sound))
    split = with_splits({take.name: take.row for take in result.takes})
    result.takes = [replace(take, row=split[take.name]) for take in result.takes]
    return result


def _places(folder: Folder, problems: list[str]) -> Iterator[tuple[str, Folder]]:
    """Yield the folders that may hold takes, each with its speaker, "" for the outermost."""
    yield "", folder
    for speaker, inner in _folders(folder, problems):
        yield speaker, inner
        for _, take in _folders(inner, problems):
            yield speaker, take


def _folders(folder: Folder, problems: list[str]) -> Iterator[tuple[str, Folder]]:
    for name, path in folder.named(path for path in folder.entries() if os.path.isdir(path)):
        if isinstance(path, InputError):
            problems.append(str(path))
        else:
            yield name, folder.folder(path.relative_to(folder.path))


def _by_name(folder: Folder, suffixes: Collection[str], problems: list[str]) -> dict[str, tuple[str, Path]]:
    """Return the files with one of the suffixes by their case-folded names, each with its name."""
    entries = [path for path in folder.entries() if path.suffix.lower() in suffixes and not os.path.isdir(path)
               and path.name.lower() not in (TABLE, *_OF_THE_APP)]
    found = {}
    for name, path in folder.named(entries):
        if isinstance(path, InputError):
            problems.append(str(path))
        else:
            found[name.casefold()] = name, path
    return found


def _chosen(tables: dict[str, tuple[str, Path]]) -> dict[str, tuple[str, Path]]:
    """Return the tables that count: of a calibrated take the calibrated one, under the take's name."""
    takes = [folded.removesuffix(_CALIBRATED) for folded in tables if folded.endswith(_CALIBRATED)]
    passed = {take + ending for take in takes for ending in ("", *_UNUSED)}
    kept = {folded: entry for folded, entry in tables.items() if folded not in passed}
    return {folded.removesuffix(_CALIBRATED) if folded.endswith(_CALIBRATED) else folded:
            (name[:-len(_CALIBRATED)] if folded.endswith(_CALIBRATED) else name, path)
            for folded, (name, path) in kept.items()}
