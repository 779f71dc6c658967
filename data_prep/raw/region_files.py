"""Regions of a face from users' mask files: FLAME's own pickle, and the peers' lists of vertices."""

import argparse
import re
from pathlib import Path

import numpy as np

from data_prep.raw.safe_pickle import read_pickle
from otlib.errors import InputError
from otlib.files import map_array, read_text

FLAME_VERTICES = 5023
FLAME_LIP_GAP = (3531, 3504)  # upper and lower vertex on the midline of FLAME's lips
UPPER_FACE_MASKS = ("forehead", "eye_region")

_SEPARATORS = re.compile(r"[\s,;\[\]()]+")


def read_indices(path: Path, vertex_count: int, first: int = 0) -> np.ndarray:
    """Read a list of vertices; return it sorted, without repeats, counted from 0.

    Args:
        path: a .npy of whole numbers, (N,), or text: numbers between commas, blanks or line ends (the peers' lve.txt and
            fdd.txt).
        vertex_count: V.
        first: 0, or 1 where the file counts from 1.

    Raises:
        InputError: no such file, anything but a list of whole numbers, or a vertex that does not exist.
    """
    if path.suffix.lower() == ".npy":
        numbers = map_array(path)
    else:
        words = [word for word in _SEPARATORS.split(read_text(path)) if word]
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError as error:
            raise InputError(f"{path}: cannot be read as a list of vertices ({error})") from error
    return _checked(numbers, vertex_count, first, path, "")


def read_flame_masks(path: Path) -> dict[str, np.ndarray]:
    """Read FLAME_masks.pkl: its lips, and forehead and eye_region together as the upper face.

    Raises:
        InputError: no such file, a pickle of anything but plain data, or a mask is missing or not a list of vertices.
    """
    masks = read_pickle(path)
    names = ("lips", *UPPER_FACE_MASKS)
    if not isinstance(masks, dict) or (missing := [name for name in names if name not in masks]):
        fault = "is not a dictionary of masks" if not isinstance(masks, dict) else f"lacks the mask {missing[0]}"
        raise InputError(f"{path}: {fault}; take FLAME's own FLAME_masks.pkl")
    lips, *upper = (_checked(_row(masks[name]), FLAME_VERTICES, 0, path, f"{name}: ") for name in names)
    return {"lips": lips, "upper_face": np.unique(np.concatenate(upper))}


def _row(mask: object) -> np.ndarray:
    """Return a mask as an array, empty if it is not a list of numbers: lists that share lists may expand without end."""
    plain = isinstance(mask, np.ndarray) or (isinstance(mask, list | tuple) and all(isinstance(n, int) for n in mask))
    return np.asarray(mask if plain else ())


def _checked(numbers: np.ndarray, vertex_count: int, first: int, path: Path, name: str) -> np.ndarray:
    if numbers.ndim != 1:
        raise InputError(f"{path}: {name}has shape {numbers.shape}, expected a list of vertices, (N,)")
    if numbers.dtype.kind not in "iuf" or not len(numbers):
        raise InputError(f"{path}: {name}is empty or not a list of whole numbers")
    if not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any():
        raise InputError(f"{path}: {name}holds a number that is not whole")
    numbers = np.unique(numbers)
    if numbers[0] < first or numbers[-1] >= first + vertex_count:
        wrong = numbers[0] if numbers[0] < first else numbers[-1]
        hint = "; does it count from 1? Then say --counted-from 1" if wrong == vertex_count and not first else ""
        raise InputError(f"{path}: {name}names vertex {wrong:.15g} (counted from {first}), there are {vertex_count}{hint}")
    return numbers.astype(np.int64) - first


def add_region_arguments(parser: argparse.ArgumentParser, lips: str, upper_face: str, lip_gap: str) -> None:
    """Declare the options that name regions; the texts describe their defaults."""
    add_lips_arguments(parser, lips)
    parser.add_argument("--upper-face", type=Path, metavar="FILE", help=f"the upper face's (default: {upper_face})")
    parser.add_argument("--lip-gap", type=int, nargs=2, metavar=("UPPER", "LOWER"),
                        help=f"the middle vertices of the upper and of the lower lip, from 0 (default: {lip_gap})")


def add_lips_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare the options that name the lips and say how lists of vertices count; the text describes the default."""
    parser.add_argument("--lips", type=Path, metavar="FILE",
                        help="the lips' vertices: text (numbers between commas, blanks or lines) or .npy (default: "
                             f"{default})")
    parser.add_argument("--counted-from", type=int, choices=(0, 1), default=0,
                        help="the number of the first vertex in such files (default: 0; ScanTalk's lists: 1)")


def named_regions(arguments: argparse.Namespace, vertex_count: int) -> dict[str, np.ndarray]:
    """Return the regions that the options name: some of "lips", "upper_face" and "lip_gap".

    Raises:
        InputError: a file cannot be read, or a vertex does not exist.
    """
    regions = {name: read_indices(path, vertex_count, arguments.counted_from)
               for name, path in (("lips", arguments.lips), ("upper_face", arguments.upper_face)) if path is not None}
    if arguments.lip_gap is not None:
        pair = np.array(arguments.lip_gap)
        if pair.min() < 0 or pair.max() >= vertex_count or pair[0] == pair[1]:
            raise InputError(f"--lip-gap is {pair[0]} {pair[1]}, it must be two of the {vertex_count} vertices, from 0")
        regions["lip_gap"] = pair
    return regions
