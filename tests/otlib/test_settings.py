"""Numbers and names that a person sets: what is allowed is said once, and everything else is refused by its name."""

import argparse
import dataclasses
import math
from dataclasses import MISSING, dataclass, field

import pytest

from otlib.errors import LONGEST_LINE, InputError
from otlib.losses import LossSettings
from otlib.models.ottalk import ModelSettings
from otlib.settings import FRAME_RATES, SEEDS, Range, bounded, check, made, number_of, one_of
from otlib.train.checkpoint import ModelFacts
from otlib.train.settings import TrainSettings

WHOLE = {ModelSettings: {"feature_layers": 1, "feature_channels": 3}, LossSettings: {}, TrainSettings: {},
         ModelFacts: {"frame_rate": 30.0, "encoder": "bundled", "fingerprint": "0"}}
FIELDS = [(kind, one) for kind in WHOLE for one in dataclasses.fields(kind)]
NAMES = [f"{kind.__name__}.{one.name}" for kind, one in FIELDS]


@dataclass(frozen=True)
class Inner:
    """Of the example."""

    count: int = bounded(2, 1, 5)

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Example:
    """One field of each kind."""

    needed: int = bounded(MISSING, 0, 10)
    share: float = bounded(0.5, 0, 1, below=True)
    rate: float = bounded(1.0, 0, 2, above=True)
    most: int | None = bounded(None, 0, 9)
    sizes: tuple[int, ...] = bounded((1, 2), 1, 5)
    kind: str = one_of("a", ("a", "b"))
    name: str = "n"
    switch: bool = False
    inner: Inner = field(default_factory=Inner)
    rest: dict = field(default_factory=dict)

    def __post_init__(self):
        check(self)


@pytest.mark.parametrize(("low", "high", "above", "below", "members", "others", "text"), [
    (0, 1, False, False, (0, 1, 0.5), (-1e-9, 1 + 1e-9), "at least 0 and at most 1"),
    (0, 1, True, False, (1e-300, 1), (0, 1.1), "above 0 and at most 1"),
    (0, 1, False, True, (0, 1 - 1e-9), (1, -1), "at least 0 and below 1"),
    (1, 2**32 - 1, False, False, (1, 2**32 - 1), (0, 2**32, 10**400, -10**400), "at least 1 and at most 4294967295"),
])
def test_ranges(low, high, above, below, members, others, text):
    allowed = Range(low, high, above, below)
    assert all(value in allowed for value in members) and str(allowed) == text
    assert not any(value in allowed for value in (*others, math.nan, math.inf, -math.inf))


def test_settings_are_made_of_what_json_holds():
    assert made(Example, {"needed": 3}, "x") == Example(3)
    given = {"needed": 10, "share": 0, "rate": 2, "most": 9, "sizes": [5, 1], "kind": "b", "name": "", "switch": True,
             "inner": {"count": 5}, "rest": {"a": [1]}}
    assert made(Example, given, "x") == Example(10, 0.0, 2.0, 9, (5, 1), "b", "", True, Inner(5), {"a": [1]})
    assert made(Example, {"needed": 0, "inner": Inner(1)}, "x").inner == Inner(1)


@pytest.mark.parametrize(("values", "sentence"), [
    ([1], "x: must be an object of names and values, but is [1]"), (None, "x: must be an object"),
    ({}, "x: needed is missing"),
    ({"needed": 1, "more": 2}, "x: there is no setting 'more'; there are needed, share"),
    ({"needed": "1"}, "x: needed must be a whole number, but is '1'"), ({"needed": 1.0}, "needed must be a whole number"),
    ({"needed": True}, "needed must be a whole number, but is True"), ({"needed": None}, "needed must be a whole number"),
    ({"needed": 11}, "needed must be at least 0 and at most 10, but is 11"),
    ({"needed": 10**400}, "needed must be at least 0"),
    ({"needed": 1, "share": 1.0}, "share must be at least 0 and below 1, but is 1.0"),
    ({"needed": 1, "share": "0"}, "share must be a number"), ({"needed": 1, "share": True}, "share must be a number"),
    ({"needed": 1, "share": math.nan}, "share must be at least 0"), ({"needed": 1, "rate": 0}, "rate must be above 0"),
    ({"needed": 1, "most": "9"}, "most must be a whole number or null"),
    ({"needed": 1, "most": 10}, "most must be at least 0"),
    ({"needed": 1, "sizes": 3}, "sizes must be a list, but is 3"),
    ({"needed": 1, "sizes": {"a": 1}}, "sizes must be a list"),
    ({"needed": 1, "sizes": [1, 6]}, "sizes must be a list in which each is at least 1 and at most 5"),
    ({"needed": 1, "sizes": [[1]]}, "sizes must be a list in which each is a whole number"),
    ({"needed": 1, "kind": "c"}, "kind must be one of 'a', 'b', but is 'c'"),
    ({"needed": 1, "kind": []}, "kind must be text"),
    ({"needed": 1, "name": 3}, "name must be text"),
    ({"needed": 1, "name": "n" * 5000}, "name must be text of at most 4096"),
    ({"needed": 1, "switch": 1}, "switch must be true or false"), ({"needed": 1, "rest": []}, "rest must be an object"),
    ({"needed": 1, "inner": {"count": 6}}, "x: inner: count must be at least 1 and at most 5, but is 6"),
    ({"needed": 1, "inner": 6}, "x: inner: must be an object"),
])
def test_what_is_not_allowed_is_refused_by_its_name(values, sentence):
    with pytest.raises(InputError) as caught:
        made(Example, values, "x")
    said = str(caught.value)
    assert sentence in said and said.startswith("x: ") and len(said) <= LONGEST_LINE and "\n" not in said


@pytest.mark.parametrize("kind", WHOLE)
def test_every_number_has_bounds(kind):
    for one in dataclasses.fields(kind):
        if any(number in str(one.type) for number in ("int", "float")):
            assert isinstance(one.metadata["allowed"], Range), one.name
            assert math.isfinite(one.metadata["allowed"].low) and math.isfinite(one.metadata["allowed"].high)


ODD = [None, True, "16", "", "\x1b[2J", -1, 10**30, 1e300, -0.5, math.nan, math.inf, [], [1], ["a"], {}, {"a": 1}, [[[[]]]]]


@pytest.mark.parametrize(("kind", "one"), FIELDS, ids=NAMES)
def test_odd_values_of_every_setting_are_refused_by_its_name_or_allowed(kind, one):
    for value in ODD:
        try:
            settings = made(kind, WHOLE[kind] | {one.name: value}, "x.json")
        except InputError as error:
            assert one.name in str(error) and str(error).startswith("x.json: ") and str(error).isprintable()
        else:
            kept, allowed = getattr(settings, one.name), one.metadata.get("allowed")
            values = kept if isinstance(kept, tuple) else (kept,)
            assert all(number in allowed for number in values) if isinstance(allowed, Range) and kept is not None else (
                kept is None or allowed is None or kept in allowed)


@pytest.mark.parametrize(("kind", "text", "value"), [(int, "3", 3), (int, "4294967295", 2**32 - 1)])
def test_numbers_of_the_command_line(kind, text, value):
    assert number_of(kind, SEEDS)(text) == value
    assert number_of(float, FRAME_RATES)("29.97") == 29.97


@pytest.mark.parametrize("text", ["", "a", "-1", "1.5", str(2**32), "9" * 5000, "nan", "inf", "1e3", "\n"])
def test_other_texts_are_refused_with_what_is_allowed(text):
    with pytest.raises(argparse.ArgumentTypeError,
                       match="must be a whole number, at least 0 and at most 4294967295, but is ") as caught:
        number_of(int, SEEDS)(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 2 * LONGEST_LINE
