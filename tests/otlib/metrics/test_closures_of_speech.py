"""Closures of recordings without a true motion: found, false, beside chance, and gaps of open and close vowels."""

import math

import numpy as np
import pytest

from otlib.metrics import aggregate
from otlib.metrics.closures_of_speech import closures_beside_chance, closures_of_speech, loud_frames, of_another_recording
from otlib.phonemes import Phoneme

RATE = 30.0
SPELLING = ["", "ɐ", "p", "uː", "s", "ˈm", "aː", "t", "v", ""]  # ten sounds of 0.2 s (six frames)
SOUNDS = [Phoneme(symbol, place / 5, (place + 1) / 5) for place, symbol in enumerate(SPELLING)]
LOUD = np.ones(60, bool)
OPEN, SHUT = 10.0, 0.2  # mm
PERFECT = ((0, 6), (12, 18), (30, 36), (48, 60))  # pauses, p, m and v


def gap(*spans, shut=SHUT):
    """A lip gap of 60 frames, open but in the given frame ranges; one frame is shut wholly, so that the range is known."""
    values = np.full(60, OPEN)
    for first, last in spans:
        values[first:last] = shut
    values[59] = 0.0
    return values


def counts(values, loud=LOUD, sounds=SOUNDS):
    return closures_of_speech(values, sounds, loud, RATE)


@pytest.mark.parametrize(("spans", "found", "made", "false"), [
    (PERFECT, 2, 2, 0),
    (((12, 18),), 1, 1, 0),  # m is missed
    ((), 0, 0, 0),
    (((11, 12), (37, 38)), 2, 2, 0),  # a frame early and a frame late
    (((9, 11), (38, 40)), 0, 2, 2),  # two frames and more away from p and m
    (((20, 22), (26, 28)), 0, 2, 2),  # in u and in s
    (((20, 21), (22, 23)), 0, 0, 0),  # one frame each
    (((0, 58),), 2, 5, 3),  # shut nearly always: finds both, and is wrong in each stretch that asks for none
    (((20, 30),), 1, 2, 1),  # reaches the frame beside m, and was shut long before
])
def test_closures_by_hand(spans, found, made, false):
    result = counts(gap(*spans))
    assert (result["bilabials"], result["bilabials_shut"], result["closures_made"], result["closures_false"]) == (
        2, found, made, false)
    assert result["found_shut"] == found / 2 and (result["false_share"] == false / made if made else True)


def test_both_shares_are_of_the_range():
    for share, expected in ((0.14, (2, 2)), (0.16, (2, 0)), (0.24, (2, 0)), (0.26, (0, 0))):
        result = counts(gap((12, 18), (30, 36), shut=share * OPEN))
        assert (result["bilabials_near"], result["bilabials_shut"]) == expected
        assert counts(100 + 7 * gap((12, 18), (30, 36), shut=share * OPEN))["found_shut"] == result["found_shut"]


def test_only_loud_frames_are_closures():
    quiet = LOUD.copy()
    quiet[20:24] = False
    assert counts(gap((20, 25)))["closures_false"] == 1 and counts(gap((20, 25)), quiet)["closures_false"] == 0
    assert counts(gap((20, 25)), quiet)["loud_s"] == pytest.approx(56 / 30)
    assert counts(gap((20, 25)))["false_per_s"] == pytest.approx(0.5)


def test_vowels_and_pauses():
    values = gap(*PERFECT)
    values[6:12], values[36:42], values[18:24] = 9.0, 7.0, 3.0
    result = counts(values)
    assert (result["open_vowel_mm"], result["close_vowel_mm"]) == (8.0, 3.0)
    assert result["shut_in_pauses"] == 1.0 and counts(gap())["shut_in_pauses"] < 0.5
    none = counts(values, sounds=[Phoneme("aɪ", 0.0, 0.2)])  # neither open nor close all the way
    assert math.isnan(none["open_vowel_mm"]) and math.isnan(none["found_shut"]) and math.isnan(none["shut_in_pauses"])


@pytest.mark.parametrize("delay", [-3, 0, 2])
def test_the_lag_is_that_of_the_closures(delay):
    values = np.full(60, OPEN)
    for middle in (15, 33):
        values += -OPEN * np.exp(-np.square(np.arange(60) - middle - delay) / 8)
    assert counts(values)["closure_lag_frames"] == delay


def test_a_mouth_that_shuts_at_random_is_no_better_on_its_own_recording():
    """The control of the control: on noise, own and other recordings find alike; on a right motion they differ."""
    generator = np.random.default_rng(0)
    own, other, right, wrong = [], [], [], []
    for _ in range(100):
        sounds = [Phoneme(symbol, sound.start, sound.end)
                  for symbol, sound in zip(generator.permutation(SPELLING), SOUNDS, strict=True)]
        noise = [generator.uniform(0, 10, 60) for _ in range(2)]
        moves = gap(*[(6 * place, 6 * place + 6) for place, sound in enumerate(sounds) if sound.is_bilabial])
        own.append(counts(noise[0], sounds=sounds)["found_shut"])
        other.append(counts(of_another_recording(noise, [LOUD] * len(noise), 0), sounds=sounds)["found_shut"])
        right.append(counts(moves, sounds=sounds)["found_shut"])
        moved = of_another_recording([moves, gap((12, 18), (30, 36))], [LOUD] * 2, 0)
        wrong.append(counts(moved, sounds=sounds)["found_shut"])
    assert abs(np.mean(own) - np.mean(other)) < 0.1 and np.mean(right) == 1.0 and np.mean(wrong) < 0.75


def test_another_recordings_words_are_repeated_or_cut_to_this_ones():
    gaps, silent = [np.arange(3.0), np.arange(5.0), np.arange(1.0, 8.0)], [np.zeros(count, bool) for count in (3, 5, 7)]
    loud = [spans.copy() for spans in silent]
    loud[0][1:] = True
    loud[1][[0, 4]] = True  # a pause between words belongs to them
    loud[2][2:6] = True
    assert of_another_recording(gaps, loud, 0).tolist() == [0, 0, 1]
    assert of_another_recording(gaps, loud, 1).tolist() == [3, 4, 5, 6, 3]
    assert of_another_recording(gaps, loud, 2).tolist() == [0, 0, 1, 2, 1, 2, 0]
    assert of_another_recording(gaps, silent, 2).tolist() == [0, 1, 2, 0, 1, 2, 0]
    with pytest.raises(ValueError, match="only one recording"):
        of_another_recording(gaps[:1], loud, 0)


def test_lips_that_rest_shut_around_their_words_find_nothing_by_chance():
    """Two recordings whose lips rest shut in long silences, at different times, and open in all words."""
    loud = np.zeros(60, bool)
    loud[20:40] = True
    later = np.roll(loud, 15)
    gaps = [np.where(spoken, OPEN, 0.0) for spoken in (loud, later)]
    gaps[0][21] = gaps[1][36] = OPEN + 1
    sounds = [[Phoneme("m", (first + 8) / RATE, (first + 12) / RATE)] for first in (20, 35)]
    own, chance = closures_beside_chance(gaps, sounds, [loud, later], RATE)
    assert [one["found_shut"] for one in own + chance] == [0.0] * 4
    assert closures_of_speech(gaps[1], sounds[0], loud, RATE)["found_shut"] == 1.0  # as it lies


def test_counts_are_summed_over_the_clips_of_a_speaker_before_the_ratio():
    few, many = counts(gap((12, 18)), sounds=SOUNDS[:3]), counts(gap(), sounds=SOUNDS)
    scores = aggregate([few, many], ["a", "a"])
    assert scores.by_speaker("found_shut") == {"a": pytest.approx(1 / 3)} and scores.mean["bilabials"] == 3


def test_loud_frames_are_where_the_sound_is():
    rate, sound = 16_000, np.zeros(32_000, np.float32)
    sound[8_000:16_000] = 0.3 * np.sin(np.arange(8_000))
    sound[24_000:28_000] = 0.02 * np.sin(np.arange(4_000))  # -24 dB
    sound[28_000:32_000] = 0.05 * np.sin(np.arange(4_000))  # -16 dB
    for gain in (1.0, 1e-3):
        loud = loud_frames(gain * sound, rate, 60, RATE)
        assert loud[16:29].all() and not loud[:15].any() and not loud[31:52].any() and loud[53:].all()
    assert loud_frames(sound, rate, 90, RATE).shape == (90,) and not loud_frames(sound, rate, 90, RATE)[61:].any()
    assert not loud_frames(np.zeros(1_000, np.float32), rate, 5, RATE).any()


@pytest.mark.parametrize(("values", "loud", "message"), [
    (np.full(60, 3.0), LOUD, "change"), (np.full(60, np.nan), LOUD, "finite"), (gap(), LOUD[1:], "59 frames and gap_mm 60")])
def test_bad_input_is_refused(values, loud, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        counts(values, loud)
