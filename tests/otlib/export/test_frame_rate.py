"""Motion at another rate, against numpy's linear interpolation of the whole."""

import numpy as np
import pytest

from otlib.export.frame_rate import at_frame_rate

ROUNDING = 1e-6  # float32 of numbers below 1


def whole(frames, rate, new_rate, count):
    times = np.arange(count) / new_rate
    flat = frames.reshape(len(frames), -1)
    return np.stack([np.interp(times, np.arange(len(frames)) / rate, column) for column in flat.T], 1).reshape(
        count, *frames.shape[1:])


@pytest.mark.parametrize("new_rate", [7.0, 24.0, 25.0, 29.97, 30.0, 60.0, 100.0])
@pytest.mark.parametrize("cuts", [[], [1], [1, 2, 3], [10, 10, 19], [20]])
def test_it_is_linear_whatever_the_stretches(new_rate, cuts):
    frames = np.random.default_rng(0).uniform(-1, 1, (21, 4, 3)).astype(np.float32)
    count = int(21 / 30 * new_rate)
    stretches = list(at_frame_rate(np.split(frames, cuts), 30.0, new_rate, count))
    got = np.concatenate(stretches)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, whole(frames, 30.0, new_rate, count), atol=ROUNDING)


def test_the_same_rate_changes_nothing_and_the_last_frame_is_held():
    frames = np.random.default_rng(1).uniform(-1, 1, (5, 2, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate(list(at_frame_rate([frames], 30.0, 30.0, 5))), frames)
    longer = np.concatenate(list(at_frame_rate([frames], 30.0, 60.0, 12)))
    np.testing.assert_array_equal(longer[8:], np.repeat(frames[-1:], 4, 0))


def test_no_frame_is_an_error():
    with pytest.raises(ValueError, match="there is no frame"):
        list(at_frame_rate([], 30.0, 25.0, 3))
