"""Lags and agreement with the sound, on signals whose answer is known."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import pearsonr

from otlib.metrics.timing import (
    correlation_lag,
    framewise_speech_lip_correlation,
    lip_intensity,
    lip_speed,
    pearson,
    speech_intensity,
    speech_lip_correlation,
    temporal_misalignment,
    warping_path,
)
from tests.oracles.metrics_naive import warping_cost

EXACT = 1e-12  # float64


def talking(frames=120, delay=0.0, size=1.0, seed=0):
    """A lip gap of random openings, band-limited so that it can be delayed by a fraction of a frame."""
    random = np.random.default_rng(seed)
    frequency = random.uniform(0.5, 4.0, 12)  # Hz
    phase = random.uniform(0, 2 * np.pi, 12)
    time = (np.arange(frames) - delay) / 30.0
    return size * (0.006 + 0.001 * np.sin(2 * np.pi * frequency * time[:, None] + phase).sum(axis=1))


@pytest.mark.parametrize("seed", range(4))
def test_warping_path_is_the_cheapest(seed):
    random = np.random.default_rng(seed)
    first, second = random.normal(size=6), random.normal(size=7)
    path = warping_path(first, second)
    assert path[0] == (0, 0) and path[-1] == (5, 6)
    steps = {(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(path)}
    assert steps <= {(1, 1), (1, 0), (0, 1)}
    cost = sum(abs(first[i] - second[j]) for i, j in path)
    assert cost == pytest.approx(warping_cost(first, second), abs=EXACT)


def test_misalignment_of_equal_gaps_is_zero():
    gap = talking()
    result = temporal_misalignment(gap, gap)
    assert (result.absolute, result.signed) == (0.0, 0.0) and result.matches > 10


@pytest.mark.parametrize("delay", [-3, -1, 1, 2, 3])
def test_misalignment_finds_a_delay(delay):
    gap = talking(140)
    inside = slice(10, 130)
    result = temporal_misalignment(gap[inside], np.roll(gap, delay)[inside])
    assert result.signed == pytest.approx(delay, abs=0.4)  # first and last extrema may lose their partner
    assert result.absolute == pytest.approx(abs(delay), abs=0.4)


def test_misalignment_ignores_size():
    gap = talking()
    assert temporal_misalignment(gap, 0.5 * gap).absolute < 1.0


def test_misalignment_of_a_frozen_mouth_is_undefined():
    result = temporal_misalignment(talking(), np.full(120, 0.01))
    assert math.isnan(result.absolute) and math.isnan(result.signed) and result.matches == 0


def test_misalignment_of_one_hump_by_hand():
    time = np.arange(40.0)
    early, late = (np.exp(-np.square((time - centre) / 4.0)) for centre in (15, 18))
    assert temporal_misalignment(early, late) == (3.0, 3.0, 1)  # one maximum each, three frames apart


@pytest.mark.parametrize("delay", [-4.0, -1.5, 0.0, 0.4, 1.0, 6.0])
def test_correlation_lag_finds_a_delay(delay):
    assert correlation_lag(talking(), talking(delay=delay, size=0.5)) == pytest.approx(delay, abs=0.06)


def test_correlation_lag_at_the_edge_and_undefined():
    gap = talking(20)
    assert correlation_lag(talking(), talking(delay=11)) == 10.0
    assert math.isnan(correlation_lag(gap, np.ones(20)))
    assert math.isnan(correlation_lag(np.ones(1), np.ones(1)))


def test_lip_speed_and_intensity_by_hand():
    vertices = np.zeros((3, 2, 3))
    vertices[1, 0, 0], vertices[2, 0, 0] = 3.0, 3.0
    vertices[2, 1, 1] = 4.0
    lips = np.array([0, 1])
    assert lip_speed(vertices, lips).tolist() == [1.5, 2.0]
    assert lip_intensity(vertices, lips) == pytest.approx(math.sqrt((1.5**2 + 2.0**2) / 2))
    assert math.isnan(lip_intensity(vertices[:1], lips))
    assert speech_intensity(np.array([0.6, -0.8])) == pytest.approx(math.sqrt(0.5))


def test_corpus_correlation_is_within_speakers():
    speakers = ["a"] * 4 + ["b"] * 4 + ["c"]
    speech = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0, 7.0]
    lips = [5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0, 9.0]  # for each louder is livelier; b is louder and calmer than a
    assert speech_lip_correlation(speech, lips, speakers) == pytest.approx(1.0)
    assert speech_lip_correlation(speech, [-value for value in lips], speakers) == pytest.approx(-1.0)
    assert math.isnan(speech_lip_correlation([1.0, 2.0], [1.0, 2.0], ["a", "b"]))  # one clip each tells nothing


def test_corpus_correlation_is_pearsons():
    random = np.random.default_rng(0)
    speech, lips = random.normal(size=(2, 20))
    found = speech_lip_correlation(speech.tolist(), lips.tolist(), ["a"] * 20)
    assert found == pytest.approx(pearsonr(speech, lips).statistic, abs=EXACT)


@pytest.mark.parametrize("late", [0, 10])
def test_framewise_correlation_follows_loudness(late):
    frames, rate = 90, 3000
    loudness = 0.5 + 0.4 * np.sin(np.arange(frames) / 4.0)
    samples = np.repeat(loudness, rate // 30) * np.sin(np.arange(frames * rate // 30))
    place = np.cumsum(np.roll(loudness, late)) * 1e-3
    vertices = np.zeros((frames, 2, 3))
    vertices[:, :, 1] = place[:, None]
    found = framewise_speech_lip_correlation(samples, rate, vertices, np.array([0, 1]), 30.0)
    assert found > 0.9 if late == 0 else found < 0.0


def test_pearson():
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 9))
    assert pearson(a, b) == pytest.approx(pearsonr(a, b).statistic, abs=EXACT)
    assert math.isnan(pearson(a, np.zeros(9))) and math.isnan(pearson(a[:1], b[:1]))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: temporal_misalignment(np.array([1.0, np.nan]), np.ones(2)), "finite"),
    (lambda: temporal_misalignment(np.ones(0), np.ones(2)), "empty"),
    (lambda: correlation_lag(np.ones(3), np.ones(4)), "3 and 4 frames"),
    (lambda: speech_lip_correlation([1.0], [1.0], ["a", "b"]), "1 clips of 2 speakers"),
    (lambda: framewise_speech_lip_correlation(np.ones(100), 100, np.zeros((90, 1, 3)), np.array([0]), 30.0),
     "the sound lasts 1 s"),
])
def test_bad_input_is_refused(call, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [
    lambda motion, lips: lip_speed(motion, lips), lambda motion, lips: lip_intensity(motion, lips),
    lambda motion, lips: framewise_speech_lip_correlation(np.ones(8000), 16000, motion, lips, 30.0),
])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_motion_that_is_not_finite_is_refused_and_not_called_undefined(call, value):
    """Scores of NaN are left out of means."""
    motion = np.zeros((5, 4, 3))
    motion[3, 2, 1] = value
    assert np.isnan(lip_intensity(motion[:1], np.array([2]))) and lip_intensity(motion, np.array([0, 1])) == 0
    with pytest.raises(ValueError, match=r"the lips' motion must be finite, and is (nan|inf) at index \[3, 1, 1\]"):
        call(motion, np.array([1, 2]))
