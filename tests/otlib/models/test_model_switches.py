"""The model's switch, who speaks; the default model is untouched by it."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from otlib.data.dataset import Dataset
from otlib.models.ottalk import OTTalk, prepare_geometry
from otlib.models.style import CODE_CHANNELS, SpeakerStyle
from otlib.predict import Predictor, animate, load_trained
from otlib.train.checkpoint import load_model
from otlib.train.loop import TrainSettings, train
from tests.fixtures.tiny_corpus import write_corpus
from tests.otlib.models.test_ottalk import DOUBLE, SENSIBLE, SETTINGS, features_of, model_of, template_of

SPEAKERS = ("ann", "bea", "cy")
DEFAULT_PARAMETERS = "6bcf61f7700a7eea5ecf0d4cffebf4734aa5cdc6644942aff76226375bc69420"
"""Of the names and shapes in the state of the default model: checkpoints must load."""


def switched(**changes):
    return model_of(dataclasses.replace(SETTINGS, **changes))


def test_the_default_model_has_the_parameters_it_always_had():
    state = OTTalk(SETTINGS).state_dict()
    listing = "\n".join(f"{name} {tuple(value.shape)}" for name, value in state.items())
    assert hashlib.sha256(listing.encode()).hexdigest() == DEFAULT_PARAMETERS, listing


@pytest.mark.parametrize("kind, expected", [
    ("one-hot", lambda style, row: style.table.weight[:, row]),
    ("learned", lambda style, row: style.spread.weight @ style.table.weight[:, row] + style.spread.bias),
])
def test_a_speaker_has_a_vector_and_a_stranger_the_mean(kind, expected):
    style = SpeakerStyle(kind, SPEAKERS, 16).double()
    found = style(["cy", "dee", "ann"])
    torch.testing.assert_close(found[0], expected(style, 2), **DOUBLE)
    torch.testing.assert_close(found[2], expected(style, 0), **DOUBLE)
    torch.testing.assert_close(found[1], sum(expected(style, row) for row in range(3)) / 3, **DOUBLE)
    assert style.table.weight.shape == (CODE_CHANNELS if kind == "learned" else 16, 3)


@pytest.mark.parametrize("kind", ["one-hot", "learned"])
def test_who_speaks_changes_the_motion_where_the_style_knows_speakers(kind):
    model = switched(style=kind, speakers=SPEAKERS)
    vertices, topology = template_of(1)
    geometry = prepare_geometry(vertices, topology, SETTINGS)
    ann, bea, nobody, stranger = (animate(model, features_of(6), vertices, geometry, speaker=name)
                                  for name in ("ann", "bea", "", "dee"))
    assert (ann - bea).abs().max() > SENSIBLE and torch.equal(nobody, stranger)
    deaf = model_of()
    one, two = (animate(deaf, features_of(6), vertices, geometry, speaker=name) for name in ("ann", "bea"))
    assert torch.equal(one, two)


@pytest.mark.parametrize("kind", ["one-hot", "learned"])
def test_every_parameter_of_a_switched_model_learns(kind):
    model = switched(style=kind, speakers=SPEAKERS)
    vertices, topology = template_of(1)
    geometry = prepare_geometry(vertices, topology, SETTINGS)
    model(features_of(9)[None], geometry, None, ["ann"]).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("changes, sentence", [
    ({"style": "loud"}, "style must be one of 'template', 'one-hot', 'learned', but is 'loud'"),
    ({"style": "one-hot"}, "style 'one-hot' needs the names of the training speakers"),
])
def test_a_switch_that_is_not_there_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        OTTalk(dataclasses.replace(SETTINGS, **changes))


def test_a_switched_model_trains_is_kept_and_predicts(tmp_path):
    """The speakers come from the data, and training speakers keep their style in use."""
    data = write_corpus(tmp_path / "corpus")
    small = {"width": 8, "layers": 1, "heads": 2, "radius": 3, "channels": 4, "terms": 2, "levels": (20, 8)}
    settings = TrainSettings("prosody", steps=20, batch=2, window=12, validate=20, learning_rate=1e-2,
                             model={**small, "style": "one-hot"})
    train(data, tmp_path / "run", settings, cache=tmp_path / "features")
    model, _ = load_model(tmp_path / "run")
    assert model.settings.speakers == ("a", "b") and model.settings.style == "one-hot"
    dataset = Dataset.open(data)
    predict = Predictor(load_trained(tmp_path / "run"), dataset, tmp_path / "features")
    clip = dataset.select("train")[0]
    with torch.no_grad():
        own = predict(clip)
        predict.trained.model.style.table.weight[:4, 0] += 10.0  # a shift of all channels would be lost in the norms
        other = predict(clip)
    assert np.abs(own - other).max() > 1e-5
