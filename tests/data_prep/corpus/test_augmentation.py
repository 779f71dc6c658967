"""Augmentation: the same generator gives the same sound, timing stays, noise and level keep their bounds."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.corpus.augmentation import Augmentation, augment

RATE = 16_000
# each effect alone: everything else is off
OFF = Augmentation(clean=0.0, echo_gain=(0.0, 0.0), noise=(200.0, 200.0), tone=0.0, band_limit=(1e9, 1e9), level=(0.0, 0.0))
SINGLE = 1e-5  # float32 rounding of a transform and its inverse
SHORT_NOISE = 0.35  # relative: the power of 2 s of coloured noise, scaled over 2.5 s, varies by this much


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def speech_like(batch=4, seconds=2.0, seed=0):
    """Noise in bursts of syllable length."""
    time = torch.arange(int(seconds * RATE)) / RATE
    return 0.1 * torch.sin(4 * torch.pi * time).clamp_min(0) * torch.randn(batch, len(time), generator=generator(seed))


def lag_of_best_match(first, second):
    """Samples by which ``second`` lags ``first``, by cross-correlation."""
    size = 2 * len(first)
    correlation = torch.fft.irfft(torch.fft.rfft(second, size) * torch.fft.rfft(first, size).conj(), size)
    lag = int(correlation.argmax())
    return lag - size if lag > size // 2 else lag


def test_with_everything_off_the_sound_is_the_same():
    samples = speech_like()
    torch.testing.assert_close(augment(samples, RATE, generator(), OFF), samples, rtol=0, atol=SINGLE)


def test_clean_clips_are_untouched():
    samples = speech_like(200, seconds=0.1)
    result = augment(samples, RATE, generator(), Augmentation(clean=0.2))
    untouched = (result == samples).all(1).float().mean()
    assert abs(float(untouched) - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 200)
    assert torch.equal(augment(samples, RATE, generator(), Augmentation(clean=1.0)), samples)


def test_result_follows_the_generator_alone():
    samples = speech_like()
    state = torch.get_rng_state()
    first, again, other = (augment(samples, RATE, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == samples.shape and first.dtype == torch.float32 and first.isfinite().all()


def test_input_is_not_changed():
    samples = speech_like()
    before = samples.clone()
    augment(samples, RATE, generator())
    assert torch.equal(samples, before)


@pytest.mark.parametrize("seed", range(5))
def test_timing_is_kept(seed):
    settings = Augmentation(clean=0.0)
    for before, after in zip(speech_like(seed=seed), augment(speech_like(seed=seed), RATE, generator(seed), settings),
                             strict=True):
        assert lag_of_best_match(before, after) == 0


def test_a_delay_would_be_noticed():
    samples = speech_like(1)[0]
    assert lag_of_best_match(samples, samples.roll(3)) == 3


def test_echo_does_not_come_round_to_the_beginning():
    samples = torch.zeros(1, RATE)
    samples[:, -100] = 1.0
    settings = replace(OFF, echo_gain=(0.7, 0.7), reverberation=(0.5, 0.5))
    assert augment(samples, RATE, generator(), settings)[:, :-100].abs().max() < SINGLE


def test_echo_begins_after_the_direct_sound_and_has_its_energy():
    samples = torch.zeros(1, 2 * RATE)
    samples[:, 0] = 1.0
    response = augment(samples, RATE, generator(), replace(OFF, echo_gain=(0.6, 0.6), reverberation=(0.3, 0.3)))[0]
    assert float(response[0]) == pytest.approx(1.0, abs=SINGLE)
    assert response[1:32].abs().max() < SINGLE  # 2 ms
    assert float(response[32:].norm()) == pytest.approx(0.6, abs=1e-4)
    early, late = (response[start:start + 1600].square().mean() for start in (1600, 4000))  # centres 150 ms apart
    assert 10 * math.log10(early / late) == pytest.approx(60 * 0.150 / 0.3, abs=3.0)


@pytest.mark.parametrize("decibels", [5.0, 20.0, 40.0])
@pytest.mark.parametrize("slope", [0.0, 1.5])
def test_noise_has_the_ratio_asked_for(decibels, slope):
    samples = speech_like(8)
    settings = replace(OFF, noise=(decibels, decibels), noise_slope=(slope, slope))
    noise = augment(samples, RATE, generator(), settings) - samples
    ratio = samples.square().mean(1) / noise.square().mean(1)
    np.testing.assert_allclose(ratio, 10 ** (decibels / 10), rtol=SHORT_NOISE)
    assert float(ratio.log().mean()) == pytest.approx(decibels / 10 * math.log(10), abs=0.1)


def test_noise_stays_between_its_bounds():
    samples = speech_like(50)
    noise = augment(samples, RATE, generator(), replace(OFF, noise=(5.0, 40.0), noise_slope=(0.0, 0.0))) - samples
    decibels = 10 * (samples.square().mean(1) / noise.square().mean(1)).log10()
    assert 5 - 0.1 < decibels.min() < 10 and 35 < decibels.max() < 40 + 0.1


@pytest.mark.parametrize("slope", [0.0, 1.0, 1.5])
def test_noise_has_the_colour_asked_for(slope):
    samples = 0.1 * torch.randn(8, 2 * RATE, generator=generator(7))
    settings = replace(OFF, noise=(0.0, 0.0), noise_slope=(slope, slope))
    noise = augment(samples, RATE, generator(), settings) - samples
    power = torch.fft.rfft(noise).abs().square().mean(0)
    low, high = power[2 * 250:2 * 350].mean(), power[2 * 2500:2 * 3500].mean()  # about 300 and 3000 Hz, 0.5 Hz a bin
    assert math.log10(low / high) == pytest.approx(slope, abs=0.1)


@pytest.mark.parametrize("decibels", [-20.0, 6.0])
def test_level(decibels):
    samples = speech_like()
    settings = replace(OFF, level=(decibels, decibels))
    torch.testing.assert_close(augment(samples, RATE, generator(), settings), 10 ** (decibels / 20) * samples,
                               rtol=0, atol=10 * SINGLE)


def test_tone_stays_within_its_bound():
    samples = 0.1 * torch.randn(20, RATE, generator=generator(3))
    result = augment(samples, RATE, generator(), replace(OFF, tone=9.0))
    size = RATE + RATE // 2
    gain = 20 * (torch.fft.rfft(result, size).abs() / torch.fft.rfft(samples, size).abs()).log10()
    smooth = gain.unfold(1, 200, 200).median(2).values  # cutting the ends off blurs single frequencies
    assert 2.0 < smooth.abs().max() < 9.5


def test_band_limit_takes_away_what_lies_above():
    samples = 0.1 * torch.randn(4, RATE, generator=generator(3))
    power = torch.fft.rfft(augment(samples, RATE, generator(), replace(OFF, band_limit=(3400.0, 3400.0)))).abs().square()
    below, edge, above = (power[:, start:end].mean() for start, end in ((500, 2000), (3300, 3500), (6000, 8000)))
    assert 10 * math.log10(edge / below) == pytest.approx(-6.0, abs=1.0)  # half the amplitude
    assert 10 * math.log10(above / below) < -30


def test_silence_stays_silent():
    assert augment(torch.zeros(2, RATE), RATE, generator(), Augmentation(clean=0.0)).abs().max() == 0.0
