"""What became of an input: refused in one sentence, accepted as expected, or a fault."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.case import ACCEPTED, EITHER, REFUSED, Door, Trial, Way

MOST_MEMORY = 2 * 2**30  # bytes, all in all
LONGEST_SENTENCE = 1500  # characters: a path may have hundreds
_HASHED = 64 * 2**20  # bytes; of a larger file only its size and time are looked at
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")
_WARNING = re.compile(r"^\S+:\d+: \w*Warning: ", re.M)


@dataclass(frozen=True)
class Ending:
    """How the process of an input ended.

    Attributes:
        status: the exit status; minus the signal's number where one ended it.
        seconds, memory: that it took; bytes.
        hung: whether it had to be ended.
        left: processes that it left behind.
        output, errors: what it printed.
        wrong: what the door's check says of an acceptance, "" where nothing is wrong.
    """

    status: int
    seconds: float
    memory: int
    hung: bool
    left: bool
    output: str
    errors: str
    wrong: str = ""


def listing(folder: Path) -> dict[str, Any]:
    """Return what lies in a folder, links not followed, by path: kind, rights and content."""
    paths = [Path(place, name) for place, folders, files in os.walk(folder) for name in (*folders, *files)]
    return {path.relative_to(folder).as_posix(): _entry(path) for path in paths}


def _entry(path: Path) -> Any:
    about = path.lstat()
    if stat.S_ISLNK(about.st_mode):
        return "link", os.readlink(path)
    if not stat.S_ISREG(about.st_mode):
        return "other", about.st_mode
    if about.st_size > _HASHED or not os.access(path, os.R_OK):
        return "file", about.st_mode, about.st_size, about.st_mtime_ns
    return "file", about.st_mode, hashlib.sha256(path.read_bytes()).hexdigest()


def sentences(errors: str) -> list[str]:
    """Return the lines on standard error, without what argparse says of usage first."""
    lines = errors.splitlines()
    if lines and lines[0].startswith("usage:"):
        lines = lines[1:]
        while lines and lines[0][:1].isspace():
            lines = lines[1:]
    return [line for line in lines if line.strip()]


def fault(door: Door, way: Way, trial: Trial, ending: Ending, before: dict[str, Any]) -> str | None:
    """Return what is wrong with what became of an input, None where it is as expected.

    Args:
        door, way, trial: the input.
        ending: of its process.
        before: the listing of the trial's folder before.
    """
    said = sentences(ending.errors)
    if ending.hung:
        return f"hang: {ending.seconds:.0f} s"
    if ending.status < 0:
        return f"crash: signal {-ending.status}"
    if "Traceback (most recent call last)" in ending.errors:
        return f"traceback: {said[-1]}"
    if ending.status not in (0, 2):
        return f"status: {ending.status}, {said[-1] if said else 'no word'}"
    if ending.memory > MOST_MEMORY:
        return f"memory: {ending.memory / 2**30:.1f} GB"
    if ending.left:
        return "process: one is left"
    if ending.status == 0 and way.verdict == REFUSED:
        return "silent acceptance"
    if ending.status == 2 and way.verdict == ACCEPTED:
        return f"wrong refusal: {said[-1] if said else 'no word'}"
    if ending.wrong:
        return f"result: {ending.wrong}"
    return (
        _changed(door, trial, ending, before)
        or _printed(trial, ending)
        or (_refusal(door, way, said) if ending.status == 2 else None)
    )


def _changed(door: Door, trial: Trial, ending: Ending, before: dict[str, Any]) -> str | None:
    free = ("cache", *(door.outputs if ending.status == 0 else ()))
    after = listing(trial.folder)
    was, now = (
        {path: entry for path, entry in entries.items() if path in trial.mine or not _is_in(path, free)}
        for entries in (before, after)
    )
    if gone := sorted(was.keys() - now.keys()):
        return f"input gone: {gone[0]!r}"
    if changed := sorted(path for path in was if now[path] != was[path]):
        return f"input changed: {changed[0]!r}"
    if new := sorted(now.keys() - was.keys()):
        return f"litter: {new[0]!r}"
    return None


def _is_in(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _printed(trial: Trial, ending: Ending) -> str | None:
    text = ending.output + ending.errors
    if (control := _CONTROL.search(text)) or any(name in text for name in trial.raw):
        return f"control character {control[0]!r} printed" if control else "a name's line break printed"
    return f"warning: {_WARNING.search(text)[0]}" if _WARNING.search(text) else None


def _refusal(door: Door, way: Way, said: list[str]) -> str | None:
    if not said or (len(said) > 1 and not door.many):
        return f"sentence: {len(said)} lines"
    if longest := max((line for line in said if len(line) > LONGEST_SENTENCE), key=len, default=""):
        return f"sentence: {len(longest)} characters"
    if way.words and not any(word in line for word in way.words for line in said):
        return f"sentence: none of {', '.join(way.words)} in {said[-1]!r}"
    return None


def expected(way: Way) -> str:
    """Return the expected verdict in words."""
    return {
        REFUSED: "refused, naming " + (" or ".join(way.words) or "what is wrong"),
        ACCEPTED: "accepted as it is sound",
        EITHER: "refused or accepted",
    }[way.verdict]
