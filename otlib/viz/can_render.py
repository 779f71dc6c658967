"""Find out whether this machine can draw in 3-D before VTK is asked to: without a GL library VTK ends the process."""

import functools
import importlib.util
import os
import signal
import subprocess
import sys

from otlib.errors import InputError

_WINDOW_VARIABLE = "VTK_DEFAULT_OPENGL_WINDOW"

# Draws one lit sphere off-screen and, if it is in the picture, prints the window class that drew it: VTK falls back
# from a class that fails to another, with warnings, or dies. VTK's own modules load in a quarter of pyvista's time.
_PROBE = """
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow
import vtkmodules.vtkRenderingOpenGL2

sphere = vtkSphereSource()
mapper = vtkPolyDataMapper()
mapper.SetInputConnection(sphere.GetOutputPort())
actor = vtkActor()
actor.SetMapper(mapper)
renderer = vtkRenderer()
renderer.AddActor(actor)
window = vtkRenderWindow()
window.OffScreenRenderingOn()
window.SetSize(32, 32)
window.AddRenderer(renderer)
window.Render()
pixels = vtkUnsignedCharArray()
window.GetPixelData(0, 0, 31, 31, 0, pixels, 0)
if pixels.GetRange(0)[1] == 0:
    raise SystemExit("the picture is black")
print(window.GetClassName())
"""
_PROBE_SECONDS = 60.0  # a first start from a cold disk took 5 s; a hanging X server never answers


class RenderingUnavailable(InputError):
    """This machine has no working GL library, so nothing can be drawn in 3-D; the message names what to install."""


@functools.cache
def ensure_rendering() -> str:
    """Choose a GL window for VTK that works here, tried in a separate process; needed before any 3-D picture.

    It sets ``VTK_DEFAULT_OPENGL_WINDOW`` for this process, so that VTK does not search and warn. If the user has set it, no
    other value is tried. The answer is cached: only the first call takes time (about half a second).

    Returns:
        The name of the VTK window class that draws, such as "vtkEGLRenderWindow".

    Raises:
        RenderingUnavailable: no window class could draw, or VTK is not installed.
    """
    if importlib.util.find_spec("vtkmodules") is None:
        raise RenderingUnavailable("3-D pictures need VTK, which is not installed: run `pip install 'otlib[notebook]'`")
    failures = []
    for candidate in _candidates():
        window, failure = _probe(candidate)
        if window is not None:
            if sys.platform == "linux":
                os.environ[_WINDOW_VARIABLE] = window
            return window
        failures.append(f"{candidate}: {failure}")
    raise RenderingUnavailable(
        f"3-D pictures cannot be drawn on this machine, which has no working EGL, OSMesa or X ({'; '.join(failures)}): "
        "on Debian or Ubuntu run `apt-get install libegl1 libgl1-mesa-dri` (or `libosmesa6`) and try again"
    )


def _candidates() -> list[str]:
    """List the VTK window classes to try first; "default" leaves the choice to VTK."""
    if window := os.environ.get(_WINDOW_VARIABLE):
        return [window]
    if sys.platform != "linux":
        return ["default"]
    off_screen = ["vtkEGLRenderWindow", "vtkOSOpenGLRenderWindow"]
    # A Wayland session offers X through XWayland and then sets DISPLAY too, so DISPLAY alone decides.
    return ["vtkXOpenGLRenderWindow", *off_screen] if os.environ.get("DISPLAY") else off_screen


def _probe(candidate: str) -> tuple[str | None, str]:
    """Draw the probe's scene in a new process; return the window class that drew it, or None and how it failed."""
    environment = dict(os.environ)
    if candidate != "default":
        environment[_WINDOW_VARIABLE] = candidate
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer in {_PROBE_SECONDS:.0f} s"
    if probe.returncode < 0:
        return None, f"ended by {signal.Signals(-probe.returncode).name}"
    if probe.returncode > 0:
        last_line = (probe.stderr.strip().splitlines() or ["no message"])[-1]
        return None, f"exit status {probe.returncode}, {last_line}"
    return probe.stdout.split()[-1], ""
