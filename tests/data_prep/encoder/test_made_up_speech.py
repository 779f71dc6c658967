"""Speech to pre-train on: the same seed says the same, no word of the test sentences, and every sound is in it."""

from collections import Counter

import numpy as np
import pytest

from data_prep.corpus import voices
from data_prep.corpus.espeak import synthesise
from data_prep.corpus.labelled_speech import plain
from data_prep.encoder.frame_labels import LABELS, frame_labels
from data_prep.encoder.made_up_speech import (
    _VOWEL_PHONEMES,
    _WEAK_PHONEMES,
    KEPT_WORDS,
    _spoken_words,
    draw_utterance,
    speech_pool,
    spelt_words,
)
from otlib.speech.small_hubert import HOP

pytestmark = pytest.mark.slow

RARE = ("ʔ", "ʍ", "ɬ", "ʲ", "x", "ᵻ", "ʉ", "ɾ", "ɐ")  # of one accent or of another language's numbers


def test_the_same_seed_says_the_same_in_any_number_of_processes():
    one, two = speech_pool(3, 0.01), speech_pool(3, 0.01, processes=2)
    assert len(one) == len(two) > 1
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first.samples, second.samples)
        assert first.phonemes == second.phonemes


def test_no_word_of_the_test_sentences_is_spelt():
    generator = np.random.default_rng(0)
    words = [plain(word) for _ in range(2000) for word in spelt_words(generator).split()]
    assert {"bamboo", "wolf", "voter"} <= KEPT_WORDS and "puppy" not in KEPT_WORDS
    assert not KEPT_WORDS & set(words)
    assert len(set(words)) > len(words) / 2  # hardly one of them twice


def test_words_of_phonemes_have_a_stress_and_more_than_one_syllable():
    generator = np.random.default_rng(0)
    for _ in range(100):
        text = _spoken_words(generator)
        assert text.startswith("[[") and text.endswith("]].")
        for word in text[2:-3].split():
            assert word.count("'") == 1
            assert len(synthesise(f"[[{word}]]", phoneme_names=True).phonemes) >= 2


@pytest.mark.parametrize("accent", voices.ACCENTS)
def test_every_accent_knows_the_vowels_by_name(accent):
    for name in {*_VOWEL_PHONEMES, *_WEAK_PHONEMES}:
        first, *_, last = (p for p in synthesise(f"[[b'{name}d]]", accent, phoneme_names=True).phonemes if p.symbol)
        assert (first.symbol, last.symbol) == ("b", "d")


def test_letters_in_brackets_are_read_as_text_unless_phonemes_are_asked_for():
    spelt, named = (synthesise("[[b'aId]]", phoneme_names=names).phonemes for names in (False, True))
    assert [p.symbol for p in named if p.symbol] == ["b", "ˈaɪ", "d"]
    assert [p.symbol for p in spelt] != [p.symbol for p in named]


def test_every_sound_of_english_is_heard():
    counts = Counter()
    for index in range(150):
        utterance = draw_utterance(0, index)
        counts.update(frame_labels(utterance.phonemes, len(utterance.samples) // HOP).tolist())
    missing = [sound for number, sound in enumerate(LABELS) if not counts[number] and sound not in RARE]
    assert not missing
