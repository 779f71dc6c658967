"""A phoneme with its times, the one rule for p, b and m, and the room's door."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import otlib.phonemes
from data_prep.corpus.articulatory_targets import TARGETS, letters
from otlib.phonemes import Phoneme
from otlib.phonemes.timed_phoneme import is_bilabial

ROOT = Path(__file__).resolve().parents[3]
REST_OF_ENGLISH = ("n̩", "əl", "aɪə", "ɑːɹ", "ɑ̃", "t̪", "ʌʊ", "iː", "dʒ")


@pytest.mark.parametrize(("symbol", "why"), [
    ("p", "itself"), ("b", "itself"), ("m", "itself"),
    ("ˈb", "stress stands before it"), ("ˌm", "stress stands before it"), ("mː", "length"), ("pʰ", "aspirated"),
    ("mʲ", "palatalised"), ("pʼ", "ejective"), ("m̩", "syllabic"), ("b̥", "voiceless"),
    (unicodedata.normalize("NFC", "ṗ"), "a mark that is one character with its letter"),
    ("kp", "the lips close at once with the tongue"), ("k͡p", "the same with a tie"), ("ŋ͡m", "likewise, nasal"),
    ("pf", "an affricate begins with closed lips"), ("p͡f", "the same with a tie"), ("bv", "likewise, voiced"),
    ("ᵐb", "prenasalised"), ("mb", "prenasalised, in letters"), ("hp", "preaspirated"), ("əm", "a vowel and m in one"),
])
def test_the_lips_meet(symbol, why):
    assert is_bilabial(symbol) and Phoneme(symbol, 0.0, 1.0).is_bilabial, why


@pytest.mark.parametrize(("symbol", "why"), [
    ("", "a pause"), ("ˈ", "stress alone"), ("n", "the tongue closes"), ("f", "the lip meets the teeth"),
    ("ɱ", "the lip meets the teeth"), ("w", "lips come near and stay open"), ("ʍ", "likewise"),
    ("β", "a fricative: lips stay open"), ("ɸ", "likewise"), ("tᵐ", "a raised letter colours another sound"),
    ("tʃ", "an affricate of the tongue"), ("aɪ", "a diphthong"), ("ɓ", "an implosive is not b"),
    ("ʙ", "a trill: lips part again and again"), ("P", "no IPA"),
])
def test_the_lips_need_not_meet(symbol, why):
    assert not is_bilabial(symbol) and not Phoneme(symbol, 0.0, 1.0).is_bilabial, why


def first_letter(symbol):
    """The rule that scored before there was one rule."""
    small = [letter for letter in unicodedata.normalize("NFD", symbol) if unicodedata.category(letter) == "Ll"]
    return bool(small) and small[0] in "pbm"


def test_the_corpus_is_scored_as_by_its_first_letters_and_as_it_is_articulated():
    for symbol in [*TARGETS, *("ˈ" + letter for letter in TARGETS), *REST_OF_ENGLISH]:
        assert is_bilabial(symbol) == first_letter(symbol) == any(part.letter in ("p", "b", "m") for part in letters(symbol))


def test_a_phoneme_is_a_tuple_with_a_middle():
    symbol, start, end = phoneme = Phoneme("ˈa", 0.5, 0.75)
    assert (symbol, start, end) == ("ˈa", 0.5, 0.75) and phoneme.middle == 0.625


# ---- the door


def loaded(statement, *names):
    """Which of some packages a fresh process has imported after a statement."""
    code = f"{statement}\nimport sys\nprint(*(name for name in {names!r} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
                          timeout=60).stdout.split()


@pytest.mark.slow
def test_the_door_imports_nothing_until_it_is_asked():
    assert loaded("from otlib.phonemes import Phoneme, Transcript, Word", "torch", "transformers", "pocketsphinx") == []
    assert loaded("from otlib.phonemes import BACK_ENDS, Aligner, load_aligner", "transformers", "pocketsphinx") == []


def test_the_door_gives_all_that_it_names_and_nothing_else():
    assert all(getattr(otlib.phonemes, name) is not None for name in otlib.phonemes.__all__)
    with pytest.raises(AttributeError, match="'kaldi'"):
        _ = otlib.phonemes.kaldi
