"""The doors of the notebooks' driver, up to where a kernel would start."""

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz import options
from tests.fuzz.bases import SUITE
from tests.fuzz.calls import driver
from tests.fuzz.case import ACCEPTED, EITHER, REFUSED, Door, Trial, Way
from tests.fuzz.doors_of_models import _ALL_SETTINGS, _SETTINGS
from tests.fuzz.spoiled import (
    CONTENT,
    DEEP,
    DIGITS,
    ENTRY,
    GONE,
    JSON,
    LIST,
    NUMBER,
    OBJECT,
    Changes,
    _texts,
    fields,
    put,
    ways,
)
from tests.fuzz.spoiled_media import GOOD_SOUND, SOUND

_R = "in/suite"
_PLAN, _AUDIO, _SAID = f"{_R}/notebooks/suite.yaml", f"{_R}/speech.wav", f"{_R}/said.txt"
_SOUND = (Way("sound", "as it is", lambda trial: None, (), ACCEPTED),)
YAML: Changes = _texts(
    {
        "deep lists": "[" * DEEP + "]" * DEEP,
        "anchors in anchors": "a: &a [x, x]\n"
        + "".join(
            f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
        ),
        "a list of itself": "&a [*a]",
        "a command": "!!python/object/apply:os.system ['touch pwned']",
        "a tab": "a:\n\t- b",
        "two documents": "a: 1\n---\nb: 2\n",
        "an unknown anchor": "a: *b",
        "5,000 digits": f"profiles: {DIGITS}",
        "not UTF-8": b"a: \xff\xfe",
        "NUL": b"a: \0",
        "nothing": "",
        "null": "null",
        "text": "text",
        "a number": "17",
        "a list": "[]",
        "an object": "{}",
    }
)

_VALUES: Mapping[str, Any] = {
    "null": None,
    "true": True,
    "a number": 17,
    "a negative number": -1,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "text": "text",
    "a list": [],
    "a list of a list": [[1]],
    "an object": {},
    "a date": "@2024-01-01",
}


def _plan(path: tuple[str | int, ...], value: Any) -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        plan = inner = copy.deepcopy(SUITE)
        for key in path[:-1]:
            inner = inner[key]
        if value is GONE:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        put(trial.folder / _PLAN, yaml.safe_dump(plan).replace("'@2024-01-01'", "2024-01-01"))

    return change


def plan_ways(
    fits: Mapping[tuple[str | int, ...], tuple[str, ...]], extra: Mapping[tuple[str | int, ...], Mapping[str, Any]]
) -> list[Way]:
    """Return a way for each value that an entry of suite.yaml may not have.

    Args:
        fits: paths of entries to the names of values that they may have.
        extra: more values that they may not have; GONE leaves the entry out.
    """

    def way(path: tuple[str | int, ...], name: str, value: Any) -> Way:
        words = (
            "suite.yaml",
            str([key for key in path if isinstance(key, str)][-1]),
            str(value).lstrip("@") or "suite.yaml",
        )
        return Way("yaml", f"suite.yaml: {'.'.join(map(str, path))} is {name}", _plan(path, value), words)

    return [way(path, name, value) for path, fit in fits.items() for name, value in _VALUES.items() if name not in fit] + [
        way(path, name, value) for path, values in extra.items() for name, value in values.items()
    ]


_NB = ("notebooks", 1)
_FAST = (*_NB, "profiles", "fast")
_PLANS = plan_ways(
    {
        ("profiles",): (),
        ("notebooks",): (),
        _NB: (),
        (*_NB, "name"): (),
        (*_NB, "needs"): ("a list",),
        (*_NB, "outputs"): ("a list",),
        (*_NB, "reads"): ("a list",),
        (*_NB, "profiles"): (),
        _FAST: (),
        (*_FAST, "budget"): ("a number",),
        (*_FAST, "usual"): ("a number",),
        (*_FAST, "parameters"): ("an object",),
    },
    {
        (*_NB, "name"): {
            "a path out": "../../02_use",
            "of no notebook": "07_nothing",
            "of another": "01_make",
            "gone": GONE,
            "escapes": "a\x1b[31m\nb",
        },
        (*_NB, "needs"): {"what is not there": ["09_nothing"], "itself": ["02_use"]},
        (*_NB, "outputs"): {
            "a path out": ["../../../mine"],
            "an unknown place": ["{nowhere}/x"],
            "an open brace": ["{"],
            "an attribute": ["{run.__class__}"],
            "from the root": ["/etc/mine"],
        },
        (*_FAST, "budget"): {"gone": GONE, "zero": 0, "10^30": 10**30},
        (*_FAST, "usual"): {"gone": GONE},
        (*_NB, "profiles"): {"gone": GONE},
        (*_FAST, "parameters"): {"unknown": {"ODD": 1}, "a number's name": {1: 2}},
        ("odd",): {"unknown": 1},
        (*_NB, "odd"): {"unknown": 1},
    },
)
_SW = ("sweeps", 0)
_SWEEPS = plan_ways(
    {
        ("sweeps",): ("a list",),
        _SW: (),
        (*_SW, "name"): (),
        (*_SW, "notebook"): (),
        (*_SW, "profile"): (),
        (*_SW, "needs"): ("a list",),
        (*_SW, "seeds"): ("a number",),
        (*_SW, "budget"): ("a number",),
        (*_SW, "parameters"): ("an object",),
        (*_SW, "cells"): (),
        (*_SW, "cells", "less"): ("an object",),
    },
    {
        (*_SW, "notebook"): {"a path out": "../../x", "of no notebook": "sweeps/none"},
        (*_SW, "seeds"): {"zero": 0, "gone": GONE, "10^30": 10**30},
        (*_SW, "cells"): {
            "of a path": {"../../mine": {}},
            "of an unknown parameter": {"full": {"ODD": 1}},
            "of numbers": {1: {}},
            "of escapes": {"a\x1b[31m": {}},
        },
        (*_SW, "needs"): {"what is not there": ["09_nothing"]},
        (*_SW, "profile"): {"unknown": "nobody's", "a path": "../fast"},
    },
)


def _parameter(name: str, value: str, only: str = "01_make") -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        trial.arguments += ["--only", only, "-p", name, value]

    return change


_ODD = [
    "nan",
    "inf",
    "1e999",
    "@x",
    "2024-01-01",
    "[1, 2",
    "{",
    "&a [*a]",
    "[" * 5000,
    DIGITS,
    "",
    "None",
    "!!python/object:x {}",
    "lambda: 1",
    "\udcff",
    "a\x1b[31m\nb",
    "{1: {2: 3}}",
    "1j",
    "b'x'",
    "...",
    "(1, 2)",
    "true",
    "'open",
    "-1",
    "0x10",
    "1_0",
    "*",
]
_PARAMETERS = [
    Way(
        "parameter",
        f"-p COUNT {value[:30]!r}",
        _parameter("COUNT", value),
        ("COUNT",),
        EITHER if value in ("0x10", "1_0", "-1") else "refused",
    )
    for value in _ODD
]
_PARAMETERS += [
    Way(
        "parameter",
        f"-p {name[:30]!r} 3",
        _parameter(name, "3"),
        (name[:30] if name.isprintable() and name else "parameter",),
    )
    for name in ("", "ODD", "count", "COUNT ", "a b", "x" * 3000, "__class__", "PROFILE", "a\x1b[31m\nb")
]
_PARAMETERS += [
    Way("parameter", f"-p RATE {value}", _parameter("RATE", value), (), ACCEPTED) for value in ("3", "1e-3", "0.5")
]
_PARAMETERS += [
    Way("parameter", f"-p OUT {value[:30]!r}", _parameter("OUT", value, "02_use"), ("OUT", value[:30]), EITHER)
    for value in ("", "3", "[1]", "None", "x" * 5000, "/proc/x", _AUDIO)
]
_NAMES = [
    "",
    "../mine",
    "/tmp",
    ".",
    "..",
    ".hidden",
    "a/b",
    "a b",
    "x" * 300,
    "a\x1b[31m\nb",
    "$(touch pwned)",
    "-x",
    "reference",
    "compare",
    "\udcff",
    "a`touch pwned`",
]


def run_names(option: str) -> list[Way]:
    """Return a way for each name that a run may not have."""
    return options.texts(option, [name for name in _NAMES if name], ("run", option, "profile"))


def _stamp(spoil: Callable) -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        folder = trial.folder / _R / "results/runs/fast/notebooks"
        folder.mkdir(parents=True)
        for name, content in (("01_make.done.json", json.dumps({"key": "x", "outputs": {}})), ("01_make.ipynb", "{}")):
            (folder / name).write_text(content)
        spoil(folder / "01_make.done.json", trial.random)

    return change


def _method(*words: str) -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        trial.arguments += ["--audio", _AUDIO, "--method", "kmtalk", *words]

    return change


_METHODS = [
    *options.texts("--method", ["", "KMTalk", "a\x1b[31m\nb", "x" * 5000], ("--method",)),
    *options.texts("--keys", ["", "frames"], ("--keys",)),
    *options.texts("--text", ["", "Hello."], ("--text",)),
    *(
        Way("text", f"kmtalk with {words[0]} {words[1][:20]!r}", _method(*words), words[:1] + ("text",), verdict)
        for words, verdict in (
            (("--keys", "every"), ACCEPTED),
            (("--keys", "true"), REFUSED),
            (("--keys", "whisper\x1b[31m"), REFUSED),
            (("--keys", " "), REFUSED),
            (("--text", ""), REFUSED),
            (("--text", "\udcff"), REFUSED),
            (("--text", "@"), REFUSED),
            (("--text", f"@{_SAID}", "--keys", "every"), REFUSED),
        )
    ),
    *ways("text", _SAID, (ENTRY, CONTENT), ("text",), then=_method("--text", f"@{_SAID}")),
]
_RUN_WRITES = (f"{_R}/results/runs", f"{_R}/data", "3", "[1]", "None")  # the last are what -p OUT names
RUN = Door(
    "driver",
    driver("notebooks.driver.run"),
    (
        *_SOUND,
        *ways("yaml", _PLAN, (ENTRY, CONTENT, YAML)),
        *_PLANS,
        *_PARAMETERS,
        *run_names("--run"),
        *run_names("--profile"),
        *options.texts(
            "--only", ["", "09_nothing", "01_make.ipynb", "../01_make", "a\x1b[31m\nb", "x" * 5000], ("notebook", "--only")
        ),
        *(
            Way(
                way.kind,
                f"--audio {way.name}",
                lambda trial, way=way: (way.apply(trial), trial.option("--audio", _AUDIO)),
                way.words,
            )
            for way in ways("sound", _AUDIO, (ENTRY, CONTENT, SOUND))
        ),
        *(
            Way(
                "sound",
                f"good --audio {way.name}",
                lambda trial, way=way: (way.apply(trial), trial.option("--audio", _AUDIO)),
                (),
                ACCEPTED,
            )
            for way in ways("sound", _AUDIO, (GOOD_SOUND,))
        ),
        *(
            Way(
                "name",
                way.name,
                lambda trial, way=way: (trial.option("--audio", _AUDIO), way.apply(trial)),
                way.words,
                way.verdict,
            )
            for way in options.evil_names(_AUDIO, ".wav", unicode=True)  # a notebook holds no other
        ),
        *(
            Way("stamp", f"a stamp: {name}", _stamp(spoil), ("01_make", "results/runs/fast"), EITHER)
            for group in (JSON, ENTRY, CONTENT)
            for name, spoil in group.items()
            if name != "missing"
        ),
        *ways("json", f"{_R}/notebooks/01_make.ipynb", (ENTRY, CONTENT, JSON)),
        *_METHODS,
    ),
    ("suite",),
    (),
    outputs=_RUN_WRITES,
)
SWEEP = Door(
    "sweep",
    driver("notebooks.driver.sweep"),
    (
        *_SOUND,
        *ways("yaml", _PLAN, (ENTRY, CONTENT, YAML)),
        *_SWEEPS,
        *options.numbers({"--seeds": options.COUNT, "--jobs": options.COUNT}),
        *options.texts("--only", ["", "none", "../full", "a\x1b[31m\nb"], ("cell", "--only")),
        *run_names("--run"),
        *(
            Way(
                "text",
                f"the sweep {name!r}",
                lambda trial, name=name: trial.arguments.__setitem__(0, name),
                ("sweep", "name"),
            )
            for name in ("", "none", "../small", "a\x1b[31m\nb")
        ),
        *ways("json", f"{_R}/data/fast/corpus/manifest.json", (ENTRY, CONTENT, JSON), ("corpus",)),
    ),
    ("suite",),
    ("small", "--jobs", "1"),
    outputs=_RUN_WRITES,
)


def _compared(trial: Trial, printed: str) -> None:
    assert "| OT-Talk |" in printed, printed[:200]


_ONE = f"{_R}/results/runs/one"
COMPARE = Door(
    "compare",
    driver("notebooks.driver.compare"),
    (
        *_SOUND,
        *(
            way
            for name in ("metrics", "run", "curves")
            for way in ways(
                "json",
                f"{_ONE}/{name}.json",
                (
                    {
                        key: value
                        for key, value in ENTRY.items()
                        if key != "missing" and (key != "a folder" or name != "curves")
                    },
                    CONTENT,
                    JSON,
                ),
                ("one",),
            )
        ),
        *fields(
            f"{_ONE}/metrics.json",
            {
                ("table",): OBJECT | GONE,
                ("table", "OT-Talk"): OBJECT,
                ("table", "OT-Talk", "lip_max_mm"): {
                    name: value for name, value in NUMBER.items() if name not in ("null", "a negative number")
                },
                ("speakers",): OBJECT,
                ("speakers", "OT-Talk"): OBJECT,
                ("speakers", "OT-Talk", "lip_max_mm"): {
                    name: value for name, value in OBJECT.items() if value not in ("[]", "null")
                },
            },
            ("one",),
        ),
        *fields(
            f"{_ONE}/run.json",
            {("data",): OBJECT | GONE, ("data", "checksum"): GONE, ("trainings",): OBJECT | GONE},
            ("one",),
        ),
        *fields(
            f"{_ONE}/curves.json",
            {("*",): OBJECT, ("*", "loss"): LIST | {"one number": "[1]", "texts": '[["a", "b"]]'} | GONE},
            ("one",),
        ),
        *(
            Way(
                "text",
                f"the run {name[:20]!r}",
                lambda trial, name=name: trial.arguments.__setitem__(0, name),
                ("run", "RUN"),
            )
            for name in _NAMES
            if name not in ("reference",)
        ),
        Way("text", "one run twice", lambda trial: trial.arguments.__setitem__(1, "one"), ("one",)),
    ),
    ("suite",),
    ("one", "two"),
    outputs=(f"{_R}/results/runs/compare",),
    check=_compared,
)
COPY = Door(
    "copy-notebooks",
    driver("notebooks.driver.copy_notebooks"),
    (
        *_SOUND,
        *run_names("--run"),
        *ways(
            "json",
            f"{_R}/notebooks/01_make.ipynb",
            ({name: spoil for name, spoil in ENTRY.items() if name != "missing"}, CONTENT, JSON),
        ),
    ),
    ("suite",),
    (),
    outputs=_RUN_WRITES,
    every=2,
)
SUMMARY = Door(
    "demo-summary",
    driver("notebooks.driver.demo_summary"),
    (
        *_SOUND,
        *ways("json", f"{_ONE}/metrics.json", (ENTRY, CONTENT, JSON)),
        *fields(
            f"{_ONE}/metrics.json",
            {
                ("headline",): OBJECT | GONE,
                ("headline", "below_still_face"): {
                    name: value for name, value in NUMBER.items() if name != "a negative number"
                }
                | {"above 1": "1.1"},
                ("headline", "below_loudness_and_pitch"): GONE,
            },
        ),
        *fields(
            f"{_ONE}/metrics.json", {("headline", "below_still_face"): {"negative, of a bad model": "-1"}}, verdict=ACCEPTED
        ),
        *ways("json", f"{_ONE}/run.json", ({"no permission": ENTRY["no permission"]}, CONTENT, JSON)),
        *run_names("--run"),
        *options.texts(
            "--audio",
            ["in/nowhere.wav", "in", "/dev/zero", "a\x1b[31m\nb"],
            ("in/nowhere.wav", "in", "/dev/zero", "--audio", "a"),
        ),
    ),
    ("suite",),
    ("--run", "one"),
    outputs=(),
    every=2,
)
TABLE = Door(
    "published-table",
    driver("notebooks.driver.published_table"),
    (
        *(way for way in _ALL_SETTINGS),
        *options.texts("--encoder", ["", "nobody/has-this", "in/nowhere"], ("encoder", "nobody", "in/nowhere")),
        *run_names("--run"),
        *options.numbers({"--steps": options.COUNT, "--seed": options.SEED}),
        *options.texts(
            "--raw",
            ["", "in/nowhere", _AUDIO, "/dev/null"],
            ("--raw", "in/nowhere", "speech.wav", "/dev/null", ".", "converted"),
        ),
        *(
            Way(
                "text",
                f"the data set {name!r}",
                lambda trial, name=name: trial.arguments.__setitem__(0, name),
                ("data set", "name", "vocaset"),
            )
            for name in ("", "none", "../vocaset", "a\x1b[31m\nb")
        ),
    ),
    ("suite", "training", "vocaset_layout"),
    ("vocaset", "--raw", "in/vocaset_layout", "--settings", _SETTINGS),
    every=3,
)

_CORPUS = f"{_R}/data/fast/corpus"


def _mine(place: str) -> Callable[[Trial], None]:
    def change(trial: Trial) -> None:
        path = trial.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, "keep me")
        trial.mine += [place, *(str(parent) for parent in Path(place).parents if parent.name)]

    return change


CLEAN = Door(
    "clean",
    driver("notebooks.driver.clean"),
    (
        *_SOUND,
        *ways("yaml", _PLAN, (ENTRY, CONTENT, YAML)),
        *(
            Way("mine", f"{place} is a person's", _mine(place), (), ACCEPTED)
            for place in (
                f"{_CORPUS}/mine.txt",
                f"{_CORPUS}/faces.npy",
                f"{_CORPUS}/manifest.json",
                f"{_R}/data/mine/mine.txt",
                f"{_R}/data/fast/mine.wav",
                f"{_R}/.cache/mine.txt",
                f"{_R}/.cache/features/mine.npy",
                f"{_R}/results/runs/mine/mine.txt",
                f"{_R}/results/runs/fast/models/ot_talk/model.safetensors",
                f"{_R}/results/runs/fast/lab/01_make.ipynb",
                f"{_R}/results/runs/fast/notebooks/01_make.ipynb",
                f"{_R}/results/runs/one/metrics.json",
                f"{_R}/mine/data/mine.txt",
            )
        ),
    ),
    ("suite",),
    (),
    outputs=(_CORPUS,),
)

DOORS = [CLEAN, RUN, SWEEP, COMPARE, COPY, SUMMARY, TABLE]
