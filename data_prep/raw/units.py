"""Units of length in people's files, and whether a face in them has a face's size."""

import argparse

import numpy as np

from otlib.errors import InputError
from otlib.settings import Range

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}  # metres
UNIT_HELP = "unit of the vertices: m, cm, mm, or its length in metres, such as 0.0254 (default: m)"
_LENGTHS = Range(1e-6, 1000)  # metres; our choice: a micrometre to a kilometre, beyond any file's unit
_SMALLEST, _LARGEST = 0.05, 2.0  # metres; bounds on the size of a face, or of a person down to the chest


def metres_per_unit(text: str) -> float:
    """Return the length of a unit in metres; a type of ``argparse``.

    Args:
        text: m, cm, mm, or a length in metres.

    Raises:
        ArgumentTypeError: it is none, or no file's unit is so short or so long.
    """
    if text in UNITS:
        return UNITS[text]
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if value not in _LENGTHS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(UNITS)} and no length in metres, {_LENGTHS}")
    return value


def check_size(vertices: np.ndarray, what: object) -> None:
    """Refuse a face that no person has.

    Args:
        vertices: (V, 3) metres.
        what: the file or folder, and what in it, for the message.

    Raises:
        InputError: its longest side is below 5 cm or above 2 m.
    """
    extent = float(np.ptp(vertices, axis=0).max())
    if not _SMALLEST <= extent <= _LARGEST:
        raise InputError(f"{what} measures {extent:.3g} m, which no face does; say the unit with --unit")
