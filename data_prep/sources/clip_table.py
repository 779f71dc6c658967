"""Who says what in a folder of recordings: by the names of the files, or by a table beside them.

The table, clips.csv, has a header line and then a line for each recording::

    name,subject,sentence,split,text
    anna_03,anna,03,train,"Please call Stella."

Only `name` is required; commas or semicolons separate the columns, as spreadsheets write them.
"""

import csv
import io
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.raw.safe_folder import safe_name
from otlib.data.manifest import SPLITS
from otlib.errors import InputError
from otlib.files import read_text

TABLE = "clips.csv"
_COLUMNS = ("name", "subject", "sentence", "split", "text")
_UNNAMED = "speaker"  # the subject where a name has no "_"
_HELD_OUT = 10  # one in this many sentences validates, and one tests


@dataclass(frozen=True)
class ClipRow:
    """What is known about a recording; ``split`` and ``text`` may be unknown."""

    subject: str
    sentence: str
    split: str | None = None
    text: str | None = None


def row_by_name(name: str) -> ClipRow:
    """Return what a file's name says: ``<subject>_<sentence>``, split at the last "_", or the sentence alone."""
    subject, _, sentence = name.rpartition("_")
    return ClipRow(subject, sentence) if subject and sentence else ClipRow(_UNNAMED, name)


def read_rows(path: Path, names: Collection[str], problems: list[str]) -> dict[str, ClipRow]:
    """Return what is known about each recording, from its name and from the table.

    Args:
        path: the table; it may be absent.
        names: names of the recordings.
        problems: every fault of the table is appended here, as one sentence.
    """
    rows = {name: row_by_name(name) for name in names}
    if not os.path.lexists(path):
        return rows
    try:
        text = read_text(path)
    except InputError as error:
        problems.append(str(error))
        return rows
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    try:
        columns = reader.fieldnames = [str(column).strip().lower() for column in reader.fieldnames or ()]
    except csv.Error as error:
        problems.append(f"{path}: its first line cannot be read ({error})")
        return rows
    if "name" not in columns or (odd := sorted(set(columns) - set(_COLUMNS))):
        problems.append(f"{path}: has " + ("no column name" if "name" not in columns else f"the column {odd[0]!r}")
                        + f"; its first line names some of {', '.join(_COLUMNS)}")
        return rows
    seen: set[str] = set()
    try:
        for row in reader:
            problems += _problems(path, reader.line_num, row, names, seen)
            if (name := _cell(row, "name")) in rows:
                own = {column: _cell(row, column) for column in _COLUMNS[1:]}
                rows[name] = replace(rows[name], **{column: value for column, value in own.items() if value})
            seen.add(name)
    except csv.Error as error:
        problems.append(f"{path}: line {reader.reader.line_num} cannot be read ({error})")
    if any(row.split for row in rows.values()) and (without := [name for name, row in rows.items() if not row.split]):
        problems.append(f"{path}: gives a split to some recordings and none to {', '.join(without)}")
    return rows


def _problems(path: Path, line: int, row: Mapping[str | None, object], names: Collection[str], seen: set[str]) -> list[str]:
    problems, name, split = [], _cell(row, "name"), _cell(row, "split")
    if None in row:
        problems.append("has more cells than the first line")
    if name not in names:
        problems.append(f"names the recording {name!r}, of which there is neither motion nor sound")
    if name in seen:
        problems.append(f"names the recording {name} again")
    if split and split not in SPLITS:
        problems.append(f"has the split {split!r}, the splits are {', '.join(SPLITS)}")
    if subject := _cell(row, "subject"):
        try:
            safe_name(subject, path)
        except InputError:
            problems.append(f"has the subject {subject!r}, which cannot name a file; use letters, digits, '_', '-', '.'")
    return [f"{path}: line {line} {problem}" for problem in problems]


def _cell(row: Mapping[str | None, object], column: str) -> str:
    return str(row.get(column) or "").strip()


def with_splits(rows: Mapping[str, ClipRow]) -> dict[str, ClipRow]:
    """Give each row without a split the split of its sentence, so that no sentence is in two splits.

    In the order of their names, the last tenth of the sentences tests and the tenth before it validates, at least one
    each; of two sentences one trains and one tests; a single one trains.
    """
    sentences = sorted({row.sentence for row in rows.values()})
    held_out = max(1, round(len(sentences) / _HELD_OUT))
    test = sentences[-held_out:] if len(sentences) > 1 else []
    val = sentences[-2 * held_out:-held_out] if len(sentences) > 2 else []
    by_sentence = dict.fromkeys(sentences, "train") | dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    return {name: row if row.split else replace(row, split=by_sentence[row.sentence]) for name, row in rows.items()}
