"""Figures and pictures; every function returns its picture and shows nothing.

This package offers the names of FACE, and imports the module of each when the name is first used: whoever writes a glb needs
no library of figures.
"""

import importlib
from typing import Any

FACE = {
    "HeadRenderer": "otlib.viz.heads",
    "add_measure": "otlib.viz.measures",
    "film_strip": "otlib.viz.head_figures",
    "head_triptych": "otlib.viz.head_figures",
    "interval_plot": "otlib.viz.curves",
    "lip_gap_curves": "otlib.viz.curves",
    "loss_curves": "otlib.viz.curves",
    "measure_views": "otlib.viz.measures",
    "phoneme_rows": "otlib.viz.curves",
    "quantile_matching": "otlib.viz.measures",
    "render_frames": "otlib.viz.film_frames",
    "row_of_heads": "otlib.viz.head_figures",
    "show": "otlib.viz.display",
}
"""Each name and its module."""


def __getattr__(name: str) -> Any:
    if name not in FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(FACE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *FACE})
