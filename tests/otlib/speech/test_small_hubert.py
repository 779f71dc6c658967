"""The small HuBERT's own parts: attention to near frames, the running gain, and its shape."""

import pytest
import torch

from otlib.speech.small_hubert import HOP, SAMPLE_RATE, local_attention, running_gain, small_configuration
from tests.fixtures.small_hubert import local_hubert
from tests.oracles.audio_naive import attention_within, gain_of_neighbourhood

DOUBLE = 1e-12  # rounding of float64 sums of some hundred terms
SINGLE = 1e-6  # the same in float32, relative
REACH = 50  # blocks of 20 ms to each side: one second


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def attend(radius, *arguments, **settings):
    module = local_hubert(radius=radius).encoder.layers[0].attention
    return local_attention(module, *arguments, **settings)[0]


@pytest.mark.parametrize("radius", [0, 2, 20])
def test_attention_is_a_softmax_over_near_frames(radius):
    query, key, value = noise(3, 2, 2, 9, 4)
    expected = attention_within(query, key, value, radius)
    found = attend(radius, query, key, value, None, scaling=4**-0.5)
    torch.testing.assert_close(found, expected, rtol=0, atol=DOUBLE)


def test_attention_of_a_frame_to_itself_alone_is_its_value():
    query, key, value = noise(3, 1, 2, 7, 4)
    torch.testing.assert_close(attend(0, query, key, value, None), value.transpose(1, 2), rtol=0, atol=DOUBLE)


def test_attention_does_not_see_far_frames():
    query, key, value = noise(3, 1, 2, 12, 4)
    key_changed, value_changed = key.clone(), value.clone()
    key_changed[:, :, 5], value_changed[:, :, 5] = 7.0, -7.0
    changed = attend(3, query, key_changed, value_changed, None) != attend(3, query, key, value, None)
    assert changed.flatten(2).any(2).squeeze(0).nonzero().flatten().tolist() == [2, 3, 4, 5, 6, 7, 8]


def test_gradient_of_attention():
    query, key, value = (part.requires_grad_() for part in noise(3, 1, 1, 5, 2).unbind())
    torch.autograd.gradcheck(lambda *parts: attend(1, *parts, None), (query, key, value))


def test_attention_keeps_dtype_and_refuses_padding():
    query, key, value = noise(3, 1, 2, 6, 4, dtype=torch.float32)
    assert attend(2, query, key, value, None).dtype == torch.float32
    with pytest.raises(ValueError, match="attention_mask"):
        attend(2, query, key, value, torch.ones(6, 6, dtype=torch.bool))


def test_transformers_models_use_it():
    samples = noise(1, HOP * 30, dtype=torch.float32)
    near, wide = (local_hubert(radius=radius)(samples).last_hidden_state for radius in (1, 1000))
    assert (near - wide).abs().max() > 0.01


def test_small_configuration_is_layer_normalised_local_and_small():
    configuration = small_configuration()
    assert (configuration.feat_extract_norm, configuration.local_attention_radius > 0) == ("layer", True)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in type(local_hubert())(configuration).parameters())
    assert 2 * parameters < 20e6  # bytes in half precision


@pytest.mark.parametrize("length", [1, 319, HOP, 10 * HOP + 7, 130 * HOP])
def test_gain_by_hand(length):
    samples = 0.3 * noise(length) * torch.linspace(0.01, 1, length, dtype=torch.float64)
    torch.testing.assert_close(running_gain(samples), gain_of_neighbourhood(samples, HOP, REACH), rtol=0, atol=DOUBLE)


def test_gain_makes_the_level_not_matter():
    samples = noise(3 * SAMPLE_RATE, dtype=torch.float32)
    quiet = running_gain(0.01 * samples)
    torch.testing.assert_close(quiet, running_gain(samples), rtol=10 * SINGLE, atol=0)
    assert quiet.square().mean().sqrt() == pytest.approx(0.1, rel=0.01)  # noise is even, so its level is the target


def test_gain_reaches_one_second():
    samples = noise(6 * SAMPLE_RATE)
    changed = samples.clone()
    block = 150
    changed[block * HOP + 5] += 1.0
    differing = (running_gain(changed) != running_gain(samples)).nonzero().flatten()
    assert (int(differing[0]), int(differing[-1])) == ((block - REACH) * HOP, (block + REACH + 1) * HOP - 1)


def test_silence_is_not_raised_to_speech():
    whisper = 1e-5 * noise(SAMPLE_RATE)
    assert running_gain(torch.zeros(SAMPLE_RATE)).abs().max() == 0.0
    torch.testing.assert_close(running_gain(whisper), 100 * whisper, rtol=0, atol=DOUBLE)  # the largest gain, 0.1 / 0.001


def test_gain_of_a_batch_is_that_of_its_clips():
    samples = noise(2, 3, 5 * HOP + 1, dtype=torch.float32)
    together = running_gain(samples)
    assert together.shape == samples.shape and together.dtype == torch.float32
    for i in range(2):
        for j in range(3):
            assert torch.equal(together[i, j], running_gain(samples[i, j]))
