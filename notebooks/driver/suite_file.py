"""suite.yaml: its form, looked at as a whole before anything of it is used."""

from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from otlib.errors import InputError
from otlib.files import read_yaml


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [name for name in properties if name not in optional],
            "additionalProperties": False}


def _named(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "propertyNames": _NAME, "additionalProperties": values, "minProperties": 1}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "uniqueItems": True}


_NAME = {"type": "string", "pattern": r"^(?!\.)[A-Za-z0-9._-]{1,64}\Z"}
_NOTEBOOK = {"type": "string", "pattern": r"^(?!\.)[A-Za-z0-9._-]{1,64}(/(?!\.)[A-Za-z0-9._-]{1,64})?\Z"}  # below notebooks/
_PATH = {"type": "string", "pattern": r"^(?!/)(?!.*\.\.)([^{}\\\n]|\{(profile|run|head|model)\})+\Z"}  # below the checkout
_SECONDS = {"type": "integer", "minimum": 1, "maximum": 10_000_000}
_PARAMETERS = {"type": "object"}  # whose names and kinds the notebook decides
_TIMES = {"budget": _SECONDS, "usual": _SECONDS}
_PROFILE = _object({**_TIMES, "parameters": _PARAMETERS, "another_method": _object(_TIMES)},
                   ("parameters", "another_method"))
_STEP = _object({"name": _NAME, "needs": _list(_NAME), "reads": _list(_PATH), "outputs": _list(_PATH),
                 "budget_a_second": _SECONDS, "usual_a_second": _SECONDS, "profiles": _named(_PROFILE)},
                ("needs", "reads", "outputs", "budget_a_second", "usual_a_second"))
_SWEEP = _object({"name": _NAME, "notebook": _NOTEBOOK, "profile": _NAME, "needs": _list(_NAME), "budget": _SECONDS,
                  "seeds": {"type": "integer", "minimum": 1, "maximum": 10_000}, "parameters": _PARAMETERS,
                  "cells": _named(_PARAMETERS)}, ("needs", "parameters"))
_FORM = Draft202012Validator(_object({"profiles": {**_list(_NAME), "minItems": 1},
                                      "notebooks": _list(_STEP),
                                      "sweeps": _list(_SWEEP)}, ("sweeps",)))


def read_suite_file(file: Path) -> dict[str, Any]:
    """Read suite.yaml.

    Raises:
        InputError: it cannot be read or has another form; the message names the place in it.
    """
    suite = read_yaml(file)
    if error := best_match(_FORM.iter_errors(suite)):
        raise InputError(f"{file.name}: {error.json_path.removeprefix('$').lstrip('.') or 'the whole'}: {error.message}")
    names = [entry["name"] for entry in suite["notebooks"]]
    for part in ("notebooks", "sweeps"):
        named = [entry["name"] for entry in suite.get(part, ())]
        if twice := {name for name in named if named.count(name) > 1}:
            raise InputError(f"{file.name}: {part} has {', '.join(sorted(twice))} twice")
    for number, entry in enumerate(suite["notebooks"]):
        if unknown := set(entry.get("needs", ())) - set(names[:number]):
            raise InputError(f"{file.name}: {entry['name']} needs {', '.join(sorted(unknown))}, which must stand before it")
        if entry["profiles"].keys() != set(suite["profiles"]):
            raise InputError(f"{file.name}: {entry['name']} must have the profiles {', '.join(suite['profiles'])}")
    for entry in suite.get("sweeps", ()):
        if unknown := set(entry.get("needs", ())) - set(names):
            raise InputError(f"{file.name}: sweep {entry['name']} needs {', '.join(sorted(unknown))}, of which there is no "
                             "notebook")
        if entry["profile"] not in suite["profiles"]:
            raise InputError(f"{file.name}: sweep {entry['name']} has the profile {entry['profile']!r}; there are "
                             f"{', '.join(suite['profiles'])}")
    return suite
