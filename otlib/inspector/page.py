"""The inspector as one HTML file that needs no kernel, no network and no library: keyframes, and the rest in the page.

Costs and displacements, which take many directions, are computed here for each keyframe; between two it is linear. The
matching along the direction that the reader turns to is computed in the page: it is a sort.
"""

import base64
import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from otlib.files import atomic_write
from otlib.inspector.figures import WORDS
from otlib.inspector.measure_views import MOST_ARROWS, arrow_factor, cost_limit_mm
from otlib.inspector.transport import Alignment, Comparison, Controls
from otlib.viz import palette

_TEMPLATE = "page.html"
_SLOTS = 32767  # steps of a 16-bit integer: of 0.003 mm for a head
_BARS_MM = (1, 2, 5, 10, 20, 50, 100)
_SLOWER = 0.25  # of the speed of the speech, at which the page plays


def write_page(
    path: Path | str,
    comparison: Comparison,
    controls: Controls,
    frames: Sequence[int],
    frame_rate: float,
    *,
    turned: float = 0.0,
) -> None:
    """Write the page.

    Args:
        path: of the file.
        comparison: the two sequences.
        controls: region, p, count, the direction to begin with, and the frame, one of ``frames``.
        frames: keyframes, ascending and evenly spaced; one for still meshes.
        frame_rate: frames a second.
        turned: degrees by which both views are turned about the vertical at first.

    Raises:
        ValueError: no keyframes, uneven ones, or a frame that is none of them; or as ``Comparison.align``.
        InputError: the file cannot be written.
    """
    if len(frames) == 0 or len(set(np.diff(frames))) > 1 or any(step <= 0 for step in np.diff(frames)):
        raise ValueError(f"frames must be ascending and evenly spaced, got {list(frames)}")
    if controls.frame not in frames:
        raise ValueError(f"frame {controls.frame} is none of the keyframes {list(frames)}")
    if frame_rate <= 0:
        raise ValueError(f"frame_rate must be positive, got {frame_rate}")
    alignments = [comparison.align(replace(controls, frame=int(frame))) for frame in frames]
    start = list(frames).index(controls.frame)
    step = int(frames[1] - frames[0]) if len(frames) > 1 else 1
    page = _pack(alignments, start)
    page.update(
        times=[round(int(frame) / frame_rate, 4) for frame in frames], rate=_SLOWER * frame_rate / step, start=start,
        p=controls.p, azimuth=controls.azimuth, elevation=controls.elevation, turn=float(np.radians(turned)),
        lines=[f"SW_{controls.p:g} = {1e3 * one.distance:.2f} mm from {controls.count} directions" for one in alignments],
        story=_story(controls, page["factor"]),
    )
    template = (importlib.resources.files("otlib.inspector") / _TEMPLATE).read_text(encoding="utf-8")
    text = template.replace("DATA", json.dumps(page, allow_nan=False).replace("</", "<\\/"), 1)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _story(controls: Controls, factor: int) -> str:
    return (f"The {WORDS[controls.region]} as two probability measures: an atom for each triangle, its area the mass, "
            f"coloured by the cost it carries (the mean gap per mass in {controls.count} projections). Arrows: the step of "
            f"descent on the sliced distance, masses held (training pulls otherwise), drawn {factor} times as long, at the "
            f"{MOST_ARROWS} atoms that pay most. Drag to turn both views; turn the direction to see both projections, whom "
            "optimal transport pairs, and the area between the quantile functions, the distance W_1 along it.")


def _pack(alignments: list[Alignment], start: int) -> dict[str, Any]:
    """Return what the page draws: integers of few bits, in mm, about the middle of both measures."""
    first = alignments[start]
    points = {name: [1e3 * getattr(one, name).points.numpy() for one in alignments] for name in ("true", "predicted")}
    everything = np.concatenate([*points["true"], *points["predicted"]])
    middle = (everything.min(0) + everything.max(0)) / 2
    moves = {"true": [1e3 * one.from_true.descent.numpy() for one in alignments],
             "predicted": [1e3 * one.from_predicted.descent.numpy() for one in alignments]}
    gaps = {"true": [1e3 * one.gaps[0] for one in alignments], "predicted": [1e3 * one.gaps[1] for one in alignments]}
    limit = max(cost_limit_mm(one) for one in alignments)
    point_unit = float(np.abs(everything - middle).max()) / _SLOTS
    move_unit = max(float(np.abs(move).max()) for side in moves.values() for move in side) / 127 or 1.0
    mass_unit = max(float(measure.weights.max()) for one in alignments for measure in (one.true, one.predicted)) / 65535
    extent = np.ptp(everything, axis=0)
    packed: dict[str, Any] = {
        name: [{"points": _coded((points[name][k] - middle) / point_unit, np.int16),
                "masses": _coded(getattr(one, name).weights.numpy() / mass_unit, np.uint16),
                "gaps": _coded(255 * gaps[name][k] / limit, np.uint8),
                "moves": _coded(moves[name][k] / move_unit, np.int8)} for k, one in enumerate(alignments)]
        for name in points
    }
    shown = [np.argsort(-moved.cost.numpy(), kind="stable")[:MOST_ARROWS].tolist()
             for moved in (first.from_true, first.from_predicted)]
    colours = matplotlib.colormaps[palette.COST_COLOURMAP](np.arange(256))
    packed.update(
        limit=limit, point_unit=point_unit, move_unit=move_unit, mass_unit=mass_unit, shown=shown,
        factor=arrow_factor(first, "gradient"),
        extent=[float(np.hypot(extent[0], extent[2])) if extent[2] > extent[0] else float(extent[0]), float(extent[1])],
        side=float(extent.max()), bar=max([bar for bar in _BARS_MM if bar < 0.3 * extent.max()], default=1),
        colours=[to_hex(colour) for colour in colours], series=[palette.TRUE, palette.PREDICTED],
        highlight=palette.HIGHLIGHT)
    return packed


def _coded(values: np.ndarray, kind: type) -> str:
    """Return rounded integers, little-endian, as text."""
    return base64.b64encode(np.rint(values).astype(np.dtype(kind).newbyteorder("<")).tobytes()).decode()
