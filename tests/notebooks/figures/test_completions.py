"""Completions against time and against a dial: what stands in a figure is what was handed in."""

import numpy as np
import pytest

from notebooks import figures
from otlib.phonemes import Phoneme

TIMES, TRUE = np.arange(4) / 30, np.array([0.0, 5.0, 2.0, 1.0])
KEYS = np.array([True, False, True, True])


def test_a_completion_stands_beside_the_truth_and_its_key_frames():
    straight, learned = np.array([0.0, 1.0, 2.0, 1.0]), np.array([0.0, 4.0, 2.0, 1.0])
    [axes] = figures.completed_curves(TIMES, TRUE, KEYS, {"straight": straight, "learned": learned},
                                      [Phoneme("m", 0.0, 0.05)]).axes
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["true motion", "straight", "learned", "key frames"]
    assert lines["learned"].get_ydata().tolist() == learned.tolist()
    assert lines["key frames"].get_xydata().tolist() == [[TIMES[t], TRUE[t]] for t in (0, 2, 3)]
    assert lines["key frames"].get_color() == lines["true motion"].get_color()
    assert len({line.get_color() for line in lines.values()}) == 3
    assert [text.get_text() for text in axes.texts] == ["m"]


def test_dials_share_the_axis_of_errors():
    figure = figures.dial_panels({"late": {"straight": [1.0, 3.0], "learned": [0.5, 2.0]}, "few": {"straight": [0.2, 0.4]}},
                                 {"late": [0, 4], "few": [2, 10]}, xlabels=["frames late", "every nth"], ylabel="error (mm)")
    late, few = figure.axes
    assert [line.get_label() for line in late.lines] == ["straight", "learned"]
    assert few.lines[0].get_xydata().tolist() == [[2, 0.2], [10, 0.4]]
    assert late.lines[0].get_color() == few.lines[0].get_color() != late.lines[1].get_color()
    assert late.get_ylim() == few.get_ylim() and late.get_ylim()[0] == 0.0
    assert (late.get_ylabel(), few.get_xlabel()) == ("error (mm)", "every nth")


@pytest.mark.parametrize(("completed", "message"), [
    ({"short": TRUE[:3]}, "short: 3 values, expected 4"),
    ({name: TRUE for name in "abcdef"}, "6 completions: there are looks for 5"),
])
def test_curves_that_cannot_be_drawn_are_refused(completed, message):
    with pytest.raises(ValueError, match=message):
        figures.completed_curves(TIMES, TRUE, KEYS, completed)


@pytest.mark.parametrize(("panels", "settings", "xlabels", "message"), [
    ({}, {}, [], "at least 1"),
    ({"a": {"x": [1.0]}}, {"b": [0]}, ["x"], "one for a panel"),
    ({"a": {"x": [1.0]}}, {"a": [0]}, ["x", "y"], "one for a panel"),
    ({"a": {"x": [1.0]}}, {"a": [0, 1]}, ["x"], "a: x: 1 errors, expected 2"),
    ({"a": {name: [1.0] for name in "abcdef"}}, {"a": [0]}, ["x"], "looks for 5"),
])
def test_dials_that_cannot_be_drawn_are_refused(panels, settings, xlabels, message):
    with pytest.raises(ValueError, match=message):
        figures.dial_panels(panels, settings, xlabels=xlabels, ylabel="error (mm)")
