"""Figures of the lessons on measures and on their distance: errors that fall, pulls on a mouth, surfaces in a row."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from otlib.viz import palette
from otlib.viz.curves import tidy
from otlib.viz.head_figures import scale_bar

_LIGHT = np.array([0.25, 0.35, 0.9]) / np.linalg.norm([0.25, 0.35, 0.9])  # from the viewer's upper right
_MARKERS = "os^Dv"
_LONGEST_PULL = 0.14  # of the width of a panel


def convergence(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float | int], Sequence[float | int]]]],
    *,
    xlabel: str,
    ylabel: str,
    guides: Mapping[str, float] | None = None,
) -> Figure:
    """Draw errors that fall with effort, on logarithmic axes, with slopes to compare them with.

    Args:
        panels: by title, the (efforts, errors) of each method; a method has one colour and mark in all panels.
        xlabel: what the effort is.
        ylabel: what the error is, with unit.
        guides: by name, exponents whose power laws are drawn grey through the first panel's first error.

    Raises:
        ValueError: no panel, efforts and errors of different lengths, or a value that a logarithmic axis cannot show.
    """
    if not panels:
        raise ValueError("panels: at least one is needed")
    figure = Figure(figsize=(4.8 * max(len(panels), 1.35), 3.8), layout="constrained")
    methods = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, curves) in zip(row, panels.items(), strict=True):
        for name, (efforts, errors) in curves.items():
            if len(efforts) != len(errors) or not (np.min(efforts) > 0 and np.min(errors) > 0):
                raise ValueError(f"{name}: needs as many errors as efforts, all above zero")
            number = methods.index(name)
            axes.plot(efforts, errors, marker=_MARKERS[number % len(_MARKERS)], markersize=5, linewidth=1.8,
                      color=palette.SERIES[number % len(palette.SERIES)], label=name)
        efforts = np.array(sorted({effort for counts, _ in curves.values() for effort in counts}), float)
        highest = max(errors[0] for _, errors in curves.values())
        for (name, exponent), dashes in zip((guides or {}).items(), ("--", ":", "-."), strict=False):
            axes.plot(efforts, 1.3 * highest * (efforts / efforts[0]) ** exponent, dashes, color=palette.NEUTRAL,
                      linewidth=1.0, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(efforts)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(xlabel)
        tidy(axes)
    figure.axes[0].set_ylabel(ylabel)
    figure.axes[-1].legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def pull_panels(
    vertices: Float[np.ndarray, "V 3"],
    faces: Integer[np.ndarray, "F 3"],
    truth: Float[np.ndarray, "V 3"],
    pulls: Mapping[str, Float[np.ndarray, "_ 3"]],
    shown: Integer[np.ndarray, " _"],
) -> Figure:
    """Draw how each loss pulls on some vertices, seen from the front; the longest arrow of each panel is equally long.

    Args:
        vertices: (V, 3) metres, the prediction.
        faces: vertex indices.
        truth: (V, 3) metres; the shown vertices are dots there.
        pulls: by the panel's title, minus the gradient of a loss in the vertices.
        shown: indices of the vertices whose pull is drawn.

    Raises:
        ValueError: no panel, or a pull that is not one vector for each vertex.
    """
    if not pulls:
        raise ValueError("pulls: at least one is needed")
    spots = np.concatenate([vertices[shown], truth[shown]])[:, :2]
    centre, width = (spots.min(0) + spots.max(0)) / 2, 1.35 * float(np.ptp(spots, axis=0).max())
    height = 0.8 * width
    figure = Figure(figsize=(3.1 * len(pulls), 2.8), layout="constrained")
    for axes, (title, pull) in zip(figure.subplots(1, len(pulls), squeeze=False)[0], pulls.items(), strict=True):
        if pull.shape != vertices.shape:
            raise ValueError(f"{title}: pulls of shape {pull.shape}, expected {vertices.shape}")
        _draw_surface(axes, vertices, faces, edges=True)
        axes.plot(*truth[shown, :2].T, "o", color=palette.TRUE, markersize=2.5, label="true place")
        arrows = pull[shown] * _LONGEST_PULL * width / max(float(np.linalg.norm(pull[shown], axis=1).max()), 1e-30)
        axes.quiver(*vertices[shown, :2].T, *arrows[:, :2].T, angles="xy", scale_units="xy", scale=1, zorder=3,
                    color=palette.PREDICTED, width=0.006, label="pull")
        axes.set_xlim(centre[0] - width / 2, centre[0] + width / 2)
        axes.set_ylim(centre[1] - height / 2, centre[1] + height / 2)
        axes.set_title(title, fontsize=9)
    scale_bar(figure.axes[0], 1e3)
    figure.axes[0].legend(frameon=True, fontsize=8, loc="lower right")
    return figure


def surface_row(
    surfaces: Mapping[str, tuple[Float[np.ndarray, "_ 3"], Integer[np.ndarray, "_ 3"], Float[np.ndarray, " _"] | None]],
    *,
    limit: float = 1.0,
    label: str = "distance (mm)",
) -> Figure:
    """Draw surfaces of any topologies in a row, from the front and at one scale, each triangle shaded flat.

    Args:
        surfaces: by title, vertices (metres), faces, and a value for each face that colours it, or None for grey.
        limit: the value that gets the last colour.
        label: what the values are, with unit.

    Raises:
        ValueError: no surface, or values that are not one for each face.
    """
    if not surfaces:
        raise ValueError("surfaces: at least one is needed")
    seen = np.concatenate([vertices[:, :2] for vertices, _, _ in surfaces.values()])
    low, high = seen.min(0) - 0.005, seen.max(0) + 0.005
    width = 2.4
    figure = Figure(figsize=(width * len(surfaces) + 0.8, width * (high[1] - low[1]) / (high[0] - low[0]) + 0.5),
                    layout="constrained")
    panels = figure.subplots(1, len(surfaces), squeeze=False)[0]
    for axes, (title, (vertices, faces, values)) in zip(panels, surfaces.items(), strict=True):
        if values is not None and len(values) != len(faces):
            raise ValueError(f"{title}: {len(values)} values, expected {len(faces)}, one for each face")
        colours = None
        if values is not None:
            colours = matplotlib.colormaps[palette.ERROR_COLOURMAP](np.clip(values / limit, 0, 1))[:, :3]
        _draw_surface(axes, vertices, faces, colours)
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        axes.set_title(title, fontsize=10)
    scale_bar(panels[0], 1e3)
    if any(values is not None for _, _, values in surfaces.values()):
        scale = ScalarMappable(Normalize(0.0, limit), palette.ERROR_COLOURMAP)
        figure.colorbar(scale, ax=panels, label=label, shrink=0.7, extend="max")
    return figure


def _draw_surface(
    axes: Axes,
    vertices: Float[np.ndarray, "V 3"],
    faces: Integer[np.ndarray, "F 3"],
    colours: Float[np.ndarray, "F 3"] | None = None,
    edges: bool = False,
) -> None:
    """Fill the triangles that face the viewer from the farthest to the nearest: no GL, and the mesh can be seen."""
    corners = vertices[faces]  # F 3 3
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    front = np.flatnonzero(normals[:, 2] > 0)
    front = front[np.argsort(corners[front, :, 2].mean(1))]
    shade = 0.45 + 0.55 * np.clip(normals[front] @ _LIGHT, 0, 1)
    base = np.array(to_rgb(palette.BARE_SURFACE)) if colours is None else colours[front]
    fill = np.clip(shade[:, None] * base * (1.15 if colours is None else 1.0), 0, 1)
    lines = 0.82 * fill if edges else fill
    axes.add_collection(PolyCollection(corners[front, :, :2], facecolors=fill, edgecolors=lines, linewidths=0.4))
    axes.set_aspect("equal")
    axes.set_axis_off()
