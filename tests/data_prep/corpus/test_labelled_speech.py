"""The corpus's speech without heads: words, phonemes and times that belong together, and splits that keep apart."""

import numpy as np
import pytest

from data_prep.corpus.labelled_speech import corpus_speech, plain, text_to_phonemes, unseen_word_frames, vocabulary
from data_prep.corpus.sentences import corpus_sentences, training_phrases
from otlib.errors import InputError
from otlib.phonemes import Transcript
from otlib.speech.small_hubert import SAMPLE_RATE


@pytest.fixture(scope="module")
def speech():
    return corpus_speech("test", 3, 2)


def test_each_speaker_says_sentences_of_his_own(speech):
    assert [one.speaker.id for one in speech] == ["test00"] * 2 + ["test01"] * 2 + ["test02"] * 2
    assert [one.text for one in speech] == corpus_sentences(0, 0, 0, 6)["test"]


def test_phonemes_tile_the_recording_and_are_those_of_the_transcript(speech):
    for one in speech:
        assert one.samples.dtype == np.float32 and np.abs(one.samples).max() <= 1.01
        assert one.phonemes[0].symbol == "" and one.phonemes[0].start == 0.0
        assert all(first.end == second.start for first, second in zip(one.phonemes, one.phonemes[1:], strict=False))
        assert one.phonemes[-1].end == pytest.approx(len(one.samples) / SAMPLE_RATE, abs=1e-4)
        heard = [phoneme.symbol for phoneme in one.phonemes if phoneme.symbol]
        assert heard == [symbol for word in one.transcript.words for symbol in word.phonemes]


def test_sound_is_where_the_phonemes_are(speech):
    for one in speech:
        begin = round(one.phonemes[0].end * SAMPLE_RATE)
        assert np.abs(one.samples[:begin - 100]).max() < 1e-3 < 0.01 < np.abs(one.samples).max()


def test_words_are_written_as_in_the_text_and_follow_each_other(speech):
    for one in speech:
        assert " ".join(word.text for word in one.transcript.words) == one.text
        ends = [0.0]
        for start, end in one.word_spans:
            assert ends[-1] <= start < end
            ends.append(end)


def test_words_that_are_said_as_one_are_one():
    words = {word.text: "".join(word.phonemes) for word in text_to_phonemes("It was in the middle of the sea!").words}
    assert words["in the"] == "ɪnðə" and words["sea!"] == "sˈiː" and "the" not in words


def test_a_text_of_no_words_is_refused():
    with pytest.raises(InputError, match="says nothing"):
        text_to_phonemes(" ")


def test_frames_of_unseen_words_by_hand(speech):
    one = speech[1]
    times = np.arange(0, len(one.samples) / SAMPLE_RATE, 0.02)
    words = [plain(part) for word in one.transcript.words for part in word.text.split()]
    once = next(number for number, word in enumerate(one.transcript.words) if words.count(plain(word.text)) == 1)
    known = frozenset(words) - {plain(one.transcript.words[once].text)}
    start, end = one.word_spans[once]
    assert np.array_equal(unseen_word_frames(one, known, times), (times >= start) & (times < end))
    assert not unseen_word_frames(one, frozenset(words), times).any()


def test_training_words_are_those_that_training_sentences_are_made_of():
    known = vocabulary(training_phrases())
    sentences = corpus_sentences(0, 300, 50, 50)
    assert vocabulary(sentences["train"] + sentences["val"]) <= known
    assert all(vocabulary([text]) - known for text in sentences["test"])


def test_a_transcript_reads_as_its_words():
    assert text_to_phonemes("Two words.").text == "Two words." and Transcript(()).text == ""
