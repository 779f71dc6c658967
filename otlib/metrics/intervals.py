"""Intervals and paired comparisons over speakers.

Clips of one speaker are alike, so resampling clips would claim more certainty than there is. The unit here is the
speaker: average a speaker's clips (``otlib.metrics.aggregate``) and seeds first, then hand one number a speaker to
these functions.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import DegenerateDataWarning, bootstrap, norm, t

METHODS = ("BCa", "percentile")


@dataclass(frozen=True)
class BootstrapSettings:
    """How an interval is made.

    Attributes:
        level: nominal coverage, between 0 and 1.
        resamples: drawn sets of speakers.
        method: "BCa", corrected for bias and skewness (Efron 1987), or "percentile", plain quantiles of the resamples.
        small_sample: take wider quantiles, so that for normal data the interval of a mean is as wide as Student's
            (the expanded percentile interval of Hesterberg 2015). A 95 % interval of the mean of 12 speakers covers 89 to
            90 % without it, with either method, and 94 to 96 % with it (1,000 trials each; normal, gamma and log-normal
            speakers).
    """

    level: float = 0.95
    resamples: int = 9999
    method: str = "BCa"
    small_sample: bool = True

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {self.method!r}")
        if not 0 < self.level < 1 or self.resamples < 1:
            raise ValueError("level must be between 0 and 1 and resamples at least 1, not "
                             f"{self.level} and {self.resamples}")

    def quantile_level(self, speakers: int) -> float:
        """Return the share of the resamples that lies in the interval."""
        if not self.small_sample:
            return self.level
        width = math.sqrt(speakers / (speakers - 1)) * t.ppf((1 + self.level) / 2, speakers - 1)
        return 1.0 - 2.0 * float(norm.sf(width))


DEFAULT = BootstrapSettings()


class IntervalUndefined(ValueError):
    """The numbers at hand have no interval, such as those of one speaker; the message says why."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval over speakers.

    Attributes:
        estimate: the statistic of the speakers at hand.
        low, high: bounds of the interval.
        speakers: number of speakers.
        settings: settings of the bootstrap.
    """

    estimate: float
    low: float
    high: float
    speakers: int
    settings: BootstrapSettings

    def excludes(self, value: float) -> bool:
        """Tell whether ``value`` lies outside of the interval."""
        return not self.low <= value <= self.high


@dataclass(frozen=True)
class PairedComparison:
    """Two systems on the same speakers.

    Attributes:
        first, second: means over speakers.
        difference: mean of first minus second, with its interval.
        first_lower: speakers for whom the first system's number is lower.
        ties: speakers for whom both are equal.
    """

    first: float
    second: float
    difference: Interval
    first_lower: int
    ties: int


def speaker_interval(values: Mapping[str, float], *, generator: np.random.Generator,
                     settings: BootstrapSettings = DEFAULT) -> Interval:
    """Return the mean over speakers with its interval.

    Args:
        values: one number a speaker.
        generator: source of randomness.
        settings: level and kind of the interval.

    Raises:
        ValueError: as in ``bootstrap_speakers``.
    """
    return bootstrap_speakers(np.mean, values, generator=generator, settings=settings)


def paired_comparison(first: Mapping[str, float], second: Mapping[str, float], *, generator: np.random.Generator,
                      settings: BootstrapSettings = DEFAULT) -> PairedComparison:
    """Compare two systems on the same speakers by the mean of each speaker's difference.

    Pairing removes the difficulty of a speaker, which usually varies more than the systems do.

    Args:
        first, second: one number a speaker, the same speakers.
        generator: source of randomness.
        settings: level and kind of the interval.

    Raises:
        ValueError: different speakers, or as in ``bootstrap_speakers``.
    """
    one, two = _columns((first, second))
    gap = one - two
    difference = bootstrap_speakers(np.mean, dict(zip(first, gap.tolist(), strict=True)), generator=generator,
                                    settings=settings)
    return PairedComparison(float(one.mean()), float(two.mean()), difference, int((gap < 0).sum()),
                            int((gap == 0).sum()))


def share_of_the_way(start: Mapping[str, float], reached: Mapping[str, float], goal: Mapping[str, float], *,
                     generator: np.random.Generator, settings: BootstrapSettings = DEFAULT) -> Interval:
    """Return how far a system gets from a baseline to an oracle, (start - reached) / (start - goal) of the means.

    Args:
        start, reached, goal: one error a speaker, of the baseline (a frozen face), the system and the oracle.
        generator: source of randomness; a resample takes a speaker's three numbers together.
        settings: level and kind of the interval.

    Raises:
        ValueError: different speakers, or as in ``bootstrap_speakers``.
    """
    def share(start, reached, goal, axis):
        return (start.mean(axis) - reached.mean(axis)) / (start.mean(axis) - goal.mean(axis))

    return bootstrap_speakers(share, start, reached, goal, generator=generator, settings=settings)


def bootstrap_speakers(statistic: Callable[..., np.ndarray], *columns: Mapping[str, float],
                       generator: np.random.Generator, settings: BootstrapSettings = DEFAULT) -> Interval:
    """Return a statistic of numbers by speaker with its bootstrap interval over speakers.

    Args:
        statistic: function of as many arrays as there are columns and of ``axis``, such as ``numpy.mean``.
        columns: one number a speaker each, the same speakers; they are resampled together.
        generator: source of randomness; the same state gives the same interval.
        settings: level and kind of the interval.

    Raises:
        IntervalUndefined: too few speakers (such as two at 95 %: Student's interval is 13 times as wide as their distance,
            and no resample lies beyond them), or a statistic that is not finite or for which BCa is not defined.
        ValueError: different speakers, or a number that is not finite (the caller decides which speaker or metric to drop).
    """
    data = _columns(columns)
    count = data.shape[1]
    if settings.quantile_level(count) == 1.0:
        raise IntervalUndefined(f"{count} speakers are too few for a {settings.level:.0%} interval")
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = float(statistic(*data, axis=-1))
    if not math.isfinite(estimate):
        raise IntervalUndefined(f"the statistic is {estimate} for these numbers")
    if (np.ptp(data, axis=1) == 0).all():  # no speaker differs: every resample is the sample, and BCa is undefined
        return Interval(estimate, estimate, estimate, count, settings)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)  # both end in NaN, which is refused below
        result = bootstrap(tuple(data), statistic, paired=True, vectorized=True, n_resamples=settings.resamples,
                           method=settings.method, confidence_level=settings.quantile_level(count), rng=generator)
    low, high = (float(bound) for bound in result.confidence_interval)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise IntervalUndefined(f"the {settings.method} interval is not defined for these numbers; take "
                                "method='percentile'")
    return Interval(estimate, low, high, count, settings)


def _columns(columns: tuple[Mapping[str, float], ...]) -> np.ndarray:
    """Stack columns as (columns, speakers), the speakers in the order of the first column."""
    speakers = list(columns[0]) if columns else []
    if len(speakers) < 2:
        raise IntervalUndefined(f"at least two speakers are needed for an interval, got {len(speakers)}")
    for column in columns:
        if set(column) != set(speakers):
            raise ValueError(f"not the same speakers: {', '.join(sorted(set(column) ^ set(speakers)))} are in one only")
        for speaker in speakers:
            if not math.isfinite(column[speaker]):
                raise ValueError(f"the number of speaker {speaker!r} is {column[speaker]}")
    return np.array([[column[speaker] for speaker in speakers] for column in columns], dtype=float)
