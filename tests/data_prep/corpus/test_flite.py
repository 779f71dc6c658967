"""flite's speech: phones with their own times, that tile it, in a corpus too; and a sentence where flite is missing."""

import shutil

import numpy as np
import pytest

from data_prep.__main__ import main
from data_prep.corpus import flite
from data_prep.corpus.flite import VOICES, synthesise
from data_prep.corpus.speakers import draw_speakers, speak
from data_prep.encoder.flite_speech import draw_utterance
from data_prep.encoder.frame_labels import UNKNOWN, frame_labels
from data_prep.encoder.objective import frame_count
from otlib.data.dataset import Dataset, validate
from otlib.errors import InputError
from otlib.speech.small_hubert import SAMPLE_RATE

installed = pytest.mark.skipif(shutil.which("flite") is None, reason="flite, a program of the system, is not installed")


def test_the_voice_for_tests_is_not_used():
    assert "slt" not in VOICES


def test_without_flite_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="flite: is not installed"):
        synthesise("hello", "rms")


@installed
def test_phones_tile_the_recording_and_follow_the_sound():
    said = synthesise("A bee may pass.", "rms")
    assert [one.symbol for one in said.phonemes if one.symbol] == ["ə", "b", "ˌi", "m", "ˌeɪ", "p", "ˌæ", "s"]
    assert said.phonemes[0].start == 0 and said.phonemes[-1].end == pytest.approx(len(said.samples) / SAMPLE_RATE, abs=0.02)
    assert all(one.end == other.start for one, other in zip(said.phonemes, said.phonemes[1:], strict=False))
    loud = np.square(said.samples.astype(float))
    power = {one.symbol: loud[int(one.start * SAMPLE_RATE):int(one.end * SAMPLE_RATE)].mean()
             for one in said.phonemes}
    assert power["ˌæ"] > 10 * power["p"] and power["ˌeɪ"] > 10 * power[""]


@installed
def test_slow_speech_lasts_longer():
    fast, slow = (len(synthesise("hello there", "awb", slowness).samples) for slowness in (1.0, 1.5))
    assert slow == pytest.approx(1.5 * fast, rel=0.1)


@installed
def test_no_such_voice_is_said():
    with pytest.raises(InputError, match="flite: has no voice 'nobody'"):
        synthesise("hello", "nobody")


@installed
def test_utterances_follow_from_seed_and_number():
    one, again, other = draw_utterance(0, 3), draw_utterance(0, 3), draw_utterance(0, 4)
    assert np.array_equal(one.samples, again.samples) and one.phonemes == again.phonemes
    assert not np.array_equal(one.samples[:8000], other.samples[:8000])
    labels = frame_labels(one.phonemes, frame_count(len(one.samples)))
    assert (labels != UNKNOWN).mean() > 0.98 and len(np.unique(labels)) > 8
    assert one.phonemes[-1].end == pytest.approx(len(one.samples) / SAMPLE_RATE, abs=0.02)


@installed
def test_a_shorter_vocal_tract_speaks_higher_and_faster():
    usual, short = synthesise("hello there", "rms"), synthesise("hello there", "rms", tract=1.1)
    assert len(usual.samples) == pytest.approx(1.1 * len(short.samples), rel=0.001)
    assert usual.phonemes[-1].end == pytest.approx(1.1 * short.phonemes[-1].end, rel=0.001)


def test_training_speakers_have_the_engines_voices_in_turn():
    counts = {"train": 36, "val": 2, "test": 2}
    usual, mixed = draw_speakers(0, counts, 3), draw_speakers(0, counts, 3, ("espeak", "flite"))
    assert [one.voice.startswith("flite:") for one in mixed] == [number % 2 == 1 and number < 36 for number in range(40)]
    assert all(one == other for one, other in zip(usual, mixed, strict=True) if not other.voice.startswith("flite:"))
    voices = [one.voice for one in mixed if one.voice.startswith("flite:")]
    assert len(set(voices[:15])) == 15 and voices[15:] == voices[:3] and {one.split(":")[1] for one in voices} == set(VOICES)
    assert all(one.voice.startswith("flite:") for one in draw_speakers(0, counts, 3, ("flite",)) if one.split == "train")


@installed
def test_a_speaker_of_flite_speaks_at_their_rate_after_a_short_silence():
    one = next(one for one in draw_speakers(0, {"train": 1, "val": 1, "test": 1}, 3, ("flite",)) if one.split == "train")
    said = speak(one, "A bee may pass.")
    assert said.phonemes[0] == ("", 0.0, 0.3) and not said.samples[:4800].any()
    assert said.phonemes[-1].end == pytest.approx(len(said.samples) / said.sample_rate, abs=0.02)


@pytest.mark.slow
@installed
def test_a_corpus_with_flites_voices_is_sound(tmp_path):
    arguments = ["synthetic", "--hours", "0.02", "--workers", "1", "--out"]
    assert main([*arguments, str(tmp_path / "mixed"), "--voices", "espeak", "flite"]) == 0
    assert validate(tmp_path / "mixed") == []
    mixed = Dataset.open(tmp_path / "mixed")
    assert mixed.provenance["parameters"]["engines"] == ["espeak", "flite"] and "BSD" in mixed.provenance["licence"]
    clip = next(clip for clip in mixed.select("train") if mixed.subjects[clip.subject]["voice"].startswith("flite:"))
    gap = mixed.topology.gap_mm(np.asarray(clip.vertices))
    middles = [round(one.middle * mixed.frame_rate) for one in clip.phonemes if one.is_bilabial]
    assert gap.max() > 5 and middles and all(gap[one - 3:one + 4].min() < 2 for one in middles)


def test_a_corpus_with_flites_voices_says_that_flite_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)
    assert main(["synthetic", "--voices", "flite", "--out", str(tmp_path / "made")]) == 2
    assert "flite: is not installed" in capsys.readouterr().err and not (tmp_path / "made").exists()
