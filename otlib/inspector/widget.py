"""The inspector in JupyterLab: controls, the two views, the panels; computed on a worker thread, drawn on the kernel's."""

import asyncio
import functools
import html
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import IPython.display
import ipywidgets

from otlib.inspector.figures import (
    ARROW_WORDS,
    WORDS,
    alignment_png,
    arrow_line,
    estimate_line,
    estimate_png,
    headline,
)
from otlib.inspector.measure_views import AlignmentScene
from otlib.inspector.transport import Alignment, Comparison, Controls
from otlib.viz.heads import Camera

WORKING = "working …"
_EXPONENTS = (1.0, 2.0, 3.0)
_REMEMBERED = 64  # estimates of a few hundred bytes, for when the reader returns to a frame


class Inspector:
    """Controls and pictures of the transport between two sequences; end a cell with it.

    A change of a control is answered in two steps. The alignment comes first: views, matching, quantile functions. The
    slower parts follow: the spread of the estimate and the exact distance, of the lips (of the whole face if there are no
    lips). Until then they show "working". A newer change drops the answers to older ones.

    Widgets call back on other threads than the kernel's, the only one that may use VTK (JupyterLab 4.4 and later): every
    call goes to the kernel's event loop, and computations run on a worker thread.

    Args:
        comparison: the two sequences.
        controls: the first state.
        size: (width, height) of the views in pixels.
        camera: "front", "three_quarter" or "profile" at first.

    Attributes:
        widget: the whole inspector, for layouts of one's own.

    Raises:
        ValueError: controls that do not fit the comparison.
        RuntimeError: not in a notebook.
        RenderingUnavailable: no GL on this machine.
    """

    def __init__(self, comparison: Comparison, controls: Controls | None = None, *, size: tuple[int, int] = (960, 420),
                 camera: Camera = "front") -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError("the inspector needs a notebook's event loop: open it in JupyterLab") from None
        self._comparison = comparison
        self._number = 0  # the number of the newest change
        self._requested = False  # whether a change waits for its answer
        self._lines = ["", "", ""]
        self._estimate = functools.lru_cache(_REMEMBERED)(comparison.estimate)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="inspector")
        self._make_controls(comparison, controls or Controls(region=comparison.regions[-1]))
        self._alignment_panel, self._estimate_panel = (ipywidgets.Image(format="png", layout={"flex": "none"})
                                                       for _ in range(2))
        self._status = ipywidgets.HTML()
        self._scene = AlignmentScene(size, camera, notebook=True)
        self._arrows = self.arrows.value
        self._scene.show(comparison.align(self.controls), self._arrows)
        # Without this module trame does not fetch VTK's WebAssembly from the network; views drawn here do not need it.
        with mock.patch.dict(sys.modules, {"trame.widgets.vtklocal": None}):
            self._views = self._scene.plotter.show(jupyter_backend="server", return_viewer=True,
                                                   jupyter_kwargs={"add_menu": False})
        self.widget = ipywidgets.VBox([
            ipywidgets.HBox([self.region, self.count, self.p, self.arrows]),
            ipywidgets.HBox([self.frame, self._play]),
            ipywidgets.HBox([self.azimuth, self.elevation, *self._presets]),
            self._views, self._status, ipywidgets.HBox([self._alignment_panel, self._estimate_panel]),
        ])
        for control in (self.frame, self.region, self.count, self.p, self.arrows, self.azimuth, self.elevation):
            control.observe(self._changed, "value")
        self._request()

    @property
    def controls(self) -> Controls:
        """The current state of the controls."""
        return Controls(self.frame.value, self.region.value, float(self.azimuth.value), float(self.elevation.value),
                        self.count.value, self.p.value)

    @property
    def working(self) -> bool:
        """Whether an answer is still to come."""
        return WORKING in "".join(self._lines)

    def _ipython_display_(self) -> None:
        IPython.display.display(self.widget)

    def close(self) -> None:
        """Give the graphics memory and the worker back."""
        self._number += 1
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._scene.close()
        self.widget.close()

    def _make_controls(self, comparison: Comparison, controls: Controls) -> None:
        comparison.check(controls)
        counts = sorted({*comparison.counts, controls.count})
        exponents = sorted({*_EXPONENTS, controls.p})
        self.frame = ipywidgets.IntSlider(controls.frame, 0, comparison.frames - 1, **_look("frame", 420))
        self.region = ipywidgets.Dropdown(options=[(WORDS[name], name) for name in comparison.regions],
                                          value=controls.region, **_look("region", 170))
        self.count = ipywidgets.SelectionSlider(options=counts, value=controls.count, continuous_update=False,
                                                **_look("directions", 260))
        self.p = ipywidgets.Dropdown(options=[(f"{p:g}", p) for p in exponents], value=controls.p, **_look("p", 80))
        self.arrows = ipywidgets.Dropdown(options=[(words, name) for name, words in ARROW_WORDS.items()],
                                          **_look("arrows", 230))
        self.azimuth = ipywidgets.IntSlider(round(controls.azimuth), -180, 180, **_look("projected on: azimuth °", 340))
        self.elevation = ipywidgets.IntSlider(round(controls.elevation), -90, 90, **_look("elevation °", 260))
        self._play = ipywidgets.Play(controls.frame, max=comparison.frames - 1, interval=600, show_repeat=False)
        ipywidgets.jslink((self._play, "value"), (self.frame, "value"))
        self._presets = []
        for name, angles in {"height": (0, 90), "sideways": (90, 0), "depth": (0, 0), "costliest": None}.items():
            button = ipywidgets.Button(description=name, layout={"width": "80px"})
            button.on_click(lambda _, angles=angles: self._on_loop(self._turn, angles))
            self._presets.append(button)

    def _changed(self, change: Any) -> None:
        """Request an answer to the newest state, one for changes that come together; on any thread."""
        if not self._requested:
            self._requested = True
            self._on_loop(self._request)

    # on the kernel's thread

    def _request(self) -> None:
        """Answer the current state of the controls."""
        self._requested = False
        self._number += 1
        self._lines = [WORKING, "", ""]
        self._write()
        self._arrows = self.arrows.value
        self._worker.submit(self._answer, self._number, self.controls)

    def _turn(self, angles: tuple[int, int] | None) -> None:
        if angles is None:
            self._lines[0] = WORKING
            self._write()
            self._worker.submit(self._find_costliest, self._number, self.controls)
        else:
            self.azimuth.value, self.elevation.value = angles
            self._changed(None)  # even if the angles did not change

    def _draw_views(self, alignment: Alignment) -> None:
        self._scene.show(alignment, self._arrows)
        self._views.viewer.update()

    def _draw_panel(self, alignment: Alignment, panel: bytes) -> None:
        self._alignment_panel.value = panel
        self._lines[:2] = headline(alignment), arrow_line(alignment, self._arrows)
        self._write()

    def _draw_estimates(self, lines: list[str], panel: bytes) -> None:
        self._estimate_panel.value = panel
        self._lines[2] = "<br>".join(html.escape(line) for line in lines)
        self._write()

    def _announce_estimates(self) -> None:
        self._estimate_panel.value = b""
        self._lines[2] = f"error band and exact distance: {WORKING}"
        self._write()

    def _fail(self, error: Exception) -> None:
        self._lines = [f"{type(error).__name__}: {html.escape(str(error))}", "", ""]
        self._write()

    def _write(self) -> None:
        self._status.value = "<br>".join(self._lines)

    # on the worker's thread

    def _answer(self, number: int, controls: Controls) -> None:
        if number != self._number:
            return
        try:
            alignment = self._comparison.align(controls)
            self._post(number, self._draw_views, alignment)
            self._post(number, self._draw_panel, alignment, alignment_png(alignment))  # made while the views are drawn
            self._answer_estimates(number, controls)
        except Exception as error:  # nobody would see an exception in a thread
            self._post(number, self._fail, error)

    def _answer_estimates(self, number: int, controls: Controls) -> None:
        if number != self._number:
            return
        self._post(number, self._announce_estimates)
        small = self._comparison.regions[0]
        estimates = [self._estimate(controls.frame, small, controls.p, self._comparison.counts)]
        if controls.region != small and number == self._number:
            estimates.append(self._estimate(controls.frame, controls.region, controls.p, (controls.count,)))
        self._post(number, self._draw_estimates, [estimate_line(one, controls.count) for one in estimates],
                   estimate_png(estimates[0], controls.count))

    def _find_costliest(self, number: int, controls: Controls) -> None:
        try:
            angles = self._comparison.costliest(controls)
            self._post(number, self._turn, tuple(round(angle) for angle in angles))
        except Exception as error:
            self._post(number, self._fail, error)

    def _post(self, number: int, call: Callable[..., None], *arguments: Any) -> None:
        """Make the call on the kernel's thread, unless a newer change has come."""
        self._on_loop(lambda: call(*arguments) if number == self._number else None)

    def _on_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(call, *arguments)


def _look(description: str, width: int) -> dict[str, Any]:
    """Return keywords for a control: its description, and its width in pixels."""
    return {"description": description, "style": {"description_width": "initial"}, "layout": {"width": f"{width}px"}}
