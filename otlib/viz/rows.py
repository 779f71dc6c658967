"""Several heads side by side: speakers, mouth shapes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.figure import Figure

from otlib.face_parts import FaceParts
from otlib.viz.head_figures import put_picture
from otlib.viz.heads import Camera, HeadRenderer

_PIXELS = (300, 360)


def row_of_heads(
    heads: Float[np.ndarray, "N V 3"],
    faces: Integer[np.ndarray, "F 3"],
    face_parts: FaceParts | None,
    names: Sequence[str],
    *,
    camera: Camera = "front",
    focus: Sequence[int] | np.ndarray | None = None,
) -> Figure:
    """Draw heads of one topology in a row, all at one scale, with a name under each.

    Args:
        heads: (N, V, 3) metres.
        faces: (F, 3) vertex indices.
        face_parts: face indices of each named part.
        names: one for each head.
        camera: "front", "three_quarter" or "profile".
        focus: vertex indices to fit the camera to, on the first head; the whole head when None.

    Raises:
        ValueError: names that are not one for each head.
        RenderingUnavailable: no GL on this machine.
    """
    if len(names) != len(heads):
        raise ValueError(f"names: {len(names)}, expected {len(heads)}, one for each head")
    figure = Figure(figsize=(12.0, 12.0 / len(heads) * _PIXELS[1] / _PIXELS[0] + 0.3), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(heads)))
    with HeadRenderer(heads[0], faces, face_parts=face_parts, size=_PIXELS, camera=camera, focus=focus) as renderer:
        for panel, head, name in zip(panels, heads, names, strict=True):
            put_picture(panel, renderer.image(head))
            panel.set_xlabel(name, fontsize=11)
    return figure
