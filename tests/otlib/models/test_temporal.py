"""The transformer over time against a naive loop, and what each frame can hear."""

import numpy as np
import pytest
import torch

from otlib.models.temporal import LocalAttention, TemporalTransformer, drop
from tests.oracles.attention_naive import local_attention

DOUBLE = {"rtol": 1e-11, "atol": 1e-12}  # sums of some hundred float64 products
WIDTH, HEADS, RADIUS, LAYERS = 12, 3, 4, 2


def signal_of(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def with_random_parameters(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return module


@pytest.fixture
def attention():
    return with_random_parameters(LocalAttention(WIDTH, HEADS, RADIUS))


@pytest.fixture
def transformer():
    return with_random_parameters(TemporalTransformer(WIDTH, LAYERS, HEADS, RADIUS, dropout=0.3))


@pytest.mark.parametrize("frames", [1, RADIUS, 15])
def test_attention_is_the_naive_loop(attention, frames):
    x = signal_of(2, frames, WIDTH)
    project, out = attention.project, attention.out
    oracle = [local_attention(clip, *(p.detach().numpy() for p in (project.weight, project.bias, out.weight, out.bias,
                                                                  attention.bias)), RADIUS) for clip in x.numpy()]
    np.testing.assert_allclose(attention(x).detach(), np.stack(oracle), **DOUBLE)


def test_attention_starts_with_the_first_slopes_that_alibi_gives_eight_heads():
    """Slopes of Press et al. 2022: 2^(-8 h / heads) for the heads h = 1, 2, ..."""
    slopes = torch.tensor([2 ** (-8 * head / 8) for head in (1, 2)])
    expected = -slopes[:, None] * torch.tensor([3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0])
    torch.testing.assert_close(LocalAttention(WIDTH, 2, 3).bias, expected)


def test_a_frame_depends_on_all_frames_within_reach_and_on_none_beyond(transformer):
    frame, x = 20, signal_of(1, 40, WIDTH).requires_grad_()
    (gradient,) = torch.autograd.grad(transformer(x)[0, frame].square().sum(), x)
    heard = gradient[0].abs().amax(1) > 0
    distance = (torch.arange(40) - frame).abs()
    assert transformer.reach == LAYERS * RADIUS
    assert torch.equal(heard, distance <= transformer.reach)


def test_a_shift_in_time_shifts_the_result_away_from_the_ends(transformer):
    x, shift, reach = signal_of(1, 40, WIDTH), 7, transformer.reach
    whole, later = transformer(x), transformer(x[:, shift:])
    torch.testing.assert_close(later[:, reach: -reach], whole[:, shift + reach: -reach], **DOUBLE)
    assert not torch.allclose(later[:, 0], whole[:, shift])  # at the end there is less to hear


def test_before_and_after_are_told_apart(attention):
    x = signal_of(1, 15, WIDTH)
    assert not torch.allclose(attention(x.flip(1)).flip(1), attention(x))


def test_clips_of_a_batch_do_not_hear_each_other(transformer):
    x = signal_of(3, 11, WIDTH)
    for clip, result in zip(x, transformer(x), strict=True):
        torch.testing.assert_close(transformer(clip[None])[0], result, **DOUBLE)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_dropout_follows_from_each_clips_own_generator(transformer):
    """So that it does not matter how the clips of a batch are shared out among processes."""
    x = signal_of(2, 11, WIDTH)
    together = transformer(x, generators(5, 6))
    torch.testing.assert_close(transformer(x[1:], generators(6))[0], together[1], **DOUBLE)
    assert not torch.allclose(transformer(x, generators(5, 7))[1], together[1])
    assert not torch.allclose(together, transformer(x))
    state = torch.random.get_rng_state()
    transformer(x, generators(5, 6))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_dropout_keeps_the_mean_and_drops_its_share():
    x, share = torch.ones(4, 500, 50), 0.3
    dropped = drop(x, share, generators(1, 2, 3, 4))
    error = (share * (1 - share) / x.numel()) ** 0.5  # standard error of the share of zeros
    assert abs((dropped == 0).double().mean().item() - share) < 4 * error
    torch.testing.assert_close(dropped[dropped > 0].unique(), torch.tensor([1 / (1 - share)]))
    assert drop(x, share, None) is x and drop(x, 0.0, generators(1, 2, 3, 4)) is x


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width 12 is not divisible by heads 5"):
        LocalAttention(12, 5, 3)


def test_dtype_is_kept():
    transformer = TemporalTransformer(WIDTH, 1, HEADS, RADIUS, dropout=0.1)
    assert transformer(signal_of(1, 5, WIDTH).float()).dtype == torch.float32
