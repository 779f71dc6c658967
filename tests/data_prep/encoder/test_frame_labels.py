"""The sound of every frame: against the middle of the stretch that the frame hears, sample by sample."""

import numpy as np
import pytest

from data_prep.corpus.articulatory_targets import letters
from data_prep.encoder.frame_labels import LABELS, UNKNOWN, frame_labels
from otlib.phonemes import Phoneme


def number(letter):
    return LABELS.index(letter)


def test_a_frame_is_named_after_the_sound_at_its_middle():
    # middles lie at 12.5, 32.5, 52.5, ... ms
    phonemes = [Phoneme("", 0.0, 0.02), Phoneme("m", 0.02, 0.0526), Phoneme("s", 0.0526, 0.10)]
    assert frame_labels(phonemes, 5).tolist() == [number(""), number("m"), number("m"), number("s"), number("s")]


def test_a_diphthong_is_two_sounds_in_their_shares():
    first, second = letters("ˈaɪ")
    labels = frame_labels([Phoneme("ˈaɪ", 0.0, 1.0)], 50)
    assert set(labels[: int(50 * first.share) - 1]) == {number("a")} and labels[-1] == number("ɪ")
    assert np.mean(labels == number("a")) == pytest.approx(first.share, abs=1 / 50)


def test_frames_beyond_the_phonemes_and_foreign_sounds_are_unknown():
    labels = frame_labels([Phoneme("p", 0.0, 0.1), Phoneme("ɲ", 0.1, 0.2)], 20)
    assert (labels[:4] == number("p")).all() and (labels[5:] == UNKNOWN).all()


def test_every_label_is_a_letter_of_its_own():
    assert len(set(LABELS)) == len(LABELS) and LABELS[0] == ""
