"""The inspector as one HTML file that needs no kernel, no network and no library.

Costs and displacements, which take many directions, are computed here for each keyframe; the page interpolates linearly
between keyframes. The matching along the reader's direction is computed in the page: it is a sort.
"""

import base64
import importlib.resources
import itertools
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
from otlib.inspector.measure_views import MOST_ARROWS, arrow_factor, cost_limit_mm, measure_sides
from otlib.inspector.transport import Alignment, Comparison, Controls
from otlib.viz import palette

_TEMPLATE = "page.html"
_STEPS = 32767  # of a 16-bit integer: 0.003 mm each for a head
_BARS_MM = (1, 2, 5, 10, 20, 50, 100)
_SPEED = 0.25  # of playback, relative to the speech


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
        path: the file to write.
        comparison: the two sequences.
        controls: region, p, count, the first direction, and the first frame, one of ``frames``.
        frames: keyframes, ascending and evenly spaced; one for still meshes.
        frame_rate: frames per second.
        turned: degrees by which both views are turned about the vertical at first.

    Raises:
        ValueError: no keyframes, uneven ones, or a first frame that is none of them; or as for ``Comparison.align``.
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
        times=[round(int(frame) / frame_rate, 4) for frame in frames], rate=_SPEED * frame_rate / step, start=start,
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
    """Return what the page draws: integers of few bits, in mm, relative to the middle of both measures."""
    frames = [measure_sides(one) for one in alignments]
    sides = list(itertools.chain(*frames))
    points = np.concatenate([1e3 * side.points for side in sides])
    middle, extent = (points.min(0) + points.max(0)) / 2, np.ptp(points, axis=0)
    limit = max(cost_limit_mm(one) for one in alignments)
    point_unit = float(np.abs(points - middle).max()) / _STEPS
    move_unit = max(float(np.abs(1e3 * side.moves("gradient")).max()) for side in sides) / 127 or 1.0
    mass_unit = max(float(side.weights.max()) for side in sides) / 65535
    packed: dict[str, Any] = {
        name: [{"points": _coded((1e3 * side.points - middle) / point_unit, np.int16),
                "masses": _coded(side.weights / mass_unit, np.uint16),
                "gaps": _coded(255 * side.gap_mm / limit, np.uint8),
                "moves": _coded(1e3 * side.moves("gradient") / move_unit, np.int8)} for side in sequence]
        for name, sequence in zip(("true", "predicted"), zip(*frames, strict=True), strict=True)
    }
    colours = matplotlib.colormaps[palette.COST_COLOURMAP](np.arange(256))
    packed.update(
        limit=limit, point_unit=point_unit, move_unit=move_unit, mass_unit=mass_unit,
        shown=[side.costliest().tolist() for side in frames[start]], factor=arrow_factor(alignments[start], "gradient"),
        extent=[float(np.hypot(extent[0], extent[2])) if extent[2] > extent[0] else float(extent[0]), float(extent[1])],
        side=float(extent.max()), bar=max([bar for bar in _BARS_MM if bar < 0.3 * extent.max()], default=1),
        colours=[to_hex(colour) for colour in colours], series=[palette.TRUE, palette.PREDICTED],
        highlight=palette.HIGHLIGHT)
    return packed


def _coded(values: np.ndarray, kind: type) -> str:
    """Return values as rounded little-endian integers in base 64."""
    return base64.b64encode(np.rint(values).astype(np.dtype(kind).newbyteorder("<")).tobytes()).decode()
