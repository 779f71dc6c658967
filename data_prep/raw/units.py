"""Units and axes of people's files, and whether a face in them has a face's size."""

import argparse

import numpy as np

from otlib.errors import InputError
from otlib.heads import AXES
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


def add_frame_arguments(parser: argparse.ArgumentParser, what: str = "the mesh") -> None:
    """Declare the options that say what is known of a head's unit and axes, which are found otherwise."""
    parser.add_argument("--unit", type=metres_per_unit, metavar="UNIT",
                        help=UNIT_HELP.replace("the vertices", what).replace("(default: m)",
                                                                             "(default: found by the mouth's width)"))
    parser.add_argument("--up", choices=AXES, metavar="AXIS",
                        help=f"the way up in {what}: x, y, z, or --up=-x and so on (default: found by the nose)")
    parser.add_argument("--forward", choices=AXES, metavar="AXIS", help="the way out of its face (default: found)")


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
