"""The pre-training recipe: three small rounds on seconds of speech, killed and resumed, of synthetic speech and people."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_prep.encoder import pretrain as pretrain_hubert
from data_prep.encoder.frame_labels import LABELS, UNKNOWN, frame_labels
from data_prep.encoder.made_up_speech import Utterance, draw_utterance
from data_prep.encoder.objective import frame_count
from data_prep.encoder.pretrain import Recipe, Sources, main, pretrain
from data_prep.encoder.teacher import CHANNELS
from otlib.errors import InputError
from tests.fixtures.small_hubert import local_hubert

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
    draw = pretrain_hubert.draw_batch

    def killed(*arguments):
        if next(steps) == 5:  # the second step of the third round
            raise KeyboardInterrupt
        return draw(*arguments)

    monkeypatch.setattr(pretrain_hubert, "draw_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(TINY, tmp_path / "encoder", tmp_path)
    monkeypatch.setattr(pretrain_hubert, "draw_batch", draw)
    pretrain(TINY, tmp_path / "encoder", tmp_path)
    file = "encoder/model.safetensors"
    assert (tmp_path / file).read_bytes() == (whole / file).read_bytes()


def test_the_phoneme_round_starts_from_an_encoder(whole, tmp_path):
    pretrain(TINY, tmp_path / "encoder", tmp_path, sources=Sources(start=whole / "encoder"))
    record = json.loads((tmp_path / "encoder" / "pretraining.json").read_text())
    assert set(record["log"]) == {"round3"} and len(record["start_sha256"]) == 64


def test_no_encoder_to_start_from_is_said_in_one_sentence(tmp_path, capsys):
    folders = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--start", str(tmp_path / "none")]
    assert main([*folders, "--hours", "0.003"]) == 2
    assert "name an encoder that this recipe made" in capsys.readouterr().err and not (tmp_path / "out").exists()


# ---- people and a teacher

MIXED = dataclasses.replace(TINY, flite_hours=0.005, teacher=True, kokoro_hours=0.005, shares=(0.2, 0.3, 0.4, 0.1))
FOLDERS = Sources(people=Path("people"), kokoro=Path("speakers"))


class KnowingTeacher:
    """Hears which sound an utterance is at, by its length: the label's own channels, amid noise."""

    def __init__(self, pool):
        self.labels = {len(one.samples): frame_labels(one.phonemes, frame_count(len(one.samples))) for one in pool}

    def features(self, samples):
        labels = self.labels[len(samples)]
        noise = np.random.default_rng(len(samples)).normal(0, 0.3, (len(labels), CHANNELS))
        for channel in range(0, 200, 51):
            noise[np.arange(len(labels)), channel + labels] += 5 * (labels != UNKNOWN)
        return noise.astype(np.float16)

    def speech(self, samples):
        return self.labels[len(samples)] != LABELS.index("")


@pytest.fixture
def mixed(monkeypatch):
    """Pools of flite, people and Kokoro that espeak-ng has spoken, and a teacher that knows them."""
    pools = {kind: [draw_utterance(seed, number) for number in range(12)]
             for seed, kind in ((7, "flite"), (8, "people"), (9, "kokoro"))}
    made = pretrain_hubert.speech_pool(TINY.seed, TINY.hours)
    teacher = KnowingTeacher(pools["flite"] + pools["people"] + pools["kokoro"] + made)
    people, kokoro = ([Utterance(one.samples, ()) for one in pools[kind]] for kind in ("people", "kokoro"))
    monkeypatch.setattr(pretrain_hubert, "people_pool", lambda folder: people)
    spoken = {None: made, pretrain_hubert.flite_speech.draw_utterance: pools["flite"]}
    monkeypatch.setattr(pretrain_hubert, "speech_pool", lambda seed, hours, processes, draw=None: spoken.get(draw, kokoro))
    monkeypatch.setattr(pretrain_hubert.Teacher, "load", classmethod(lambda cls: teacher))
    return pools


def test_the_teacher_names_what_people_say(mixed, tmp_path):
    pools = pretrain_hubert._speech(MIXED, FOLDERS, tmp_path, 1)
    materials = dict(zip(pools, pretrain_hubert._phonemes(pools, MIXED, tmp_path), strict=True))
    assert list(materials) == ["espeak", "flite", "people", "kokoro"]
    assert tuple(one.share for one in materials.values()) == MIXED.shares
    for kind in ("people", "kokoro"):
        true = np.concatenate([frame_labels(one.phonemes, frame_count(len(one.samples))) for one in mixed[kind]
                               if len(one.samples) >= MIXED.crops.samples[0]])
        named = np.concatenate(materials[kind].units)
        certain = (named != UNKNOWN) & (true != UNKNOWN)
        assert certain.mean() > 0.3 and (named == true)[certain].mean() > 0.8
    heard = np.concatenate([lesson for one in materials.values() for lesson in one.lessons]).astype(float)
    assert np.median(heard.std(0)) == pytest.approx(1.0, abs=0.15)


def test_without_a_teacher_people_and_kokoro_have_no_phonemes_but_clusters(mixed, tmp_path):
    alone = dataclasses.replace(MIXED, teacher=False)
    pools = pretrain_hubert._speech(alone, FOLDERS, tmp_path, 1)
    assert [one.pool for one in pretrain_hubert._phonemes(pools, alone, tmp_path)] == [pools["espeak"], pools["flite"]]
    clustered = pretrain_hubert._clustered(1, pools, alone, None, tmp_path)
    assert [one.pool for one in clustered] == list(pools.values())
    for material in clustered:
        assert [len(units) for units in material.units] == [frame_count(len(one.samples)) for one in material.pool]
        assert all((units >= 0).all() for units in material.units)


@pytest.mark.slow
def test_people_and_a_teacher_take_part_in_a_whole_training(mixed, tmp_path):
    pretrain(MIXED, tmp_path / "encoder", tmp_path, sources=FOLDERS)
    record = json.loads((tmp_path / "encoder" / "pretraining.json").read_text())
    assert set(record["speech_minutes"]) == {"espeak", "flite", "people", "kokoro"} and record["recipe"]["teacher"]
    assert all(torch.isfinite(w).all() for w in load_file(tmp_path / "encoder" / "model.safetensors").values())


def test_a_teacher_needs_voices_whose_phones_are_known(tmp_path):
    with pytest.raises(InputError, match="--flite-hours"):
        pretrain(dataclasses.replace(TINY, teacher=True), tmp_path / "encoder", tmp_path)


def test_checkpoints_of_other_settings_are_refused(tmp_path):
    pretrain_hubert._claim(tmp_path, TINY, Sources())
    pretrain_hubert._claim(tmp_path, dataclasses.replace(TINY, steps=(9, 9, 9)), Sources())
    for recipe, sources in ((dataclasses.replace(TINY, hours=0.02), Sources()),
                            *((TINY, Sources(**{name: tmp_path})) for name in ("start", "people", "kokoro"))):
        with pytest.raises(InputError, match="checkpoints of other settings"):
            pretrain_hubert._claim(tmp_path, recipe, sources)


@pytest.mark.parametrize("frozen", [0, 3])
def test_frozen_convolutions_stay_and_the_others_learn(frozen):
    encoder = local_hubert().train().requires_grad_(True)
    pretrain_hubert._freeze(encoder, frozen)
    encoder(torch.randn(1, 4000)).last_hidden_state.square().sum().backward()
    layers = encoder.feature_extractor.conv_layers
    assert [layer.conv.weight.grad is None for layer in layers] == [number < frozen for number in range(len(layers))]
