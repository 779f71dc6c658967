"""From a table's own times to the frames of a data set."""

from pathlib import Path

import numpy as np
import pytest

from data_prep.arkit.in_step import Steps, in_step
from data_prep.arkit.said import what_was_done
from data_prep.arkit.weight_table import WeightTable
from otlib.errors import InputError

EXACT = 1e-6  # weights are float32


def table(times, weights=None, seconds=None, **more):
    times = np.array(times, float)
    weights = np.stack([times, 1 - times], 1) if weights is None else np.array(weights, float)
    return WeightTable(Path("a.csv"), ("jawOpen", "tongueOut"), times, weights, times[-1] if seconds is None else seconds,
                       **({"cut": 0.0} | more))


@pytest.mark.parametrize("rate", [25.0, 30.0, 60.0, 100.0])
def test_weights_are_interpolated_at_the_frames(rate):
    times = np.arange(61) / 60
    moving = in_step(table(times), Steps(rate))
    frames = np.arange(int(rate) + 1) / rate
    np.testing.assert_allclose(moving.weights, np.stack([frames, 1 - frames], 1), atol=EXACT)
    assert moving.weights.dtype == np.float32 and moving.sound_from == 0 and moving.bridged == 0


def test_dropped_frames_are_read_by_their_times():
    times = np.delete(np.arange(61) / 60, [20, 21, 22, 40])
    moving = in_step(table(times), Steps(30.0))
    np.testing.assert_allclose(moving.weights[:, 0], np.arange(31) / 30, atol=EXACT)
    assert moving.bridged == pytest.approx(4 / 60)


@pytest.mark.parametrize(("times", "seconds", "told"), [
    ([0.0, 0.1, 0.35, 0.4], None, "has no weights for 0.25 s from second 0.1 on"),
    ([0.25, 0.3], None, "has no weights for 0.25 s from second 0 on"),
    ([0.0, 0.1], 0.4, "has no weights for 0.3 s from second 0.1 on"),
])
def test_a_long_gap_is_refused_and_may_be_allowed(times, seconds, told):
    with pytest.raises(InputError, match="or allow as much with --longest-gap") as error:
        in_step(table(times, seconds=seconds), Steps(30.0))
    assert told in str(error.value)
    moving = in_step(table(times, seconds=seconds), Steps(30.0, longest_gap=0.3))
    assert len(moving.weights) == 1 + round(30 * (seconds or times[-1])) and moving.bridged == pytest.approx(
        float(told.split()[4]), abs=1e-3)


def test_a_face_that_comes_late_and_goes_early_stays_as_it_is_there():
    moving = in_step(table([0.1, 0.2], [[0.5, 0], [0.7, 0]], seconds=0.3), Steps(10.0))
    np.testing.assert_allclose(moving.weights[:, 0], [0.5, 0.5, 0.7, 0.7], atol=EXACT)


def test_the_offset_says_where_in_the_sound_a_table_begins():
    times = np.arange(61) / 60
    later = in_step(table(times), Steps(30.0, offset=0.5))
    assert later.sound_from == 0.5 and len(later.weights) == 31
    sooner = in_step(table(times), Steps(30.0, offset=-0.25))
    assert sooner.sound_from == 0
    np.testing.assert_allclose(sooner.weights[:, 0], 0.25 + np.arange(23) / 30, atol=EXACT)
    with pytest.raises(InputError, match="ends after 1 s, before the sound begins .--offset -2"):
        in_step(table(times), Steps(30.0, offset=-2.0))


def test_one_frame_is_a_frame():
    assert in_step(table([0.0]), Steps(30.0)).weights.tolist() == [[0, 1]]


def test_what_was_done_is_said():
    times = np.arange(31) / 30
    takes = {"a": table(times), "b": table(np.delete(times, [4, 5]), cut=0.125),
             "c": table(times, supposed="times are taken so", cut=0.0625)}
    said = what_was_done({name: in_step(one, Steps(30.0)) for name, one in takes.items()}, ("jawOpen",))
    assert said == [
        "in 2 of 3 tables weights lay below 0 or above 1 and were cut off there, by 0.125 at most (b)",
        "in 1 of 3 tables frames or the face were missing, and lines were drawn over them, for 0.1 s at most (b)",
        "times are taken so (say --timecode-rate where that is wrong): c",
        "the head has not all shapes that the tables move, so these are left out: tongueOut (up to 1)"]
    assert what_was_done({"a": in_step(takes["a"], Steps(30.0))}, ("jawOpen", "tongueOut")) == []
