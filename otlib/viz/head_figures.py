"""Still figures of heads: true beside predicted beside error, and a film strip of a sentence."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from otlib.phonemes.timed_phoneme import is_bilabial
from otlib.topology import Topology
from otlib.viz import palette
from otlib.viz.heads import Camera, HeadRenderer, Picture

_PANEL_PIXELS = (440, 560)  # width, height
_ROW_PIXELS = (300, 360)


def head_triptych(
    true: Float[np.ndarray, "V 3"],
    predicted: Float[np.ndarray, "V 3"],
    topology: Topology,
    *,
    camera: Camera = "front",
    focus: Sequence[int] | np.ndarray | None = None,
) -> Figure:
    """Draw the true head, the predicted head and, on the predicted head, the distance between them, from one camera.

    Args:
        true: (V, 3) metres.
        predicted: (V, 3) metres.
        topology: the mesh of both; its parts get their colours.
        camera: "front", "three_quarter" or "profile".
        focus: vertex indices to fit the camera to; the whole head when None.

    Returns:
        A figure with a scale bar in mm and a colour bar, whose last colour is the largest error, or 0.1 mm if that is
        larger; the largest and the mean error are below the third picture.

    Raises:
        ValueError: shapes that differ, or values that cannot be drawn.
        RenderingUnavailable: no GL on this machine.
    """
    if true.shape != predicted.shape:
        raise ValueError(f"predicted: shape {predicted.shape}, expected {true.shape} as true")
    error_mm = 1e3 * np.linalg.norm(predicted - true, axis=1)
    error_limit_mm = max(0.1, float(error_mm.max()))
    with HeadRenderer(true, topology, size=_PANEL_PIXELS, camera=camera, focus=focus) as renderer:
        pictures = [
            renderer.image(true),
            renderer.image(predicted),
            renderer.image(predicted, error_mm, error_limit_mm),
        ]
        mm_per_pixel = 1e3 * renderer.metres_per_pixel
    figure = Figure(figsize=(9.6, 4.3), layout="constrained")
    axes = figure.subplots(1, 3)
    names = ("true", "predicted", "error")
    colours = (palette.TRUE, palette.PREDICTED, "black")
    for panel, picture, name, colour in zip(axes, pictures, names, colours, strict=True):
        put_picture(panel, picture)
        panel.set_title(name, color=colour, fontweight="bold", fontsize=11)
    scale_bar(axes[0], mm_per_pixel)
    axes[2].set_xlabel(f"largest {error_mm.max():.2f} mm, mean {error_mm.mean():.2f} mm", fontsize=9)
    scale = ScalarMappable(Normalize(0.0, error_limit_mm), palette.ERROR_COLOURMAP)
    figure.colorbar(scale, ax=axes[2], label="error (mm)", shrink=0.8)
    return figure


def film_strip(
    pictures: Sequence[Picture],
    times: Sequence[float],
    phonemes: Sequence[str] | None = None,
    *,
    rows: Sequence[Sequence[Picture]] = (),
    row_names: Sequence[str] = (),
) -> Figure:
    """Show pictures side by side with their times and phonemes.

    Args:
        pictures: (height, width, 3) uint8, in the order of time.
        times: seconds, one for each picture.
        phonemes: IPA symbols, one for each picture; p, b and m are highlighted.
        rows: further rows of as many pictures, such as the prediction under the truth.
        row_names: a name for each row; "true" and "predicted" get their colours.

    Raises:
        ValueError: numbers of pictures, times, phonemes or names that differ.
    """
    grid = [pictures, *rows]
    count = len(pictures)
    if count == 0 or any(len(row) != count for row in grid) or len(times) != count:
        raise ValueError(f"times and rows: need {count} (and at least 1) of each, as there are pictures")
    if phonemes is not None and len(phonemes) != count:
        raise ValueError(f"phonemes: {len(phonemes)}, expected {count}")
    if row_names and len(row_names) != len(grid):
        raise ValueError(f"row_names: {len(row_names)}, expected {len(grid)}")
    height, width = pictures[0].shape[:2]
    # Placed by hand, in inches: pictures side by side leave no slack for an automatic layout to share out.
    panel_width = min(1.7, 12.0 / count)
    panel_height = panel_width * height / width
    left, bottom, top, gap = (0.32 if row_names else 0.05), 0.26, (0.36 if phonemes is not None else 0.05), 0.03
    figure_width = left + count * (panel_width + gap)
    figure_height = bottom + len(grid) * (panel_height + gap) + top
    figure = Figure(figsize=(figure_width, figure_height))
    for row_number, row in enumerate(grid):
        low = bottom + (len(grid) - 1 - row_number) * (panel_height + gap)
        for column, picture in enumerate(row):
            panel = figure.add_axes(
                (
                    (left + column * (panel_width + gap)) / figure_width,
                    low / figure_height,
                    panel_width / figure_width,
                    panel_height / figure_height,
                )
            )
            put_picture(panel, picture)
            if row_number == 0 and phonemes is not None:
                _label_phoneme(panel, phonemes[column])
            if row_number == len(grid) - 1:
                panel.set_xlabel(f"{times[column]:.2f} s", fontsize=9, labelpad=3)
            if column == 0 and row_names:
                name = row_names[row_number]
                panel.set_ylabel(name, color=palette.named(name), fontweight="bold", fontsize=10, labelpad=3)
    return figure


def _label_phoneme(panel: Axes, phoneme: str) -> None:
    closed = is_bilabial(phoneme)
    panel.annotate(
        phoneme or "–",
        (0.5, 1.0),
        (0, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        fontsize=12,
        fontweight="bold" if closed else "normal",
        bbox={"facecolor": palette.HIGHLIGHT if closed else "none", "edgecolor": "none", "pad": 2.5},
    )


def scale_bar(panel: Axes, mm_per_pixel: float) -> None:
    """Draw a bar of a round number of millimetres in the lower left corner of a picture of parallel projection."""
    low, high = panel.get_xlim()
    bottom, top = panel.get_ylim()
    pixels = abs(high - low)
    length_mm = max(n for n in (1, 2, 5, 10, 20, 50, 100) if n == 1 or n / mm_per_pixel < 0.35 * pixels)
    left = low + 0.05 * (high - low)
    height = bottom + 0.04 * (top - bottom)
    panel.plot([left, left + length_mm / mm_per_pixel], [height, height], color="black", linewidth=2.5)
    panel.annotate(
        f"{length_mm} mm",
        (left + length_mm / mm_per_pixel / 2, height),
        (0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8,
    )


def put_picture(panel: Axes, picture: Picture) -> None:
    """Put a picture into axes, without ticks or frame."""
    panel.imshow(picture, interpolation="antialiased")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)


def row_of_heads(
    heads: Float[np.ndarray, "N V 3"],
    topology: Topology,
    names: Sequence[str],
    *,
    camera: Camera = "front",
    focus: Sequence[int] | np.ndarray | None = None,
) -> Figure:
    """Draw heads of one topology in a row, all at one scale, with a name under each.

    Args:
        heads: (N, V, 3) metres.
        topology: the mesh of all of them; its parts get their colours.
        names: one for each head.
        camera: "front", "three_quarter" or "profile".
        focus: vertex indices to fit the camera to, on the first head; the whole head when None.

    Raises:
        ValueError: not one name for each head.
        RenderingUnavailable: no GL on this machine.
    """
    if len(names) != len(heads):
        raise ValueError(f"names: {len(names)}, expected {len(heads)}, one for each head")
    figure = Figure(figsize=(12.0, 12.0 / len(heads) * _ROW_PIXELS[1] / _ROW_PIXELS[0] + 0.3), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(heads)))
    with HeadRenderer(heads[0], topology, size=_ROW_PIXELS, camera=camera, focus=focus) as renderer:
        for panel, head, name in zip(panels, heads, names, strict=True):
            put_picture(panel, renderer.image(head))
            panel.set_xlabel(name, fontsize=11)
    return figure
