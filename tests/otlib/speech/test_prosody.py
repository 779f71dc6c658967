"""Loudness and pitch of sounds whose loudness and pitch are known."""

import math

import numpy as np
import pytest
import torch

from data_prep.encoder.objective import frame_count
from otlib.speech.prosody import prosody
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW

PITCH = 0.03  # octaves: half a sample of 41 at 390 Hz is 0.018
LOUDNESS = 0.02  # of 20 dB: a window of 25 ms is not a whole number of periods
INNER = slice(3, -3)  # frames whose pitch window lies inside the recording


def harmonics(hertz, count, seconds=0.5, amplitude=0.1):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return torch.from_numpy(amplitude * sum(np.sin(2 * np.pi * hertz * k * time + k) for k in range(1, count + 1))).float()


def noise(samples, seed=0):
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 3, 10])
@pytest.mark.parametrize("hertz", [70, 100, 150, 220, 300, 390])
def test_pitch_of_tones(hertz, count):
    loudness, pitch, voicing = prosody(harmonics(hertz, count))[INNER, 0].T
    np.testing.assert_allclose(pitch, math.log2(hertz / 100), rtol=0, atol=PITCH)
    assert voicing.min() > 0.7 and voicing.max() <= 1.0


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.01])
def test_loudness_of_a_tone(amplitude):
    loudness = prosody(harmonics(200, 1, amplitude=amplitude))[:, 0, 0]
    decibels = 10 * math.log10(amplitude**2 / 2)
    np.testing.assert_allclose(loudness, (decibels + 60) / 20, rtol=0, atol=LOUDNESS)


def test_pitch_does_not_depend_on_loudness():
    samples = harmonics(150, 4)
    np.testing.assert_allclose(prosody(0.1 * samples)[:, 0, 1:], prosody(samples)[:, 0, 1:], rtol=0, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 1e-6])
def test_silence_has_no_loudness_pitch_or_voice(level):
    loudness, pitch, voicing = prosody(level * noise(SAMPLE_RATE))[:, 0].T
    assert loudness.max() == 0.0 and pitch.abs().max() == 0.0 and voicing.max() < 0.3


def test_noise_has_loudness_without_pitch():
    loudness, pitch, voicing = prosody(0.1 * noise(SAMPLE_RATE))[:, 0].T
    assert loudness.mean() == pytest.approx(2.0, abs=LOUDNESS)  # -20 dB
    assert voicing.max() < 0.3 and pitch.abs().max() == 0.0


def test_channels_follow_the_sound_in_time():
    samples = torch.cat([torch.zeros(50 * HOP), harmonics(200, 4, seconds=1.0), torch.zeros(50 * HOP)])
    loudness, pitch, voicing = prosody(samples)[:, 0].T
    for channel, threshold in ((loudness, 0.5), (pitch, 0.5), (voicing, 0.5)):
        loud = (channel > threshold).nonzero().flatten()
        assert abs(int(loud[0]) - 50) <= 2 and abs(int(loud[-1]) - 99) <= 2


@pytest.mark.parametrize("samples", [1, 399, 400, 719, 720, 5000, 16000])
def test_frames_lie_where_the_encoders_lie(samples):
    features = prosody(0.1 * noise(samples))
    assert features.shape == (frame_count(max(samples, WINDOW)), 1, 3) and features.isfinite().all()


def test_dtype_is_kept():
    assert prosody(0.1 * noise(2000).double()).dtype == torch.float64
