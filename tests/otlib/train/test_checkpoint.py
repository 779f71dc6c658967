"""Weights and training states on disk: round trips, and everything that cannot be used said in one sentence."""

import dataclasses
import json
import resource

import pytest
import safetensors.torch
import torch

from otlib.errors import InputError
from otlib.models.kmtalk import KMTalk, KMTalkSettings
from otlib.models.ottalk import ModelSettings, OTTalk
from otlib.phonemes.key_frames import KeySettings
from otlib.train.checkpoint import (
    ENCODER,
    SETTINGS,
    STATE,
    WEIGHTS,
    ModelFacts,
    load_model,
    load_state,
    read_facts,
    save_model,
    save_state,
)

SMALL = ModelSettings(feature_layers=1, feature_channels=3, width=8, layers=1, heads=2, radius=2, channels=4, terms=2,
                      levels=(10, 5))


FACTS_OF_STATE = {"facts": {"data": "0"}, "step": 3, "rows": [{"loss": 0.1}]}
FACTS = ModelFacts(frame_rate=30.0, encoder="prosody", fingerprint="prosody-1")


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
    save_state(tmp_path / STATE, model, model_of(seed=5).state_dict(), optimiser, FACTS_OF_STATE)
    return tmp_path / STATE, model, optimiser


def test_a_model_is_read_back(folder):
    loaded, facts = load_model(folder)
    assert facts == FACTS
    assert loaded.settings == SMALL and not loaded.training
    assert same(loaded.state_dict(), model_of().state_dict())


def test_a_model_of_release_0_1_is_read(folder):
    """Its decoder's tensors stood beside the others."""
    write_weights(lambda weights: weights.update({name.removeprefix("decoder."): weights.pop(name)
                                                  for name in list(weights) if name.startswith("decoder.")}))(folder)
    assert "gains.0.weight" in safetensors.torch.load_file(folder / WEIGHTS)
    assert same(load_model(folder)[0].state_dict(), model_of().state_dict())


def test_kmtalk_is_read_back_with_the_source_of_its_keys(tmp_path):
    sizes = KMTalkSettings(**dataclasses.asdict(SMALL), span=9)
    facts = dataclasses.replace(FACTS, method="kmtalk", keys=KeySettings("even", share=0.25))
    torch.manual_seed(0)
    model = KMTalk(sizes)
    save_model(model, tmp_path, facts)
    loaded, again = load_model(tmp_path)
    assert again == facts and loaded.settings == sizes and same(loaded.state_dict(), model.state_dict())


def test_a_training_goes_on_from_its_state_as_if_never_stopped(state):
    file, model, optimiser = state
    again = model_of(seed=9)
    optimiser_again = torch.optim.AdamW(again.parameters(), lr=0.01)
    best = load_state(file, again, optimiser_again)
    assert read_facts(file) == FACTS_OF_STATE
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


def write_facts(**changes):
    return lambda folder: (folder / SETTINGS).write_text(json.dumps(json.loads((folder / SETTINGS).read_text()) | changes))


def write_weights(change):
    def damage(folder):
        weights = safetensors.torch.load_file(folder / WEIGHTS)
        change(weights)
        safetensors.torch.save_file(weights, folder / WEIGHTS)
    return damage


def test_settings_of_a_large_model_take_no_memory_without_its_weights(folder):
    write_settings(width=2048, layers=32)(folder)  # 4 GB of weights
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="do not make a model"):
        load_model(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


@pytest.mark.parametrize("damage, sentence", [
    (lambda folder: (folder / WEIGHTS).unlink(), "no trained model there"),
    (lambda folder: (folder / SETTINGS).unlink(), "model.json: no such file"),
    (lambda folder: cut(folder / WEIGHTS), "is not a whole safetensors file"),
    (lambda folder: (folder / WEIGHTS).write_bytes(b""), "is not a whole safetensors file"),
    (write_weights(lambda weights: weights.pop("decoder.out.bias")), "do not make a model .*decoder.out.bias"),
    (write_weights(lambda weights: weights.update(more=torch.ones(1))), "do not make a model .*more"),
    (write_weights(lambda weights: weights["decoder.out.bias"].fill_(float("nan"))),
     "decoder.out.bias holds a value that is not finite"),
    (write_facts(method="facetalk"), "method must be one of 'ottalk', 'autoregressive', 'kmtalk', but is 'facetalk'"),
    (write_facts(method="kmtalk"), "do not make a model .*host"),
    (write_facts(keys={"source": "whisper"}), "keys: source must be one of 'frames'"),
    (lambda folder: (folder / SETTINGS).write_text('{"width": 8'), "model.json: not a JSON file"),
    (lambda folder: (folder / SETTINGS).write_text("[1, 2]"), "is not a JSON object"),
    (lambda folder: (folder / SETTINGS).write_text('{"frame_rate": 30.0, "model": {}}'), "encoder is missing"),
    (write_facts(frame_rate="30"), "model.json: frame_rate must be a number, but is '30'"),
    (write_facts(frame_rate=1e9), "frame_rate must be at least 1 and at most 1000, but is 1000000000.0"),
    (write_facts(encoder=3), "encoder must be text, but is 3"),
    (write_facts(other=3), "there is no setting 'other'; there are frame_rate, encoder, fingerprint, method, keys"),
    (write_facts(model=[]), r"model.json: model: must be an object of names and values, but is \[\]"),
    (write_settings(width=16), "do not make a model"),
    (write_settings(width="16"), "model.json: model: width must be a whole number, but is '16'"),
    (write_settings(heads=0), "heads must be at least 1"),
    (write_settings(levels=5), "levels must be a list, but is 5"),
    (write_settings(levels=[5, 10]), "levels must be 1 to 16 numbers, the largest first"),
    (write_settings(dropout=5), "dropout must be at least 0 and below 1, but is 5.0"),
    (write_settings(layers=-1), "layers must be at least 1 and at most 32, but is -1"),
    (write_settings(layers=10**9), "layers must be at least 1 and at most 32, but is 1000000000"),
    (write_settings(speakers=[1]), "speakers must be a list in which each is text"),
    (write_settings(style="one-hot"), "needs the names of the training speakers"),
    (write_settings(heads=3), "width 8 is not divisible by heads 3"),
    (write_settings(depth=3), "there is no setting 'depth'"),
    (write_settings(levels=None), "levels must be a list, but is None"),
])
def test_a_damaged_model_is_refused_in_one_sentence(folder, damage, sentence):
    damage(folder)
    with pytest.raises(InputError, match=sentence) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_an_encoder_in_the_folder_is_named_by_its_path(tmp_path):
    save_model(model_of(), tmp_path, dataclasses.replace(FACTS, encoder=ENCODER))
    with pytest.raises(InputError, match="the encoder that was trained with the model is not there .*; delete the folder"):
        load_model(tmp_path)
    (tmp_path / ENCODER).mkdir()
    (tmp_path / ENCODER / WEIGHTS).touch()
    assert load_model(tmp_path)[1].encoder == str(tmp_path / ENCODER)


def without_facts(file):
    safetensors.torch.save_file(safetensors.torch.load_file(file), file)


def without_optimiser(file):
    with safetensors.safe_open(file, "pt") as stored:
        facts = stored.metadata()
    tensors = {key: value for key, value in safetensors.torch.load_file(file).items() if not key.startswith("optimiser.")}
    safetensors.torch.save_file(tensors, file, metadata=facts)


def with_facts(text):
    return lambda file: safetensors.torch.save_file(safetensors.torch.load_file(file), file, {"facts": text})


def with_other_best(file):
    with safetensors.safe_open(file, "pt") as stored:
        facts = stored.metadata()
    safetensors.torch.save_file(safetensors.torch.load_file(file) | {"best.more": torch.ones(1)}, file, facts)


ODD_FACTS = ["", "3", "[]", "[" * 10**5, '{"step": 3}', *(json.dumps(FACTS_OF_STATE | change) for change in (
    {"step": "3"}, {"rows": [3]}, {"rows": [{"loss": "low"}]}))]


@pytest.mark.parametrize("damage", [cut, lambda file: file.write_bytes(b""), without_facts, without_optimiser,
                                    with_other_best, *map(with_facts, ODD_FACTS)])
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
