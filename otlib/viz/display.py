"""Pictures in notebooks: PNG, its story in words below and as its alternative text, and a copy on disk of results."""

import io
from pathlib import Path

import IPython.display
import matplotlib.pyplot
import numpy as np
import PIL.Image
from matplotlib.figure import Figure

from otlib.files import atomic_write


class CaptionedImage(IPython.display.Image):
    """A picture that a notebook shows with its alternative text below, so that everybody reads it."""

    def _ipython_display_(self) -> None:
        picture = IPython.display.Image(self.data, format="png", alt=self.alt)
        IPython.display.display(picture, IPython.display.Markdown(f"{self.alt[:1].upper()}{self.alt[1:]}."))


def show(picture: Figure | np.ndarray, alt: str, save: Path | str | None = None, *,
         colours: int | None = None) -> CaptionedImage:
    """Return a picture for the end of a notebook cell.

    Args:
        picture: a matplotlib figure, closed here, or an image (H, W, 3) uint8.
        alt: what it shows, with its main number, without a full stop; its caption, too.
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
    return CaptionedImage(buffer.getvalue(), format="png", alt=alt)
