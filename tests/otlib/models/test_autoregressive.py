"""The autoregressive host: frames follow from the frames before, one by one, and KMTalk completes it as any other."""

import dataclasses

import pytest
import torch

from otlib.models.autoregressive import Autoregressive
from otlib.models.kmtalk import KMTalk, KMTalkSettings
from otlib.models.ottalk import prepare_geometry
from tests.otlib.models.test_ottalk import SETTINGS, features_of, template_of

FRAMES = 9
VERTICES, TOPOLOGY = template_of(1)
GEOMETRY = prepare_geometry(VERTICES, TOPOLOGY, SETTINGS)


@pytest.fixture(scope="module")
def model():
    generator = torch.Generator().manual_seed(0)
    made = Autoregressive(SETTINGS).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return made.eval()


@torch.no_grad()
def shown(model, features):
    return model(features[None], GEOMETRY)[0]


def test_a_frame_follows_from_the_audio_so_far_and_from_the_motion_before_it(model):
    """By hand: the transformer reads sums of audio and of the motion that was shown a frame earlier."""
    features = features_of(FRAMES)
    found = shown(model, features)
    chosen, reach = GEOMETRY.hierarchy.chosen[1], model.temporal.reach
    with torch.no_grad():
        levels = model.describe_template(GEOMETRY)
        audio = model.listen(features[None], levels)
        before = torch.cat([torch.zeros_like(found[:1]), found[:-1]])[None, :, chosen]
        read = audio + model.past(before, levels[0])
        for frame in (0, 1, FRAMES - 1):
            state = model.temporal(read[:, max(0, frame - reach): frame + 1])[:, -1:]
            expected = model.decoder(state, levels, GEOMETRY.hierarchy)[0, 0]
            torch.testing.assert_close(found[frame], expected, atol=1e-12, rtol=1e-9)
    assert found.abs().max() > 1e-4


def test_a_past_beyond_the_transformers_reach_still_matters(model):
    """Since motion is read again and again, what happened first is felt later than attention alone could see."""
    features = features_of(FRAMES + 2 * model.temporal.reach)
    other = features.clone()
    other[0] += 1.0
    gap = (shown(model, features) - shown(model, other)).flatten(1).norm(dim=1)
    late = 1 + 2 + model.temporal.reach  # the frame itself, the convolution's two, and attention
    assert gap[0] > 0 and bool((gap[late:] > 0).any())


def test_nothing_is_heard_from_beyond_the_neighbours(model):
    features = features_of(FRAMES)
    other = features.clone()
    other[FRAMES - 1] += 1.0
    gap = (shown(model, features) - shown(model, other)).flatten(1).norm(dim=1)
    assert bool((gap[: FRAMES - 3] == 0).all()) and bool((gap[FRAMES - 3:] > 0).all())


def test_gradients_reach_the_first_frame_through_the_last_ones_motion(model):
    features = features_of(FRAMES).requires_grad_()
    model(features[None], GEOMETRY)[0, -1].square().sum().backward()
    assert features.grad[0].abs().max() > 0


def test_a_batch_gives_what_its_clips_give_alone(model):
    clips = torch.stack([features_of(FRAMES), 2 * features_of(FRAMES)])
    with torch.no_grad():
        together = model(clips, GEOMETRY.of([0, 0]))
    for clip, alone in enumerate(clips):
        torch.testing.assert_close(together[clip], shown(model, alone), atol=1e-12, rtol=1e-9)


def test_kmtalk_completes_its_motion_at_the_key_frames(model):
    """Untrained, completion interpolates: at the keys it is the host's own motion, which all frames before led to."""
    keyed = KMTalk(KMTalkSettings(**dataclasses.asdict(SETTINGS), host="autoregressive")).double().eval()
    keyed.plug_into(model)
    keys = torch.zeros(1, FRAMES, dtype=torch.bool)
    keys[0, [0, 4, 8]] = True
    features = features_of(FRAMES)
    with torch.no_grad():
        completed = keyed(features[None], GEOMETRY, keys=keys).motion[0]
    expected = shown(model, features)
    torch.testing.assert_close(completed[keys[0]], expected[keys[0]])
    torch.testing.assert_close(completed[2], (expected[0] + expected[4]) / 2)
    assert (completed - expected).abs().max() > 1e-6  # between them it is not the host's


def test_a_host_that_is_plugged_into_learns_and_drops_nothing(model):
    keyed = KMTalk(KMTalkSettings(**dataclasses.asdict(SETTINGS), host="autoregressive")).double()
    keyed.plug_into(model)
    keys, features = torch.ones(1, FRAMES, dtype=torch.bool), features_of(FRAMES)[None]
    one, two = (keyed(features, GEOMETRY, [torch.Generator().manual_seed(seed)], keys=keys) for seed in (0, 1))
    assert torch.equal(one.key_motion, two.key_motion)
    one.motion.square().sum().backward()
    assert all(parameter.grad is None for parameter in keyed.host.parameters())
    assert any(parameter.grad is not None for parameter in keyed.completion.parameters())
