"""A table of weights of ARKit's shapes over time: columns by name, values and times checked once for every kind of file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from otlib.errors import InputError
from otlib.export.arkit import ARKIT_NAMES
from otlib.export.live_link import LIVE_LINK_COLUMNS

MOST_ROWS, MOST_SECONDS = 72_000, 600  # ten minutes at 120 rows a second: a take is a sentence or a few (our choice)
BEYOND = 0.25  # of a weight below 0 or above 1 that is cut off: trackers that are calibrated to a face give such values,
# and Live Link Face has been seen to give -0.2 (github.com/JimWest/PyLiveLinkFace/issues/6); the bound is our choice

BY_NAME = {name.casefold(): name for name in ARKIT_NAMES}
_PASSED = {name.casefold() for name in LIVE_LINK_COLUMNS} - BY_NAME.keys() | {"_neutral"}  # turns of head and eyes; no shape


@dataclass(frozen=True, eq=False)
class WeightTable:
    """Weights over time.

    Attributes:
        path: the file.
        names: (K,) ARKit's names.
        times: (N,) seconds after the file's first row, rising.
        weights: (N, K), 0 to 1; rows in which the tracker had lost the face are left out.
        seconds: time of the file's last row, whether it has a face or not.
        cut: by how much a weight was below 0 or above 1 at most.
        supposed: what was supposed of the times, "" for nothing.
    """

    path: Path
    names: tuple[str, ...]
    times: np.ndarray
    weights: np.ndarray
    seconds: float
    cut: float
    supposed: str = ""


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a file as they stand there.

    Attributes:
        word: what a row is called, "line" or "frame".
        numbers: (N,) of the rows.
        times: (N,) seconds.
        weights: N rows of K values; None where the tracker had lost the face.
    """

    word: str
    numbers: Sequence[int]
    times: Sequence[float] | np.ndarray
    weights: Sequence[Sequence[float] | None]


def shape_columns(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Return ARKit's names of the columns that hold shapes, each with its place; upper and lower case count as the same.

    Turns of head and eyes, the count of shapes and MediaPipe's ``_neutral`` are passed over.

    Raises:
        InputError: a name is unknown or comes twice, none is ARKit's, or jawOpen is missing.
    """
    folded = [name.strip().casefold() for name in names]
    found = {BY_NAME[name]: place for place, name in enumerate(folded) if name in BY_NAME}
    if not found:
        raise InputError(f"{path}: names none of ARKit's 52 shapes, such as jawOpen, so it is no table of their weights")
    if twice := [name for place, name in enumerate(folded) if name in folded[:place]]:
        raise InputError(f"{path}: names {BY_NAME.get(twice[0], twice[0])} twice; keep one of the two")
    if odd := [name for name, plain in zip(names, folded, strict=True) if plain not in BY_NAME and plain not in _PASSED]:
        raise InputError(f"{path}: names {odd[0]!r}, which is none of ARKit's 52 shapes; correct it or take it away")
    if "jawOpen" not in found:
        raise InputError(f"{path}: has no jawOpen, without which no mouth opens; export all shapes")
    return found


def checked_table(path: Path, names: Sequence[str], rows: Rows, supposed: str = "") -> WeightTable:
    """Return a table after a check of its times and weights.

    Args:
        path: the file, for messages.
        names: (K,) ARKit's names of the values.
        rows: what the file holds.
        supposed: as in :class:`WeightTable`.

    Raises:
        InputError: no row with a face, too many or over too long a time, times that do not rise, or a weight that is not
            a finite number or further than :data:`BEYOND` outside 0 to 1.
    """
    seen = [number for number, weights in enumerate(rows.weights) if weights is not None]
    if not seen:
        raise InputError(f"{path}: holds no frame with weights; record it again")
    if len(rows.weights) > MOST_ROWS:
        raise InputError(f"{path}: holds {len(rows.weights):,} frames, at most {MOST_ROWS:,} are read; cut it into takes")
    times = np.array(rows.times, float)

    def at(row: int) -> str:
        return f"{path}: {rows.word} {rows.numbers[row]}"

    if not np.isfinite(times).all():
        raise InputError(f"{at(int((~np.isfinite(times)).argmax()))} has a time that is not a finite number")
    if (late := np.diff(times) <= 0).any():
        raise InputError(f"{at(int(late.argmax()) + 1)} is not later than the {rows.word} before it; put them in the order "
                         "of time")
    times = times - times[0]
    if times[-1] > MOST_SECONDS:
        raise InputError(f"{path}: lasts {times[-1]:.6g} s, at most {MOST_SECONDS} s are read; cut it into takes")
    weights = np.array([rows.weights[row] for row in seen], float)  # (N, K)
    _check_weights(weights, names, lambda row: at(seen[row]))
    cut = float(max(weights.max() - 1, -weights.min(), 0))
    return WeightTable(path, tuple(names), times[seen], np.clip(weights, 0, 1), float(times[-1]), cut, supposed)


def _check_weights(weights: np.ndarray, names: Sequence[str], at: Callable[[int], str]) -> None:
    fine = np.isfinite(weights)
    if not fine.all():
        row, column = np.unravel_index(int((~fine).argmax()), weights.shape)
        raise InputError(f"{at(int(row))}: {names[column]} is not a finite number")
    within = (weights >= -BEYOND) & (weights <= 1 + BEYOND)
    if not within.all():
        row, column = np.unravel_index(int((~within).argmax()), weights.shape)
        raise InputError(f"{at(int(row))}: {names[column]} is {weights[row, column]:g}, but weights go from 0 to 1; divide "
                         "per cents by 100")
