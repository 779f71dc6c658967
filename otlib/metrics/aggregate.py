"""From frames to clips to speakers: three different averages, each with its own name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from otlib.metrics.timing import speech_lip_correlation

AVERAGES = ("frames", "clips", "speakers")

RATIOS = {
    "closure_recall": ("closures_found", "closures"),
    "closure_precision": ("closures_found", "closures_claimed"),
    "found_near": ("bilabials_near", "bilabials"),
    "found_shut": ("bilabials_shut", "bilabials"),
    "false_share": ("closures_false", "closures_made"),
    "false_per_s": ("closures_false", "loud_s"),
    "shut_in_pauses": ("pause_frames_near", "pause_frames"),
}
"""Ratios whose numerator and denominator are summed over a speaker's clips: a clip may have no closure at all."""

INTENSITIES = ("speech_intensity", "lip_intensity_mm")
"""The two scores that "slcc" correlates over a speaker's clips, if the clips have both."""

COUNTS = frozenset(name for pair in RATIOS.values() for name in pair) | {"frames"}
"""Numbers that are summed over the clips of a speaker, not averaged."""


def average(values: Sequence[Float[ndarray, " _"]], speakers: Sequence[str], over: str) -> float:
    """Average per-frame numbers over a corpus.

    Args:
        values: for each clip, one number a frame.
        speakers: for each clip, who speaks.
        over: "frames": the mean of all frames of all clips together, so long clips weigh more (most peers);
            "clips": the mean of the clips' means; "speakers": the mean of the speakers' means of their clips' means
            (this project).

    Raises:
        ValueError: no clip, an empty clip, lengths that differ, or an unknown average.
    """
    if over not in AVERAGES:
        raise ValueError(f"over must be one of {', '.join(AVERAGES)}, not {over!r}")
    if len(values) == 0 or len(values) != len(speakers) or any(len(clip) == 0 for clip in values):
        raise ValueError(f"{len(values)} clips of {len(speakers)} speakers cannot be averaged: there must be as many of "
                         "both, at least one, and each with a frame")
    if over == "frames":
        return float(np.concatenate(values).mean(dtype=float))
    means = [float(clip.mean(dtype=float)) for clip in values]
    return fmean(means) if over == "clips" else fmean(map(fmean, _by_speaker(means, speakers).values()))


def _by_speaker(clips: Sequence[Any], speakers: Sequence[str]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for speaker, clip in zip(speakers, clips, strict=True):
        grouped.setdefault(speaker, []).append(clip)
    return grouped


@dataclass(frozen=True)
class CorpusScores:
    """Scores of a corpus.

    Attributes:
        speakers: for each speaker, each metric: the mean over the clips where it is defined, a ratio of sums for
            ``RATIOS``, a sum for ``COUNTS``; NaN if no clip defines it. Clips that were scored with their sound also give
            "slcc", ``speech_lip_correlation`` over the speaker's clips; NaN if the lips or the sound are equally lively in
            all of them, as in a still face.
        mean: for each metric, the mean over the speakers where it is defined; the sum for ``COUNTS``. For "slcc" it equals
            ``speech_lip_correlation`` of all clips together if every speaker has the same number of clips.
    """

    speakers: Mapping[str, Mapping[str, float]]
    mean: Mapping[str, float]

    def by_speaker(self, metric: str) -> dict[str, float]:
        """Return one metric for each speaker, as :mod:`otlib.metrics.intervals` takes it.

        Raises:
            ValueError: no such metric.
        """
        if metric not in self.mean:
            raise ValueError(f"there is no metric {metric!r}; there are {', '.join(sorted(self.mean))}")
        return {speaker: scores[metric] for speaker, scores in self.speakers.items()}


def aggregate(clips: Sequence[Mapping[str, float]], speakers: Sequence[str]) -> CorpusScores:
    """Average the scores of clips over each speaker's clips, then over speakers.

    Args:
        clips: for each clip, its scores by name, all with the same names, from ``evaluate_sequence``. NaN means that
            a metric is not defined for the clip (no closure, no extremum to time) and leaves the clip out of its mean.
        speakers: for each clip, who speaks.

    Raises:
        ValueError: no clip, lengths that differ, or clips with different metrics.
    """
    if len(clips) == 0 or len(clips) != len(speakers):
        raise ValueError(f"{len(clips)} clips of {len(speakers)} speakers cannot be aggregated")
    names = list(clips[0])
    for clip in clips:
        if set(clip) != set(names):
            raise ValueError(f"the clips have different metrics: {', '.join(sorted(set(clip) ^ set(names)))}")
    by_speaker = {speaker: _speaker_scores(rows, names) for speaker, rows in _by_speaker(clips, speakers).items()}
    first = next(iter(by_speaker.values()))
    mean = {name: _combine(name, [scores[name] for scores in by_speaker.values()]) for name in first}
    return CorpusScores(by_speaker, mean)


def _speaker_scores(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    scores = {name: _combine(name, [row[name] for row in rows]) for name in names}
    for name, (numerator, denominator) in RATIOS.items():
        if name in scores:
            scores[name] = ratio(scores[numerator], scores[denominator])
    if set(INTENSITIES) <= set(names):
        pairs = [pair for row in rows if not any(map(math.isnan, pair := [row[name] for name in INTENSITIES]))]
        scores["slcc"] = speech_lip_correlation(*zip(*pairs, strict=True), ["one"] * len(pairs)) if pairs else math.nan
    return scores


def _combine(name: str, values: Sequence[float]) -> float:
    if name in COUNTS:
        return math.fsum(values)
    defined = [value for value in values if not math.isnan(value)]
    return fmean(defined) if defined else math.nan


def ratio(numerator: float | int, denominator: float | int) -> float:
    """Return the quotient, NaN over zero."""
    return numerator / denominator if denominator else math.nan
