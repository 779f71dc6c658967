"""What features know of people: planted knowledge is found, ignorance is not, and voices make the interval."""

import numpy as np
import pytest
import torch

from data_prep.encoder import people_measure
from data_prep.encoder.frame_labels import LABELS, UNKNOWN
from data_prep.encoder.people_measure import _SHUT, SOUNDS, Frames, Speech, detection, folded, interval, measure, naming

CHANNELS = 40


def frames(seed, count=3000, known=(False, True), voices=4):
    """Features of two layers: noise, and the sound's own channel where a layer knows it."""
    generator = torch.Generator().manual_seed(seed)
    sounds = torch.randint(len(SOUNDS), (count,), generator=generator)
    features = torch.randn(count, 2, CHANNELS, generator=generator)
    for layer, knows in enumerate(known):
        features[torch.arange(count), layer, sounds] += 6.0 * knows
    return Frames(features.half(), sounds, torch.arange(count) % voices)


def test_letters_that_recognisers_do_not_tell_apart_are_one_sound():
    assert len(SOUNDS) == 34 and int(_SHUT.sum()) == 3
    numbers = folded(np.array([LABELS.index(letter) for letter in ("", "ə", "ʌ", "ɾ", "d", "p")] + [UNKNOWN]))
    assert numbers[0] == numbers[-1] == -1
    assert numbers[1] == numbers[2] and numbers[3] == numbers[4]
    assert [SOUNDS[number] for number in numbers[1:6]] == ["ʌ", "ʌ", "d", "d", "p"]
    assert set(folded(np.arange(1, len(LABELS))).tolist()) == set(range(34))


@pytest.mark.slow
def test_what_a_layer_knows_is_found_in_that_layer():
    found = detection(frames(0), frames(1))
    assert found["layer"] == 1 and found["auc"] > 0.97 and found["found_at_5_percent_false"] > 0.9
    assert found["by_layer"][0] == pytest.approx(0.5, abs=0.06)  # 4 standard errors of 265 among 3,000


@pytest.mark.slow
def test_the_layer_is_chosen_on_flite_not_on_people():
    found = detection(frames(0, known=(True, False)), frames(1, known=(False, True)))
    assert found["layer"] == 0 and found["auc"] < 0.6


def test_sounds_are_named_beside_guessing():
    told, told_nothing = (naming(frames(0, 12_000, known), frames(1, known=known))
                          for known in ((False, True), (False, False)))
    assert told["share"] > 0.9 and told["guessing"] < 0.05
    assert told_nothing["share"] == pytest.approx(1 / 34, abs=0.02)
    low, high = told["interval"]
    assert low <= told["share"] <= high


def test_voices_that_differ_make_the_interval_wide():
    right = np.repeat([1.0, 0.0, 1.0, 0.0], 500)
    apart, mixed = np.repeat(np.arange(4), 500), np.arange(2000) % 4
    assert interval(lambda rows: right[rows].mean(), mixed) == pytest.approx((0.5, 0.5), abs=0.01)
    low, high = interval(lambda rows: right[rows].mean(), apart)
    assert low <= 0.05 and high >= 0.95


def test_pauses_are_left_out_and_voices_counted(monkeypatch):
    monkeypatch.setattr(people_measure, "_DRAWS", 10)

    def features(samples):
        return torch.nn.functional.one_hot(samples[::10].long() + 1, 36)[:, None].float() + 0.01

    def speech(voice):
        sounds = torch.arange(-1, 34).repeat(20)
        return Speech(sounds.repeat_interleave(10).float(), sounds, voice)

    figures = measure(features, [speech(0)] * 3, [speech(1), speech(2)])
    assert figures["frames"] == 2 * 20 * 34 and figures["voices"] == 2 and figures["fitted_on"] == 3 * 20 * 34
    assert figures["sounds"]["share"] > 0.9 and figures["closures"]["auc"] == 1.0
