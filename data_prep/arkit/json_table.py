"""Tables of weights as JSON: those of Audio2Face, of the data set BEAT, and of LAM-Audio2Expression.

Audio2Face's are ``{exportFps, numFrames, numPoses, facsNames [P], weightMat [N][P]}``; those of BEAT and LAM
``{names [P], frames [{weights [P], time, rotation}]}``, where LAM adds ``metadata {fps, frame_count, blendshape_names}``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.arkit.weight_table import MOST_ROWS, Rows, WeightTable, checked_table, shape_columns
from otlib.errors import InputError
from otlib.files import read_json
from otlib.settings import FRAME_RATES


def read_json_table(path: Path) -> WeightTable:
    """Read one of the three kinds, told by what it names.

    Raises:
        InputError: it cannot be read, is of no known kind, contradicts itself, or :mod:`data_prep.arkit.weight_table`
            refuses names, times or weights.
    """
    content = read_json(path)
    if isinstance(content, dict) and {"facsNames", "weightMat"} <= content.keys():
        names, rows = _of_audio2face(path, content)
    elif isinstance(content, dict) and {"names", "frames"} <= content.keys():
        names, rows = _of_frames(path, content)
    else:
        raise InputError(f"{path}: is no table of weights, which names facsNames and weightMat (Audio2Face), or names and "
                         "frames (BEAT, LAM)")
    columns = shape_columns(path, names)
    places = list(columns.values())
    picked = [[weights[place] for place in places] for weights in rows.weights]
    return checked_table(path, list(columns), Rows(rows.word, rows.numbers, rows.times, picked))


def _of_audio2face(path: Path, content: Mapping[str, Any]) -> tuple[list[str], Rows]:
    names, matrix, rate = _names(path, content, "facsNames"), _list(path, content, "weightMat"), content.get("exportFps")
    if type(rate) not in (int, float) or rate not in FRAME_RATES:
        raise InputError(f"{path}: its exportFps must be a number, {FRAME_RATES}, but is {rate!r}")
    _check_count(path, content, "numFrames", len(matrix))
    _check_count(path, content, "numPoses", len(names))
    weights = [_row(path, number, row, len(names)) for number, row in enumerate(matrix)]
    return names, Rows("frame", range(len(matrix)), [number / rate for number in range(len(matrix))], weights)


def _of_frames(path: Path, content: Mapping[str, Any]) -> tuple[list[str], Rows]:
    names, frames = _names(path, content, "names"), _list(path, content, "frames")
    about = content.get("metadata") or {}
    if not isinstance(about, dict):
        raise InputError(f"{path}: its metadata is not an object")
    _check_count(path, about, "frame_count", len(frames))
    if about.get("blendshape_names", names) != names:
        raise InputError(f"{path}: its names and metadata.blendshape_names differ; export it again")
    times, weights = [], []
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict) or type(frame.get("time")) not in (int, float):
            raise InputError(f"{path}: frame {number} is not an object with weights and a time in seconds")
        times.append(float(frame["time"]))
        weights.append(_row(path, number, frame.get("weights"), len(names)))
    return names, Rows("frame", range(len(frames)), times, weights)


def _names(path: Path, content: Mapping[str, Any], key: str) -> list[str]:
    names = content[key]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: its {key} is not a list of names")
    return names


def _list(path: Path, content: Mapping[str, Any], key: str) -> list[Any]:
    rows = content[key]
    if not isinstance(rows, list):
        raise InputError(f"{path}: its {key} is not a list, one entry a frame")
    if len(rows) > MOST_ROWS:
        raise InputError(f"{path}: holds {len(rows):,} frames, at most {MOST_ROWS:,} are read; cut it into takes")
    return rows


def _check_count(path: Path, content: Mapping[str, Any], key: str, count: int) -> None:
    if key in content and content[key] != count:
        raise InputError(f"{path}: its {key} says {str(content[key])[:40]!r} where {count} are there; export it again")


def _row(path: Path, number: int, row: Any, width: int) -> Sequence[float]:
    if not isinstance(row, list) or len(row) != width or not all(type(value) in (int, float) for value in row):
        raise InputError(f"{path}: frame {number} is not a list of {width} numbers, as many as there are names")
    return row
