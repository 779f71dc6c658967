"""A whole sequence as pictures, one at a time, for video."""

import functools
import os
from collections import deque
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from otlib.commands import Workers
from otlib.topology import Topology
from otlib.viz import palette
from otlib.viz.can_render import ensure_rendering
from otlib.viz.heads import Camera, HeadRenderer, Picture

_STRETCH = 8  # pictures that a process draws before it hands them over: 10 MB where they are 640 pixels wide and high
_AHEAD = 2  # stretches for each process that wait or are drawn while the reader takes one
_LONG = 900  # frames from which starting processes pays: half a minute of film
_LONG_S = 600.0  # seconds of a film beyond which its pictures are small
_SIDE, _SMALL_SIDE = 640, 480  # pixels; to draw and to write a small picture takes 0.7 of the time, measured on one core
_scene: list = []  # of a worker: what its one renderer is made from


def render_frames(
    vertices: Float[np.ndarray, "T V 3"],
    topology: Topology,
    *,
    template: Float[np.ndarray, "V 3"] | None = None,
    size: tuple[int, int] = (_SIDE, _SIDE),
    camera: Camera = "front",
    error_mm: Float[np.ndarray, "T V"] | None = None,
    processes: int = 1,
) -> Iterator[Picture]:
    """Draw every frame of a sequence, one at a time; memory holds a few pictures, whatever the sequence's length.

    Seven arguments, of which only ``processes`` says how, and changes no picture.

    Args:
        vertices: (T, V, 3) metres.
        topology: the mesh; its parts get their colours.
        template: (V, 3) metres, the shape that the camera is fitted to; the first frame when None.
        size: (width, height) in pixels.
        camera: "front", "three_quarter" or "profile".
        error_mm: (T, V) millimetres, for the colours of the surface, with a colour bar whose last colour is the 99th
            percentile.
        processes: 1 draws here; more are started beside this one, draw stretches of frames, and end with it. A script that
            asks for more needs ``if __name__ == "__main__":``, since each process imports it.

    Yields:
        (height, width, 3) uint8 pictures, T of them.

    Raises:
        ValueError: a shape, index or value that cannot be drawn.
        RenderingUnavailable: no GL on this machine.
        InputError: a process died, often for want of memory.
    """
    if processes < 1:
        raise ValueError(f"processes: {processes}, expected at least 1")
    if len(vertices) == 0:
        raise ValueError("vertices: the sequence has no frames")
    if error_mm is not None and error_mm.shape != vertices.shape[:2]:
        raise ValueError(f"error_mm: shape {error_mm.shape}, expected {vertices.shape[:2]}")
    if error_mm is not None:
        limit_mm = max(float(np.percentile(error_mm, 99)), 1e-3)  # 1 micrometre, so that zero error has a scale too
        overlay = ColourBar(size, limit_mm)
    fitted_to = vertices[0] if template is None else template
    stretches = [slice(start, start + _STRETCH) for start in range(0, len(vertices), _STRETCH)]
    calls = ((vertices[part],) if error_mm is None else (vertices[part], error_mm[part], limit_mm) for part in stretches)
    scene = np.asarray(fitted_to), topology, size, camera
    for picture in _drawn_here(scene, calls) if processes == 1 else _drawn_beside(scene, calls, processes):
        yield picture if error_mm is None else overlay.on(picture)


def film_processes(frames: int) -> int:
    """Return how many processes a film of some frames is worth: one for each core if it is long, else 1."""
    return (os.cpu_count() or 1) if frames > _LONG else 1


def film_size(seconds: float) -> tuple[tuple[int, int], str]:
    """Return the size of a film's pictures, (width, height) in pixels, and what there is to say of it.

    Our choice: a film of over ten minutes, which takes longer to draw than to watch on a small machine, has smaller ones.
    """
    if seconds <= _LONG_S:
        return (_SIDE, _SIDE), ""
    return (_SMALL_SIDE, _SMALL_SIDE), (f"{_SMALL_SIDE} x {_SMALL_SIDE} pixels in place of {_SIDE} x {_SIDE}, since it is "
                                        f"over {_LONG_S / 60:g} minutes long")


def _drawn_here(scene: tuple, calls: Iterator[tuple]) -> Iterator[Picture]:
    with _renderer(*scene) as renderer:
        for call in calls:
            yield from _pictures(renderer, *call)


def _drawn_beside(scene: tuple, calls: Iterator[tuple], processes: int) -> Iterator[Picture]:
    """Draw in other processes, and hand the pictures over in their order."""
    ensure_rendering()  # here, so that the sentence comes once
    with Workers(processes, functools.partial(_begin, scene)) as pool:
        waiting: deque = deque()
        for call in calls:
            waiting.append(pool.submit(_draw, *call))
            if len(waiting) > _AHEAD * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _begin(scene: tuple) -> None:
    os.environ["LP_NUM_THREADS"] = "0"  # Mesa's threads for each picture; the processes already share the cores
    _scene.extend(scene)


def _draw(*call: object) -> list[Picture]:
    return list(_pictures(_own_renderer(), *call))


@functools.cache
def _own_renderer() -> HeadRenderer:
    return _renderer(*_scene)


def _renderer(template: np.ndarray, topology: Topology, size: tuple[int, int], camera: Camera) -> HeadRenderer:
    return HeadRenderer(template, topology, size=size, camera=camera)


def _pictures(renderer: HeadRenderer, poses: np.ndarray, errors_mm: np.ndarray | None = None,
              limit_mm: float = 1.0) -> Iterator[Picture]:
    for frame, pose in enumerate(poses):
        yield renderer.image(pose) if errors_mm is None else renderer.image(pose, errors_mm[frame], limit_mm)


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
