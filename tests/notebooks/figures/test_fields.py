"""Signals on a head and curves in panels: colours mean one thing, and what cannot be shown is refused."""

import numpy as np
import pytest

from notebooks import figures
from tests.fixtures.talking_ball import ball


def middle(panel):
    picture = panel.images[0].get_array().astype(int)
    return picture[picture.shape[0] // 2, picture.shape[1] // 2]


def test_fields_share_one_signed_scale(gl):
    vertices, faces, _ = ball()
    one = np.ones(len(vertices))
    figure = figures.field_row(vertices, faces, {"above": one, "none": 0 * one, "below": -one}, label="signal")
    above, none, below = (middle(panel) for panel in figure.axes[:3])
    assert above[0] > above[2] + 30  # orange
    assert below[2] > below[0] + 20  # violet
    assert np.ptp(none) < 12  # no colour
    assert [panel.get_title() for panel in figure.axes[:3]] == ["above", "none", "below"]
    half = figures.field_row(vertices, faces, {"half": one / 2}, label="signal", limit=1.0)
    assert middle(half.axes[0])[2] > above[2]  # paler than one at the same limit


def test_fields_that_do_not_fit_are_refused():
    vertices, faces, _ = ball()
    with pytest.raises(ValueError, match="at least one"):
        figures.field_row(vertices, faces, {}, label="signal")
    with pytest.raises(ValueError, match="short: values of shape"):
        figures.field_row(vertices, faces, {"short": np.zeros(3)}, label="signal")


def test_curves_stand_in_their_panels_under_their_names():
    left = {"a": ([0, 1], [1.0, 2.0]), "b": ([0, 1], [3.0, 1.0])}
    figure = figures.curve_panels({"left": left, "right": {"c": ([1, 2], [1, 9])}},
                              xlabels=["x", "z"], ylabels=["y", "w"], logarithmic=[False, True])
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["a", "b"] and left.lines[1].get_ydata().tolist() == [3.0, 1.0]
    assert len({(line.get_color(), str(line.get_linestyle())) for line in left.lines}) == 2
    assert (left.get_yscale(), right.get_yscale(), right.get_xlabel()) == ("linear", "log", "z")


def test_panels_can_share_an_axis_that_begins_at_zero():
    panels = {"late": {"a": ([0, 4], [1.0, 3.0])}, "few": {"a": ([2, 10], [0.2, 0.4])}}
    late, few = figures.curve_panels(panels, xlabels=["x", "x"], ylabels=["y", "y"], shared=True).axes
    assert late.get_ylim() == few.get_ylim() and late.get_ylim()[0] == 0.0 and late.get_ylim()[1] > 3.0
    late, few = figures.curve_panels(panels, xlabels=["x", "x"], ylabels=["y", "y"]).axes
    assert late.get_ylim()[0] > 0.4 > few.get_ylim()[0]


@pytest.mark.parametrize(("panels", "options", "message"), [
    ({}, {"xlabels": [], "ylabels": []}, "at least 1"),
    ({"one": {"a": ([0], [1.0])}}, {"xlabels": ["x", "y"], "ylabels": ["y"]}, "need 1"),
    ({"one": {"a": ([0, 1], [1.0])}}, {"xlabels": ["x"], "ylabels": ["y"]}, "as many y as x"),
    ({"one": {"a": ([0], [0.0])}}, {"xlabels": ["x"], "ylabels": ["y"], "logarithmic": [True]}, "above zero"),
])
def test_curves_that_cannot_be_drawn_are_refused(panels, options, message):
    with pytest.raises(ValueError, match=message):
        figures.curve_panels(panels, **options)
