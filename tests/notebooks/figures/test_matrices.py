"""Matrices, counts and answers: what is written in a figure is what was handed in."""

import numpy as np
import pytest

from notebooks import figures


def test_matrices_share_one_scale_and_leave_blank_what_is_not_finite():
    band = np.array([[0.0, 1.0], [-np.inf, 4.0]])
    figure = figures.matrix_row({"one": band, "two": band / 2}, xlabel="heard", ylabel="listens", label="bias",
                            extent=(0.0, 2.0))
    one, two = (panel.images[0] for panel in figure.axes[:2])
    assert one.get_clim() == two.get_clim() == (0.0, 4.0)
    assert one.get_array().mask.tolist() == [[False, False], [True, False]]
    assert one.get_extent() == [0.0, 2.0, 2.0, 0.0]  # the first row on top
    with pytest.raises(ValueError, match="at least one"):
        figures.matrix_row({"blank": np.full((2, 2), np.nan)}, xlabel="x", ylabel="y", label="z")


def test_bars_are_as_long_as_their_counts_say():
    figure = figures.count_bars({"large": 12_000, "none": 0}, xlabel="parameters")
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [12_000, 0]
    assert [text.get_text() for text in axes.texts] == ["12,000", "0"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first on top
    for counts in ({}, {"debt": -1}):
        with pytest.raises(ValueError, match="at least one"):
            figures.count_bars(counts, xlabel="parameters")


def test_answers_are_written_and_shaded():
    values = np.array([[0.25, 1234.0], [np.nan, 0.0]])
    shades = np.array([[0.1, 1.0], [np.nan, 0.0]])
    axes = figures.answer_map(values, ["lip", "lag"], ["delay", "jitter"], shades).axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.25", "1.23e+03", "–", "0"]
    assert [text.get_color() for text in axes.texts] == ["black", "white", "black", "black"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["delay", "jitter"]
    with pytest.raises(ValueError, match="do not fit 1 rows"):
        figures.answer_map(values, ["lip"], ["delay", "jitter"], shades)
    with pytest.raises(ValueError, match="between 0 and 1"):
        figures.answer_map(values, ["lip", "lag"], ["delay", "jitter"], 2 * shades)
