"""Pictures in notebooks: a PNG with its description as caption and alternative text, and a copy of it on disk."""

import io
from pathlib import Path

import IPython.display
import matplotlib.pyplot
import numpy as np
import PIL.Image
from matplotlib.figure import Figure

from otlib.files import atomic_write


class CaptionedImage(IPython.display.Image):
    """A picture that a notebook shows with its alternative text below it, for all readers."""

    def _ipython_display_(self) -> None:
        picture = IPython.display.Image(self.data, format="png", alt=self.alt)
        IPython.display.display(picture, IPython.display.Markdown(f"{self.alt[:1].upper()}{self.alt[1:]}."))


def show(picture: Figure | np.ndarray, alt: str, save: Path | str | None = None, *,
         colours: int | None = None) -> CaptionedImage:
    """Return a picture for the end of a notebook cell.

    Args:
        picture: a matplotlib figure, which is closed here, or an image (H, W, 3) uint8.
        alt: what the picture shows, with its main number, without a full stop; also its caption.
        save: a path to write the PNG to as well.
        colours: the most colours to use, 2 to 256; with 256, a shaded picture takes a third of the space. All when None.
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
