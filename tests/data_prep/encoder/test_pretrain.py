"""The pre-training recipe: three small rounds on seconds of speech, killed and resumed; crops that keep their labels."""

import functools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_prep.encoder import pretrain as pretrain_hubert
from data_prep.encoder.frame_labels import LABELS
from data_prep.encoder.made_up_speech import Utterance
from data_prep.encoder.pretrain import Recipe, main, pretrain
from otlib.phonemes import Phoneme
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW

pytestmark = pytest.mark.slow

TINY = Recipe(hours=0.01, steps=(2, 2, 3), units=(5, 6), batch=2, crop_frames=49)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    pretrain(TINY, folder / "encoder", folder)
    return folder


def test_three_rounds_leave_an_encoder_with_its_record(whole):
    record = json.loads((whole / "encoder" / "pretraining.json").read_text())
    assert record["recipe"]["steps"] == [2, 2, 3] and set(record["log"]) == {"round1", "round2", "round3"}
    assert record["start_sha256"] is None
    weights = load_file(whole / "encoder" / "model.safetensors")
    assert all(w.dtype == torch.float16 and torch.isfinite(w).all() for w in weights.values())


def test_killed_in_the_last_round_it_ends_with_the_same_encoder(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain_hubert, "train_round", functools.partial(pretrain_hubert.train_round, every=1))
    steps = iter(range(100))
    draw = pretrain_hubert._batch

    def killed(*arguments):
        if next(steps) == 5:  # the second step of the third round
            raise KeyboardInterrupt
        return draw(*arguments)

    monkeypatch.setattr(pretrain_hubert, "_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(TINY, tmp_path / "encoder", tmp_path)
    monkeypatch.setattr(pretrain_hubert, "_batch", draw)
    pretrain(TINY, tmp_path / "encoder", tmp_path)
    file = "encoder/model.safetensors"
    assert (tmp_path / file).read_bytes() == (whole / file).read_bytes()


def test_the_phoneme_round_starts_from_an_encoder(whole, tmp_path):
    pretrain(TINY, tmp_path / "encoder", tmp_path, start=whole / "encoder")
    record = json.loads((tmp_path / "encoder" / "pretraining.json").read_text())
    assert set(record["log"]) == {"round3"} and len(record["start_sha256"]) == 64


def test_no_encoder_to_start_from_is_said_in_one_sentence(tmp_path, capsys):
    folders = ["--out", str(tmp_path / "out"), "--work", str(tmp_path), "--start", str(tmp_path / "none")]
    assert main([*folders, "--hours", "0.003"]) == 2
    assert "no weights to start from" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_crops_at_any_speed_keep_sound_and_label_together():
    """A pool of one clip whose loudness tells its label: every crop's frames must still agree."""
    generator = np.random.default_rng(0)
    spans = np.cumsum(generator.integers(3, 9, 60)) * HOP
    loud = generator.random(len(spans)) < 0.5
    samples, phonemes, start = np.zeros(spans[-1], np.int16), [], 0
    for end, on in zip(spans, loud, strict=True):
        samples[start:end] = 10000 if on else 100
        phonemes.append(Phoneme("s" if on else "", start / SAMPLE_RATE, end / SAMPLE_RATE))
        start = end
    pool = [Utterance(samples, tuple(phonemes))]
    recipe = Recipe(batch=16, crop_frames=49, speeds=(0.7, 1.4))
    crops, labels = pretrain_hubert._batch(pool, pretrain_hubert._units(3, pool, recipe, None, None), recipe, generator)
    middle = torch.arange(recipe.crop_frames) * HOP + WINDOW // 2
    agree = ((crops[:, middle] > 0.1) == (labels == LABELS.index("s"))).float().mean()
    assert agree > 0.9  # a label lies up to half a frame from the crop's own; spans are 3 to 8 frames long
    shifted = ((crops[:, middle[3:]] > 0.1) == (labels[:, :-3] == LABELS.index("s"))).float().mean()
    assert agree > shifted + 0.1
