"""Weights and training states on disk: round trips, and everything that cannot be used said in one sentence."""

import json

import pytest
import safetensors.torch
import torch

from otlib.errors import InputError
from otlib.models.ottalk import ModelSettings, OTTalk
from otlib.train.checkpoint import (
    ENCODER,
    SETTINGS,
    STATE,
    WEIGHTS,
    load_model,
    load_state,
    read_facts,
    save_model,
    save_state,
)

SMALL = ModelSettings(feature_layers=1, feature_channels=3, width=8, layers=1, heads=2, radius=2, channels=4, terms=2,
                      levels=(10, 5))


FACTS = {"frame_rate": 30.0, "encoder": "prosody", "fingerprint": "prosody-1"}


def model_of(settings=SMALL, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OTTalk(settings)


def trained(seed=0, steps=3):
    """A model and its optimiser after some steps."""
    model = model_of(seed=seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(steps):
        step(model, optimiser)
    return model, optimiser


def step(model, optimiser):
    optimiser.zero_grad()
    sum(parameter.sin().sum() for parameter in model.parameters()).backward()
    optimiser.step()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def folder(tmp_path):
    save_model(model_of(), tmp_path, FACTS)
    return tmp_path


@pytest.fixture
def state(tmp_path):
    """A saved state and what was saved."""
    model, optimiser = trained()
    save_state(tmp_path / STATE, model, model_of(seed=5).state_dict(), optimiser, {"step": 3, "rows": [{"loss": 0.1}]})
    return tmp_path / STATE, model, optimiser


def test_a_model_is_read_back(folder):
    loaded, facts = load_model(folder)
    assert facts == FACTS
    assert loaded.settings == SMALL and not loaded.training
    assert same(loaded.state_dict(), model_of().state_dict())


def test_a_training_goes_on_from_its_state_as_if_never_stopped(state):
    file, model, optimiser = state
    again = model_of(seed=9)
    optimiser_again = torch.optim.AdamW(again.parameters(), lr=0.01)
    best = load_state(file, again, optimiser_again)
    assert read_facts(file) == {"step": 3, "rows": [{"loss": 0.1}]}
    assert same(best, model_of(seed=5).state_dict())
    for _ in range(3):
        step(model, optimiser)
        step(again, optimiser_again)
    assert same(model.state_dict(), again.state_dict())


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


def write_settings(**changes):
    def change(folder):
        stored = json.loads((folder / SETTINGS).read_text())
        (folder / SETTINGS).write_text(json.dumps(stored | {"model": stored["model"] | changes}))
    return change


@pytest.mark.parametrize("damage, sentence", [
    (lambda folder: (folder / WEIGHTS).unlink(), "no trained model there"),
    (lambda folder: (folder / SETTINGS).unlink(), "model.json: no such file"),
    (lambda folder: cut(folder / WEIGHTS), "do not make a model"),
    (lambda folder: (folder / WEIGHTS).write_bytes(b""), "do not make a model"),
    (lambda folder: (folder / SETTINGS).write_text('{"width": 8'), "model.json: not a JSON file"),
    (lambda folder: (folder / SETTINGS).write_text("[1, 2]"), "do not make a model"),
    (lambda folder: (folder / SETTINGS).write_text('{"frame_rate": 30.0, "model": {}}'), "do not make a model .*encoder"),
    (write_settings(width=16), "do not make a model"),
    (write_settings(heads=3), "width 8 is not divisible by heads 3"),
    (write_settings(depth=3), "do not make a model .*depth"),
    (write_settings(levels=None), "do not make a model"),
])
def test_a_damaged_model_is_refused_in_one_sentence(folder, damage, sentence):
    damage(folder)
    with pytest.raises(InputError, match=sentence) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_an_encoder_in_the_folder_is_named_by_its_path(tmp_path):
    save_model(model_of(), tmp_path, FACTS | {"encoder": ENCODER})
    with pytest.raises(InputError, match="the encoder that was trained with the model is not there .*; delete the folder"):
        load_model(tmp_path)
    (tmp_path / ENCODER).mkdir()
    (tmp_path / ENCODER / WEIGHTS).touch()
    assert load_model(tmp_path)[1]["encoder"] == str(tmp_path / ENCODER)


def without_facts(file):
    safetensors.torch.save_file(safetensors.torch.load_file(file), file)


def without_optimiser(file):
    with safetensors.safe_open(file, "pt") as stored:
        facts = stored.metadata()
    tensors = {key: value for key, value in safetensors.torch.load_file(file).items() if not key.startswith("optimiser.")}
    safetensors.torch.save_file(tensors, file, metadata=facts)


@pytest.mark.parametrize("damage", [cut, lambda file: file.write_bytes(b""), without_facts, without_optimiser])
def test_a_damaged_state_is_refused_in_one_sentence(state, damage):
    file, model, optimiser = state
    damage(file)
    with pytest.raises(InputError, match="cannot be resumed from .*; delete it to train from the beginning") as caught:
        read_facts(file)
        load_state(file, model, optimiser)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_the_state_of_a_model_of_another_size_is_refused(state):
    file, _, _ = state
    other = model_of(ModelSettings(**{**vars(SMALL), "width": 16}))
    with pytest.raises(InputError, match="cannot be resumed from"):
        load_state(file, other, torch.optim.AdamW(other.parameters()))


def test_a_full_disk_leaves_the_last_good_state(state, monkeypatch):
    file, model, optimiser = state
    before = file.read_bytes()

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(InputError, match="cannot be written .No space left on device.; free some space"):
        save_state(file, model, {}, optimiser, {})
    with pytest.raises(InputError, match="No space left on device"):
        save_model(model, file.parent, FACTS)
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == sorted([STATE, SETTINGS])


def test_nothing_on_disk_is_a_pickle(state, folder):
    for file in (state[0], folder / WEIGHTS):
        header = int.from_bytes(file.read_bytes()[:8], "little")  # safetensors: the length of a JSON header
        assert json.loads(file.read_bytes()[8: 8 + header])
