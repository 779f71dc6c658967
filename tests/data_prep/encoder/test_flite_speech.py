"""flite's speech: phones with their own times, that tile it; and a sentence where flite is missing."""

import shutil

import numpy as np
import pytest

from data_prep.encoder import flite_speech
from data_prep.encoder.flite_speech import VOICES, draw_utterance, speak
from data_prep.encoder.frame_labels import UNKNOWN, frame_labels
from data_prep.encoder.objective import frame_count
from otlib.errors import InputError
from otlib.speech.small_hubert import SAMPLE_RATE

installed = pytest.mark.skipif(shutil.which("flite") is None, reason="flite, a program of the system, is not installed")


def test_the_voice_for_tests_is_not_used():
    assert "slt" not in VOICES


def test_without_flite_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(flite_speech.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="flite: is not installed"):
        speak("hello", "rms")


@installed
def test_phones_tile_the_recording_and_follow_the_sound():
    said = speak("A bee may pass.", "rms")
    assert [one.symbol for one in said.phonemes if one.symbol] == ["ə", "b", "i", "m", "eɪ", "p", "æ", "s"]
    assert said.phonemes[0].start == 0 and said.phonemes[-1].end == pytest.approx(len(said.samples) / SAMPLE_RATE, abs=0.02)
    assert all(one.end == other.start for one, other in zip(said.phonemes, said.phonemes[1:], strict=False))
    loud = np.square(said.samples.astype(float))
    power = {one.symbol: loud[int(one.start * SAMPLE_RATE):int(one.end * SAMPLE_RATE)].mean()
             for one in said.phonemes}
    assert power["æ"] > 10 * power["p"] and power["eɪ"] > 10 * power[""]


@installed
def test_slow_speech_lasts_longer():
    fast, slow = (len(speak("hello there", "awb", slowness).samples) for slowness in (1.0, 1.5))
    assert slow == pytest.approx(1.5 * fast, rel=0.1)


@installed
def test_no_such_voice_is_said():
    with pytest.raises(InputError, match="flite: has no voice 'nobody'"):
        speak("hello", "nobody")


@installed
def test_utterances_follow_from_seed_and_number():
    one, again, other = draw_utterance(0, 3), draw_utterance(0, 3), draw_utterance(0, 4)
    assert np.array_equal(one.samples, again.samples) and one.phonemes == again.phonemes
    assert not np.array_equal(one.samples[:8000], other.samples[:8000])
    labels = frame_labels(one.phonemes, frame_count(len(one.samples)))
    assert (labels != UNKNOWN).mean() > 0.98 and len(np.unique(labels)) > 8
    assert one.phonemes[-1].end == pytest.approx(len(one.samples) / SAMPLE_RATE, abs=0.02)
