"""Pickles as Python 2 and the numpy of its day wrote them: protocol 2, text as byte strings, numpy.core's old names."""

import pickle
import struct
from typing import Any

import numpy as np


def dumps(value: Any) -> bytes:
    """Return the pickle of dictionaries, lists, tuples, numbers, text, None and numpy arrays."""
    return pickle.PROTO + b"\x02" + _part(value) + pickle.STOP


def _part(value: Any) -> bytes:
    if isinstance(value, dict):
        items = b"".join(_part(key) + _part(entry) for key, entry in value.items())
        return pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS
    if isinstance(value, list):
        return pickle.EMPTY_LIST + pickle.MARK + b"".join(map(_part, value)) + pickle.APPENDS
    if isinstance(value, tuple):
        return pickle.MARK + b"".join(map(_part, value)) + pickle.TUPLE
    if isinstance(value, str | bytes):
        return _byte_string(value.encode("latin1") if isinstance(value, str) else value)
    if value is None or isinstance(value, bool):
        return {None: pickle.NONE, True: pickle.NEWTRUE, False: pickle.NEWFALSE}[value]
    if isinstance(value, int):
        return pickle.BININT + struct.pack("<i", value)
    if isinstance(value, float):
        return pickle.BINFLOAT + struct.pack(">d", value)
    if isinstance(value, np.ndarray):
        named = _named("numpy.core.multiarray", "_reconstruct") + _part((_Raw(_named("numpy", "ndarray")), (0,), "b"))
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        state = (1, value.shape, _Raw(_dtype(value.dtype)), fortran, value.tobytes("F" if fortran else "C"))
        return named + pickle.REDUCE + _part(state) + pickle.BUILD
    if isinstance(value, np.generic):
        arguments = _part((_Raw(_dtype(value.dtype)), value.tobytes()))
        return _named("numpy.core.multiarray", "scalar") + arguments + pickle.REDUCE
    if isinstance(value, _Raw):
        return value.opcodes
    raise TypeError(type(value))


class _Raw:
    def __init__(self, opcodes: bytes) -> None:
        self.opcodes = opcodes


def _named(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _byte_string(content: bytes) -> bytes:
    if len(content) < 256:
        return pickle.SHORT_BINSTRING + bytes([len(content)]) + content
    return pickle.BINSTRING + struct.pack("<i", len(content)) + content


def _dtype(dtype: np.dtype) -> bytes:
    order = "|" if dtype.itemsize == 1 else "<" if dtype.newbyteorder("<") == dtype else ">"
    state = (3, order, None, None, None, -1, -1, 0)
    made = _named("numpy", "dtype") + _part((dtype.str[1:], 0, 1)) + pickle.REDUCE
    return made + _part(state) + pickle.BUILD
