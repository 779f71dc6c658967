"""Figures of measures and of their transport: atoms in space, and optimal matching along one direction."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from otlib.measures.matching import SlicedMatching
from otlib.measures.measure import Measure
from otlib.viz import palette
from otlib.viz.can_render import ensure_rendering
from otlib.viz.curves import tidy
from otlib.viz.head_figures import put_picture, scale_bar
from otlib.viz.heads import SUPERSAMPLING, Camera, downsample, place_camera

if TYPE_CHECKING:
    import pyvista

BALL_SHARE = 0.42  # radius of an atom's ball, relative to the side of a square of its area: neighbours almost touch
_ARROW_SHARE = 1.7  # length of an atom's arrow, relative to the same side
_PANEL_PIXELS = (480, 560)  # width, height
_MOST_STEPS = 400  # steps of a quantile function to draw: as fine as the pixels of a figure, and quick to draw
_MOST_ATOMS = 500  # atoms on a line that are drawn one by one


def measure_views(
    true: Measure,
    predicted: Measure,
    *,
    costs: tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"]] | None = None,
    cost_label: str = "transport cost of an atom (mm)",
    camera: Camera = "three_quarter",
) -> Figure:
    """Draw two measures from one camera: each atom a ball whose area grows with its mass, its normal a short arrow.

    Args:
        true: one measure (no batch) of atoms in R^3 (metres), or in R^6 with a multiple of the normal behind.
        predicted: the measure compared with it.
        costs: the cost of each atom, for the colours of the balls; None for the colours of truth and prediction.
        cost_label: what the costs are, with unit.
        camera: "front", "three_quarter" or "profile".

    Raises:
        ValueError: a batch of measures, atoms of another dimension, or costs that are not one for each atom.
        RenderingUnavailable: no GL on this machine.
    """
    ensure_rendering()
    import pyvista  # only now: it must not meet VTK before the check above

    if costs is not None and (costs[0].shape != true.weights.shape or costs[1].shape != predicted.weights.shape):
        raise ValueError(
            f"costs: shapes {costs[0].shape} and {costs[1].shape}, expected {tuple(true.weights.shape)} and "
            f"{tuple(predicted.weights.shape)}"
        )
    limit = None if costs is None else max(float(costs[0].max()), float(costs[1].max()), 1e-12)
    tips = np.concatenate([_arrow_tips(measure) for measure in (true, predicted)])
    figure = Figure(figsize=(9.6, 5.2), layout="constrained")
    axes = figure.subplots(1, 2)
    for number, (name, measure) in enumerate({"true": true, "predicted": predicted}.items()):
        plotter = pyvista.Plotter(off_screen=True, window_size=[SUPERSAMPLING * side for side in _PANEL_PIXELS])
        plotter.disable_anti_aliasing()
        plotter.set_background("white")
        cost = None if costs is None else costs[number]
        add_measure(plotter, measure, colour=palette.named(name), cost=cost, cost_limit=limit)
        metres_per_pixel = place_camera(plotter, tips, _PANEL_PIXELS, camera)
        put_picture(axes[number], downsample(plotter.screenshot(None, return_img=True)))
        plotter.close()
        axes[number].set_title(f"{name}: {len(measure.weights)} atoms", color=palette.named(name), fontweight="bold")
    scale_bar(axes[0], 1e3 * metres_per_pixel)
    if limit is not None:
        scale = ScalarMappable(Normalize(0.0, limit), palette.COST_COLOURMAP)
        figure.colorbar(scale, ax=axes, label=cost_label, shrink=0.7)
    return figure


def add_measure(
    plotter: "pyvista.Plotter",
    measure: Measure,
    *,
    colour: str,
    cost: Float[np.ndarray, " _"] | None = None,
    cost_limit: float | None = None,
) -> None:
    """Add a measure's atoms to a PyVista scene, which may be drawn once or turned by hand.

    Args:
        plotter: the scene.
        measure: one measure of atoms in R^3 or R^6.
        colour: colour of the balls if there is no cost, "#rrggbb".
        cost: the cost of each atom.
        cost_limit: the cost that gets the last colour; the largest when None.

    Raises:
        ValueError: a batch of measures, or atoms of another dimension.
    """
    import pyvista

    positions, normals, sides = _atoms(measure)
    atoms = pyvista.PolyData(positions)
    atoms["side"] = sides
    if cost is not None:
        atoms["cost"] = cost
    ball = pyvista.Sphere(radius=BALL_SHARE, theta_resolution=12, phi_resolution=9)
    balls = atoms.glyph(geom=ball, scale="side", orient=False)
    look = {"smooth_shading": True, "ambient": 0.25, "specular": 0.1, "show_scalar_bar": False, "reset_camera": False}
    if cost is None:
        plotter.add_mesh(balls, color=colour, **look)
    else:
        limits = (0.0, float(cost.max()) if cost_limit is None else cost_limit)
        plotter.add_mesh(balls, scalars="cost", cmap=palette.COST_COLOURMAP, clim=limits, **look)
    if normals is not None:
        atoms["normal"] = normals
        arrow = pyvista.Arrow(tip_resolution=8, shaft_resolution=6, tip_radius=0.1, shaft_radius=0.035, tip_length=0.3)
        arrows = atoms.glyph(geom=arrow, orient="normal", scale="side", factor=_ARROW_SHARE)
        plotter.add_mesh(arrows, color="#505050", **look)


def _atoms(measure: Measure) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Return positions (N, 3), unit normals (N, 3) or None, and the side (N,) of a square of each atom's area."""
    points, weights = _array(measure.points), _array(measure.weights)
    if points.ndim != 2 or points.shape[1] not in (3, 6):
        raise ValueError(f"measure: points of shape {points.shape}, expected (N, 3) or (N, 6)")
    positions, normals = points[:, :3], points[:, 3:]
    sides = atom_sides(positions, weights)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    if not lengths.any():
        return positions, None, sides
    return positions, normals / np.where(lengths > 0, lengths, 1.0), sides


def atom_sides(points: Float[np.ndarray, "N 3"], weights: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return the side of a square of each atom's area, metres.

    A measure has shares of the area only, and a surface of extent d has an area of about d squared.
    """
    return float(np.ptp(points, axis=0).max()) * np.sqrt(weights)


def _arrow_tips(measure: Measure) -> np.ndarray:
    """Return the ends (N, 3) of the atoms' arrows, or the atoms if there are no arrows."""
    positions, normals, sides = _atoms(measure)
    return positions if normals is None else positions + _ARROW_SHARE * sides[:, None] * normals


def quantile_matching(
    matching: SlicedMatching, *, coordinate: str = "position along the direction", lines: int = 40
) -> Figure:
    """Show optimal transport along one direction: the atoms with their matches, and the quantile functions.

    Args:
        matching: of a true measure x and a predicted measure y, in metres (``otlib.measures.matching.sliced_matching``).
        coordinate: what is measured along the direction.
        lines: number of matches to draw, at evenly spaced shares of the mass.

    Returns:
        A figure in mm, whose right half shades the area between the quantile functions; that area is the cost W_1.
    """
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    pairs, functions = figure.subplots(1, 2)
    draw_matches(pairs, matching, coordinate, lines)
    draw_quantiles(functions, matching, coordinate)
    return figure


def draw_matches(axes: Axes, matching: SlicedMatching, coordinate: str, lines: int = 40) -> None:
    """Draw the atoms of both measures on two levels, joined to their matches; arguments as for :func:`quantile_matching`.

    If a measure has thousands of atoms, they are gathered in even intervals, so that mass shows instead of ink.
    """
    shares = (np.arange(lines) + 0.5) / lines
    steps = _steps_mm(matching)
    ends = [_quantiles(*one, shares) for one in steps.values()]
    axes.plot(ends, [[1.0] * lines, [0.0] * lines], color="0.6", linewidth=0.8, zorder=1)
    for height, (name, (values, levels)) in zip((1.0, 0.0), steps.items(), strict=True):
        masses = np.diff(levels, prepend=0.0)
        if len(values) > _MOST_ATOMS:
            values, masses = _heaps(values, masses)
        areas = 60.0 * masses / masses.max()  # points squared
        axes.scatter(values, np.full(len(values), height), areas, palette.named(name), alpha=0.5, linewidth=0)
    axes.set_yticks([1.0, 0.0], ["true", "predicted"])
    for label in axes.get_yticklabels():
        label.set_color(palette.named(label.get_text()))
    axes.set_ylim(-0.35, 1.35)
    axes.set_xlabel(f"{coordinate} (mm)")
    axes.set_title("atoms, sized by mass, and their matches", fontsize=10)
    tidy(axes, grid=False)


def draw_quantiles(axes: Axes, matching: SlicedMatching, coordinate: str) -> None:
    """Draw both quantile functions and shade the area between them; arguments as for :func:`quantile_matching`."""
    steps = _steps_mm(matching)
    edges = np.concatenate([[0.0], np.cumsum(_array(matching.mass))])  # the shares of the mass where a function steps
    quantiles = {name: _quantiles(*steps[name], (edges[:-1] + edges[1:]) / 2) for name in steps}
    cost_mm = float(np.sum(np.diff(edges) * np.abs(quantiles["true"] - quantiles["predicted"])))
    if len(edges) > _MOST_STEPS:
        edges = np.linspace(0.0, 1.0, _MOST_STEPS)
        quantiles = {name: _quantiles(*steps[name], (edges[:-1] + edges[1:]) / 2) for name in steps}
    for name, values in quantiles.items():
        axes.stairs(values, edges, baseline=None, color=palette.named(name), linewidth=2.0, label=name)
    axes.fill_between(
        np.repeat(edges, 2)[1:-1],
        np.repeat(quantiles["true"], 2),
        np.repeat(quantiles["predicted"], 2),
        color=palette.HIGHLIGHT,
        alpha=0.35,
        linewidth=0,
        label=f"between: $W_1$ = {cost_mm:.3g} mm",
    )
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the mass")
    axes.set_ylabel(f"{coordinate} (mm)")
    axes.set_title("quantile functions", fontsize=10)
    tidy(axes)
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _steps_mm(matching: SlicedMatching) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the values (mm) and the levels of both quantile functions."""
    return {
        "true": (1e3 * _array(matching.x_values), _array(matching.x_levels)),
        "predicted": (1e3 * _array(matching.y_values), _array(matching.y_levels)),
    }


def _heaps(values: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles and masses of those of 200 even intervals of a line that hold any mass."""
    heaps, edges = np.histogram(values, 200, weights=masses)
    return ((edges[:-1] + edges[1:]) / 2)[heaps > 0], heaps[heaps > 0]


def _quantiles(values: np.ndarray, levels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return, for each share of the mass, the least of the rising ``values`` up to which at least that share lies."""
    return values[np.minimum(np.searchsorted(levels, shares), len(values) - 1)]


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
