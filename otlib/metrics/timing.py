"""Whether the mouth moves at the right time: lag against the true motion, and agreement with the sound."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from otlib.metrics.vertices import check_motion, check_region

SMOOTHING = 2.0
"""Standard deviation, in frames, of the Gaussian that smooths lip gaps, as in the code of MTM's authors."""

MAX_LAG = 10
"""Largest lag of the cross-correlation, frames: a third of a second at 30 frames a second (our choice)."""


class Misalignment(NamedTuple):
    """Timing of matched extrema of the lip gap, in frames; NaN where no extremum is matched.

    Attributes:
        absolute: mean of |t_prediction - t_truth|; Mean Temporal Misalignment, MTM.
        signed: mean of t_prediction - t_truth; positive when the prediction is late (not in the paper).
        matches: number of matched extrema.
    """

    absolute: float
    signed: float
    matches: int


def temporal_misalignment(truth_gap: Float[ndarray, " T"], prediction_gap: Float[ndarray, " U"]) -> Misalignment:
    """Compare when the mouth opens and closes: MTM, the mean lag between matched extrema of the smoothed lip gaps.

    Both gaps are smoothed and aligned by dynamic time warping of their first differences. A step of the warping path
    from a maximum (minimum) of the truth to a maximum (minimum) of the prediction is a match if the latter lies between
    the truth's neighbouring extrema. Unmatched extrema do not count: a mouth that hardly moves is not punished here.

    Args:
        truth_gap, prediction_gap: lip gap of each frame, any unit.

    Raises:
        ValueError: a gap that is empty or not finite.

    Source: Chae-Yeon et al. 2025 (arXiv 2503.20308), after its authors' evaluation code. Time and memory O(T U).
    """
    truth, prediction = (gaussian_filter1d(_checked(gap), SMOOTHING) for gap in (truth_gap, prediction_gap))
    kinds_truth, kinds_prediction = _extrema(truth), _extrema(prediction)
    turns = [0, *sorted(kinds_truth), len(truth) - 1]
    neighbours = {frame: (before, after) for before, frame, after in zip(turns[:-2], turns[1:-1], turns[2:], strict=True)}
    lags = []
    for i, j in warping_path(np.diff(truth, prepend=truth[0]), np.diff(prediction, prepend=prediction[0])):
        if i in kinds_truth and kinds_truth[i] == kinds_prediction.get(j):
            before, after = neighbours[i]
            if before <= j <= after:
                lags.append(j - i)
    if not lags:
        return Misalignment(np.nan, np.nan, 0)
    return Misalignment(float(np.mean(np.abs(lags))), float(np.mean(lags)), len(lags))


def warping_path(first: Float[ndarray, " T"], second: Float[ndarray, " U"]) -> list[tuple[int, int]]:
    """Return the pairs of dynamic time warping with cost |first_i - second_j|, from (0, 0) to (T - 1, U - 1).

    On a tie the diagonal step is preferred, then the one in ``first``. The table is filled along its antidiagonals,
    whose cells do not depend on each other.
    """
    rows, columns = len(first), len(second)
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        least = np.minimum(np.minimum(total[i - 1, j], total[i, j - 1]), total[i - 1, j - 1])
        total[i, j] = np.abs(first[i - 1] - second[j - 1]) + least
    path, (i, j) = [], (rows, columns)
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        step = int(np.argmin([total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]]))
        i, j = i - (step != 2), j - (step != 1)
    return path[::-1]


def correlation_lag(truth_gap: Float[ndarray, " T"], prediction_gap: Float[ndarray, " T"]) -> float:
    """Return the delay of the prediction, in frames, at which the two lip gaps correlate best.

    Positive when the prediction is late. Pearson's correlation over the frames that overlap at each whole lag up to
    ``MAX_LAG``, or half of the clip, refined to a fraction of a frame by the parabola through the best lag and its
    neighbours. NaN when a gap does not change.

    Args:
        truth_gap, prediction_gap: lip gap of each frame, any unit.

    Raises:
        ValueError: gaps of different lengths, empty or not finite.

    Source: our choice, in addition to MTM, because it uses every frame and has a sign.
    """
    truth, prediction = _checked(truth_gap), _checked(prediction_gap)
    if len(truth) != len(prediction):
        raise ValueError(f"the gaps have {len(truth)} and {len(prediction)} frames")
    reach = min(MAX_LAG, len(truth) // 2)
    lags = np.arange(-reach, reach + 1)
    scores = np.array([pearson(truth[max(0, -lag):len(truth) - max(0, lag)],
                               prediction[max(0, lag):len(truth) - max(0, -lag)]) for lag in lags])
    if np.isnan(scores).all():
        return np.nan
    best = int(np.nanargmax(scores))
    if not 0 < best < len(lags) - 1 or np.isnan(scores[best - 1:best + 2]).any():
        return float(lags[best])
    left, middle, right = scores[best - 1:best + 2]
    curvature = left - 2.0 * middle + right
    return float(lags[best] + (0.5 * (left - right) / curvature if curvature < 0 else 0.0))


def lip_speed(vertices: Float[ndarray, "T V 3"], lips: Integer[ndarray, " N"]) -> Float[ndarray, " T-1"]:
    """Return the mean distance that the lip vertices move from each frame to the next, metres a frame, float64."""
    check_region("lips", lips, vertices.shape[1])
    check_motion("the lips' motion", vertices[:, lips])
    return np.linalg.norm(np.diff(vertices[:, lips].astype(float), axis=0), axis=-1).mean(axis=1)


def lip_intensity(vertices: Float[ndarray, "T V 3"], lips: Integer[ndarray, " N"]) -> float:
    """Return the root mean square in time of ``lip_speed``, metres a frame: one number a clip, for SLCC.

    NaN for a single frame.
    """
    return float(np.sqrt(np.square(lip_speed(vertices, lips)).mean())) if len(vertices) > 1 else np.nan


def speech_intensity(samples: Float[ndarray, " S"]) -> float:
    """Return the root mean square of a clip's samples, full scale 1: one number a clip, for SLCC."""
    return float(np.sqrt(np.mean(np.square(_checked(samples)))))


def speech_lip_correlation(speech: Sequence[float], lips: Sequence[float], speakers: Sequence[str]) -> float:
    """Return SLCC over a corpus: do louder clips have livelier lips?

    Pearson's correlation over clips of ``speech_intensity`` and ``lip_intensity``, both first brought to mean 0 and
    deviation 1 (ddof = 1) within each speaker. Speakers of one clip, or whose intensity does not vary, are left out.
    It ignores timing, and is meaningful only if loudness varies, as in MEAD, for which it was made.

    Args:
        speech, lips: one number a clip.
        speakers: for each clip, who speaks.

    Returns:
        A number in [-1, 1]; NaN when fewer than two clips are left.

    Raises:
        ValueError: lengths that differ, or a value that is not finite.

    Source: Chae-Yeon et al. 2025 (arXiv 2503.20308), after its authors' evaluation code.
    """
    columns = np.stack([_checked(np.asarray(values, dtype=float)) for values in (speech, lips)])
    if columns.shape[1] != len(speakers):
        raise ValueError(f"{columns.shape[1]} clips of {len(speakers)} speakers cannot be correlated")
    standardised = []
    for speaker in dict.fromkeys(speakers):
        own = columns[:, [name == speaker for name in speakers]]
        if own.shape[1] > 1 and (np.ptp(own, axis=1) > 0).all():
            standardised.append((own - own.mean(axis=1, keepdims=True)) / own.std(axis=1, ddof=1, keepdims=True))
    return pearson(*np.concatenate(standardised, axis=1)) if standardised else np.nan


def framewise_speech_lip_correlation(samples: Float[ndarray, " S"], sample_rate: float | int,
                                     vertices: Float[ndarray, "T V 3"], lips: Integer[ndarray, " N"],
                                     frame_rate: float | int) -> float:
    """Return Pearson's correlation in time of loudness and lip speed within a clip.

    Loudness is the root mean square of the samples between two frames, lip speed the mean motion of the lip vertices
    between them, both smoothed as in MTM. NaN when one of them does not change.

    Args:
        samples: sound, full scale 1.
        sample_rate: samples a second.
        vertices: metres.
        lips: vertices of the lips.
        frame_rate: frames a second; the sound begins with frame 0.

    Raises:
        ValueError: sound that is empty, not finite, or ends before the motion does.

    Source: our choice: SLCC's two intensities over frames instead of clips, so that timing matters.
    """
    samples = _checked(samples)
    speed = lip_speed(vertices, lips)
    edges = np.round(np.arange(len(speed) + 1) / frame_rate * sample_rate).astype(np.int64)
    if len(speed) == 0:
        return np.nan
    if edges[-1] > len(samples) + sample_rate / frame_rate:
        raise ValueError(f"the sound lasts {len(samples) / sample_rate:.3g} s, the motion {edges[-1] / sample_rate:.3g} s")
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])[np.minimum(edges, len(samples))]
    loudness = np.sqrt(np.maximum(np.diff(energy), 0.0) / np.diff(edges))
    return pearson(gaussian_filter1d(loudness, SMOOTHING), gaussian_filter1d(speed, SMOOTHING))


def pearson(first: Float[ndarray, " n"], second: Float[ndarray, " n"]) -> float:
    """Return Pearson's correlation; NaN for fewer than two numbers, or if all numbers of one side are equal."""
    if len(first) < 2 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return np.nan
    return float(np.corrcoef(first, second)[0, 1])


def _extrema(gap: np.ndarray) -> dict[int, str]:
    kinds = dict.fromkeys(find_peaks(gap)[0].tolist(), "maximum")
    return kinds | dict.fromkeys(find_peaks(-gap)[0].tolist(), "minimum")


def _checked(values: np.ndarray) -> np.ndarray:
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"values must be finite numbers in one row, not empty, got shape {values.shape}")
    return values.astype(np.float64)
