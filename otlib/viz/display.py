"""Pictures in notebooks: PNG with words for those who cannot see it, and a copy on disk where results are kept."""

import io
from pathlib import Path

import IPython.display
import matplotlib.pyplot
import numpy as np
import PIL.Image
from matplotlib.figure import Figure

from otlib.files import atomic_write


def show(picture: Figure | np.ndarray, alt: str, save: Path | str | None = None, *,
         colours: int | None = None) -> IPython.display.Image:
    """Return a picture for the end of a notebook cell.

    Args:
        picture: a matplotlib figure, closed here, or an image (H, W, 3) uint8.
        alt: what it shows, with its main number.
        save: also write the PNG there.
        colours: at most as many colours, 2 to 256; shaded pictures take a third of the room with 256. All when None.
    """
    buffer = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
        matplotlib.pyplot.close(picture)
    else:
        PIL.Image.fromarray(picture).save(buffer, format="png", optimize=True)
    if colours is not None:
        reduced = PIL.Image.open(buffer).convert("RGB").quantize(colours, dither=PIL.Image.Dither.NONE)
        buffer = io.BytesIO()
        reduced.save(buffer, format="png", optimize=True)
    if save is not None:
        with atomic_write(save) as temporary:
            temporary.write_bytes(buffer.getvalue())
    return IPython.display.Image(buffer.getvalue(), format="png", alt=alt)
