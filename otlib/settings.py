"""Settings from outside: the allowed values of each, declared once beside its field and checked on entry."""

import argparse
import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from otlib.errors import InputError, shown

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both finite; ``above`` excludes ``low`` itself, ``below`` ``high``."""

    low: int | float
    high: int | float
    above: bool = False
    below: bool = False

    def __contains__(self, value: int | float) -> bool:
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        return (f"{'above' if self.above else 'at least'} {self.low:.15g} and "
                f"{'below' if self.below else 'at most'} {self.high:.15g}")


# our choices: beyond any use, and within what a laptop can bear
SEEDS = Range(0, 2**32 - 1)
THREADS = Range(1, 1024)
FRAME_RATES = Range(1, 1000)  # Hz, of motion
SOUND_RATES = Range(1000, 1_000_000)  # Hz
HOURS = Range(0, 100, above=True)  # of speech to be made
SENTENCES = Range(1, 10_000)  # of a speaker
COPIES = Range(0, 100)
STEPS = Range(1, 10_000_000)
_NAME_LENGTH = 4096  # letters of a text
_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "an object", tuple: "a list"}


def bounded(default: Any, low: int | float, high: int | float, *, above: bool = False, below: bool = False) -> Any:
    """Declare a dataclass's field whose number, or each of whose numbers, lies in a :class:`Range`.

    Args:
        default: default value; ``dataclasses.MISSING`` for none.
        low, high, above, below: see :class:`Range`.
    """
    return dataclasses.field(default=default, metadata={"allowed": Range(low, high, above, below)})


def one_of(default: str, names: Sequence[str]) -> Any:
    """Declare a dataclass's field whose text is one of some names."""
    return dataclasses.field(default=default, metadata={"allowed": tuple(names)})


def check(settings: Any) -> None:
    """Check kind and range of every field of a dataclass; its ``__post_init__`` calls this.

    Raises:
        ValueError: a value is of another kind or not allowed; the message names field, value and what is allowed.
    """
    _check(type(settings), vars(settings))


def _check(kind: type, values: Mapping[str, Any]) -> None:
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.name in values and (fault := _fault(values[field.name], hints[field.name], field.metadata.get("allowed"))):
            raise ValueError(f"{field.name} must be {fault}, but is {values[field.name]!r}")


def _fault(value: Any, kind: Any, allowed: Any) -> str | None:
    """Return what a value must be, or None if it is that."""
    options, origin = typing.get_args(kind), typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        faults = [_fault(value, option, allowed) for option in options if option is not type(None)]
        none = " or null" if type(None) in options else ""
        return None if None in faults or (value is None and none) else f"{faults[0]}{none}"
    plain = origin or kind
    accepted = (int, float) if plain is float else plain
    if not isinstance(value, accepted) or (isinstance(value, bool) and plain is not bool):
        return _KINDS.get(plain, plain.__name__)
    if plain is tuple:
        faults = {_fault(item, options[0], allowed) for item in value} - {None}
        return f"a list in which each is {faults.pop()}" if faults else None
    if isinstance(allowed, tuple) and value not in allowed:
        return f"one of {', '.join(map(repr, allowed))}"
    if isinstance(allowed, Range) and value not in allowed:
        return str(allowed)
    if plain is str and len(value) > _NAME_LENGTH:
        return f"text of at most {_NAME_LENGTH} letters"
    return None


def made(kind: type[Settings], values: Any, what: object) -> Settings:
    """Return settings from a value of JSON or YAML: an object of those that differ from the defaults.

    Args:
        kind: a dataclass that checks itself; its fields may be dataclasses too, and lists become tuples.
        values: the settings by name.
        what: the file and its part that hold them, for messages.

    Raises:
        InputError: no object, an unknown or missing name, or a value that is not allowed.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{what}: must be an object of names and values, but is {values!r}")
    hints, known = typing.get_type_hints(kind), {field.name: field for field in dataclasses.fields(kind)}
    if unknown := [name for name in values if name not in known]:
        raise InputError(f"{what}: there is no setting {unknown[0]!r}; there are {', '.join(known)}")
    required = [name for name, field in known.items() if field.default is field.default_factory is dataclasses.MISSING]
    if missing := [name for name in required if name not in values]:
        raise InputError(f"{what}: {missing[0]} is missing")
    converted = {name: _converted(value, hints[name], f"{what}: {name}") for name, value in values.items()}
    try:
        _check(kind, converted)
        return kind(**converted)
    except ValueError as error:
        raise InputError(f"{what}: {error}") from error


def _converted(value: Any, kind: Any, what: str) -> Any:
    """Return a value of JSON as its field holds it: a tuple for a list, a float for a whole number in a field of numbers."""
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else made(kind, value, what)
    if isinstance(value, list):
        return tuple(_converted(item, (*typing.get_args(kind), None)[0], what) for item in value)
    return float(value) if kind is float and type(value) is int else value


def number_of(kind: type, allowed: Range) -> Callable[[str], int | float]:
    """Return a type of ``argparse`` for a number on the command line.

    Args:
        kind: int or float.
        allowed: the range.
    """
    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if value not in allowed:
            raise argparse.ArgumentTypeError(f"must be {_KINDS[kind]}, {allowed}, but is {shown(text)!r}")
        return value

    return read
