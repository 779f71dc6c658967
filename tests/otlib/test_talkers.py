"""The talker that comes with the package: small, whole, and its lips do what they should."""

import json
import re
import shutil

import numpy as np
import pytest

from data_prep.corpus.espeak import synthesise
from data_prep.head import make_head
from otlib.errors import InputError
from otlib.metrics.closures import frames_within
from otlib.predict import load_trained, talk
from otlib.speech.recording import Recording
from otlib.talkers import shipped_talker

SENTENCE = "Bob and Pam may be home by May. My puppy barked at a big bee above the map."
MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def spoken():
    """The sentence's phonemes, and how far the lips of the built-in head are apart beyond rest, mm, frame by frame."""
    head, trained = make_head(resolution="low"), load_trained(shipped_talker())
    speech = synthesise(SENTENCE, voice="en-us", pitch=60)
    recording = Recording(speech.samples.astype(np.float32) / 32768, speech.sample_rate)
    template = head.vertices.astype(np.float32)
    frames = np.concatenate(list(talk(trained, recording, template, head.topology)))
    return speech.phonemes, head.topology.gap_mm(frames) - head.topology.gap_mm(template), trained.frame_rate


def smallest(phonemes, gap_mm, rate, shift=0.0):
    """The smallest gap at each p, b and m, as a share of the clip's range; by chance, where the times are shifted."""
    margin = 1 / rate
    gaps = [gap_mm[frames_within(p.start - margin + shift, p.end + margin + shift, rate, len(gap_mm))]
            for p in phonemes if p.is_bilabial]
    return np.array([gap.min() for gap in gaps if len(gap)]) / gap_mm.max()


def test_it_is_small_and_has_a_card():
    folder = shipped_talker()
    assert {file.name for file in folder.iterdir()} == {"model.json", "model.safetensors", "scores.json", "README.md"}
    assert sum(file.stat().st_size for file in folder.iterdir()) < MOST_BYTES


def test_lips_meet_at_p_b_and_m_and_open_between(spoken):
    phonemes, gap_mm, rate = spoken
    shut = smallest(phonemes, gap_mm, rate)
    assert len(shut) >= 15 and (shut < 0.15).mean() > 0.85
    by_chance = [(smallest(phonemes, gap_mm, rate, shift) < 0.15).mean() for shift in (0.2, -0.2, 0.4)]
    assert (shut < 0.15).mean() > np.mean(by_chance) + 0.2
    assert gap_mm.max() > 6


def test_the_mouth_is_shut_in_silence(spoken):
    phonemes, gap_mm, rate = spoken
    head, trained = make_head(resolution="low"), load_trained(shipped_talker())
    silence = Recording(np.zeros(16_000, np.float32), 16_000)
    frames = np.concatenate(list(talk(trained, silence, head.vertices.astype(np.float32), head.topology)))
    assert (head.topology.gap_mm(frames) - head.topology.gap_mm(head.vertices)).max() < 1


def test_the_card_says_what_was_measured():
    folder = shipped_talker()
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    rows = {name.strip(): [cell.strip() for cell in cells] for name, *cells in
            (line.strip("|").split("|") for line in (folder / "README.md").read_text(encoding="utf-8").splitlines()
             if line.startswith("|"))}
    for name, key in (("closures found", "found_shut"), ("false closures, of all", "false_share")):
        own, chance = scores["people"]["own"][key], scores["people"]["chance"][key]
        low, high = own["interval"]
        assert rows[name] == [f"{own['mean']:.2f} [{low:.2f}, {high:.2f}]", f"{chance['mean']:.2f}"]
    assert rows["largest lip distance (mm)"] == [f"{scores['corpus']['lip_max_mm']:.2f}"] and re.search("flite", (
        folder / "README.md").read_text(encoding="utf-8"))


def test_a_copy_without_it_says_what_to_do(monkeypatch, tmp_path):
    shutil.copytree(shipped_talker(), tmp_path / "ot-talk")
    (tmp_path / "ot-talk" / "model.safetensors").unlink()
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    with pytest.raises(InputError, match="no trained talker comes with this copy of otlib; name one with --model"):
        shipped_talker()
