"""Ways to spoil a file: by its kind of entry, and by its format. Each is a function of the file and of random numbers."""

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import REFUSED, Trial, Way

Spoil = Callable[[Path, np.random.Generator], None]
Changes = Mapping[str, Spoil]

HUGE = 3 * 2**30  # bytes of a file that takes no room on the disk
DEEP = 100_000
DIGITS = "9" * 5000
CODE = "import os; os.system('touch pwned')"  # what must never run: the file would be seen as litter


def remove(path: Path) -> None:
    """Remove a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put(path: Path, content: bytes | str) -> None:
    """Write a file in place of what is there."""
    remove(path)
    path.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)


def _folder(path: Path, random: np.random.Generator) -> None:
    remove(path)
    path.mkdir()
    (path / "mine.txt").write_text("keep me")


def _link(path: Path, target: str) -> None:
    remove(path)
    path.symlink_to(target)


def _pipe(path: Path, random: np.random.Generator) -> None:
    remove(path)
    os.mkfifo(path)


def _cut(path: Path, random: np.random.Generator) -> None:
    content = path.read_bytes()
    put(path, content[: int(len(content) * random.uniform(0.01, 0.9))])


def _huge(path: Path, random: np.random.Generator) -> None:
    put(path, b"")
    os.truncate(path, HUGE)


ENTRY: Changes = {
    "missing": lambda path, random: remove(path),
    "a folder": _folder,
    "a pipe": _pipe,
    "a link to /dev/zero": lambda path, random: _link(path, "/dev/zero"),
    "a link to itself": lambda path, random: _link(path, path.name),
    "no permission": lambda path, random: path.chmod(0),
}
CONTENT: Changes = {
    "empty": lambda path, random: put(path, b""),
    "noise": lambda path, random: put(path, random.bytes(int(random.integers(1, 4096)))),
    "zeros": lambda path, random: put(path, bytes(4096)),
    "3 GB of nothing": _huge,
}
CUT: Changes = {"cut": _cut}


def ways(
    kind: str,
    file: str,
    changes: Iterable[Changes],
    words: Iterable[str] = (),
    verdict: str = REFUSED,
    then: Callable[[Trial], None] = lambda trial: None,
) -> list[Way]:
    """Return a way for each change to a file.

    Args:
        kind: of the ways, for the table; those of ENTRY have the kind "entry".
        file: relative to the trial's folder.
        changes: groups of named changes.
        words: of which a refusal must hold one, beside the file's name.
        verdict: that is expected.
        then: is done after the change.
    """

    def apply(spoil: Spoil) -> Callable[[Trial], None]:
        def change(trial: Trial) -> None:
            spoil(trial.folder / file, trial.random)
            then(trial)

        return change

    return [
        Way("entry" if group is ENTRY else kind, f"{file}: {name}", apply(spoil), (Path(file).name, *words), verdict)
        for group in changes
        for name, spoil in group.items()
    ]


def _texts(contents: Mapping[str, str | bytes]) -> Changes:
    return {name: lambda path, random, content=content: put(path, content) for name, content in contents.items()}


JSON: Changes = (
    _texts(
        {
            "deep lists": "[" * DEEP + "]" * DEEP,
            "deep lists without an end": "[" * DEEP,
            "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
            "5,000 digits": DIGITS,
            "NaN": "NaN",
            "Infinity": "-Infinity",
            "a lone surrogate": '"\\ud800"',
            "null": "null",
            "true": "true",
            "a number": "17",
            "text": '"text"',
            "an empty list": "[]",
            "a list of a list": "[[]]",
            "not UTF-8": b'{"a": "\xff\xfe"}',
            "UTF-16": '{"a": 1}'.encode("utf-16"),
            "two values": "{} {}",
            "Python": "{'a': 1}",
            "a comment": "// a\n{}",
            "a million commas": "[" + "," * 10**6 + "]",
        }
    )
    | CUT
)

# values of JSON, as text, that are no ...
_ANY = {
    "null": "null",
    "true": "true",
    "a list": "[]",
    "a list of itself": "[[1]]",
    "an object": "{}",
    "NaN": "NaN",
    "5,000 digits": DIGITS,
    "deep lists": "[" * DEEP + "]" * DEEP,
    "a surrogate": '"\\ud800"',
}
_NUMBERS = {
    "a negative number": "-1",
    "Infinity": "Infinity",
    "1e999": "1e999",
    "text of a number": '"16"',
    "text": '"text"',
}
POSITIVE = _ANY | _NUMBERS | {"zero": "0"}
NUMBER = _ANY | _NUMBERS
COUNT = POSITIVE | {"a fraction": "2.5", "a huge number": "1" + "0" * 30}
TEXT = _ANY | {"a number": "17"}
CHOICE = TEXT | {"another text": '"another"', "no text": '""'}
FILE = CHOICE | {
    "a path out": '"../../mine.json"',
    "a path from the root": '"/etc/hostname"',
    "a NUL": '"a\\u0000b"',
    "a long name": json.dumps("x" * 5000),
    "a folder": '"."',
    "escapes": '"\\u001b[31m\\nfile"',
}
OBJECT = {name: value for name, value in _ANY.items() if name != "an object"} | {"a number": "17", "text": '"text"'}
LIST = {name: value for name, value in _ANY.items() if name not in ("a list", "a list of itself")} | {
    "a number": "17",
    "text": '"text"',
}
GONE = {"left out": ""}


def fields(
    file: str,
    values: Mapping[tuple[str | int, ...], Mapping[str, str]],
    words: Iterable[str] = (),
    verdict: str = REFUSED,
    then: Callable[[Trial], None] = lambda trial: None,
) -> list[Way]:
    """Return a way for each value of each field of a JSON file.

    Args:
        file: relative to the trial's folder.
        values: paths of fields, in which "*" is any key of an object or place in a list, to values as JSON text; an empty
            one leaves the field out.
        words: of which a refusal must hold one, beside the file's and the field's name.
        verdict: that is expected.
        then: is done after the change.
    """

    def apply(path: tuple[str | int, ...], value: str) -> Callable[[Trial], None]:
        def change(trial: Trial) -> None:
            put(
                trial.folder / file,
                _with(json.loads((trial.folder / file).read_text(encoding="utf-8")), path, value, trial.random),
            )
            then(trial)

        return change

    return [
        Way(
            "field",
            f"{file}: {'.'.join(map(str, path))} is {name}",
            apply(path, value),
            (Path(file).name, *[str(key) for key in path if key != "*"][-1:], *words, *_told(value)),
            verdict,
        )
        for path, group in values.items()
        for name, value in group.items()
    ]


def _told(value: str) -> list[str]:
    """Return the text that a value is, as far as it is printed as it stands: a path that is refused may stand for itself."""
    if "\\u001b[31m" in value:
        return ["[31m"]
    return [value[1:-1].split("\\u")[0][:60]] if value.startswith('"') and len(value) > 6 and value[1] != "\\" else []


def _with(document: Any, path: tuple[str | int, ...], value: str, random: np.random.Generator) -> str:
    inner, mark = document, "@value@"
    for depth, key in enumerate(path):
        if key == "*":
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            key = keys[int(random.integers(len(keys)))]
        if depth + 1 < len(path):
            inner = inner[key]
        elif value:
            inner[key] = mark
        else:
            del inner[key]
    return json.dumps(document, ensure_ascii=False).replace(json.dumps(mark), value)


def npy(header: str | bytes, body: bytes = b"", version: bytes = b"\x01\x00", length: int | None = None) -> bytes:
    """Return a .npy file with any header."""
    text = header.encode() if isinstance(header, str) else header
    text += b"\n"
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + version + size + text + body


def _header(descr: str = "'<f4'", order: str = "False", shape: str = "(4, 3)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


class _Command:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def _saved(make: Callable[[np.ndarray, np.random.Generator], np.ndarray], pickled: bool = False) -> Spoil:
    def spoil(path: Path, random: np.random.Generator) -> None:
        array = make(np.load(path), random)
        remove(path)
        with open(path, "wb") as file:
            np.save(file, array, allow_pickle=pickled)

    return spoil


def _filled(value: float) -> Spoil:
    def make(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
        array = array.copy()
        array.flat[int(random.integers(array.size))] = value
        return array

    return _saved(make)


def _archive(path: Path, random: np.random.Generator) -> None:
    array = np.load(path)
    remove(path)
    with open(path, "wb") as file:
        np.savez(file, array)


NPY: Changes = (
    CUT
    | {
        "pickled objects": _saved(lambda array, random: np.array([_Command()], dtype=object), pickled=True),
        "an archive": _archive,
        "no dimension": _saved(lambda array, random: array.flat[0]),
        "no rows": _saved(lambda array, random: array[:0]),
        "another rank": _saved(lambda array, random: array[..., None, None]),
        "complex": _saved(lambda array, random: array.astype(complex)),
        "text": _saved(lambda array, random: np.full(array.shape, "abc")),
        "dates": _saved(lambda array, random: np.zeros(array.shape, "M8[s]")),
        "a structure": _saved(lambda array, random: np.zeros(len(array), [("a", "<f4"), ("b", "<f4", 3)])),
        "booleans": _saved(lambda array, random: array > 0),
    }
    | _texts(
        {
            "10^12 rows": npy(_header(shape=f"({10**12}, 3)"), bytes(48)),
            "rows that overflow": npy(_header(shape=f"({2**62}, {2**62})")),
            "a negative shape": npy(_header(shape="(-4, 3)"), bytes(48)),
            "a shape of fractions": npy(_header(shape="(4.0, 3)"), bytes(48)),
            "a shape of text": npy(_header(shape="'43'"), bytes(48)),
            "40 dimensions": npy(_header(shape=str((1,) * 40)), bytes(4)),
            "a shape of 5,000 digits": npy(_header(shape=f"({DIGITS}, 3)")),
            "code in the header": npy(f"__import__('os') or {CODE!r}"),
            "a call in the header": npy(_header(shape=f"exec({CODE!r})")),
            "brackets": npy("(" * 60_000),
            "no header": npy(""),
            "a header without an end": npy(_header(), version=b"\x02\x00", length=2**32 - 1),
            "version 9": npy(_header(), bytes(48), b"\x09\x00"),
            "objects": npy(_header("'|O'"), bytes(96)),
            "void": npy(_header("'|V4'"), bytes(48)),
            "an odd type": npy(_header("'<f3'")),
            "a type of 10^12 bytes": npy(_header("'|S1000000000000'", shape="()")),
            "a type of lists": npy(_header(str([["a", 1]] * 9))),
            "bytes of NUL in the header": npy(b"{'descr': '<f4\x00', 'fortran_order': False, 'shape': (4, 3)}", bytes(48)),
        }
    )
)
NOT_FINITE: Changes = {"NaN": _filled(np.nan), "Infinity": _filled(-np.inf)}
NOT_FINITE_AT_ALL: Changes = {"NaN all over": _saved(lambda array, random: np.full(array.shape, np.nan, array.dtype))}
TOO_LARGE: Changes = {"1e300": _saved(lambda array, random: np.where(array == array.max(), 1e300, array.astype(float)))}
OTHER_ROWS: Changes = {
    "a row less": _saved(lambda array, random: array[:-1]),
    "a column less": _saved(lambda array, random: array[..., :-1]),
}


def safetensors(header: Any, body: bytes = b"", length: int | None = None) -> bytes:
    """Return a .safetensors file with any header, JSON or bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _tensors(change: Callable[[dict[str, Any], bytearray, np.random.Generator], None]) -> Spoil:
    def spoil(path: Path, random: np.random.Generator) -> None:
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header, body = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
        change(header, body, random)
        put(path, safetensors(header, bytes(body)))

    return spoil


def _one(header: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    names = sorted(name for name in header if name != "__metadata__")
    return header[names[int(random.integers(len(names)))]]


def _not_a_number(header: dict[str, Any], body: bytearray, random: np.random.Generator) -> None:
    floats = [entry for name, entry in sorted(header.items()) if entry.get("dtype") == "F32" and np.prod(entry["shape"]) > 0]
    start = floats[int(random.integers(len(floats)))]["data_offsets"][0]
    body[start : start + 4] = struct.pack("<f", np.nan)


SAFETENSORS: Changes = (
    CUT
    | {
        "a tensor less": _tensors(lambda header, body, random: header.pop(sorted(set(header) - {"__metadata__"})[0])),
        "an unknown type": _tensors(lambda header, body, random: _one(header, random).update(dtype="F3")),
        "a shape of no fit": _tensors(lambda header, body, random: _one(header, random).update(shape=[7, 10**9])),
        "a negative shape": _tensors(lambda header, body, random: _one(header, random).update(shape=[-1])),
        "places beyond the end": _tensors(
            lambda header, body, random: _one(header, random).update(data_offsets=[0, 10**15])
        ),
        "a number in place of a tensor": _tensors(lambda header, body, random: header.update(odd=17)),
        "other names": _tensors(
            lambda header, body, random: (
                names := {f"other.{key}": value for key, value in header.items() if key != "__metadata__"},
                header.clear(),
                header.update(names),
            )
        ),
    }
    | _texts(
        {
            "a header of 2^63 bytes": safetensors(b"{}", length=2**63),
            "a header beyond the end": safetensors(b"{}", length=10**6),
            "deep lists in the header": safetensors(b"[" * DEEP + b"]" * DEEP),
            "no JSON in the header": safetensors(b"{'a': 1}"),
            "a header of a list": safetensors([]),
            "no tensor": safetensors({}),
            "a pickle": pickle.dumps(_Command()),
            "5,000 digits": safetensors(
                b'{"a":{"dtype":"F32","shape":[' + DIGITS.encode() + b'],"data_offsets":[0,4]}}', bytes(4)
            ),
        }
    )
)
NOT_A_NUMBER: Changes = {"a weight of NaN": _tensors(_not_a_number)}
