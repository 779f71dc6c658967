"""A whole sequence as pictures, one at a time, for video."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from otlib.topology import Topology
from otlib.viz import palette
from otlib.viz.heads import Camera, HeadRenderer, Picture


def render_frames(
    vertices: Float[np.ndarray, "T V 3"],
    topology: Topology,
    *,
    template: Float[np.ndarray, "V 3"] | None = None,
    size: tuple[int, int] = (640, 640),
    camera: Camera = "front",
    error_mm: Float[np.ndarray, "T V"] | None = None,
) -> Iterator[Picture]:
    """Draw every frame of a sequence, one at a time.

    Args:
        vertices: (T, V, 3) metres.
        topology: the mesh; its parts get their colours.
        template: (V, 3) metres, the shape that the camera is fitted to; the first frame when None.
        size: (width, height) in pixels.
        camera: "front", "three_quarter" or "profile".
        error_mm: (T, V) millimetres, for the colours of the surface, with a colour bar whose last colour is the 99th
            percentile.

    Yields:
        (height, width, 3) uint8 pictures, T of them.

    Raises:
        ValueError: a shape, index or value that cannot be drawn.
        RenderingUnavailable: no GL on this machine.
    """
    if len(vertices) == 0:
        raise ValueError("vertices: the sequence has no frames")
    if error_mm is not None and error_mm.shape != vertices.shape[:2]:
        raise ValueError(f"error_mm: shape {error_mm.shape}, expected {vertices.shape[:2]}")
    if error_mm is not None:
        limit_mm = max(float(np.percentile(error_mm, 99)), 1e-3)  # 1 micrometre, so that zero error has a scale too
        overlay = ColourBar(size, limit_mm)
    fitted_to = vertices[0] if template is None else template
    with HeadRenderer(fitted_to, topology, size=size, camera=camera) as renderer:
        for frame, pose in enumerate(vertices):
            if error_mm is None:
                yield renderer.image(pose)
            else:
                yield overlay.on(renderer.image(pose, error_mm[frame], limit_mm))


class ColourBar:
    """The scale of error colours, drawn once and laid over each picture.

    Args:
        size: (width, height) of the pictures in pixels.
        error_limit_mm: the error at the upper end.
    """

    def __init__(self, size: tuple[int, int], error_limit_mm: float) -> None:
        width, height = size
        figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="none")
        canvas = FigureCanvasAgg(figure)
        bar = figure.add_axes((0.87, 0.25, 0.025, 0.5))
        scale = ScalarMappable(Normalize(0.0, error_limit_mm), palette.ERROR_COLOURMAP)
        figure.colorbar(scale, cax=bar, label="error (mm)", extend="max")
        canvas.draw()
        picture = np.asarray(canvas.buffer_rgba())  # (height, width, 4)
        self._opacity = picture[..., 3:].astype(np.uint16)
        self._colour = picture[..., :3] * self._opacity

    def on(self, picture: Picture) -> Picture:
        """Return ``picture`` with the scale laid over it."""
        return ((self._colour + picture * (255 - self._opacity)) // 255).astype(np.uint8)
