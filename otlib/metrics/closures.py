"""Whether the lips meet when the sounds p, b and m need them to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import binary_dilation

from otlib.phonemes.timed_phoneme import Phoneme


@dataclass(frozen=True)
class ClosureSettings:
    """When the lips count as closed (our choice; no peer measures closures).

    Attributes:
        threshold_mm: the lips are closed while their gap exceeds that of the neutral face by less than this. 2 mm is
            an eighth of the range of a real clip (0.8 to 16.5 mm), and the near but open lips of w and f stay above it.
            If the neutral face has no known scale, see :mod:`otlib.metrics.closures_of_speech`.
        margin: seconds by which a closure may come early or late, one frame at 30 frames a second: the error of phoneme
            times, and less than an observer notices.
        core: middle share of any other sound that has to be closed throughout to count as a false closure. Half leaves
            the lips time to come from and go to a neighbouring closure.
    """

    threshold_mm: float = 2.0
    margin: float = 0.034
    core: float = 0.5

    def __post_init__(self) -> None:
        for name in ("threshold_mm", "margin", "core"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be finite and not negative, not {value}")


DEFAULT_CLOSURES = ClosureSettings()


@dataclass(frozen=True)
class ClosureCounts:
    """Closures of one clip or of many; recall is found / closures, precision found / claimed.

    Attributes:
        closures: sounds p, b, m at which the lips have to close.
        found: those at which the predicted lips close.
        claimed: found, plus other sounds during which the predicted lips stay closed although the true ones do not.
    """

    closures: int
    found: int
    claimed: int


def closure_counts(prediction_mm: Float[ndarray, " T"], phonemes: Sequence[Phoneme], frame_rate: float | int, *,
                   rest_mm: float = 0.0, truth_mm: Float[ndarray, " T"] | None = None,
                   settings: ClosureSettings = DEFAULT_CLOSURES) -> ClosureCounts:
    """Count the closures of p, b and m that a predicted mouth makes, and those it makes where it should not.

    A sound has a closure if a frame within it, or within ``settings.margin`` of it, is closed. With a true motion, only
    the p, b, m at which the true lips close count (phoneme times may be wrong, and speakers lax). Any other sound is a
    false closure if all frames of its middle are closed and, with a true motion, not all of them lie within
    ``settings.margin`` of a truly closed frame. Pauses do not count. A frozen face with closed lips thus finds every
    closure, with a precision equal to the share of p, b, m among all sounds; one with parted lips finds none.

    Args:
        prediction_mm: lip gap of each frame, mm (:meth:`otlib.topology.Topology.gap_mm`).
        phonemes: with their times.
        frame_rate: frames a second; frame t is at t / frame_rate.
        rest_mm: gap of the neutral face, mm.
        truth_mm: lip gap of the true motion, mm.
        settings: thresholds.

    Raises:
        ValueError: gaps of different lengths, empty or not finite, or a phoneme that ends before it starts.
    """
    closed = _closed(prediction_mm, rest_mm, settings)
    if truth_mm is not None:
        truly_closed = _closed(truth_mm, rest_mm, settings)
        if len(truly_closed) != len(closed):
            raise ValueError(f"the gaps have {len(closed)} and {len(truly_closed)} frames")
        leeway = int(settings.margin * frame_rate + 1e-9)
        excused = binary_dilation(truly_closed, iterations=leeway) if leeway else truly_closed
    closures = found = false = 0
    for phoneme in phonemes:
        symbol, start, end = phoneme
        if end < start:
            raise ValueError(f"phoneme {symbol!r} ends at {end} s, before it starts at {start} s")
        if phoneme.is_bilabial:
            frames = frames_within(start - settings.margin, end + settings.margin, frame_rate, len(closed))
            due = truth_mm is None or truly_closed[frames].any()
            closures += bool(due and len(frames))
            found += bool(due and closed[frames].any())
        elif symbol:
            edge = (1.0 - settings.core) / 2.0 * (end - start)
            frames = _middle_frames(start + edge, end - edge, frame_rate, len(closed))
            claimed = len(frames) and closed[frames].all()
            false += bool(claimed and (truth_mm is None or not excused[frames].all()))
    return ClosureCounts(closures, found, found + false)


def _closed(gap: ndarray, rest: float, settings: ClosureSettings) -> ndarray:
    if gap.ndim != 1 or len(gap) == 0 or not np.isfinite([*gap, rest]).all():
        raise ValueError(f"a lip gap must be finite numbers, one a frame, not of shape {gap.shape}; so must the gap at rest")
    return gap < rest + settings.threshold_mm


def frames_within(start: float, end: float, frame_rate: float, count: int) -> ndarray:
    """Return which of ``count`` frames have a time in [start, end] seconds; frame t is at t / frame_rate."""
    first, last = np.ceil(start * frame_rate - 1e-9), np.floor(end * frame_rate + 1e-9)
    return np.arange(max(0, int(first)), min(count - 1, int(last)) + 1)


def _middle_frames(start: float, end: float, frame_rate: float, count: int) -> ndarray:
    """Return the frames whose time lies in [start, end]; if there are none, the frame of the clip nearest to the middle."""
    frames = frames_within(start, end, frame_rate, count)
    nearest = round((start + end) / 2.0 * frame_rate)
    return np.array([nearest]) if len(frames) == 0 and 0 <= nearest < count else frames
