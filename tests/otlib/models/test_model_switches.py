"""The model's switches: who speaks, and the previous motion as geometry; the default model is untouched by them."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from otlib.data.dataset import Dataset
from otlib.models.ottalk import OTTalk, animate, prepare_geometry
from otlib.models.style import CODE_CHANNELS, SpeakerStyle
from otlib.predict import Predictor, load_trained
from otlib.train.checkpoint import load_model
from otlib.train.loop import TrainSettings, train
from tests.fixtures.tiny_corpus import write_corpus
from tests.otlib.models.test_ottalk import DOUBLE, SENSIBLE, SETTINGS, features_of, model_of, template_of

SPEAKERS = ("ann", "bea", "cy")
DEFAULT_PARAMETERS = "7c25"  # of the names and shapes in the state of the default model: old checkpoints must load


def switched(**changes):
    return model_of(dataclasses.replace(SETTINGS, **changes))


def test_the_default_model_has_the_parameters_it_always_had():
    state = OTTalk(SETTINGS).state_dict()
    listing = "\n".join(f"{name} {tuple(value.shape)}" for name, value in state.items())
    assert hashlib.sha256(listing.encode()).hexdigest()[:4] == DEFAULT_PARAMETERS, listing


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
    vertices, faces = template_of(1)
    geometry = prepare_geometry(vertices, faces, SETTINGS)
    ann, bea, nobody, stranger = (torch.cat(list(animate(model, features_of(6), vertices, geometry, speaker=name)))
                                  for name in ("ann", "bea", "", "dee"))
    assert (ann - bea).abs().max() > SENSIBLE and torch.equal(nobody, stranger)
    deaf = model_of()
    one, two = (torch.cat(list(animate(deaf, features_of(6), vertices, geometry, speaker=name))) for name in ("ann", "bea"))
    assert torch.equal(one, two)


def test_previous_motion_is_what_the_frame_before_looked_like():
    """Frame by frame by hand, from coarse displacements that are handed on, is what one pass gives."""
    model = switched(geometry="template and previous motion")
    vertices, faces = template_of(1)
    geometry = prepare_geometry(vertices, faces, SETTINGS)
    levels = model.describe_template(geometry.signal[None], geometry.hierarchy)
    latent = model.listen(features_of(6)[None], levels)
    whole = model.coarse_motion(latent, levels, geometry.hierarchy)
    before, frames = torch.zeros_like(whole[:, 0]), []
    for time in range(6):
        frames.append(model.coarse_motion(latent[:, time: time + 1], levels, geometry.hierarchy, before))
        before = frames[-1][:, 0]
    torch.testing.assert_close(torch.cat(frames, 1), whole, **DOUBLE)
    alone = model.coarse_motion(latent[:, 3:], levels, geometry.hierarchy)[:, 0]
    assert (alone - whole[:, 3]).abs().max() > SENSIBLE  # the past matters


@pytest.mark.parametrize("window", [1, 7, 70])
def test_windows_hand_the_previous_motion_on(window):
    model = switched(geometry="template and previous motion")
    for parameter in model.feedback.parameters():  # as after training: a loop that does not blow up
        parameter.data *= 0.1
    vertices, faces = template_of(1)
    geometry = prepare_geometry(vertices, faces, SETTINGS)
    whole = vertices + model(features_of(70)[None], geometry.signal[None], geometry.hierarchy)[0]
    stretches = list(animate(model, features_of(70), vertices, geometry, window=window))
    torch.testing.assert_close(torch.cat(stretches), whole, **DOUBLE)
    assert whole.std(0).max() > SENSIBLE


@pytest.mark.parametrize("changes", [{"geometry": "template and previous motion"},
                                     {"style": "one-hot", "speakers": SPEAKERS},
                                     {"style": "learned", "speakers": SPEAKERS}])
def test_every_parameter_of_a_switched_model_learns(changes):
    model = switched(**changes)
    vertices, faces = template_of(1)
    geometry = prepare_geometry(vertices, faces, SETTINGS)
    model(features_of(9)[None], geometry.signal[None], geometry.hierarchy, None, ["ann"]).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("changes, sentence", [
    ({"geometry": "motion"}, "geometry 'motion' is not one of 'template', 'template and previous motion'"),
    ({"style": "loud"}, "style 'loud' is not one of 'template', 'one-hot', 'learned'"),
    ({"style": "one-hot"}, "style 'one-hot' needs the names of the training speakers"),
])
def test_a_switch_that_is_not_there_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        OTTalk(dataclasses.replace(SETTINGS, **changes))


def test_a_switched_model_trains_is_kept_and_predicts(tmp_path):
    """Both switches at once; the speakers come from the data, and training speakers keep their style in use."""
    data = write_corpus(tmp_path / "corpus")
    small = {"width": 8, "layers": 1, "heads": 2, "radius": 3, "channels": 4, "terms": 2, "levels": (20, 8)}
    settings = TrainSettings("prosody", steps=20, batch=2, window=12, validate=20, learning_rate=1e-2,
                             model={**small, "style": "one-hot", "geometry": "template and previous motion"})
    train(data, tmp_path / "run", settings, cache=tmp_path / "features")
    model = load_model(tmp_path / "run")
    assert model.settings.speakers == ("a", "b") and model.settings.style == "one-hot"
    dataset = Dataset.open(data)
    predict = Predictor(load_trained(tmp_path / "run"), dataset, tmp_path / "features")
    clip = dataset.select("train")[0]
    with torch.no_grad():
        own = predict(clip)
        predict.trained.model.style.table.weight[:4, 0] += 10.0  # a shift of all channels would be lost in the norms
        other = predict(clip)
    assert np.abs(own - other).max() > 1e-5
