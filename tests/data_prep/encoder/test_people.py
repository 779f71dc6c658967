"""Recordings of people: what is kept for tests is known by its content, and no voice is on both sides."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.encoder import people
from data_prep.encoder.people import SPLIT, people_pool, recordings
from otlib.errors import InputError
from otlib.files import sha256
from otlib.speech.small_hubert import SAMPLE_RATE

SHARED = Path(__file__).resolve().parents[4] / "shared" / "people"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three recordings in folders of their own, of which one is kept for tests and one for validation."""
    entries = {}
    for number, (name, split) in enumerate((("a/one.wav", "test"), ("b/two.flac", "validation"), ("three.wav", None))):
        file = tmp_path / "recordings" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).normal(0, 0.1, 45 * SAMPLE_RATE // 2)
        soundfile.write(file, noise, SAMPLE_RATE // 2)
        if split:
            entries[sha256(file)[:16]] = {"file": file.name, "voice": number, "split": split}
    (tmp_path / "split.json").write_text(json.dumps(entries))
    (tmp_path / "recordings" / "notes.txt").write_text("no recording")
    monkeypatch.setattr(people, "SPLIT", tmp_path / "split.json")
    return tmp_path / "recordings"


def test_what_is_listed_is_kept_out_under_any_name(folder):
    (folder / "a" / "one.wav").rename(folder / "another name.wav")
    assert [file.name for file, _ in recordings(folder, "train")] == ["three.wav"]
    assert [(file.name, voice) for file, voice in recordings(folder, "test")] == [("another name.wav", 0)]
    assert [(file.name, voice) for file, voice in recordings(folder, "validation")] == [("two.flac", 1)]


def test_training_speech_is_cut_and_brought_to_16_khz(folder):
    pool = people_pool(folder)
    assert [len(one.samples) // SAMPLE_RATE for one in pool] == [20, 20, 5]
    assert all(one.samples.dtype == np.int16 and one.phonemes == () for one in pool)
    assert np.concatenate([one.samples for one in pool]).std() > 1000


def test_a_folder_without_recordings_is_said(folder, tmp_path):
    (tmp_path / "none").mkdir()
    for where, split in ((tmp_path / "none", "train"), (folder / "a", "train")):
        with pytest.raises(InputError, match="holds no recording for train"):
            recordings(where, split)


def test_no_voice_is_on_two_sides():
    entries = json.loads(SPLIT.read_text(encoding="utf-8")).values()
    voices = {split: {entry["voice"] for entry in entries if entry["split"] == split}
              for split in ("train", "validation", "test")}
    assert sum(map(len, voices.values())) == len(set().union(*voices.values())) == 53
    assert len(entries) == 492 and len(voices["test"]) >= 12


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/people, recordings that the project does not hold, is not there")
def test_the_split_knows_every_recording():
    numbers = [len(recordings(SHARED, split)) for split in ("train", "validation", "test")]
    assert numbers == [319, 46, 127]
    assert all(voice is not None for _, voice in recordings(SHARED, "train"))
