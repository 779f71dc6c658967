"""HuBERT's pre-training: MFCC on the encoder's frames, hidden spans, and what counts in the loss."""

import math

import numpy as np
import pytest
import torch

from data_prep.encoder.objective import MaskedUnitPrediction, Masking, draw_mask, frame_count, mfcc
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW, small_configuration
from tests.fixtures.small_hubert import local_hubert
from tests.oracles.audio_naive import regression_slope, spans_from

SINGLE = 1e-4  # float32 rounding of decibels and their differences
UNITS = 7


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sound(*shape, seed=0):
    """Noise that changes its level and colour all the time."""
    white = torch.randn(*shape, generator=generator(seed))
    time = torch.arange(shape[-1]) / SAMPLE_RATE
    return 0.1 * (1.2 + torch.sin(30 * time)) * (white + torch.sin(9 * time) * white.roll(1, -1))


# ---- MFCC


@pytest.mark.parametrize("samples", [720, 721, 1039, 1040, 4000, 16000, 63999, 64000, 64080])
def test_one_mfcc_frame_for_each_encoder_frame(samples):
    frames = frame_count(samples)
    assert mfcc(sound(1, samples)).shape == (1, frames, 39)
    model = local_hubert()
    assert int(model._get_feat_extract_output_lengths(samples)) == frames
    with torch.no_grad():
        assert model(sound(1, samples)).last_hidden_state.shape[1] == frames


def test_frame_counts_of_every_length():
    model = local_hubert()
    lengths = torch.arange(WINDOW, WINDOW + 5 * HOP)
    counts = [frame_count(int(length)) for length in lengths]
    assert model._get_feat_extract_output_lengths(lengths).tolist() == counts
    assert frame_count(WINDOW - 1) == frame_count(0) == 0


def test_mfcc_are_cosines_of_the_logarithmic_mel_spectrum():
    samples = sound(1, 8000)
    frames = torch.hann_window(WINDOW) * samples[0].unfold(0, WINDOW, HOP)
    power = torch.fft.rfft(frames).abs().square().double().numpy()
    hertz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    edges = 700 * (10 ** (np.linspace(0, 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700), 42) / 2595) - 1)
    filters = [np.interp(hertz, edges[band:band + 3], [0, 1, 0]) for band in range(40)]
    decibels = 10 * np.log10(np.maximum(power @ np.array(filters).T, 1e-10))
    cosines = np.array([np.cos(np.pi / 40 * (np.arange(40) + 0.5) * k) for k in range(13)])
    expected = decibels @ cosines.T
    expected = (expected - expected.mean(0)) / expected.std(0, ddof=1)
    np.testing.assert_allclose(mfcc(samples)[0, :, :13], expected, rtol=0, atol=10 * SINGLE)


def standard(values):
    return (values - values.mean(0)) / values.std(0)


def test_differences_are_regression_slopes():
    coefficients, first, second = mfcc(sound(1, 16000))[0].double().split(13, dim=1)
    # each is scaled on its own, so only the shape over time can be compared; the ends of the second are held differently
    offset = 4
    raw_first = regression_slope(coefficients)
    torch.testing.assert_close(standard(first), standard(raw_first), rtol=0, atol=10 * SINGLE)
    slopes = regression_slope(raw_first)
    torch.testing.assert_close(standard(second)[offset:-offset], standard(slopes)[offset:-offset], rtol=0, atol=10 * SINGLE)


def test_mfcc_are_centred_and_weighted():
    features = mfcc(sound(2, 16000))
    torch.testing.assert_close(features.mean(1), torch.zeros(2, 39), rtol=0, atol=SINGLE)
    weights = torch.tensor([1.0, 0.5, 0.25]).repeat_interleave(13).expand(2, 39)
    torch.testing.assert_close(features.std(1), weights, rtol=0, atol=SINGLE)


def test_mfcc_do_not_depend_on_the_level():
    samples = sound(1, 16000)
    torch.testing.assert_close(mfcc(0.3 * samples), mfcc(samples), rtol=0, atol=10 * SINGLE)


def test_mfcc_of_a_batch_are_those_of_its_clips():
    samples = sound(2, 16000)
    samples[0] *= 1e-5  # a quiet clip beside a loud one
    together = mfcc(samples)
    for clip in range(2):
        torch.testing.assert_close(together[clip:clip + 1], mfcc(samples[clip:clip + 1]), rtol=0, atol=10 * SINGLE)


@pytest.mark.parametrize("samples", [0, 399, 719])
def test_mfcc_need_two_frames(samples):
    with pytest.raises(ValueError, match="^samples: "):
        mfcc(torch.zeros(1, samples))


# ---- masks


@pytest.mark.parametrize("masking", [Masking(), Masking(0.3, 1), Masking(0.02, 25)])
def test_mask_is_spans_from_random_starts(masking):
    mask = draw_mask(5, 60, masking, generator())
    same = generator()
    starts = torch.rand(5, 60, generator=same) < masking.start_probability
    starts[torch.arange(5), torch.randint(60, (5,), generator=same)] = True
    assert torch.equal(mask, spans_from(starts, masking.span))


def test_spans_are_whole_except_at_the_end():
    mask = draw_mask(50, 100, Masking(0.05, 10), generator()).int()
    edges = torch.diff(torch.nn.functional.pad(mask, (1, 1)), dim=1)
    for clip in edges:
        for start, end in zip((clip == 1).nonzero().flatten(), (clip == -1).nonzero().flatten(), strict=True):
            assert end - start >= 10 or end == 100


def test_every_clip_has_a_hidden_frame():
    assert draw_mask(200, 30, Masking(0.0, 3), generator()).any(1).all()


def test_share_of_hidden_frames():
    clips, frames, masking = 2000, 200, Masking()
    hidden = draw_mask(clips, frames, masking, generator())[:, masking.span:].float().mean(1)
    # a frame is seen if none of the span's frames before it starts one, and the clip's own extra start misses it
    expected = 1 - (1 - masking.start_probability) ** masking.span * (1 - masking.span / frames)
    standard_error = float(hidden.std()) / math.sqrt(clips)
    assert abs(float(hidden.mean()) - expected) < 4 * standard_error


def test_mask_follows_the_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (draw_mask(4, 50, Masking(), generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


# ---- loss


@pytest.fixture
def prediction():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MaskedUnitPrediction(local_hubert(), UNITS)


def task(clips=2, frames=40, seed=0):
    samples = sound(clips, (frames - 1) * HOP + WINDOW, seed=seed)
    units = torch.randint(UNITS, (clips, frames), generator=generator(seed))
    return samples, units, draw_mask(clips, frames, Masking(0.05, 5), generator(seed))


def test_loss_is_the_mean_over_hidden_plus_the_mean_over_seen_frames(prediction):
    samples, units, mask = task()
    with torch.no_grad():
        states = prediction.encoder(samples, mask_time_indices=mask).last_hidden_state
        loss, share = prediction(samples, units, mask)
    logits = (states @ prediction.head.weight.T + prediction.head.bias).double()
    sums, counts, right = {True: 0.0, False: 0.0}, {True: 0, False: 0}, 0
    for clip in range(2):
        for frame in range(40):
            row, unit, hidden = logits[clip, frame].tolist(), int(units[clip, frame]), bool(mask[clip, frame])
            sums[hidden] += math.log(sum(math.exp(value) for value in row)) - row[unit]
            counts[hidden] += 1
            right += hidden and row.index(max(row)) == unit
    assert counts[True] != counts[False]  # or the two means could be confused with one
    expected = sums[True] / counts[True] + sums[False] / counts[False]
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(share) == pytest.approx(right / counts[True])


def test_what_only_hidden_frames_hear_changes_nothing(prediction):
    samples, _, _ = task(1)
    mask = torch.zeros(1, 40, dtype=torch.bool)
    mask[:, 10:30] = True
    changed = samples.clone()
    changed[:, 18 * HOP:22 * HOP] += 0.3 * sound(1, 4 * HOP, seed=9)
    with torch.no_grad():
        before, after = (prediction.encoder(x, mask_time_indices=mask).last_hidden_state for x in (samples, changed))
    assert torch.equal(before, after)  # the frames that hear the change, 16 to 21, are all hidden


def test_gradient_of_the_loss(prediction):
    samples, units, mask = task()
    prediction.double()
    weight = prediction.head.bias

    def loss():
        return prediction(samples.double(), units, mask)[0]

    gradient, = torch.autograd.grad(loss(), weight)
    step = 1e-2  # logits are taken in float32, whose rounding a smaller step would show
    for unit in range(UNITS):
        with torch.no_grad():
            weight[unit] += step
            above = float(loss())
            weight[unit] -= 2 * step
            below = float(loss())
            weight[unit] += step
        assert float(gradient[unit]) == pytest.approx((above - below) / (2 * step), abs=1e-4)


@pytest.mark.parametrize("hidden", [True, False])
def test_loss_needs_hidden_and_seen_frames(prediction, hidden):
    samples, units, mask = task()
    with pytest.raises(ValueError, match="^mask: "):
        prediction(samples, units, torch.full_like(mask, hidden))


# ---- a teacher


@pytest.fixture
def pupil():
    torch.manual_seed(2)
    return MaskedUnitPrediction(local_hubert(), UNITS, taught=5)


def test_the_distance_to_the_lesson_is_the_mean_square_of_what_is_given(pupil):
    samples, units, mask = task()
    lesson = torch.randn(*units.shape, 5, generator=generator(4))
    lesson[0, 3:9] = torch.nan
    told = pupil(samples, units, mask, lesson)[0]
    with torch.no_grad():
        said = pupil.pupil(pupil.encoder(samples, mask_time_indices=mask).last_hidden_state)
    squares = [(float(said[b, t, c]) - float(lesson[b, t, c])) ** 2 for b in range(len(units)) for t in range(units.shape[1])
               for c in range(5) if not (b == 0 and 3 <= t < 9)]
    none = torch.full_like(lesson, torch.nan)
    untold = pupil(samples, units, mask, none)[0]
    assert (told - untold).item() == pytest.approx(sum(squares) / len(squares), rel=1e-4)
    assert torch.isfinite(torch.autograd.grad(told, pupil.pupil.weight)[0]).all()


def test_a_lesson_goes_with_a_teacher(pupil, prediction):
    samples, units, mask = task()
    with pytest.raises(ValueError, match="^lesson: "):
        pupil(samples, units, mask)
    with pytest.raises(ValueError, match="^lesson: "):
        prediction(samples, units, mask, torch.zeros(*units.shape, 5))


@pytest.mark.slow
def test_learning_lowers_the_loss(prediction):
    samples, units, mask = task(4)
    prediction.encoder.requires_grad_(True)
    optimiser = torch.optim.AdamW(prediction.parameters(), 3e-3)
    losses = []
    for _ in range(15):
        loss = prediction(samples, units, mask)[0]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]


def test_small_configuration_gives_a_frame_for_each_unit():
    configuration = small_configuration()
    kernels, strides = configuration.conv_kernel, configuration.conv_stride
    hop, window = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        window += (kernel - 1) * hop
        hop *= stride
    assert (hop, window) == (HOP, WINDOW)
