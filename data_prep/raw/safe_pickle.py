"""Pickles of plain data: numbers, text, lists, tuples, dictionaries and numpy arrays of numbers, and nothing else.

A pickle is a program. Here it may call only stand-ins, which note the parts of an array; the arrays are made from those
parts afterwards, so that no file reaches numpy's own unpickling, a class, or a function.
"""

import math
import pickle
import re
import reprlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from otlib.errors import InputError
from otlib.files import opened

_NUMBER = re.compile(r"[|<>=]?[biufc]\d{1,2}")  # the code of a number's type; never objects, structures or references
_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_ADVICE = "open it where it was made, and save it as a dictionary of plain numpy arrays"


def read_pickle(path: Path | str) -> Any:
    """Read a pickle of plain data, of any protocol, written by Python 2 (byte strings are read as latin-1) or 3.

    Args:
        path: the file.

    Returns:
        dictionaries, lists, tuples, numbers, text and numpy arrays of numbers, which are read-only.

    Raises:
        InputError: no such file, cut short or damaged, or it asks for anything else, which is named and not loaded.
    """
    path = Path(path)
    try:
        with opened(path) as file:
            value = _PlainUnpickler(file, path).load()
        return _finished(value, {})
    except InputError:
        raise
    except _NotPlain as error:
        raise InputError(f"{path}: {error}, which is not read from a pickle; {_ADVICE}") from error
    except Exception as error:  # the unpickler runs opcodes that anyone may have written
        raise InputError(f"{path}: is cut short or damaged ({error or type(error).__name__}); copy it again") from error


class _NotPlain(Exception):
    """The pickle holds something other than plain data."""


class _PlainUnpickler(pickle._Unpickler):
    """Based on the unpickler written in Python: the compiled one allocates memory for a part numbered 4,000,000,000, and
    hashes a key of deeply nested tuples until the stack overflows and the process dies."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self._path, self._file_readline = path, partial(_whole_line, file)

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for what numpy writes; refuse everything else by its name."""
        stand_in = _STAND_INS.get((module.replace("numpy._core", "numpy.core"), name))
        if stand_in is None:
            raise InputError(f"{self._path}: asks for {module}.{name}, which could run code and is not loaded; {_ADVICE}")
        return stand_in() if isinstance(stand_in, type) else stand_in


def _whole_line(file: BinaryIO) -> bytes:
    if not (line := file.readline()).endswith(b"\n"):
        raise EOFError("it ends amid a line")
    return line


def _with_plain_keys(load: Callable[[Any], None], keys: slice) -> Callable[[Any], None]:
    """Wrap the loader of a dictionary's or set's entries: first check that the entries in the slice, the keys, are plain."""
    def checked(unpickler: Any) -> None:
        for key in unpickler.stack[keys]:
            if type(key) not in _SCALARS and not isinstance(key, np.generic):
                raise _NotPlain(f"has a key of the kind {type(key).__name__.lstrip('_')}")
        load(unpickler)

    return checked


for _opcode, _keys in ((pickle.SETITEM, slice(-2, -1)), (pickle.SETITEMS, slice(None, None, 2)),
                       (pickle.DICT, slice(None, None, 2)), (pickle.ADDITEMS, slice(None)), (pickle.FROZENSET, slice(None))):
    _PlainUnpickler.dispatch[_opcode[0]] = _with_plain_keys(_PlainUnpickler.dispatch[_opcode[0]], _keys)


class _Type:
    """A number's type, from `numpy.dtype(code, align, copy)` and a state, of which only the byte order is used."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not _NUMBER.fullmatch(code):
            raise _NotPlain(f"holds an array of the type {reprlib.repr(code)}")
        self.code, self.order = code.lstrip("|<>="), ">" if code[0] == ">" else "<"

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise _NotPlain("holds an array of structures")
        if state[1] in ("<", ">"):
            self.order = state[1]

    def read(self, content: Any, shape: Any, fortran: bool) -> np.ndarray:
        """Return the array whose bytes these are."""
        content = content.encode("latin1") if isinstance(content, str) else content
        if not isinstance(content, bytes | bytearray):
            raise _NotPlain("holds an array of objects")
        if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError(f"an array has the shape {reprlib.repr(shape)}")
        dtype = np.dtype(self.order + self.code)
        if len(content) != dtype.itemsize * math.prod(shape):
            raise ValueError(f"an array of shape {shape} has {len(content)} bytes")
        return np.frombuffer(bytes(content), dtype).reshape(shape, order="F" if fortran else "C")


class _Array:
    """A future array, whose state follows later in the pickle."""

    __slots__ = ("made",)

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise ValueError("an array has no state")
        shape, kind, fortran, content = state[-4:]
        if not isinstance(kind, _Type):
            raise ValueError("an array has no type")
        self.made = kind.read(content, shape, bool(fortran))


class _Call:
    """A function that the pickle may call; it has no attributes that a pickle could set."""

    __slots__ = ()


class _MakeType(_Call):
    __slots__ = ()

    def __call__(self, code: Any, *flags: Any) -> _Type:
        return _Type(code)


class _Reconstruct(_Call):
    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        if kind != "ndarray":
            raise ValueError("an array is of no known kind")
        return _Array()


class _FromBuffer(_Call):
    __slots__ = ()

    def __call__(self, content: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
        array = kind.read(content, tuple(shape), order == "F")
        return array if axes is None else array.transpose(axes)


class _Scalar(_Call):
    __slots__ = ()

    def __call__(self, kind: Any, content: Any) -> Any:
        return kind.read(content, (), False)[()]


class _Encode(_Call):
    """`_codecs.encode(text, "latin1")`, by which Python 3 writes bytes in old protocols."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise ValueError("text is encoded in an unknown way")
        return text.encode("latin1")


class _NoBytes(_Call):
    """`bytes()`, by which Python 3 writes an empty array in old protocols."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer,
    ("numpy", "dtype"): _MakeType,
    ("numpy", "ndarray"): "ndarray",
    ("_codecs", "encode"): _Encode,
    ("__builtin__", "bytes"): _NoBytes,
}


def _finished(value: Any, done: dict[int, Any]) -> Any:
    """Return the value with arrays in place of their stand-ins; each part is checked to be plain, a shared part once."""
    if type(value) in _SCALARS or isinstance(value, np.ndarray | np.number | np.bool_):
        return value
    if id(value) not in done:
        if isinstance(value, _Array):
            done[id(value)] = value.made
        elif type(value) is dict:
            done[id(value)] = {_finished(key, done): _finished(entry, done) for key, entry in value.items()}
        elif type(value) in (list, tuple):
            done[id(value)] = type(value)([_finished(entry, done) for entry in value])
        else:
            raise _NotPlain(f"holds a value of the kind {type(value).__name__.lstrip('_')}")
    return done[id(value)]
