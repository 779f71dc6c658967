"""The encoder trained with the model: which weights move, what they hear, and the same bytes whatever the kills."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.torch
import soundfile
import torch

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.files import read_json
from otlib.losses import LossSettings
from otlib.metrics import lip_error_mm
from otlib.models.ottalk import ModelSettings, OTTalk, prepare_geometry
from otlib.predict import Predictor, load_trained
from otlib.speech.encoder import load_encoder
from otlib.speech.features import cached_features, feature_source, recording_features
from otlib.speech.recording import read_recording
from otlib.topology import Topology
from otlib.train import loop as training
from otlib.train.__main__ import main
from otlib.train.checkpoint import ENCODER, WEIGHTS, load_model
from otlib.train.loop import LOG, RUN, parameter_groups, train
from otlib.train.settings import TrainSettings, model_settings, settings_from
from otlib.train.tuned_encoder import TunedEncoder, WholeModel, read_sound
from tests.fixtures.last_write import Killed, killed_after
from tests.fixtures.small_hubert import local_hubert, saved, whole_clip_hubert
from tests.fixtures.talking_ball import ball
from tests.fixtures.tiny_corpus import write_corpus
from tests.fixtures.train_by_processes import assert_same_but_for_rounding, train_by_two
from tests.otlib.train.test_train import MODEL

pytestmark = pytest.mark.slow

CUT = {"rtol": 1e-4, "atol": 1e-5}  # float32 rounding of convolutions and products of other lengths; features are about 1
MOTION = {"rtol": 0.0, "atol": 1e-7}  # metres: rounding of positions of a tenth of a metre
FLAT = "k_proj.bias"  # adds the same to every score of a frame, so that its gradient is zero but for rounding


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Encoders by name, in transformers' format."""
    root = tmp_path_factory.mktemp("encoders")
    return {"local": saved(local_hubert(), root / "local"), "whole": saved(whole_clip_hubert(), root / "whole"),
            "bundled": "bundled"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="module")
def settings(folder):
    return TrainSettings(folder["local"], seed=3, steps=6, batch=2, window=12, validate=3, model=MODEL, speeds=(1.0, 1.13),
                         frozen_layers=1, encoder_learning_rate=1e-3, loss=LossSettings(directions=12, frames=2))


@pytest.fixture(scope="module")
def finished(data, settings, tmp_path_factory):
    """A run that nothing disturbed, and what was in memory at its end."""
    out, loops, finish = tmp_path_factory.mktemp("runs") / "finished", [], training._Loop._finish

    def remembered(loop):
        loops.append(loop)
        finish(loop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Loop, "_finish", remembered)
        train(data, out, settings, cache=out.parent / "features")
    return out, loops[0]


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def noise(path, seconds, seed=0):
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * 16_000))
    soundfile.write(path, samples, 16_000)
    return path


def whole_model(encoder):
    """A model above an encoder that has been loaded; its last layer is not the zeros that a training begins with."""
    talker = OTTalk(ModelSettings(encoder.source.layers, encoder.source.channels, **MODEL))
    torch.nn.init.normal_(talker.decoder.out.weight, generator=torch.Generator().manual_seed(0))
    return WholeModel(talker, encoder)


def moved(model, window):
    """The motion that a model makes of a window, on a ball."""
    vertices, faces, _ = ball(1)
    return model((window,), prepare_geometry(torch.from_numpy(vertices), Topology(faces), model.talker.settings))


@pytest.mark.parametrize("rate", [30.0, 25.0])
def test_a_window_gives_the_features_of_the_whole_recording(folder, tmp_path, rate):
    """A local encoder whose reach is within the margin; at both ends, in the middle, and after the sound has ended."""
    encoder = TunedEncoder(folder["local"], 1)
    path = noise(tmp_path / "a.wav", 6.0)
    frames, covered = int(6.0 * rate) + 4, int(6.0 * rate)
    sound = read_sound(path, rate, encoder.local, frames)
    features = recording_features(encoder.source, read_recording(path), rate)
    expected = features[torch.arange(frames).clamp(max=covered - 1)]
    for start in (0, 1, 60, frames - 20):
        window = sound[start: start + 20]
        assert len(window.samples) < 0.6 * len(sound.samples)
        torch.testing.assert_close(encoder([window])[0], expected[start: start + 20], **CUT)
    assert len(sound) == frames and torch.equal(encoder.whole(sound), expected.half())


def test_an_encoder_of_whole_clips_hears_a_short_clip_whole(folder, tmp_path):
    """The margin takes in all of it; a clip at another speed lasts as long as its features."""
    encoder = TunedEncoder(folder["whole"], 1)
    path = noise(tmp_path / "a.wav", 1.5)
    sound = read_sound(path, 30.0, encoder.local, speed=1.13)
    expected = cached_features(encoder.source, path, 30.0, tmp_path / "features", speed=1.13)
    assert len(sound) == len(expected) == 39
    assert torch.equal(encoder.whole(sound), expected)
    torch.testing.assert_close(encoder([sound[10:30]])[0].half(), expected[10:30], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["local", "whole"])
def test_samples_that_make_no_feature_change_nothing(folder, tmp_path, name):
    """A bang in the 240 samples behind the last feature; in use they do not count for the level of the input either."""
    encoder = TunedEncoder(folder[name], 1)
    samples = 0.01 * np.random.default_rng(0).standard_normal(16_000)
    samples[-240:] = 0.9
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    expected = recording_features(encoder.source, read_recording(tmp_path / "a.wav"), 30.0)
    sound = read_sound(tmp_path / "a.wav", 30.0, encoder.local)
    torch.testing.assert_close(encoder([sound[0:30]])[0], expected, **CUT)


def test_a_sound_shorter_than_a_feature_is_heard(folder, tmp_path):
    encoder = TunedEncoder(folder["local"], 1)
    sound = read_sound(noise(tmp_path / "a.wav", 0.02), 60.0, encoder.local, 5)
    assert encoder([sound[0:5]]).shape == (1, 5, 3, 32)


@pytest.mark.parametrize("name, frozen_layers, layers", [("local", 0, (0, 1)), ("local", 1, (1,)), ("whole", 1, (1,)),
                                                         ("bundled", 2, (2, 3, 4, 5))])
def test_gradients_reach_what_is_trained_and_nothing_else(folder, tmp_path, name, frozen_layers, layers):
    encoder = TunedEncoder(folder[name], frozen_layers)
    model = whole_model(encoder).train()
    sound = read_sound(noise(tmp_path / "a.wav", 1.0), 30.0, encoder.local)
    moved(model, sound[0:12]).square().sum().backward()
    wanted = ["encoder.pos_conv_embed.", *(f"encoder.layers.{layer}." for layer in layers)]
    wanted += ["encoder.layer_norm."] * (name == "whole")  # before the layers there, behind them in the others
    assert not any(module.training for module in encoder.model.modules())  # it drops out and masks nothing
    for key, parameter in encoder.model.named_parameters():
        if key.startswith(tuple(wanted)):
            assert parameter.grad is not None and (parameter.grad.any() or key.endswith(FLAT)), key
        else:
            assert parameter.grad is None and not parameter.requires_grad, key
    assert all(parameter.grad is not None for parameter in model.talker.parameters())


def test_the_encoder_alone_lowers_the_loss(folder, tmp_path):
    """With the model above it held still; a window's motion, learned by heart."""
    encoder = TunedEncoder(folder["local"], 1)
    model = whole_model(encoder)
    window = read_sound(noise(tmp_path / "a.wav", 1.0), 30.0, encoder.local)[0:12]
    optimiser = torch.optim.AdamW(parameter_groups(model, 0.0, 1e-3)[1:], lr=1e-3)
    target = moved(model, window).detach().roll(3, 1)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = (moved(model, window) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_each_part_has_its_own_learning_rate(finished, settings):
    _, loop = finished
    rates = [group["lr"] for group in loop.optimiser.param_groups]
    assert rates[1] == pytest.approx(rates[0] * settings.encoder_learning_rate / settings.learning_rate)
    groups = parameter_groups(loop.plain_model, 1.0, 2.0)
    assert [group["peak"] for group in groups] == [1.0, 2.0]
    assert sum(len(group["params"]) for group in groups) == sum(p.requires_grad for p in loop.plain_model.parameters())


def test_frozen_weights_stay_as_they_were_and_the_others_move(finished, folder):
    out, _ = finished
    before, after = (load_encoder(name).model.state_dict() for name in (folder["local"], str(out / ENCODER)))
    assert before.keys() == after.keys()
    for key in before:
        trained = key.startswith(("encoder.pos_conv_embed.", "encoder.layers.1."))
        if not key.endswith(FLAT):
            assert torch.equal(before[key], after[key]) != trained, key


def test_a_trained_model_is_nearer_than_a_face_that_never_moves(data, settings, tmp_path):
    loss = dataclasses.replace(settings.loss, closure=0.0)  # as in test_train
    longer = dataclasses.replace(settings, steps=60, validate=20, learning_rate=1e-2, loss=loss)
    error = train(data, tmp_path / "run", longer, cache=tmp_path / "features")["validation_lip_mm"]
    dataset = Dataset.open(data)
    still = [lip_error_mm(clip.vertices, np.broadcast_to(clip.template, clip.vertices.shape), dataset.topology.lips)
             for clip in dataset.select("val")]
    assert error < 0.7 * sum(still) / len(still)
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert rows[-1]["total"] < 0.5 * rows[0]["total"]
    assert not (tmp_path / "features").exists()  # nothing is cached of an encoder that changes


def test_a_trained_run_hears_with_the_encoder_it_has_trained(finished, data, folder, tmp_path):
    out, loop = finished
    trained, dataset = load_trained(out), Dataset.open(data)
    untuned = feature_source(folder["local"])
    record, facts = read_json(out / RUN), load_model(out)[1]
    assert trained.source.fingerprint == facts.fingerprint != untuned.fingerprint == record["encoder"]
    predict = Predictor(trained, dataset, tmp_path)
    errors = []
    for clip, sequence in zip(loop.validation.clips, dataset.select("val"), strict=True):
        features = loop.plain_model.encoder.whole(clip.audio)
        own = cached_features(trained.source, sequence.audio_path, 30.0, tmp_path)
        others = cached_features(untuned, sequence.audio_path, 30.0, tmp_path)
        assert torch.equal(features, own) and (own.float() - others.float()).abs().max() > 1e-2
        with torch.no_grad():
            geometry = loop.validation.geometries[0].of([clip.speaker])
            motion = loop.plain_model.eval().talker(features[None], geometry)[0]
        predicted = predict(sequence)
        torch.testing.assert_close(torch.from_numpy(predicted), torch.from_numpy(sequence.template) + motion, **MOTION)
        errors.append(lip_error_mm(sequence.vertices, predicted, dataset.topology.lips))
    assert np.mean(errors) == pytest.approx(record["validation_lip_mm"], rel=1e-5)


def test_the_trained_encoder_is_one_to_start_from(finished, settings, data, tmp_path):
    out, _ = finished
    again = dataclasses.replace(settings, encoder=str(out / ENCODER), steps=1)
    assert train(data, tmp_path / "run", again, cache=tmp_path / "features")["encoder"] == load_model(out)[1].fingerprint


def test_the_same_seed_gives_the_same_bytes(finished, data, settings, tmp_path):
    torch.manual_seed(123)
    state = torch.random.get_rng_state()
    train(data, tmp_path / "again", settings, cache=tmp_path / "features")
    assert content(tmp_path / "again") == content(finished[0])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("write, during", [(3, False), (5, False), (7, False), (8, False), (9, True), (10, False)])
def test_killed_at_any_write_and_resumed_ends_with_the_same_bytes(finished, data, settings, tmp_path, monkeypatch, write,
                                                                  during):
    """The writes: log at 1; log and state at 3 and at 6; the encoder's two files, the model's two, record."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(write, patch, during)
        train(data, tmp_path / "run", settings, cache=tmp_path / "features")
    assert (tmp_path / "run" / RUN).exists() == (write == 10)
    train(data, tmp_path / "run", settings, cache=tmp_path / "features")
    assert content(tmp_path / "run") == content(finished[0])


def test_two_processes_give_the_weights_of_one(data, settings, tmp_path):
    two_steps = dataclasses.replace(settings, steps=2, validate=2)
    train(data, tmp_path / "one", two_steps, cache=tmp_path / "features")
    (tmp_path / "settings.json").write_text(json.dumps(dataclasses.asdict(two_steps)))
    train_by_two(tmp_path / "witnesses", "--data", data, "--out", tmp_path / "two", "--cache", tmp_path / "features",
                 "--settings", tmp_path / "settings.json")
    for file in (WEIGHTS, f"{ENCODER}/{WEIGHTS}"):
        one, two = (safetensors.torch.load_file(tmp_path / name / file) for name in ("one", "two"))
        for weights in (one, two):
            for key in [key for key in weights if key.endswith(FLAT)]:
                del weights[key]  # Adam makes whole steps of gradients that are mere rounding
        assert_same_but_for_rounding(one, two)


def test_an_encoder_that_is_missing_or_another_is_refused(finished, folder, tmp_path):
    out, _ = finished
    for name, data in content(out).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    saved(local_hubert(), tmp_path / ENCODER)
    with pytest.raises(InputError, match="was trained on another encoder .* than the present one; train again"):
        load_trained(tmp_path)
    (tmp_path / ENCODER / WEIGHTS).unlink()
    with pytest.raises(InputError, match="the encoder that was trained with the model is not there .*; delete the folder"):
        load_trained(tmp_path)


@pytest.mark.parametrize("options, sentence", [
    (["--encoder", "prosody"], "training settings: frozen_layers is for an encoder with layers, and 'prosody' has none"),
    (["--frozen-layers", "-1"], "training settings: frozen_layers must be at least 0 and at most 256 or null, but is -1"),
    (["--frozen-layers", "2"], "local: frozen_layers 2 leaves none of its 2 layers to train; choose 0 to 1"),
    (["--encoder-learning-rate", "0"], "training settings: encoder_learning_rate must be above 0"),
])
def test_what_cannot_be_trained_is_refused_in_one_sentence(data, settings, tmp_path, capsys, options, sentence):
    (tmp_path / "settings.json").write_text(json.dumps(dataclasses.asdict(settings)))
    assert main(["--data", str(data), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "features"),
                 "--settings", str(tmp_path / "settings.json"), *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and sentence in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("layers", ["two", 1.5, True])
def test_layers_are_a_whole_number_or_null(layers):
    with pytest.raises(InputError, match="training settings: frozen_layers must be a whole number or null, but is"):
        settings_from({"frozen_layers": layers})


def test_settings_survive_json(settings):
    for each in (settings, TrainSettings()):
        stored = json.dumps(dataclasses.asdict(each))
        assert json.dumps(dataclasses.asdict(settings_from(json.loads(stored)))) == stored  # tuples are lists there


def test_the_command_line_trains_the_encoder(finished, data, settings, tmp_path):
    plain = dataclasses.asdict(dataclasses.replace(settings, frozen_layers=None, encoder_learning_rate=1e-4))
    (tmp_path / "settings.json").write_text(json.dumps(plain))
    assert main(["--data", str(data), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "features"), "--settings",
                 str(tmp_path / "settings.json"), "--frozen-layers", "1", "--encoder-learning-rate", "0.001"]) == 0
    assert content(tmp_path / "run") == content(finished[0])


def test_the_model_is_of_the_size_that_its_features_have(finished, settings, folder):
    assert load_trained(finished[0]).model.settings == model_settings(settings, feature_source(folder["local"]))
