"""KMTalk trains, resumes and predicts like OT-Talk, whatever the source of its keys."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.losses import LossSettings, key_losses, losses
from otlib.own_files import LEDGER
from otlib.phonemes.key_frames import KeySettings
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.words import Transcript
from otlib.predict import Predictor, find_keys, load_trained, talk
from otlib.speech.recording import read_recording
from otlib.train import loop as training
from otlib.train.__main__ import main
from otlib.train.checkpoint import WEIGHTS
from otlib.train.loop import LOG, train
from otlib.train.settings import TrainSettings, trust
from tests.fixtures.last_write import Killed
from tests.fixtures.tiny_corpus import write_corpus
from tests.fixtures.train_by_processes import assert_same_but_for_rounding, train_by_two

MODEL = {"width": 8, "layers": 1, "heads": 2, "radius": 3, "channels": 4, "terms": 2, "levels": (20, 8), "span": 9}
SETTINGS = TrainSettings("prosody", "kmtalk", seed=3, steps=12, batch=2, window=12, validate=4, model=MODEL, variations=1,
                         keys=KeySettings("true"), loss=LossSettings(directions=12, frames=2))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    train(data, folder / "finished", SETTINGS, cache=folder / "features")
    return folder / "finished"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != LEDGER}


def test_the_total_holds_the_terms_at_the_keys(finished):
    for row in map(json.loads, (finished / LOG).read_text().splitlines()):
        plain = row["reconstruction"] + 5.0 * row["velocity"] + 0.8 * row["opening"] + row["transport"]
        at_keys = row["key_reconstruction"] + 5.0 * row["key_velocity"] + 0.8 * row["key_opening"] + row["key_transport"]
        assert row["total"] == pytest.approx(plain + at_keys, rel=1e-5) and at_keys > 0


def test_a_killed_training_ends_with_the_same_bytes(finished, data, tmp_path, monkeypatch):
    step, count = training._Loop._step, 0

    def mortal(loop, number):
        nonlocal count
        if (count := count + 1) == 7:
            raise Killed
        return step(loop, number)

    monkeypatch.setattr(training._Loop, "_step", mortal)
    with pytest.raises(Killed):
        train(data, tmp_path / "run", SETTINGS, cache=tmp_path / "features")
    monkeypatch.undo()
    train(data, tmp_path / "run", SETTINGS, cache=tmp_path / "features")
    assert content(tmp_path / "run") == content(finished)


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(data, tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=2, validate=2)
    train(data, tmp_path / "one", settings, cache=tmp_path / "features")
    (tmp_path / "settings.json").write_text(json.dumps(dataclasses.asdict(settings)))
    train_by_two(tmp_path / "witnesses", "--data", data, "--out", tmp_path / "two", "--cache", tmp_path / "features",
                 "--settings", tmp_path / "settings.json")
    assert_same_but_for_rounding(*(load_file(tmp_path / name / WEIGHTS) for name in ("one", "two")))


def test_it_predicts_clips_and_recordings(finished, data, tmp_path):
    dataset = Dataset.open(data)
    clip = dataset.select("test")[0]
    trained = load_trained(finished)
    predicted = Predictor(trained, dataset, tmp_path)(clip)
    assert predicted.shape == clip.vertices.shape and np.abs(predicted - clip.template).max() > 1e-5
    recording = read_recording(clip.audio_path, dataset.frame_rate)
    even = dataclasses.replace(trained, finder=type(trained.finder)(KeySettings("even")))
    frames = np.concatenate(list(talk(even, recording, clip.template, dataset.topology)))
    assert frames.shape == (recording.frames(dataset.frame_rate), *clip.template.shape)


def test_the_text_of_a_recording_changes_its_keys(finished, data):
    """As an aligner with a text does: other boundaries, another motion."""
    dataset = Dataset.open(data)
    clip, trained = dataset.select("test")[0], load_trained(finished)

    class Aligner:
        fingerprint = "1"

        def phonemes(self, samples, transcript=None, *, name=""):
            middle = 0.7 if transcript is None else 0.4
            return Phoneme("m", 0.0, middle), Phoneme("a", middle, len(samples) / 16_000)

    finder = type(trained.finder)(KeySettings())
    finder.__dict__["aligner"] = Aligner()
    recording, trained = read_recording(clip.audio_path, dataset.frame_rate), dataclasses.replace(trained, finder=finder)
    found = find_keys(trained, recording, transcript=Transcript(())), find_keys(trained, recording), None
    with_text, without, by_itself = (
        np.concatenate(list(talk(trained, recording, clip.template, dataset.topology, keys=keys))) for keys in found)
    np.testing.assert_array_equal(without, by_itself)
    assert np.abs(with_text - without).max() > 1e-6


def test_trust_in_true_keys_falls_to_zero():
    settings = dataclasses.replace(SETTINGS, steps=100, true_keys=0.5)
    assert [trust(step, settings) for step in (0, 25, 50, 99)] == [1.0, 0.5, 0.0, 0.0]
    assert trust(0, dataclasses.replace(settings, true_keys=0.0)) == 0.0


def test_the_loss_at_keys_is_the_mean_of_clips_that_consist_of_the_keys(data):
    dataset = Dataset.open(data)
    clips = dataset.select("train")[:3]
    truth = torch.stack([torch.from_numpy(np.array(clip.vertices[:30])) for clip in clips]).double()
    rest = torch.stack([torch.from_numpy(clip.template) for clip in clips]).double()
    index, counts = torch.tensor([[0, 4, 9, 15], [3, 8, 8, 8], [7, 7, 7, 7]]), torch.tensor([4, 2, 1])
    motion = 0.001 * torch.randn(3, 4, *rest.shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    settings = LossSettings(directions=8, frames=2, key_transport=3.0)

    def generators():
        return [torch.Generator().manual_seed(seed) for seed in range(3)]

    found = key_losses(motion, index, counts, truth, rest, dataset.topology, settings, generators())
    alone = [losses(rest[c: c + 1, None] + motion[c: c + 1, :n], truth[c: c + 1, index[c, :n]], rest[c: c + 1],
                    dataset.topology, dataclasses.replace(settings, transport=3.0), generators()[c: c + 1])
             for c, n in ((0, 4), (1, 2))]
    for name, term in found.items():
        torch.testing.assert_close(term, sum(one[name.removeprefix("key_")] for one in alone) / 3)
    none = key_losses(motion, index, torch.tensor([1, 0, 1]), truth, rest, dataset.topology, settings, generators())
    assert none == dict.fromkeys(found, torch.tensor(0.0)) and len(none) == 5


@pytest.mark.slow
def test_the_command_line_names_method_and_source(data, tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(dataclasses.asdict(SETTINGS) | {"steps": 2}))
    command = ["--data", str(data), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "features"), "--settings",
               str(tmp_path / "settings.json")]
    assert main([*command, "--keys", "even"]) == 0
    assert load_trained(tmp_path / "run").finder.settings == KeySettings("even")
    assert main([*command, "--keys", "whisper"]) == 2 and main([*command, "--method", "facetalk"]) == 2


@pytest.mark.parametrize("method", ["ottalk", "autoregressive"])
def test_a_host_is_completed_and_keeps_its_weights(data, tmp_path, method):
    cache, sizes = tmp_path / "features", {name: value for name, value in MODEL.items() if name != "span"}
    alone = dataclasses.replace(SETTINGS, method=method, steps=4, model=sizes, keys=KeySettings())
    train(data, tmp_path / "host", alone, cache=cache)
    plugged = dataclasses.replace(SETTINGS, host=str(tmp_path / "host"), model={"span": 9})
    record = train(data, tmp_path / "run", plugged, cache=cache)
    weights, host = (load_file(tmp_path / name / WEIGHTS) for name in ("run", "host"))
    for name, value in host.items():
        assert torch.equal(weights[f"host.{name}"], value), name
    assert any(value.abs().max() > 0 for name, value in weights.items() if name.startswith("completion.decoder.out"))
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert "key_total" not in rows[0] and len(record["host"]) == 64
    trained = load_trained(tmp_path / "run")
    assert trained.model.settings.host == method and trained.model.settings.width == 8
    clip = Dataset.open(data).select("test")[0]
    assert np.isfinite(Predictor(trained, Dataset.open(data), cache)(clip)).all()
    (tmp_path / "host" / WEIGHTS).write_bytes((tmp_path / "run" / WEIGHTS).read_bytes())
    with pytest.raises(InputError, match="do not make a model"):
        train(data, tmp_path / "run", plugged, cache=cache)


def test_a_host_that_cannot_be_completed_is_refused(finished, data, tmp_path):
    run, cache = tmp_path / "run", tmp_path / "features"
    plugged = dataclasses.replace(SETTINGS, host=str(tmp_path / "host"), model={})
    for settings, message in ((dataclasses.replace(plugged, host=str(finished)), "is of the method kmtalk, which cannot"),
                              (plugged, "no trained model there")):
        with pytest.raises(InputError, match=message):
            train(data, run, settings, cache=cache)
    sizes = {name: value for name, value in MODEL.items() if name != "span"}
    train(data, tmp_path / "host", dataclasses.replace(SETTINGS, method="ottalk", steps=1, model=sizes), cache=cache)
    file = tmp_path / "host" / "model.json"
    facts = json.loads(file.read_text())
    for change, message in (({"fingerprint": "0"}, "heard by another encoder"), ({"frame_rate": 25.0}, "at 25 frames")):
        file.write_text(json.dumps(facts | change))
        with pytest.raises(InputError, match=message):
            train(data, run, plugged, cache=cache)


def test_a_host_and_its_sizes_belong_to_kmtalk_and_to_the_host():
    for change, message in (({"model": {"width": 8}}, "width cannot be set beside a host"),
                            ({"method": "ottalk", "model": {}}, "host is for the method 'kmtalk'")):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(SETTINGS, host="x", **change)
