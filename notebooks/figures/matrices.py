"""Figures of matrices and of counts: attention over time, parameters by part, how scores answer to faults."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from otlib.viz import palette
from otlib.viz.curves import tidy

_DARK = 0.6  # share of the colour scale above which numbers are written in white


def matrix_row(
    matrices: Mapping[str, Float[np.ndarray, "_ _"]],
    *,
    xlabel: str,
    ylabel: str,
    label: str,
    extent: tuple[float, float] | None = None,
) -> Figure:
    """Draw matrices side by side in one scale of colours; what is not finite stays blank.

    Args:
        matrices: by title, the first row on top.
        xlabel, ylabel: of columns and rows.
        label: what the values are.
        extent: coordinates of the first and the last column and row; their numbers when None.

    Raises:
        ValueError: no matrix, or one without a finite value.
    """
    if not matrices or not all(np.isfinite(matrix).any() for matrix in matrices.values()):
        raise ValueError("matrices: at least one is needed, and each with a finite value")
    low = min(float(matrix[np.isfinite(matrix)].min()) for matrix in matrices.values())
    high = max(float(matrix[np.isfinite(matrix)].max()) for matrix in matrices.values())
    figure = Figure(figsize=(2.6 * len(matrices) + 1.0, 2.9), layout="constrained")
    panels = figure.subplots(1, len(matrices), squeeze=False, sharey=True)[0]
    for panel, (title, matrix) in zip(panels, matrices.items(), strict=True):
        corners = None if extent is None else (extent[0], extent[1], extent[1], extent[0])
        image = panel.imshow(np.ma.masked_invalid(matrix), cmap=palette.COST_COLOURMAP, vmin=low, vmax=high, extent=corners,
                             interpolation="nearest")
        panel.set_title(title, fontsize=10)
        panel.set_xlabel(xlabel)
    panels[0].set_ylabel(ylabel)
    figure.colorbar(image, ax=panels, label=label, shrink=0.8)
    return figure


def count_bars(counts: Mapping[str, int], *, xlabel: str) -> Figure:
    """Draw counts as bars with their numbers, in the order given, the first on top.

    Raises:
        ValueError: no count, or one below zero.
    """
    if not counts or min(counts.values()) < 0:
        raise ValueError("counts: at least one is needed, and none below zero")
    figure = Figure(figsize=(7.2, 0.8 + 0.3 * len(counts)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(counts))
    axes.barh(rows, list(counts.values()), color=palette.SERIES[0], height=0.7)
    for row, count in zip(rows, counts.values(), strict=True):
        axes.annotate(f"{count:,}", (count, row), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(rows, list(counts))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(counts.values()))
    axes.set_xlabel(xlabel)
    tidy(axes)
    axes.grid(axis="y", visible=False)
    return figure


def answer_map(
    values: Float[np.ndarray, "R C"], rows: Sequence[str], columns: Sequence[str], shades: Float[np.ndarray, "R C"]
) -> Figure:
    """Draw a table whose cells are shaded by how strongly they answer; what is not defined is a dash.

    Args:
        values: (R, C) numbers to write; NaN where not defined.
        rows, columns: their names.
        shades: (R, C), 0 for no answer to 1 for the strongest; NaN is left white.

    Raises:
        ValueError: names that are not one for each row and column, or shades outside 0 to 1.
    """
    if values.shape != (len(rows), len(columns)) or shades.shape != values.shape:
        raise ValueError(f"values {values.shape} and shades {shades.shape} do not fit {len(rows)} rows and {len(columns)} "
                         "columns")
    if np.nanmin(shades) < 0 or np.nanmax(shades) > 1:
        raise ValueError("shades: must lie between 0 and 1")
    figure = Figure(figsize=(2.2 + 1.15 * len(columns), 0.9 + 0.33 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.ma.masked_invalid(shades), cmap=palette.ERROR_COLOURMAP, vmin=0.0, vmax=1.2, aspect="auto")
    for row in range(len(rows)):
        for column in range(len(columns)):
            value, shade = values[row, column], shades[row, column]
            axes.text(column, row, "–" if np.isnan(value) else f"{value:.3g}", ha="center", va="center", fontsize=9,
                      color="white" if shade > _DARK else "black")
    axes.set_xticks(np.arange(len(columns)), list(columns), fontsize=9)
    axes.xaxis.tick_top()
    axes.set_yticks(np.arange(len(rows)), list(rows), fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
