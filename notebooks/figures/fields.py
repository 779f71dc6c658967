"""Signals on a head, and curves in panels: what filters do on a mesh and over its frequencies."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from otlib.topology import Topology
from otlib.viz import palette
from otlib.viz.curves import tidy
from otlib.viz.head_figures import put_picture
from otlib.viz.heads import HeadRenderer

_PIXELS = (270, 342)
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def field_row(
    vertices: Float[np.ndarray, "V 3"],
    faces: Integer[np.ndarray, "F 3"],
    fields: Mapping[str, Float[np.ndarray, " _"]],
    *,
    label: str,
    limit: float | None = None,
    focus: Sequence[int] | np.ndarray | None = None,
) -> Figure:
    """Draw signals on one head in a row, all in one signed scale of colours, a title above each.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices.
        fields: by title, a value for each vertex.
        label: what the values are, with unit.
        limit: the value that gets the last colour, its negative the first; the largest in size of all when None.
        focus: vertex indices to fit the camera to; the whole head when None.

    Raises:
        ValueError: no field, or values that are not one for each vertex.
        RenderingUnavailable: no GL on this machine.
    """
    if not fields:
        raise ValueError("fields: at least one is needed")
    for title, values in fields.items():
        if values.shape != (len(vertices),):
            raise ValueError(f"{title}: values of shape {values.shape}, expected {(len(vertices),)}")
    if limit is None:
        limit = max(float(np.abs(values).max()) for values in fields.values())
    width = 2.0  # inches of a panel
    figure = Figure(figsize=(width * len(fields) + 0.9, width * _PIXELS[1] / _PIXELS[0] + 0.4), layout="constrained")
    panels = figure.subplots(1, len(fields), squeeze=False)[0]
    with HeadRenderer(vertices, Topology(faces), size=_PIXELS, focus=focus) as renderer:
        for panel, (title, values) in zip(panels, fields.items(), strict=True):
            put_picture(panel, renderer.image(vertices, values + limit, 2 * limit, palette.SIGNED_COLOURMAP))
            panel.set_title(title, fontsize=10)
    scale = ScalarMappable(Normalize(-limit, limit), palette.SIGNED_COLOURMAP)
    figure.colorbar(scale, ax=panels, label=label, shrink=0.8)
    return figure


def curve_panels(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float | int], Sequence[float | int]]]],
    *,
    xlabels: Sequence[str],
    ylabels: Sequence[str],
    logarithmic: Sequence[bool] | None = None,
    shared: bool = False,
) -> Figure:
    """Draw named curves in panels side by side, each with its own axes and legend.

    Args:
        panels: by title, the (x, y) of each curve.
        xlabels, ylabels: of the panels, with unit.
        logarithmic: for each panel, whether y is; none when None.
        shared: whether all panels have one axis of y, which begins at zero.

    Raises:
        ValueError: no panel, labels that are not one for each, curves of different lengths, or a value that a
            logarithmic axis cannot show.
    """
    logarithmic = [False] * len(panels) if logarithmic is None else logarithmic
    if not panels or not len(panels) == len(xlabels) == len(ylabels) == len(logarithmic):
        raise ValueError(f"xlabels, ylabels and logarithmic: need {len(panels)} (and at least 1) of each, one for a panel")
    figure = Figure(figsize=(max(4.6 * len(panels), 6.0), 3.8), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False, sharey=shared)[0]
    for axes, (title, curves), xlabel, ylabel, log in zip(row, panels.items(), xlabels, ylabels, logarithmic, strict=True):
        for number, (name, (x, y)) in enumerate(curves.items()):
            if len(x) != len(y) or (log and not np.min(y) > 0):
                raise ValueError(f"{name}: needs as many y as x" + (", all above zero" if log else ""))
            axes.plot(x, y, linestyle=_DASHES[number % len(_DASHES)], linewidth=1.8, label=name,
                      color=palette.SERIES[number % len(palette.SERIES)])
        axes.set_yscale("log" if log else "linear")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        tidy(axes)
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=min(3, len(curves)))
    if shared:
        row[0].set_ylim(bottom=0.0)
    return figure
