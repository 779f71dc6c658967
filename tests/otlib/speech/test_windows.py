"""Windows over what is too long: the whole where the margin suffices, a cross-fade where nothing does, bounded memory."""

import pytest
import torch

from otlib.speech.overlapping_windows import Windows
from tests.oracles.audio_naive import cross_faded

DOUBLE = {"rtol": 0.0, "atol": 1e-12}
REACH = 3
SIGNAL = torch.randn(100, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def neighbourhood(first, last):
    """The sum over all positions at most REACH away, as far as the window from first to before last tells."""
    return torch.stack([SIGNAL[max(first, t - REACH): min(last, t + REACH + 1)].sum(0) for t in range(first, last)])


@pytest.mark.parametrize("core", [1, 7, 50, 99, 100, 1000])
@pytest.mark.parametrize("fade", [0, 4])
def test_values_of_a_bounded_reach_are_those_of_the_whole(core, fade):
    stretches = list(Windows(core, REACH, fade).over(100, neighbourhood))
    assert [len(stretch) for stretch in stretches[:-1]] == [core] * (len(stretches) - 1)
    torch.testing.assert_close(torch.cat(stretches), neighbourhood(0, 100), **DOUBLE)
    near = torch.cat(list(Windows(core, REACH - 1).over(100, neighbourhood)))
    assert core >= 100 or (near - neighbourhood(0, 100)).abs().max() > 0.1  # a margin too short would show


@pytest.mark.parametrize("core, fade", [(30, 5), (40, 20), (33, 2)])
def test_values_that_depend_on_the_window_are_cross_faded(core, fade):
    def whole(first, last):
        return SIGNAL[first: last] + SIGNAL[first: last].mean()

    margin = 4
    seen = [whole(max(0, first - margin), min(100, min(100, first + core + fade) + margin))[min(first, margin):]
            for first in range(0, 100, core)]
    seen = [window[: min(core + fade, 100 - first)] for first, window in zip(range(0, 100, core), seen, strict=True)]
    joined = torch.cat(list(Windows(core, margin, fade).over(100, whole)))
    torch.testing.assert_close(joined, cross_faded(seen, core, fade), **DOUBLE)


def test_no_window_is_longer_than_core_margins_and_fade_and_none_comes_before_it_is_asked_for():
    spans = []

    def seen(first, last):
        spans.append((first, last))
        return neighbourhood(first, last)

    stretches = Windows(20, REACH, 5).over(100, seen)
    next(stretches)
    assert spans == [(0, 28)]
    list(stretches)
    assert spans[1:] == [(17, 48), (37, 68), (57, 88), (77, 100)]


def test_what_is_yielded_is_not_changed_later():
    stretches = Windows(20, REACH, 5).over(100, neighbourhood)
    first = next(stretches)
    before = first.clone()
    next(stretches)
    assert torch.equal(first, before)
