"""Figures of the lessons: they show the numbers that they are given, and refuse those that they cannot show."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from notebooks import figures
from otlib.viz import palette

# A tetrahedron; its last three faces look away from the viewer or past him.
VERTICES = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, -0.1]])
FACES = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])


def test_convergence_draws_each_method_once_and_in_one_colour():
    curves = {"samples": ([10, 100], [1.0, 0.3]), "design": ([10, 100], [0.5, 0.05])}
    figure = figures.convergence({"value": curves, "gradient": {"design": curves["design"]}}, xlabel="atoms", ylabel="error",
                             guides={"slope": -0.5})
    first, second = ({line.get_label(): line for line in axes.lines} for axes in figure.axes)
    assert list(first) == ["samples", "design", "slope"]
    assert first["design"].get_color() == second["design"].get_color() != first["samples"].get_color()
    start, end = first["slope"].get_ydata()
    np.testing.assert_allclose(end / start, 10**-0.5)
    with pytest.raises(ValueError, match="samples: needs as many"):
        figures.convergence({"value": {"samples": ([1, 2], [0.0, 1.0])}}, xlabel="atoms", ylabel="error")
    with pytest.raises(ValueError, match="panels"):
        figures.convergence({}, xlabel="atoms", ylabel="error")


def test_pulls_are_drawn_along_themselves_and_equally_long():
    pull = np.zeros_like(VERTICES)
    pull[1, 1], pull[2, 0] = 2.0, -1.0
    shown = np.arange(3)
    figure = figures.pull_panels(VERTICES, FACES, VERTICES + 0.01, {"one": pull, "other": 7 * pull}, shown)
    arrows = [next(c for c in axes.collections if hasattr(c, "U")) for axes in figure.axes]
    np.testing.assert_allclose(arrows[0].V, arrows[1].V)
    np.testing.assert_allclose(arrows[0].U[2] / arrows[0].V[1], -0.5)
    assert to_hex(arrows[0].get_facecolor()[0]).upper() == palette.PREDICTED
    with pytest.raises(ValueError, match="short: pulls of shape"):
        figures.pull_panels(VERTICES, FACES, VERTICES, {"short": pull[1:]}, shown)
    with pytest.raises(ValueError, match="pulls: at least one"):
        figures.pull_panels(VERTICES, FACES, VERTICES, {}, shown)


def test_a_row_of_surfaces_shows_the_faces_that_look_at_the_viewer():
    figure = figures.surface_row({"grey": (VERTICES, FACES, None), "hot": (VERTICES, FACES, np.full(4, 9.0))}, limit=3.0)
    grey, hot = (axes.collections[0] for axes in figure.axes[:2])
    front = (np.cross(*(VERTICES[FACES[:, k]] - VERTICES[FACES[:, 0]] for k in (1, 2)))[:, 2] > 0).sum()
    assert len(grey.get_paths()) == len(hot.get_paths()) == front
    red, green, _, _ = hot.get_facecolor()[0]
    assert red > 2 * green
    with pytest.raises(ValueError, match="hot: 3 values, expected 4"):
        figures.surface_row({"hot": (VERTICES, FACES, np.ones(3))})
    with pytest.raises(ValueError, match="surfaces"):
        figures.surface_row({})
