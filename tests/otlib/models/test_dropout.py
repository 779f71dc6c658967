"""Perturbed features: the same change in all frames of a clip, another one for each clip, and none in use."""

import pytest
import torch

from otlib.models.dropout import forget, perturb
from otlib.models.ottalk import ModelSettings, OTTalk

CLIPS, FRAMES, CHANNELS = 3, 7, 4000


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.fixture(scope="module")
def features():
    return torch.randn(CLIPS, FRAMES, CHANNELS, generator=torch.Generator().manual_seed(9))


def test_without_generators_or_amounts_nothing_changes(features):
    assert perturb(features, 0.2, 0.3, None) is features
    assert perturb(features, 0.0, 0.0, generators(0, 1, 2)) is features


def test_a_share_of_the_channels_is_lost_and_the_others_make_up_for_it(features):
    lost = perturb(features, 0.2, 0.0, generators(0, 1, 2))
    gone = lost == 0
    assert torch.equal(gone, gone[:, :1].expand_as(gone))  # in all frames alike
    assert abs(gone[:, 0].double().mean().item() - 0.2) < 4 * (0.2 * 0.8 / (CLIPS * CHANNELS)) ** 0.5
    torch.testing.assert_close(lost[~gone], features[~gone] / 0.8)


def test_channels_are_shifted_by_a_constant_of_the_asked_size(features):
    shift = perturb(features, 0.0, 0.3, generators(0, 1, 2)) - features
    assert torch.allclose(shift, shift[:, :1].expand_as(shift), atol=1e-6)
    assert shift[:, 0].std().item() == pytest.approx(0.3, rel=0.03)
    assert shift[:, 0].mean().abs().item() < 4 * 0.3 / (CLIPS * CHANNELS) ** 0.5


def test_a_clip_is_changed_alike_whatever_its_batch(features):
    together = perturb(features, 0.2, 0.3, generators(5, 6, 7))
    for index, seed in enumerate((5, 6, 7)):
        assert torch.equal(perturb(features[index, None], 0.2, 0.3, generators(seed))[0], together[index])
    assert not torch.equal(together[0], perturb(features, 0.2, 0.3, generators(6, 6, 7))[0])


def test_a_share_of_the_styles_is_forgotten_whole():
    style, many = torch.ones(2000, 5), generators(*range(2000))
    told = forget(style, 0.4, many)
    assert torch.equal(told, told[:, :1].expand_as(told))
    assert set(told[:, 0].tolist()) == {0.0, torch.tensor(1 / 0.6).item()}
    assert abs((told[:, 0] == 0).double().mean().item() - 0.4) < 4 * (0.4 * 0.6 / 2000) ** 0.5
    assert forget(style, 0.4, None) is style and forget(style, 0.0, many) is style


@pytest.mark.parametrize(("change", "message"), [({"lost": 1.0}, "lost must be at least 0 and below 1, but is 1.0"),
                                                 ({"lost": -0.1}, "lost must be"),
                                                 ({"forgotten": 1.0}, "forgotten must be at least 0 and below 1"),
                                                 ({"shift": float("nan")}, "shift must be at least 0 and at most 100")])
def test_impossible_amounts_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ModelSettings(1, 3, **change)


def test_the_model_hears_perturbed_features_in_training_alone():
    settings = ModelSettings(2, 12, width=16, layers=1, heads=2, dropout=0.0, channels=4, levels=(8,))
    model = OTTalk(settings)
    heard, geometry = torch.randn(1, 5, 2, 12, generator=torch.Generator().manual_seed(0)), [torch.zeros(1, 8, 4)]
    one, again, other = (model.listen(heard, geometry, generators(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.allclose(one, other)
    assert torch.equal(model.listen(heard, geometry), model.listen(heard, geometry))
