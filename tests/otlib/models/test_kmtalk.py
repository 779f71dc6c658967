"""KMTalk: completion without a residual is linear interpolation, any number of keys works, and windows agree."""

import dataclasses

import numpy as np
import pytest
import torch

from otlib.models.kmtalk import Completion, KMTalk, KMTalkSettings, interpolated, key_places
from otlib.models.ottalk import OTTalk, prepare_geometry
from otlib.models.temporal import LocalAttention, LocalCrossAttention
from otlib.predict import animate
from tests.otlib.models.test_ottalk import DOUBLE, SENSIBLE, SETTINGS, features_of, template_of

KEYED = KMTalkSettings(**dataclasses.asdict(SETTINGS), completion_layers=2, span=4)
FRAMES = 20


def model_of(settings=KEYED, seed=0, residual=True):
    """A model in float64 with random parameters, so that it moves; without a residual, completion's last layer is zero."""
    generator = torch.Generator().manual_seed(seed)
    model = KMTalk(settings).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    if not residual:
        torch.nn.init.zeros_(model.completion.decoder.out.weight)
        torch.nn.init.zeros_(model.completion.decoder.out.bias)
    return model.eval()


def keys_at(*frames, count=FRAMES):
    keys = torch.zeros(1, count, dtype=torch.bool)
    keys[0, list(frames)] = True
    return keys


VERTICES, TOPOLOGY = template_of(1)
GEOMETRY = prepare_geometry(VERTICES, TOPOLOGY, KEYED)


def completed(model, keys, features=None, **options):
    """What the model predicts for one clip on a dented ball."""
    features = features_of(keys.shape[1]) if features is None else features
    with torch.no_grad():
        return model(features[None], GEOMETRY, keys=keys, **options)


def by_numpy(keys, values, span):
    """Interpolation in numpy, frame by frame: numpy.interp between two keys within reach, else the one, else zero."""
    places = np.flatnonzero(keys)
    result = np.zeros((len(keys), values.shape[-1]))
    for frame in range(len(keys)):
        near = [place for place in places if abs(place - frame) <= span]
        left, right = [p for p in near if p <= frame][-1:], [p for p in near if p >= frame][:1]
        if left and right:
            for axis in range(values.shape[-1]):
                result[frame, axis] = np.interp(frame, places, values[:, axis])
        elif left or right:
            result[frame] = values[list(places).index((left or right)[0])]
    return result


@pytest.mark.parametrize("frames", [(0, 3, 5, 9, 13, 19), (2, 3), (7,), (), tuple(range(FRAMES)), (0, 19), (6, 17)],
                         ids=["spread", "two", "one", "none", "all", "ends", "far apart"])
def test_interpolation_is_numpys(frames):
    keys = keys_at(*frames)
    values = torch.randn(1, max(1, len(frames)), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = interpolated(values, key_places(keys, 4))[0].numpy()
    np.testing.assert_allclose(found, by_numpy(keys[0].numpy(), values[0].numpy(), 4), atol=1e-12)


def test_clips_of_a_batch_have_their_own_keys():
    rows = [keys_at(1, 4, 9), keys_at(), keys_at(*range(FRAMES)), keys_at(12)]
    places = key_places(torch.cat(rows), 4)
    assert places.index.shape == (4, FRAMES)
    assert places.index[0, :4].tolist() == [1, 4, 9, 9] and places.index[1].unique().tolist() == [0]
    values = torch.randn(4, FRAMES, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = interpolated(values, places)
    for row, keys in enumerate(rows):
        alone = key_places(keys, 4)
        count = alone.index.shape[1]
        torch.testing.assert_close(together[row], interpolated(values[row: row + 1, :count], alone)[0], **DOUBLE)


@pytest.mark.parametrize("frames", [(0, 3, 5, 9, 13, 17), (), (7,), tuple(range(FRAMES))],
                         ids=["some", "none", "one", "all"])
def test_without_a_residual_completion_interpolates_the_host(frames):
    model, keys = model_of(residual=False), keys_at(*frames)
    with torch.no_grad():
        host = model.host(features_of(FRAMES)[None], GEOMETRY)[0].flatten(1).numpy()  # T 3V
    expected = by_numpy(keys[0].numpy(), host[list(frames)], KEYED.span)
    motion = completed(model, keys).motion[0].flatten(1).numpy()
    np.testing.assert_allclose(motion, expected, atol=1e-12)
    assert not frames or np.abs(motion).max() > SENSIBLE


def test_the_residual_hears_keys_and_audio_unless_it_is_not_guided():
    features, keys = features_of(FRAMES), keys_at(0, 3, 6, 9, 12, 15, 19)
    other = features_of(FRAMES, seed=5)
    for guided in (True, False):
        model = model_of(dataclasses.replace(KEYED, guided=guided))
        levels, places = model.describe_template(GEOMETRY), key_places(keys, KEYED.span)
        same_keys = torch.ones(1, 7, len(VERTICES), 3, dtype=torch.float64) / 100
        with torch.no_grad():
            one, two = (model.completion(same_keys, places, model.host.listen(f[None], levels), levels, GEOMETRY.hierarchy)
                        for f in (features, other))
            moved = model.completion(-same_keys, places, model.host.listen(features[None], levels), levels,
                                     GEOMETRY.hierarchy) + interpolated(2 * same_keys, places)
        assert ((one - two).abs().max() > SENSIBLE) == guided
        assert (one - moved).abs().max() > SENSIBLE  # the residual depends on the key motions


def test_without_key_motions_completion_knows_the_places_alone():
    model = model_of(dataclasses.replace(KEYED, key_motion=False))
    keys = keys_at(0, 5, 10, 15, 19)
    before = completed(model, keys).motion
    with torch.no_grad():
        model.host.decoder.out.bias.add_(1.0)
    assert torch.equal(completed(model, keys).motion, before)
    assert (completed(model, keys_at(0, 4, 10, 15, 19)).motion - before).abs().max() > SENSIBLE


def test_true_key_motions_are_taken_as_often_as_they_are_trusted():
    model, keys = model_of(residual=False), keys_at(0, 4, 8, 12, 16, 19)
    truth = torch.randn(1, FRAMES, 42, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    plain = completed(model, keys).motion

    def share(trust):
        taken = [not torch.equal(completed(model, keys, true_motion=truth, trust=trust,
                                           generators=[torch.Generator().manual_seed(seed)]).motion[:, ::4],
                                 completed(model, keys, generators=[torch.Generator().manual_seed(seed)]).motion[:, ::4])
                 for seed in range(20)]
        return np.mean(taken)

    assert share(1.0) == 1 and share(0.0) == 0 and 0.2 < share(0.5) < 0.8
    given = completed(model, keys, true_motion=truth, trust=1.0, generators=[torch.Generator().manual_seed(0)])
    torch.testing.assert_close(given.motion[0, [0, 4, 8]], truth[0, [0, 4, 8]], **DOUBLE)
    torch.testing.assert_close(completed(model, keys, true_motion=truth).motion, plain, **DOUBLE)


@pytest.mark.parametrize("window", [1, 7, 25, 100])
def test_windows_give_what_one_pass_gives(window):
    model = model_of()
    features = features_of(60)
    keys = torch.rand(60, generator=torch.Generator().manual_seed(3)) < 0.3
    keys[20:40] = False  # further apart than the span
    whole = animate(model, features, VERTICES, GEOMETRY, window=1000, keys=keys)
    torch.testing.assert_close(animate(model, features, VERTICES, GEOMETRY, window=window, keys=keys), whole, **DOUBLE)
    assert (whole - VERTICES).abs().max() > SENSIBLE


def test_motion_depends_on_nothing_beyond_the_reach():
    model = model_of()
    features, keys = features_of(80), torch.arange(80)[None] % 3 == 0
    changed = features.clone()
    changed[40] = features_of(80, seed=7)[40]
    moved = (completed(model, keys, changed).motion - completed(model, keys, features).motion)[0].abs().amax((1, 2))
    far = (torch.arange(80) - 40).abs() > model.reach
    assert moved[far].max() == 0 and moved[40] > SENSIBLE


def test_untrained_it_shows_the_template():
    shown = completed(KMTalk(KEYED).double(), keys_at(0, 5, 10, 19))
    assert not shown.motion.any() and not shown.key_motion.any()


def test_it_has_ot_talks_parameters_and_runs_on_any_topology():
    assert KMTalk(KEYED).host.state_dict().keys() == OTTalk(SETTINGS).state_dict().keys()
    model = model_of()
    for subdivisions, count in ((1, 42), (2, 162)):
        vertices, topology = template_of(subdivisions)
        geometry = prepare_geometry(vertices, topology, KEYED)
        assert model(features_of(8)[None], geometry, keys=keys_at(0, 4, count=8)).motion.shape == (1, 8, count, 3)


def test_gradients_reach_every_parameter():
    model, keys = model_of(), keys_at(0, 4, 9, 13, 19)
    vertices, topology = template_of(1)
    shown = model(features_of(FRAMES)[None], GEOMETRY, keys=keys)
    shown.motion.square().sum().backward()
    silent = [name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert silent == []


def test_attention_to_another_signal_is_attention_to_itself_when_that_is_the_signal():
    x = features_of(9).flatten(1)[None]
    plain, cross = LocalAttention(6, 2, 3).double(), LocalCrossAttention(6, 2, 3).double()
    cross.load_state_dict(plain.state_dict())
    torch.testing.assert_close(cross(x, x), plain(x), **DOUBLE)
    visible = torch.tensor([[True, False, True, True, False, False, True, True, True]])
    seen = cross(x, x, visible)
    hidden = x.clone()
    hidden[0, 4] += 1  # hidden from all but itself
    moved = (cross(x, hidden, visible) - seen).abs().amax(-1)[0]
    assert moved[4] > 0 and moved[[0, 1, 2, 3, 5, 6, 7, 8]].max() == 0


@pytest.mark.parametrize("settings", [{"span": 0}, {"completion_layers": 0}])
def test_impossible_sizes_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        dataclasses.replace(KEYED, **settings)


def test_completion_alone_starts_as_interpolation_on_every_host():
    host, completion = OTTalk(SETTINGS).double(), Completion(KEYED).double()
    levels, places = host.describe_template(GEOMETRY), key_places(keys_at(0, 3, 7, 11, 15, 19), KEYED.span)
    motion = torch.randn(1, 6, 42, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    audio = torch.randn(1, FRAMES, KEYED.width, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(completion(motion, places, audio, levels, GEOMETRY.hierarchy),
                                   interpolated(motion, places), **DOUBLE)
