"""pocketsphinx behind the one interface: what it finds, what it refuses, and that it finds the same again."""

import sys

import pytest
import torch

from data_prep.corpus.articulatory_targets import TARGETS
from data_prep.corpus.labelled_speech import text_to_phonemes
from otlib.errors import InputError
from otlib.phonemes import Transcript, Word, load_aligner
from otlib.phonemes.sphinx import IPA
from otlib.phonemes.words import split_symbol
from otlib.speech.recording import read_recording, resampled

TEXT = "Mend the coat before you go out."


@pytest.fixture(scope="module")
def aligner():
    pytest.importorskip("pocketsphinx", reason="pocketsphinx comes with otlib[aligners]")
    return load_aligner("pocketsphinx")


@pytest.fixture
def person(shared):
    """A person who says TEXT."""
    return resampled(read_recording(shared / "speech" / "spk2_snt4.wav"))


def symbols(spans):
    return [span.symbol for span in spans if span.symbol]


def test_a_person_is_aligned_twice_alike(aligner, person):
    found = aligner.phonemes(person, text_to_phonemes(TEXT))
    assert symbols(found)[:8] == ["m", "ɛ", "n", "d", "ð", "ʌ", "k", "oʊ"]
    assert found[0].start == 0.0 and found[-1].end == pytest.approx(len(person) / 16000)
    assert all(one.end == other.start for one, other in zip(found, found[1:], strict=False))
    assert aligner.phonemes(person, text_to_phonemes(TEXT)) == found
    (closure,) = [span for span in found if span.symbol == "b"]  # seen in the waveform: from 0.83 s to 0.92 s
    assert 0.80 < closure.start < 0.87 and 0.89 < closure.end < 0.96


def test_without_a_text_a_person_is_recognised(aligner, person):
    assert "".join(symbols(aligner.phonemes(person))).endswith("bɪfɔɹjuɡoʊaʊt")


def test_words_without_an_entry_are_spelt_from_their_phonemes(aligner, person):
    spelt = Transcript((Word("mendthe", ("m", "ˈɛ", "n", "d", "ð", "ə")), Word("co-te", ("k", "ˈəʊ", "t")),
                        *text_to_phonemes("before you go out.").words))
    assert symbols(aligner.phonemes(person, spelt)) == symbols(aligner.phonemes(person, text_to_phonemes(TEXT)))


def test_another_text_is_refused_by_name(aligner, person):
    with pytest.raises(InputError, match="^speech.wav: pocketsphinx cannot align it"):
        aligner.phonemes(person, text_to_phonemes("A photograph of many purple elephants in a bamboo boat, at the end of "
                                                  "the long and winding road to nowhere."), name="speech.wav")


def test_a_word_of_neither_dictionary_nor_phonemes_is_named(aligner):
    with pytest.raises(InputError, match="'xyzzyq'"):
        aligner.phonemes(torch.zeros(16000), Transcript((Word("xyzzyq", ()),)))


@pytest.mark.parametrize("samples", [1, 16000])
def test_silence_without_a_text_ends(aligner, samples):
    found = aligner.phonemes(torch.zeros(samples))
    assert found[-1].end == pytest.approx(samples / 16000)


def test_its_phones_are_written_in_the_corpus_alphabet():
    assert all(split_symbol(ipa, TARGETS) for ipa in IPA.values())


def test_missing_package_is_said_in_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(InputError, match=r"not installed; `pip install otlib\[aligners\]`"):
        load_aligner("pocketsphinx")
