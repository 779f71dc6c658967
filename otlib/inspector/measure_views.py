"""Two measures side by side in PyVista, one camera for both: the atoms, their costs, their moves."""

from typing import TYPE_CHECKING, Literal

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8

from otlib.inspector.transport import Alignment
from otlib.viz import palette
from otlib.viz.can_render import ensure_rendering
from otlib.viz.heads import Camera, place_camera
from otlib.viz.measures import BALL_SHARE, atom_sides

if TYPE_CHECKING:
    import pyvista

Arrows = Literal["gradient", "plan", "none"]
"""What arrows show: the step of descent on SW_2^2, the mean of the averaged sliced plan, or nothing."""

MOST_ARROWS = 300
"""Most arrows on each measure, at the atoms that pay most; more would hide the atoms."""

_LONGEST_ARROW = 0.15  # of the measure's extent
_FACTORS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_TEXT_COLOUR = "#303030"


class AlignmentScene:
    """Draws alignments of one pair of meshes into two linked views, the true measure left, the predicted one right.

    Every method must be called on the thread that made the scene, as VTK demands. Call ``close`` at the end.

    Args:
        size: (width, height) in pixels, of both views together.
        camera: "front", "three_quarter" or "profile" at first; in a notebook it can be turned by hand.
        notebook: show the scene live, with titles.

    Raises:
        RenderingUnavailable: no GL on this machine.
    """

    def __init__(self, size: tuple[int, int] = (960, 460), camera: Camera = "front", notebook: bool = False) -> None:
        ensure_rendering()
        import pyvista  # only now: it must not meet VTK before the check above

        self._size, self._camera, self._titled = size, camera, notebook
        self._region: str | None = None
        self.metres_per_pixel = 0.0
        self.plotter = pyvista.Plotter(shape=(1, 2), window_size=list(size), border=False, off_screen=True,
                                       notebook=notebook)
        self.plotter.set_background("white")
        self._views = []
        for column in range(2):
            self.plotter.subplot(0, column)
            self._views.append(_View(self.plotter))
        self.plotter.link_views()

    def show(self, alignment: Alignment, arrows: Arrows = "gradient") -> None:
        """Replace the alignment shown; a change of region places the camera anew.

        Args:
            alignment: that of measures in R^3.
            arrows: see :data:`Arrows`.
        """
        sides = measure_sides(alignment)
        limit_mm = cost_limit_mm(alignment)
        factor = arrow_factor(alignment, arrows)
        for column, (view, side) in enumerate(zip(self._views, sides, strict=True)):
            self.plotter.subplot(0, column)
            view.put(side, alignment, arrows, factor, limit_mm)
            if self._titled:
                view.write(f"{side.name}: {len(side.points)} atoms", palette.named(side.name))
        if alignment.controls.region != self._region:
            self._region = alignment.controls.region
            self.look(np.concatenate([side.outermost() for side in sides]), self._camera)

    def look(self, points: Float[np.ndarray, "N 3"], camera: Camera) -> None:
        """Place the camera of both views so that all of ``points`` (metres) are visible."""
        self.plotter.subplot(0, 0)
        width, height = self._size
        self.metres_per_pixel = place_camera(self.plotter, points, (width // 2, height), camera)
        for renderer in self.plotter.renderers:
            renderer.reset_camera_clipping_range()

    def pictures(self) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]]:
        """Return both views as pictures."""
        self.plotter.render()
        both = self.plotter.screenshot(None, return_img=True)[..., :3]
        middle = both.shape[1] // 2
        return both[:, :middle], both[:, middle:]

    def close(self) -> None:
        """Give the graphics memory back."""
        self.plotter.close()


def cost_limit_mm(alignment: Alignment) -> float:
    """Return the largest cost per mass of any atom of both measures, in mm, above zero."""
    return max(1e3 * max(float(gap.max()) for gap in alignment.gaps), 1e-9)


def arrow_factor(alignment: Alignment, arrows: Arrows) -> int:
    """Return how many times as long as the moves the arrows are drawn: a round number that makes the longest visible."""
    sides = measure_sides(alignment)
    extent = max(side.extent for side in sides)
    longest = max(float(np.linalg.norm(side.moves(arrows), axis=1).max()) for side in sides)
    return max([factor for factor in _FACTORS if factor * longest <= _LONGEST_ARROW * extent], default=1)


class Side:
    """One of the two measures with what the transport does to it, as arrays in metres.

    Attributes:
        name: "true" or "predicted".
        points, weights: (N, 3) and (N,), positions and masses of the atoms.
        gap_mm: (N,) the gaps of :attr:`otlib.inspector.transport.Alignment.gaps`, in mm.
        cost: (N,) what each atom pays.
    """

    def __init__(self, name: str, measure, moved, gap: np.ndarray) -> None:
        self.name, self.points, self.weights = name, measure.points.numpy(), measure.weights.numpy()
        self.gap_mm, self.cost = 1e3 * gap, moved.cost.numpy()
        self._moves = {"gradient": moved.descent.numpy(), "plan": moved.displacement.numpy()}

    @property
    def extent(self) -> float:
        """Longest side of the box that holds the atoms, metres."""
        return float(np.ptp(self.points, axis=0).max())

    def outermost(self) -> np.ndarray:
        """Two opposite corners (2 N, 3) of the box around each ball."""
        radii = BALL_SHARE * atom_sides(self.points, self.weights)[:, None]
        return np.concatenate([self.points - radii, self.points + radii])

    def moves(self, arrows: Arrows) -> np.ndarray:
        """Displacements (N, 3) that arrows show."""
        return np.zeros_like(self.points) if arrows == "none" else self._moves[arrows]

    def costliest(self) -> np.ndarray:
        """Indices of the atoms that get arrows, in falling order of cost."""
        return np.argsort(-self.cost, kind="stable")[:MOST_ARROWS]


def measure_sides(alignment: Alignment) -> tuple[Side, Side]:
    """Return the true and the predicted side of an alignment."""
    true_gap, predicted_gap = alignment.gaps
    return (Side("true", alignment.true, alignment.from_true, true_gap),
            Side("predicted", alignment.predicted, alignment.from_predicted, predicted_gap))


class _View:
    """The actors of one view; they stay, and only their data is replaced."""

    def __init__(self, plotter: "pyvista.Plotter") -> None:
        import pyvista

        self._plotter = plotter
        start = pyvista.PolyData(np.zeros((1, 3)))
        start["colour"], start["side"] = np.zeros((1, 3), np.uint8), np.zeros(1)
        quiet = {"show_scalar_bar": False, "reset_camera": False}
        self._atoms = plotter.add_mesh(start, style="points_gaussian", render_points_as_spheres=True, emissive=False,
                                       scalars="colour", rgb=True, ambient=0.2, **quiet)
        self._atoms.mapper.scale_array = "side"
        self._atoms.mapper.scale_factor = BALL_SHARE
        self._arrows = plotter.add_mesh(pyvista.Arrow(), color=_TEXT_COLOUR, lighting=False, **quiet)
        self._axis = plotter.add_mesh(pyvista.Line(), color=palette.HIGHLIGHT, line_width=3, lighting=False, **quiet)
        self._title = None

    def put(self, side: Side, alignment: Alignment, arrows: Arrows, factor: int, limit_mm: float) -> None:
        """Replace the data shown."""
        import pyvista

        atoms = pyvista.PolyData(side.points)
        atoms["side"] = atom_sides(side.points, side.weights)
        atoms["colour"] = matplotlib.colormaps[palette.COST_COLOURMAP](side.gap_mm / limit_mm, bytes=True)[:, :3]
        atoms.set_active_scalars("colour")
        self._atoms.mapper.dataset = atoms

        costliest = side.costliest()
        moves = factor * side.moves(arrows)[costliest]
        lengths = np.linalg.norm(moves, axis=1)
        self._arrows.visibility = bool(lengths.any())
        if self._arrows.visibility:
            starts = pyvista.PolyData(side.points[costliest])
            starts["move"], starts["length"] = moves, lengths
            arrow = pyvista.Arrow(tip_resolution=6, shaft_resolution=4, tip_length=0.3, tip_radius=0.09, shaft_radius=0.03)
            self._arrows.mapper.dataset = starts.glyph(geom=arrow, orient="move", scale="length")

        centre, axis = (side.points.min(0) + side.points.max(0)) / 2, alignment.controls.direction.numpy()
        reach = 0.6 * float(np.ptp(side.points @ axis)) * axis
        self._axis.mapper.dataset = pyvista.Line(centre - reach, centre + reach)

    def write(self, title: str, colour: str) -> None:
        """Write a title in the upper left corner."""
        if self._title is not None:
            self._plotter.remove_actor(self._title, render=False)
        self._title = self._plotter.add_text(title, position="upper_left", font_size=9, color=colour, render=False)
