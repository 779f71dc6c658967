"""Weights at the frames of a data set, in step with the sound."""

from dataclasses import dataclass

import numpy as np

from data_prep.arkit.weight_table import WeightTable
from otlib.errors import InputError

_NEARLY = 0.01  # of a frame: what timecodes round away
_USUAL = 1.5  # of the usual step between rows: a longer one is a gap


@dataclass(frozen=True)
class Steps:
    """How tables become frames: ``rate`` frames a second; ``offset`` seconds of the sound at a table's first row;
    ``longest_gap`` seconds without weights over which lines are drawn.
    """

    rate: float
    offset: float = 0.0
    longest_gap: float = 0.2


@dataclass(frozen=True, eq=False)
class InStep:
    """A table at the frames of a data set.

    Attributes:
        table: the table.
        weights: (T, K) float32, 0 to 1, of the table's names.
        sound_from: seconds of the sound that lie before the first frame.
        bridged: the longest gap over which lines were drawn, seconds; 0 for none.
    """

    table: WeightTable
    weights: np.ndarray
    sound_from: float
    bridged: float


def in_step(table: WeightTable, steps: Steps) -> InStep:
    """Interpolate a table linearly at the frames, the first at the sound's beginning or at the table's, whichever is later.

    Before the first row with a face and after the last one, the face stays as it is there.

    Raises:
        InputError: a gap is longer than ``steps.longest_gap``, or the table ends before the sound begins.
    """
    gaps = np.diff(np.concatenate([[0.0], table.times, [table.seconds]]))  # between faces, before them and after
    if gaps.max() > steps.longest_gap + 1e-9:
        begin = np.concatenate([[0.0], table.times])[int(gaps.argmax())]
        raise InputError(f"{table.path}: has no weights for {gaps.max():.3g} s from second {begin:.6g} on; cut the take "
                         "there, or allow as much with --longest-gap")
    start = max(0.0, -steps.offset)
    if start > table.seconds:
        raise InputError(f"{table.path}: ends after {table.seconds:.3g} s, before the sound begins (--offset "
                         f"{steps.offset:g})")
    count = 1 + int((table.seconds - start) * steps.rate + _NEARLY)
    moments = start + np.arange(count) / steps.rate
    weights = np.stack([np.interp(moments, table.times, column) for column in table.weights.T], 1)
    usual = np.median(np.diff(table.times)) if len(table.times) > 1 else np.inf
    missing = gaps[gaps > _USUAL * usual]
    return InStep(table, weights.astype(np.float32), max(0.0, steps.offset), float(missing.max(initial=0.0)))
