"""Tables of weights as CSV: the app Live Link Face's own, and others whose first line names ARKit's shapes.

Columns are found by their names, since programs disagree on their order (the app itself writes JawRight before JawLeft, some
that write its format the reverse). A row in which the tracker has lost the face may end after its time.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.arkit.timecodes import timecode_seconds
from data_prep.arkit.weight_table import MOST_ROWS, Rows, WeightTable, checked_table, shape_columns
from otlib.errors import InputError
from otlib.files import read_text

_TIMECODE, _FRAME = "timecode", "frame"
_CLOCKS = {"time": 1.0, "seconds": 1.0, "time_s": 1.0, "timestamp_ms": 1e-3, "time_ms": 1e-3, "milliseconds": 1e-3}


@dataclass(frozen=True)
class Rates:
    """What a person says of times: frames that timecodes count a second, and rows a second where nothing tells times."""

    timecode: float | None = None
    rows: float | None = None


def read_csv_table(path: Path, rates: Rates = Rates()) -> WeightTable:
    """Read a CSV with commas or semicolons.

    Args:
        path: the file. Its times are in a column Timecode; time, seconds or time_s (seconds); timestamp_ms, time_ms or
            milliseconds; or frame, a number that counts at ``rates.rows``; without any of these all rows follow each other
            at that rate.
        rates: of timecodes and rows.

    Raises:
        InputError: it cannot be read, is no CSV, has no times and no rate, or :mod:`data_prep.arkit.weight_table` refuses
            names, times or weights.
    """
    lines, cells = _read_cells(path)
    header, lines, cells = cells[0], lines[1:], cells[1:]
    folded = [name.strip().casefold() for name in header]
    clocks = [name for name in folded if name in (_TIMECODE, _FRAME, *_CLOCKS)]
    clock = next((name for name in clocks if name != _FRAME), _FRAME if clocks else None)
    no_shapes = ("", _TIMECODE, _FRAME, *_CLOCKS)  # "" where a line ends with a comma
    columns = shape_columns(path, [name for name in header if name.strip().casefold() not in no_shapes])
    columns = {name: folded.index(name.casefold()) for name in columns}
    if twice := [name for name in clocks if clocks.count(name) > 1]:
        raise InputError(f"{path}: names {twice[0]} twice; keep one of the two")
    if not cells:
        raise InputError(f"{path}: holds no frame with weights; record it again")
    at = [f"{path}: line {line}" for line in lines]
    weights = [_weights(row, columns, where, len(header)) for row, where in zip(cells, at, strict=True)]
    times, supposed = _times(path, clock, None if clock is None else [_cell(row, folded.index(clock)) for row in cells],
                             at, rates)
    return checked_table(path, list(columns), Rows("line", lines, times, weights), supposed)


def _read_cells(path: Path) -> tuple[list[int], list[list[str]]]:
    """Return the lines that are not blank, by their numbers, as cells; at least the header."""
    text = read_text(path)
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",",
                        strict=True)
    lines, cells = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                lines.append(reader.line_num)
                cells.append(row)
            if len(cells) > MOST_ROWS + 1:
                raise InputError(f"{path}: holds more than {MOST_ROWS:,} frames; cut it into takes")
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} cannot be read as CSV ({error})") from error
    if not cells:
        raise InputError(f"{path}: is empty; record it again")
    return lines, cells


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _weights(row: Sequence[str], columns: dict[str, int], at: str, width: int) -> list[float] | None:
    """Return the values of a row in the columns' order; None if it has none, since the tracker had lost the face."""
    if len(row) > width:
        raise InputError(f"{at} has {len(row)} cells, the first line names {width}")
    texts = [_cell(row, place) for place in columns.values()]
    if not any(texts):
        return None
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        (name, text), *_ = [(name, text) for name, text in zip(columns, texts, strict=True) if not _is_number(text)]
        what = f"{text[:40]!r}, which is no number" if text else "missing"
        raise InputError(f"{at}: {name} is {what}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _times(path: Path, clock: str | None, texts: Sequence[str] | None, at: Sequence[str],
           rates: Rates) -> tuple[np.ndarray, str]:
    """Return the times of the rows, seconds, and what was supposed of them."""
    if clock == _TIMECODE:
        return timecode_seconds(texts, rates.timecode, at)
    if clock in (None, _FRAME) and rates.rows is None:
        raise InputError(f"{path}: has no times (a column Timecode, time in seconds, or timestamp_ms); say with --row-rate "
                         "how many rows a second has")
    if clock is None:
        return np.arange(len(at)) / rates.rows, ""
    if bad := [row for row, text in enumerate(texts) if not _is_number(text)]:
        raise InputError(f"{at[bad[0]]}: {clock} is {texts[bad[0]][:40]!r}, which is no number")
    return np.array([float(text) for text in texts]) * (1 / rates.rows if clock == _FRAME else _CLOCKS[clock]), ""
