"""Bootstrap over speakers: scipy's numbers, coverage, and what it refuses."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, t

from otlib.metrics.intervals import (
    BootstrapSettings,
    IntervalUndefined,
    bootstrap_speakers,
    paired_comparison,
    share_of_the_way,
    speaker_interval,
)

PERCENTILE = BootstrapSettings(method="percentile")


def random(seed=0):
    return np.random.default_rng(seed)


def errors(seed, count=12, shift=0.0):
    return {f"s{i}": float(value) + shift for i, value in enumerate(random(seed).gamma(4.0, 0.5, count))}


@pytest.mark.parametrize("method", ["BCa", "percentile"])
def test_interval_is_scipys(method):
    values = errors(0)
    settings = BootstrapSettings(method=method, small_sample=False)
    found = speaker_interval(values, generator=random(1), settings=settings)
    expected = bootstrap((list(values.values()),), np.mean, method=method, rng=random(1)).confidence_interval
    assert (found.low, found.high) == (expected.low, expected.high)
    assert found.estimate == pytest.approx(np.mean(list(values.values())))
    assert found.low < found.estimate < found.high and found.speakers == 12


def test_percentile_interval_by_hand():
    # two speakers, 0 and 1: resampled means are 0, 1/2, 1 with chances 1/4, 1/2, 1/4
    for level, bounds in ((0.4, (0.5, 0.5)), (0.6, (0.0, 1.0))):
        settings = BootstrapSettings(level, method="percentile", small_sample=False)
        found = speaker_interval({"a": 0.0, "b": 1.0}, generator=random(), settings=settings)
        assert (found.low, found.high) == bounds


def test_small_samples_get_the_width_of_students_interval():
    settings = BootstrapSettings(0.9, method="percentile")
    # a percentile interval is narrow by sqrt((n - 1) / n) and has normal quantiles; both are made up for
    assert norm.isf((1 - settings.quantile_level(8)) / 2) == pytest.approx(math.sqrt(8 / 7) * t.ppf(0.95, 7))
    values = {str(i): float(value) for i, value in enumerate(random(1).normal(size=8))}
    found = speaker_interval(values, generator=random(), settings=settings)
    half_width = t.ppf(0.95, 7) * np.std(list(values.values()), ddof=1) / math.sqrt(8)
    assert (found.high - found.low) / 2 == pytest.approx(half_width, rel=0.1)
    assert settings.quantile_level(10**6) == pytest.approx(0.9, abs=1e-5)


def test_the_same_seed_gives_the_same_interval():
    assert speaker_interval(errors(0), generator=random(3)) == speaker_interval(errors(0), generator=random(3))
    assert speaker_interval(errors(0), generator=random(3)) != speaker_interval(errors(0), generator=random(4))


@pytest.mark.slow
def test_coverage_is_near_its_level():
    trials, speakers, draw = 300, 12, random(5)
    settings = BootstrapSettings(resamples=999)
    hits = 0
    for _ in range(trials):
        values = {str(i): value for i, value in enumerate(draw.gamma(4.0, 0.5, speakers).tolist())}
        hits += not speaker_interval(values, generator=draw, settings=settings).excludes(2.0)
    assert 0.91 < hits / trials < 0.99  # three standard errors of 300 trials are 0.04


def test_pairing_takes_out_the_speakers():
    easy = errors(0)
    better = {speaker: value - 0.1 for speaker, value in easy.items()}
    comparison = paired_comparison(better, easy, generator=random())
    assert comparison.difference.estimate == pytest.approx(-0.1)
    assert comparison.difference.high < -0.099 and comparison.difference.excludes(0.0)
    assert comparison.first_lower == 12 and comparison.ties == 0
    assert comparison.first == pytest.approx(np.mean(list(better.values())))
    unpaired = speaker_interval(easy, generator=random())
    assert not unpaired.excludes(comparison.first)  # the speakers vary far more than the systems


def test_comparison_is_by_name_not_by_order():
    first, second = errors(0), errors(1)
    shuffled = dict(sorted(second.items(), key=lambda item: item[1]))
    assert paired_comparison(first, second, generator=random(2)) == paired_comparison(first, shuffled, generator=random(2))


def test_swapping_the_systems_mirrors_the_interval():
    one, two = errors(0), errors(1)
    there = paired_comparison(one, two, generator=random(2), settings=PERCENTILE).difference
    back = paired_comparison(two, one, generator=random(2), settings=PERCENTILE).difference
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)


def test_a_system_compared_with_itself_ties():
    comparison = paired_comparison(errors(0), errors(0), generator=random())
    assert (comparison.difference.low, comparison.difference.high, comparison.ties) == (0.0, 0.0, 12)


def test_share_of_the_way():
    frozen = errors(0, shift=4.0)
    oracle = {speaker: value / 4 for speaker, value in errors(1).items()}
    midway = {speaker: frozen[speaker] - 0.7 * (frozen[speaker] - oracle[speaker]) for speaker in frozen}
    found = share_of_the_way(frozen, midway, oracle, generator=random())
    assert (found.low, found.estimate, found.high) == pytest.approx((0.7, 0.7, 0.7))
    noisy = {speaker: value + 0.3 * ((-1) ** i) for i, (speaker, value) in enumerate(midway.items())}
    found = share_of_the_way(frozen, noisy, oracle, generator=random())
    assert found.low < 0.69 < found.estimate < 0.71 < found.high


def test_any_statistic():
    found = bootstrap_speakers(np.median, errors(0), generator=random(), settings=PERCENTILE)
    assert found.estimate == pytest.approx(np.median(list(errors(0).values())))


@pytest.mark.parametrize("method", ["BCa", "percentile"])
@pytest.mark.parametrize(("speakers", "level"), [(1, 0.5), (2, 0.95), (3, 0.99)])
def test_too_few_speakers_have_no_interval(speakers, level, method):
    """The resamples end at the least and the greatest speaker, far inside of Student's interval."""
    with pytest.raises(IntervalUndefined, match="speakers"):
        speaker_interval(errors(0, speakers), generator=random(), settings=BootstrapSettings(level, method=method))
    alike = dict.fromkeys(errors(0, speakers), 1.0)
    with pytest.raises(IntervalUndefined, match="speakers"):  # nor are two that agree a proof that all do
        speaker_interval(alike, generator=random(), settings=BootstrapSettings(level, method=method))


@pytest.mark.parametrize(("speakers", "level"), [(2, 0.8), (3, 0.95), (6, 0.99)])
def test_enough_speakers_have_an_interval(speakers, level):
    for seed in range(20):
        found = speaker_interval(errors(seed, speakers), generator=random(), settings=BootstrapSettings(level, 999))
        assert found.low < found.estimate < found.high


@pytest.mark.parametrize(("call", "message"), [
    (lambda: speaker_interval({"a": 1.0}, generator=random()), "at least two speakers"),
    (lambda: bootstrap_speakers(np.mean, generator=random()), "at least two speakers"),
    (lambda: speaker_interval({"a": 1.0, "b": math.nan}, generator=random()), "'b' is nan"),
    (lambda: paired_comparison({"a": 1.0, "b": 2.0}, {"a": 1.0, "c": 2.0}, generator=random()), "b, c"),
    (lambda: bootstrap_speakers(lambda x, axis: 0 * x.mean(axis), errors(0), generator=random()), "not defined"),
    (lambda: BootstrapSettings(method="bca"), "method must be"),
    (lambda: BootstrapSettings(level=95.0), "level"),
    (lambda: BootstrapSettings(resamples=0), "resamples"),
])
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("speakers", ["alike", "unlike"])
def test_a_way_of_no_length_has_no_share(speakers):
    """Start and goal are the same mean: 0 / 0, or a number over 0."""
    start = errors(0) if speakers == "unlike" else dict.fromkeys(errors(0), 1.0)
    reached = errors(1) if speakers == "unlike" else start
    with pytest.raises(IntervalUndefined, match="is (nan|-?inf) for these numbers"):
        share_of_the_way(start, reached, start, generator=random(1))
