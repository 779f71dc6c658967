"""The inspector's figures: the colour scale, both projections with their matching, and the estimate beside the exact."""

import io

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from otlib.inspector.measure_views import MOST_ARROWS, AlignmentScene, Arrows, arrow_factor, cost_limit_mm
from otlib.inspector.transport import Alignment, Estimate
from otlib.measures.matching import EXACT_ATOMS
from otlib.viz import palette
from otlib.viz.curves import tidy
from otlib.viz.head_figures import put_picture, scale_bar
from otlib.viz.heads import Camera
from otlib.viz.measures import draw_matches, draw_quantiles

WORDS = {"lips": "lips", "mouth": "mouth", "face": "whole face"}
ARROW_WORDS = {"gradient": "descent, masses held", "plan": "averaged plan", "none": "no arrows"}
_AXES = {(0.0, 90.0): "height", (90.0, 0.0): "sideways", (0.0, 0.0): "depth"}  # by azimuth and elevation
_BAND = 2.0  # standard deviations: about 95 %


def coordinate_name(azimuth: float, elevation: float) -> str:
    """Return the name of the coordinate along a direction: height, sideways, depth, or its angles."""
    if elevation == 90.0:
        azimuth = 0.0
    return _AXES.get((azimuth, elevation), f"along {azimuth:g}°, {elevation:g}° up")


def headline(alignment: Alignment) -> str:
    """Return the distance, with its region and frame, in one line."""
    controls = alignment.controls
    along = 1e3 * alignment.matching.cost ** (1 / controls.p)
    return (f"{WORDS[controls.region]}, frame {controls.frame}: SW_{controls.p:g} = {1e3 * alignment.distance:.3g} mm from "
            f"{controls.count} directions; in the one shown ({coordinate_name(controls.azimuth, controls.elevation)}) "
            f"{along:.3g} mm")


def arrow_line(alignment: Alignment, arrows: Arrows) -> str:
    """Return what the arrows show, in one line."""
    if arrows == "none":
        return ARROW_WORDS[arrows]
    return (f"arrows: {ARROW_WORDS[arrows]}, {arrow_factor(alignment, arrows)} times as long, at the {MOST_ARROWS} atoms "
            "that pay most")


def estimate_line(estimate: Estimate, count: int) -> str:
    """Return the estimate from ``count`` directions with its error band, and the exact distance, in one line."""
    index = estimate.counts.index(count)
    p, band = f"{estimate.p:g}", 1e3 * _BAND * estimate.deviation[index]
    line = f"{WORDS[estimate.region]}: SW_{p} = {1e3 * estimate.middle[index]:.3f} ± {band:.1g} mm from {count} directions"
    if estimate.exact is None:
        return f"{line}; exact transport is for at most {EXACT_ATOMS} atoms, these are {max(estimate.atoms)}"
    return f"{line}; exact W_{p} = {1e3 * estimate.exact:.3f} mm, so that SW_{p} is at most {1e3 * estimate.bound:.3f} mm"


def draw_estimate(axes: Axes, estimate: Estimate, count: int) -> None:
    """Draw the estimate with its error band against the number of directions, the count in use, and the exact bound.

    Args:
        axes: where to draw.
        estimate: that of several counts.
        count: the number of directions in use.
    """
    low, high = (1e3 * (estimate.middle + side * _BAND * estimate.deviation) for side in (-1, 1))
    axes.fill_between(estimate.counts, low, high, color=palette.NEUTRAL, alpha=0.35, linewidth=0,
                      label="estimate, ± 2 deviations")
    axes.plot(estimate.counts, 1e3 * estimate.middle, "o-", color=palette.NEUTRAL, markersize=3, linewidth=1.2)
    if count in estimate.counts:
        index = estimate.counts.index(count)
        axes.plot([count, count], [low[index], high[index]], color="black", linewidth=2.5)
        axes.plot(count, 1e3 * estimate.middle[index], "o", color="black", markersize=6, label=f"{count} directions")
    if estimate.bound is not None:
        label = f"at most {1e3 * estimate.bound:.3g}: exact $W_{{{estimate.p:g}}}$ = {1e3 * estimate.exact:.3g}"
        axes.axhline(1e3 * estimate.bound, color=palette.HIGHLIGHT, linewidth=2.0, linestyle="--", label=label)
    axes.set_xscale("log")
    axes.set_xticks([6, 24, 100, 500])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom - 0.05 * (top - bottom), top + 0.55 * (top - bottom))  # room for the legend
    axes.set_xlabel("number of directions")
    axes.set_ylabel(f"$SW_{{{estimate.p:g}}}$ of the {WORDS[estimate.region]} (mm)")
    axes.set_title("estimate beside exact transport", fontsize=10)
    tidy(axes)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def draw_scale(axes: Axes, limit_mm: float) -> None:
    """Draw the colours of the atoms' costs."""
    scale = ScalarMappable(Normalize(0.0, limit_mm), palette.COST_COLOURMAP)
    bar = axes.figure.colorbar(scale, cax=axes, orientation="horizontal")
    bar.set_label("cost an atom carries, per mass: its mean gap in the projections (mm)", fontsize=9)
    axes.tick_params(labelsize=8)


def alignment_png(alignment: Alignment) -> bytes:
    """Return the colour scale and both projections as PNG; quick, for the live view."""
    figure = Figure(figsize=(6.2, 3.5))
    controls = alignment.controls
    coordinate = coordinate_name(controls.azimuth, controls.elevation)
    draw_scale(figure.add_axes((0.15, 0.93, 0.82, 0.035)), cost_limit_mm(alignment))
    draw_matches(figure.add_axes((0.15, 0.14, 0.33, 0.56)), alignment.matching, coordinate)
    draw_quantiles(figure.add_axes((0.6, 0.14, 0.37, 0.56)), alignment.matching, coordinate)
    return _png(figure)


def estimate_png(estimate: Estimate, count: int) -> bytes:
    """Return the panel of the estimate as PNG, for the live view."""
    figure = Figure(figsize=(3.4, 3.5))
    draw_estimate(figure.add_axes((0.22, 0.14, 0.75, 0.76)), estimate, count)
    return _png(figure)


def still(alignment: Alignment, estimate: Estimate, *, arrows: Arrows = "gradient", camera: Camera = "front") -> Figure:
    """Draw the whole inspector as one figure, for pages without a kernel.

    Args:
        alignment: what to show.
        estimate: that of several counts, usually of the lips.
        arrows: see :data:`otlib.inspector.measure_views.Arrows`.
        camera: "front", "three_quarter" or "profile".

    Raises:
        RenderingUnavailable: no GL on this machine.
    """
    scene = AlignmentScene(size=(1100, 500), camera=camera)
    try:
        scene.show(alignment, arrows)
        pictures = scene.pictures()
        mm_per_pixel = 1e3 * scene.metres_per_pixel
    finally:
        scene.close()
    figure = Figure(figsize=(9.6, 7.6))
    panels = [figure.add_axes((left, 0.49, 0.47, 0.47)) for left in (0.02, 0.51)]
    for panel, picture, name, measure in zip(panels, pictures, ("true", "predicted"),
                                             (alignment.true, alignment.predicted), strict=True):
        put_picture(panel, picture)
        panel.set_title(f"{name}: {len(measure.weights)} atoms", color=palette.named(name), fontweight="bold")
    scale_bar(panels[0], mm_per_pixel)
    panels[1].annotate(arrow_line(alignment, arrows), (1.0, 0.0), xycoords="axes fraction", ha="right", fontsize=8)
    controls = alignment.controls
    coordinate = coordinate_name(controls.azimuth, controls.elevation)
    draw_scale(figure.add_axes((0.08, 0.435, 0.89, 0.014)), cost_limit_mm(alignment))
    draw_matches(figure.add_axes((0.08, 0.055, 0.25, 0.27)), alignment.matching, coordinate)
    draw_quantiles(figure.add_axes((0.41, 0.055, 0.24, 0.27)), alignment.matching, coordinate)
    draw_estimate(figure.add_axes((0.73, 0.055, 0.25, 0.27)), estimate, controls.count)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
