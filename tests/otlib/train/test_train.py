"""Training: a seed gives the same weights, whatever the kills, and but for rounding the processes; what is refused."""

import dataclasses
import json
import pkgutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from accelerate import Accelerator

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.files import read_json
from otlib.losses import LossSettings
from otlib.metrics import lip_error_mm
from otlib.models.ottalk import OTTalk
from otlib.own_files import LEDGER
from otlib.train import loop as training
from otlib.train.__main__ import main
from otlib.train.checkpoint import SETTINGS, STATE, WEIGHTS, ModelFacts, load_model
from otlib.train.loop import LOG, RUN, train
from otlib.train.settings import TrainSettings, learning_rate, settings_from
from tests.fixtures.last_write import Killed, killed_after
from tests.fixtures.tiny_corpus import write_corpus
from tests.fixtures.train_by_processes import (
    ANY_DIFFERS,
    assert_same_but_for_rounding,
    difference,
    train_by_two,
)

LOGS = 1e-4  # relative: rounding of sums in float32, whose terms partly cancel
MODEL = {"width": 8, "layers": 1, "heads": 2, "radius": 3, "channels": 4, "terms": 2, "levels": (20, 8)}
SETTINGS_OF_RUN = TrainSettings("prosody", seed=3, steps=12, batch=2, window=12, validate=4, model=MODEL,
                                loss=LossSettings(directions=12, frames=2))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def finished(data, cache, tmp_path_factory):
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    train(data, out, SETTINGS_OF_RUN, cache=cache)
    return out


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_a_run_leaves_its_model_its_log_and_what_it_followed_from(finished, data):
    assert sorted(content(finished)) == sorted([WEIGHTS, SETTINGS, LOG, RUN, LEDGER])
    model, facts = load_model(finished)
    assert model.settings.width == 8
    assert facts == ModelFacts(frame_rate=30.0, encoder="prosody", fingerprint="prosody-1")
    rows = [json.loads(line) for line in (finished / LOG).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 4, 8, 11, 12] and {row["steps"] for row in rows} == {12}
    for row in rows:
        assert {"reconstruction", "velocity", "opening", "transport", "total"} <= row.keys()
        expected = row["reconstruction"] + 5.0 * row["velocity"] + 0.8 * row["opening"] + row["transport"]
        assert row["total"] == pytest.approx(expected, rel=1e-5)
    assert [row["step"] for row in rows if "validation_lip_mm" in row] == [4, 8, 12]
    run = read_json(finished / RUN)
    assert run["settings"] == json.loads(json.dumps(dataclasses.asdict(SETTINGS_OF_RUN)))
    assert run["data"] == Dataset.open(data).checksum
    assert run["validation_lip_mm"] == min(row["validation_lip_mm"] for row in rows if "validation_lip_mm" in row)


@pytest.mark.slow
def test_a_trained_model_is_nearer_than_a_face_that_never_moves(data, cache, tmp_path):
    loss = dataclasses.replace(SETTINGS_OF_RUN.loss, closure=0.0)  # its weight buys shut lips with a larger mean error
    settings = dataclasses.replace(SETTINGS_OF_RUN, steps=100, validate=20, learning_rate=1e-2, loss=loss)
    error = train(data, tmp_path / "run", settings, cache=cache)["validation_lip_mm"]
    dataset = Dataset.open(data)
    still = [lip_error_mm(clip.vertices, np.broadcast_to(clip.template, clip.vertices.shape), dataset.topology.lips)
             for clip in dataset.select("val")]
    assert error < 0.5 * sum(still) / len(still)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_leaves_torchs_own_randomness_alone(finished, data, cache, tmp_path):
    torch.manual_seed(123)
    state = torch.random.get_rng_state()
    train(data, tmp_path / "again", SETTINGS_OF_RUN, cache=cache)
    assert content(tmp_path / "again") == content(finished)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.slow
def test_another_seed_gives_other_weights(finished, data, cache, tmp_path):
    train(data, tmp_path / "other", dataclasses.replace(SETTINGS_OF_RUN, seed=4, steps=1), cache=cache)
    assert (tmp_path / "other" / WEIGHTS).read_bytes() != (finished / WEIGHTS).read_bytes()


@pytest.mark.slow
def test_killed_at_any_write_and_resumed_ends_with_the_same_bytes(finished, data, cache, tmp_path, monkeypatch):
    """The writes: log at 1; log and state at 4 and at 8; log at 11; log and state at 12; settings, weights, record."""
    points = [(write, False) for write in (3, 8, 9, 10, 11)] + [(write, True) for write in (1, 5, 8, 11)]
    for write, during in points:
        out = tmp_path / f"{write}{during}"
        with monkeypatch.context() as patch, pytest.raises(Killed):
            killed_after(write, patch, during)
            train(data, out, SETTINGS_OF_RUN, cache=cache)
        train(data, out, SETTINGS_OF_RUN, cache=cache)
        assert content(out) == content(finished), (write, during)


@pytest.mark.slow
def test_killed_again_and_again_ends_with_the_same_bytes(finished, data, cache, tmp_path, monkeypatch):
    """Ten kills of one training in the middle of steps; a checkpoint comes every four."""
    step, lives = training._Loop._step, [1, 3, 2, 4, 3, 1, 2, 5, 3, 2]
    for steps in lives:
        def mortal(loop, number, last=[steps]):  # noqa: B006 (counts down)
            last[0] -= 1
            if last[0] < 0:
                raise Killed
            return step(loop, number)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(training._Loop, "_step", mortal)
            train(data, tmp_path / "run", SETTINGS_OF_RUN, cache=cache)
    train(data, tmp_path / "run", SETTINGS_OF_RUN, cache=cache)
    assert content(tmp_path / "run") == content(finished)


def test_a_finished_run_is_left_as_it_is(finished, data, cache, monkeypatch):
    before, times = content(finished), {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    monkeypatch.setattr(training, "read_clips", None)
    assert train(data, finished, SETTINGS_OF_RUN, cache=cache) == read_json(finished / RUN)
    assert content(finished) == before and {path: path.stat().st_mtime_ns for path in finished.iterdir()} == times


@pytest.mark.slow
def test_a_finished_run_of_other_settings_is_never_half_replaced(data, cache, tmp_path, monkeypatch):
    """Its record goes before its model does, so that no record stands beside a model it does not describe."""
    out, other = tmp_path / "run", dataclasses.replace(SETTINGS_OF_RUN, steps=1)
    train(data, out, dataclasses.replace(other, seed=7), cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr(training, "save_model", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train(data, out, other, cache=cache)
    assert not (out / RUN).exists()
    assert train(data, out, other, cache=cache)["settings"]["seed"] == 3


@pytest.mark.slow
def test_other_data_is_trained_on_anew(finished, data, cache, tmp_path):
    other = write_corpus(tmp_path / "other", seed=1)
    out = tmp_path / "run"
    settings = dataclasses.replace(SETTINGS_OF_RUN, steps=1)
    first = train(data, out, settings, cache=cache)
    assert train(other, out, settings, cache=cache)["data"] != first["data"]


@pytest.mark.slow
def test_a_run_of_other_code_is_trained_anew(data, cache, tmp_path, monkeypatch):
    """Else results would come from a model that the code at hand never made."""
    settings = dataclasses.replace(SETTINGS_OF_RUN, steps=1)
    before = train(data, tmp_path / "run", settings, cache=cache)
    monkeypatch.setattr(training, "code_checksum", lambda module: "changed")
    after = train(data, tmp_path / "run", settings, cache=cache)
    assert after["code"] == "changed" != before["code"]


@pytest.mark.slow
def test_a_checkpoint_of_other_settings_is_refused(data, cache, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training._Loop, "_finish", lambda loop: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train(data, out, SETTINGS_OF_RUN, cache=cache)
    state = (out / STATE).read_bytes()
    with pytest.raises(InputError, match="state.safetensors: is a checkpoint of other settings, data or code; delete"):
        train(data, out, dataclasses.replace(SETTINGS_OF_RUN, seed=4), cache=cache)
    wider = dataclasses.replace(SETTINGS_OF_RUN, model={**MODEL, "width": 16})
    with pytest.raises(InputError, match="state.safetensors: is a checkpoint of other settings, data or code; delete"):
        train(data, out, wider, cache=cache)
    assert (out / STATE).read_bytes() == state


@pytest.mark.slow
def test_the_best_look_at_validation_is_the_one_that_is_kept(data, cache, tmp_path, monkeypatch):
    """The first of two equal ones, in the record as in the weights."""
    errors, weights = iter([3.0, 2.0, 2.0]), []

    def validate(loop):
        weights.append({key: value.clone() for key, value in loop.plain_model.state_dict().items()})
        return next(errors)

    monkeypatch.setattr(training._Loop, "_validate", validate)
    run = train(data, tmp_path / "run", SETTINGS_OF_RUN, cache=cache)
    assert (run["best_step"], run["validation_lip_mm"]) == (8, 2.0)
    kept = safetensors.torch.load_file(tmp_path / "run" / WEIGHTS)
    assert all(torch.equal(kept[key.removeprefix("talker.")], value) for key, value in weights[1].items())


@pytest.mark.slow
@pytest.mark.parametrize("transport", [0.0, 1.0])
def test_a_training_that_diverges_is_ended(data, cache, tmp_path, transport):
    settings = dataclasses.replace(SETTINGS_OF_RUN, learning_rate=1000.0, loss=LossSettings(transport=transport))
    with pytest.raises(InputError, match=r"run: the training has diverged at step \d+ \(.+\); train with a lower learning"):
        train(data, tmp_path / "run", settings, cache=cache)
    assert not (tmp_path / "run" / RUN).exists()


@pytest.mark.slow
@pytest.mark.parametrize("place, call, step, said", [
    ("otlib.losses.velocity", 6, 6, "the loss has no finite value in the terms velocity, total"),
    ("otlib.losses.opening", 6, 6, "the loss has no finite value in the terms opening, total"),
    ("otlib.losses.transport", 6, 6, "the loss has no finite value in the terms transport, total"),
    ("accelerate.Accelerator.clip_grad_norm_", 6, 6, "the length of the gradient must be finite, found nan at index ()"),
    ("torch.optim.AdamW.step", 8, 8, "prediction must be finite, and is nan at index [0, 0, 0]"),  # seen by validation
])
def test_a_number_that_is_none_ends_the_training_before_it_is_kept(finished, data, cache, tmp_path, monkeypatch, place, call,
                                                                   step, said):
    """The last checkpoint, of step 4, stays as it is, and the training goes on from it to the same end."""
    out, states, (owner, name) = tmp_path / "run", [], place.rsplit(".", 1)
    owner = pkgutil.resolve_name(owner)
    function = getattr(owner, name)

    def spoilt(*arguments, **options):
        states.append((out / STATE).read_bytes() if (out / STATE).exists() else b"")
        result = function(*arguments, **options)
        if len(states) != call:
            return result
        if name == "step":
            for group in arguments[0].param_groups:
                for parameter in group["params"]:
                    parameter.data.fill_(float("nan"))
        return torch.tensor(float("nan"), requires_grad=True)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, spoilt)
        with pytest.raises(InputError) as refusal:
            train(data, out, SETTINGS_OF_RUN, cache=cache)
    assert str(refusal.value) == (f"{out}: the training has diverged at step {step} ({said}); train with a lower learning "
                                  "rate")
    assert (out / STATE).read_bytes() == states[-1] != b"" and not (out / RUN).exists()
    train(data, out, SETTINGS_OF_RUN, cache=cache)
    assert content(out) == content(finished)


@pytest.mark.slow
def test_a_clip_of_one_frame_is_refused_by_name(data, cache, tmp_path, monkeypatch):
    """It has no motion to learn from, and no window of two frames fits into it."""
    read = training.read_clips

    def cut(*arguments, **options):
        clips = read(*arguments, **options)
        first = dataclasses.replace(clips.clips[0], audio=clips.clips[0].audio[:1])
        return dataclasses.replace(clips, clips=(first, *clips.clips[1:]))

    monkeypatch.setattr(training, "read_clips", cut)
    with pytest.raises(InputError, match="tiny: clip a0 has a single frame, which no training can use; take it out of the "
                                         "data set"):
        train(data, tmp_path / "run", SETTINGS_OF_RUN, cache=cache)


def test_learning_rate_rises_in_a_line_and_falls_as_a_cosine():
    settings = TrainSettings(steps=110, warm_up=10 / 110, learning_rate=0.1)
    rates = [learning_rate(step, settings, settings.learning_rate) for step in range(110)]
    assert rates[:10] == pytest.approx([0.01 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(0.1) and rates[60] == pytest.approx(0.05) and 0 < rates[-1] < 1e-4
    assert all(later < sooner for sooner, later in zip(rates[10:], rates[11:], strict=False))


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(data, cache, tmp_path):
    """By the launcher of the module's docstring, dropout and clipping of gradients included."""
    settings = dataclasses.replace(SETTINGS_OF_RUN, steps=2, validate=2)
    train(data, tmp_path / "one", settings, cache=cache)
    train_by_two(tmp_path / "witnesses", *options(data, tmp_path / "two", cache, **dataclasses.asdict(settings)))
    one, two = (safetensors.torch.load_file(tmp_path / name / WEIGHTS) for name in ("one", "two"))
    assert_same_but_for_rounding(one, two)
    start = OTTalk(load_model(tmp_path / "one")[0].settings)
    assert any((one[key] - value).abs().max() > 1e-3 for key, value in start.state_dict().items())
    logs = [[json.loads(line) for line in (tmp_path / name / LOG).read_text().splitlines()] for name in ("one", "two")]
    for row, other in zip(*logs, strict=True):
        assert other == pytest.approx(row, rel=LOGS)


@pytest.mark.slow
def test_a_window_that_no_process_reads_would_show(data, cache, tmp_path, monkeypatch):
    """What the tolerance of the test above must reject: both processes train on the same half of the batch."""
    settings, draw = dataclasses.replace(SETTINGS_OF_RUN, steps=2, validate=2), training.draw_batch
    train(data, tmp_path / "whole", settings, cache=cache)

    def first_twice(*arguments):
        batch = draw(*arguments)
        tensors = {name: getattr(batch, name)[[0, 0]] for name in ("vertices", "templates")}
        return dataclasses.replace(batch, **tensors, audio=batch.audio[:1] * 2, geometry=batch.geometry.of([0, 0]),
                                   speakers=batch.speakers[:1] * 2)

    monkeypatch.setattr(training, "draw_batch", first_twice)
    train(data, tmp_path / "half", settings, cache=cache)
    gaps = difference(*(safetensors.torch.load_file(tmp_path / name / WEIGHTS) for name in ("whole", "half")))
    assert gaps.max() > 10 * ANY_DIFFERS


def test_processes_that_cannot_share_are_refused(data, cache, tmp_path, monkeypatch, capsys):
    """Each would train alone, all in one folder."""
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert main(options(data, tmp_path / "run", cache)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: this is one of 3 processes (WORLD_SIZE), which cannot share a training on ")
    assert said.endswith("; start one, or set ACCELERATE_USE_CPU=true\n") and said.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("values, sentence", [
    ({"stepz": 3}, "training settings: there is no setting 'stepz'; there are .*steps"),
    ({"loss": {"weight": 3}}, "training settings: loss: there is no setting 'weight'; there are .*transport"),
    ({"loss": 3}, "training settings: loss: must be an object"),
    ({"loss": {"measure": "points"}},
     "training settings: loss: measure must be one of 'varifold', 'barycentres', but is 'points'"),
    ({"model": {"depth": 3}}, "training settings: model: there is no setting 'depth'; there are .*channels"),
    ({"steps": 0}, "training settings: steps must be at least 1 and at most 10000000, but is 0"),
    ({"batch": 0}, "training settings: batch must be at least 1 and at most 1024, but is 0"),
    ({"validate": 0}, "training settings: validate must be at least 1 and at most 10000000, but is 0"),
    ({"window": 1}, "training settings: window must be at least 2 and at most 10000, but is 1"),
    ({"steps": "many"}, "training settings: steps must be a whole number, but is 'many'"),
    ({"learning_rate": -1.0}, "training settings: learning_rate must be above 0 and at most 1000, but is -1.0"),
    ([1, 2], "training settings: must be an object"),
])
def test_impossible_settings_are_refused(values, sentence):
    with pytest.raises(InputError, match=sentence):
        settings_from(values)


def options(data, out, cache, **changes):
    """Command line of the tiny run with some settings changed."""
    file = out.with_suffix(".json")
    file.write_text(json.dumps({**dataclasses.asdict(SETTINGS_OF_RUN), **changes}))
    return ["--data", str(data), "--out", str(out), "--cache", str(cache), "--settings", str(file)]


@pytest.mark.slow
@pytest.mark.parametrize("changes, extra, sentence", [
    ({"stepz": 3}, [], "training settings: "),
    ({"model": {**MODEL, "heads": 3}}, [], "training settings: model: width 8 is not divisible by heads 3"),
    ({}, ["--steps", "0"], "training settings: steps must be at least 1"),
    ({}, ["--transport", "-1"], "training settings: loss: transport must be at least 0"),
    ({"encoder": "no/such/encoder"}, [], "no/such/encoder: no HuBERT"),
    ({}, ["--data", "nowhere"], "nowhere: no such data set folder"),
    ({}, ["--out", "{data}/manifest.json/run"], "manifest.json/run: is, holds or lies in "),
    ({}, ["--cache", "{data}/manifest.json/features"], "manifest.json/features: is, holds or lies in "),
    ({}, ["--settings", "nowhere.json"], "nowhere.json: no such file"),
])
def test_bad_input_ends_with_one_sentence_and_status_2(data, cache, tmp_path, capsys, changes, extra, sentence):
    arguments = options(data, tmp_path / "run", cache, **changes) + [word.format(data=data) for word in extra]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and sentence in said
    assert not (tmp_path / "run").exists()


def test_a_batch_that_cannot_be_shared_out_is_refused(data, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda accelerator: 3))
    with pytest.raises(InputError, match="batch 2 cannot be shared out among 3 processes; choose a multiple"):
        train(data, tmp_path / "run", SETTINGS_OF_RUN, cache=cache)


@pytest.mark.slow
def test_the_command_line_trains(finished, data, cache, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    assert main(options(data, tmp_path / "run", cache)) == 0
    assert content(tmp_path / "run") == content(finished)
    assert torch.get_num_threads() == threads == 1


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_the_last_checkpoint(data, cache, tmp_path, monkeypatch, capsys):
    """The second state cannot be written; with space again the training goes on to the same end."""
    out, write, writes = tmp_path / "run", Path.write_bytes, []

    def fills_up(path, content):
        writes.append(path)
        if len(writes) == 2:
            raise OSError(28, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fills_up)
        assert main(options(data, out, cache)) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert (out / STATE).is_file() and not (out / RUN).exists()
    assert main(options(data, out, cache)) == 0 and (out / RUN).is_file()
