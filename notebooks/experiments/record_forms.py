"""The forms of a run's records, metrics.json, run.json and curves.json: looked at as a whole before anything is used."""

from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from otlib.errors import InputError
from otlib.files import read_object


def _named(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _has(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_NUMBER = {"type": "number", "minimum": -1e9, "maximum": 1e9}
_SCORE = {"anyOf": [_NUMBER, {"type": "null"}]}
_BELOW = _NUMBER | {"maximum": 1}  # 1 - error / other error, which is below 0 where a model is worse than the other
_CURVE = {"type": "array", "items": {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}}
_FORMS: dict[str, dict[str, Any]] = {  # of what the driver reads of them
    "metrics.json": {"properties": {"table": _named(_named(_SCORE)), "speakers": _named(_named(_named(_NUMBER))),
                                    "headline": _has({"below_still_face": _BELOW, "below_loudness_and_pitch": _BELOW})}},
    "run.json": {"properties": {"data": {"type": "object", "properties": {"provenance": {"type": "object"}},
                                         "required": ["checksum"]}, "trainings": _named({"type": "object"})}},
    "curves.json": _named(_has({"loss": _CURVE, "validation_lip_mm": _CURVE})),
}


def record_of(folder: Path, name: str, *needs: str) -> dict[str, Any]:
    """Return a record of a run.

    Args:
        folder: of the run's results.
        name: of the file: metrics.json, run.json or curves.json.
        needs: entries that it must have.

    Raises:
        InputError: it cannot be read, or is not as a run leaves it.
    """
    record = read_object(folder / name)
    if error := best_match(Draft202012Validator(_FORMS[name] | {"required": needs}).iter_errors(record)):
        raise InputError(f"{folder / name}: {error.json_path.removeprefix('$').lstrip('.') or 'the whole'} is not as a run "
                         f"leaves it ({error.message}); make the run again")
    return record
