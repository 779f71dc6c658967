"""Who says what in a folder of recordings: by the names of the files, or by a table that lies beside them.

The table, clips.csv, has a line of names of columns and then a line for each recording::

    name,subject,sentence,split,text
    anna_03,anna,03,train,"Please call Stella."

`name` is needed, the others are not; commas or semicolons part them, as a spreadsheet writes them.
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
_NOBODY = "speaker"  # who speaks where a name has no "_"
_HELD_OUT = 10  # of so many sentences one validates and one tests


@dataclass(frozen=True)
class ClipRow:
    """What is known of a recording; ``split`` and ``text`` may not be."""

    subject: str
    sentence: str
    split: str | None = None
    text: str | None = None


def row_by_name(name: str) -> ClipRow:
    """Return what a file's name says: ``<subject>_<sentence>``, parted at its last "_", or the sentence alone."""
    subject, _, sentence = name.rpartition("_")
    return ClipRow(subject, sentence) if subject and sentence else ClipRow(_NOBODY, name)


def read_rows(path: Path, names: Collection[str], problems: list[str]) -> dict[str, ClipRow]:
    """Return what is known of each recording, from the table where there is one.

    Args:
        path: the table; it may be absent.
        names: of the recordings.
        problems: everything that is wrong with the table is added here, one sentence each.
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
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
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
        problems.append(f"{path}: line {reader.line_num} cannot be read ({error})")
    if any(row.split for row in rows.values()) and (without := [name for name, row in rows.items() if not row.split]):
        problems.append(f"{path}: gives a split to some recordings and none to {', '.join(without)}")
    return rows


def _problems(path: Path, line: int, row: Mapping[str | None, object], names: Collection[str], seen: set[str]) -> list[str]:
    found, name, split = [], _cell(row, "name"), _cell(row, "split")
    if None in row:
        found.append("has more cells than the first line")
    if name not in names:
        found.append(f"names the recording {name!r}, of which there is neither motion nor sound")
    if name in seen:
        found.append(f"names the recording {name} again")
    if split and split not in SPLITS:
        found.append(f"has the split {split!r}, the splits are {', '.join(SPLITS)}")
    if subject := _cell(row, "subject"):
        try:
            safe_name(subject, path)
        except InputError:
            found.append(f"has the subject {subject!r}, which cannot name a file; use letters, digits, '_', '-', '.'")
    return [f"{path}: line {line} {problem}" for problem in found]


def _cell(row: Mapping[str | None, object], column: str) -> str:
    return str(row.get(column) or "").strip()


def with_splits(rows: Mapping[str, ClipRow]) -> dict[str, ClipRow]:
    """Give rows without a split one by their sentence, so that no sentence is in two.

    The last tenth of the sentences, in the order of their names, tests and the tenth before it validates, at least one
    each; two sentences train and test, one trains.
    """
    sentences = sorted({row.sentence for row in rows.values()})
    held_out = max(1, round(len(sentences) / _HELD_OUT))
    test = sentences[-held_out:] if len(sentences) > 1 else []
    val = sentences[-2 * held_out:-held_out] if len(sentences) > 2 else []
    by_sentence = dict.fromkeys(sentences, "train") | dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    return {name: row if row.split else replace(row, split=by_sentence[row.sentence]) for name, row in rows.items()}
