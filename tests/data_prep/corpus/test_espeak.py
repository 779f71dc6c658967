"""espeak-ng's speech: the same bytes each time, and phonemes that tile the utterance with closures in their place."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from data_prep.corpus import voices
from data_prep.corpus.espeak import _phonemes, synthesise
from otlib.errors import InputError

TEXT = "Maybe a happy puppy took the big cake."
PROCESS = """
import hashlib, sys
from data_prep.corpus.espeak import synthesise
print(hashlib.sha256(synthesise(sys.argv[1], sys.argv[2]).samples.tobytes()).hexdigest())
"""
QUIET = 64 / 32768  # closures are zeros and the decay of the sound before


def digest(text, voice):
    return hashlib.sha256(synthesise(text, voice).samples.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def speech():
    return synthesise(TEXT)


# Reed and caleb are the Klatt voices whose breath comes from the C library's random numbers
@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "en-us+whisper", "en-us+Reed", "en-us+caleb"])
def test_two_calls_give_the_same_speech(voice):
    first, second = synthesise(TEXT, voice), synthesise(TEXT, voice)
    assert np.array_equal(first.samples, second.samples)
    assert (first.phonemes, first.word_numbers, first.words) == (second.phonemes, second.word_numbers, second.words)


def test_another_sentence_before_leaves_no_trace():
    alone = digest(TEXT, "en-us+f3")
    synthesise("Something else was said.", "en-us+klatt2", rate=300, pitch=90)
    assert digest(TEXT, "en-us+f3") == alone


@pytest.mark.parametrize("voice", ["en-us+f3", "en-us+Reed"])
def test_two_processes_give_the_same_bytes(voice):
    root = Path(__file__).resolve().parents[3]
    found = subprocess.run([sys.executable, "-c", PROCESS, TEXT, voice], capture_output=True, text=True, check=True,
                           cwd=root, timeout=60)
    assert found.stdout.strip() == digest(TEXT, voice)


@pytest.mark.parametrize("voice, rate",
                         [("en-us", 80), ("en-us", 449), ("en-gb-x-rp+m3", 175), ("en-us+f5", 175), ("de", 175)])
def test_phonemes_tile_the_utterance(voice, rate):
    speech = synthesise(TEXT + " Then we sang 24 songs, for free!", voice, rate=rate)
    spans = speech.phonemes
    assert spans[0].start == 0.0
    assert spans[-1].end == pytest.approx(len(speech.samples) / speech.sample_rate, abs=1e-12)
    for before, after in zip(spans, spans[1:], strict=False):
        assert before.end == after.start
    assert all(span.end > span.start for span in spans)


def test_phonemes_are_those_of_the_words(speech):
    heard = "".join(span.symbol.lstrip("ˈˌ") for span in speech.phonemes)
    assert heard.startswith("meɪbi") and heard.count("p") == 3 and "keɪk" in heard
    assert [word for word, _ in speech.words] == TEXT.rstrip(".").split()


def test_words_start_where_their_first_phoneme_does(speech):
    starts = [span.start for span in speech.phonemes]
    for _, start in speech.words:
        assert min(abs(start - phoneme) for phoneme in starts) < 0.1


def closure(speech, index):
    """Return seconds of silence at the beginning of a phoneme, and at the end of the one before it."""
    before, stop = speech.phonemes[index - 1], speech.phonemes[index]
    loud = np.abs(speech.samples / 32768) > QUIET

    def quiet(flags):
        return (int(flags.argmax()) if flags.any() else len(flags)) / speech.sample_rate

    first, start, last = (round(moment * speech.sample_rate) for moment in (before.start, stop.start, stop.end))
    return quiet(loud[start:last]), quiet(loud[first:start][::-1])


def test_silence_before_a_burst_belongs_to_the_stop():
    speech = synthesise("a happy puppy took a cape to a copper pot", rate=150)
    closures = [(speech.phonemes[i].symbol, *closure(speech, i)) for i in range(1, len(speech.phonemes))
                if speech.phonemes[i].symbol.lstrip("ˈˌ") in tuple("ptk") and speech.phonemes[i - 1].symbol]
    assert len(closures) >= 8
    for symbol, within, left_before in closures:
        assert within >= 0.02, symbol
        assert left_before < 0.002, symbol


def test_phonemes_of_known_sound():
    """Sound until 0.30 s, silence until the release of p at 0.40 s; d is released 10 ms after the t before it."""
    rate = 1000
    samples = np.full(1000, 5000, np.int16)
    samples[300:400] = 3
    samples[600:] = 0
    events = [(100, "æ", 0), (400, "p", 0), (500, "(de)", 1), (600, "t", 1), (610, "d", 1), (800, "", 1), (900, "k", 2),
              (1000, "", 2)]
    phonemes, words = _phonemes(events, samples, rate)
    found = [(symbol, round(start * rate), round(end * rate)) for symbol, start, end in phonemes]
    assert words == (-1, 0, 0, 1, 1, -1, 2)
    assert found == [("", 0, 100), ("æ", 100, 300), ("p", 300, 600), ("t", 600, 610), ("d", 610, 800), ("", 800, 900),
                     ("k", 900, 1000)]


def test_sound_before_a_stop_keeps_20_milliseconds():
    events = [(0, "s", 0), (500, "t", 0)]
    found, _ = _phonemes(events, np.zeros(1000, np.int16), 1000)
    assert [(span.symbol, span.start) for span in found] == [("s", 0.0), ("t", 0.02)]


def test_rate_pitch_and_voice_are_heard():
    slow, fast = synthesise(TEXT, rate=120), synthesise(TEXT, rate=240)
    assert len(slow.samples) > 1.3 * len(fast.samples)
    assert len({digest(TEXT, voice) for voice in ("en-us", "en-us+f3", "en-gb-scotland")}) == 3
    assert not np.array_equal(synthesise(TEXT, pitch=20).samples, synthesise(TEXT, pitch=80).samples)


@pytest.mark.parametrize("voice", ["martian", "en-us+nobody", "", "en-us+", "!v/f3"])
def test_unknown_voice_is_refused(voice):
    with pytest.raises(InputError) as caught:
        synthesise(TEXT, voice)
    message = str(caught.value)
    assert repr(voice.partition("+")[2] if "+" in voice else voice) in message and "\n" not in message


@pytest.mark.parametrize("arguments", [("\udcff",), ("a", "\udcff")])
def test_bytes_that_are_no_text_are_refused(arguments):
    with pytest.raises(InputError, match="holds bytes that are no letters"):
        synthesise(*arguments)


@pytest.mark.parametrize("text", ["", " ", "?!"])
def test_text_without_sound_is_refused(text):
    with pytest.raises(InputError, match="says nothing"):
        synthesise(text)


def test_a_text_beyond_any_recording_is_refused_at_once():
    start = time.monotonic()
    with pytest.raises(InputError, match="1,000,000 letters; give at most 100,000"):
        synthesise("a" * 10**6)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("setting", [{"rate": 79}, {"rate": 450}, {"pitch": 101}, {"pitch_range": -1}])
def test_settings_out_of_bounds_are_refused(setting):
    with pytest.raises(ValueError, match=f"^{next(iter(setting))}: "):
        synthesise(TEXT, **setting)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError, match=r"pip install otlib\[corpus\]"):
        synthesise(TEXT)


# ---- voices


def test_no_voice_that_tests_was_trained_on():
    trained = {*voices.TRAIN_FEMALE, *voices.TRAIN_MALE, *voices.EFFECTS}
    kept = {*voices.TEST_FEMALE, *voices.TEST_MALE}
    assert not trained & kept
    everything = [*voices.TRAIN_FEMALE, *voices.TRAIN_MALE, *voices.EFFECTS, *voices.TEST_FEMALE, *voices.TEST_MALE]
    assert len(everything) == len(trained | kept)


def test_every_voice_exists():
    variants = set(os.listdir(Path(espeakng_loader.get_data_path()) / "voices" / "!v"))
    assert {*voices.TRAIN_FEMALE, *voices.TRAIN_MALE, *voices.EFFECTS, *voices.TEST_FEMALE, *voices.TEST_MALE} <= variants


@pytest.mark.parametrize("accent", voices.ACCENTS + voices.LANGUAGES)
def test_every_accent_speaks(accent):
    assert len(synthesise("12", accent).samples) > 1000


def test_a_refused_voice_changes_nothing_that_follows():
    before = synthesise("A bumble bee.", voice="en-us+f5").samples.tobytes()
    with pytest.raises(InputError):
        synthesise("A bumble bee.", voice="en-us+nobody")
    synthesise("Something else.", voice="en-us+m1")
    assert synthesise("A bumble bee.", voice="en-us+f5").samples.tobytes() == before
