"""Pickles of plain data: what numpy and Python 2 and 3 write comes through, and nothing runs."""

import os
import pickle
import re
import tracemalloc
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

from data_prep.raw.safe_pickle import read_pickle
from otlib.errors import InputError
from tests.fixtures import python2_pickle

PLAIN = {
    "FaceTalk_170728_03272_TA": {"sentence01": {"audio": np.arange(-300, 300, dtype=np.int16), "sample_rate": 22000}},
    "template": np.random.default_rng(0).normal(size=(7, 3)),
    "single": np.float32(1.25), "big-endian": np.arange(5, dtype=">f4"), "fortran": np.asfortranarray(np.eye(3)[:, :2]),
    "flags": np.array([True, False]), "empty": np.zeros((0, 3)), "number": np.array(2.5), 7: [1, (2.5, None), "é", True, -3],
}


def assert_same(value, expected):
    assert type(value) is type(expected)
    if isinstance(expected, dict):
        assert list(value) == list(expected)
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert value.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(value, expected)
    else:
        assert value == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_python_3_writes_is_read_at_any_protocol(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(PLAIN, protocol))
    assert_same(read_pickle(path), PLAIN)


def test_what_python_2_wrote_is_read_as_latin1(tmp_path):
    content = python2_pickle.dumps(PLAIN)
    assert b"numpy.core.multiarray" in content and content[:2] == b"\x80\x02"
    (tmp_path / "a.pkl").write_bytes(content)
    assert_same(read_pickle(tmp_path / "a.pkl"), PLAIN)
    assert_same(pickle.loads(content, encoding="latin1"), PLAIN)  # so the test's writer writes what numpy reads


def test_text_of_python_2s_oldest_protocol_is_read_as_latin1(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"(dp0\nS'audio'\np1\nS'\\xff\\x00caf\\xe9'\np2\ns.")
    assert read_pickle(tmp_path / "a.pkl") == {"audio": "\xff\x00caf\xe9"}


def test_what_is_shared_stays_shared(tmp_path):
    part, array = [1.0], np.arange(3)
    for _ in range(200):  # copied instead of shared, it would have 2 ** 200 parts
        part = [part, part]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([part, array, array]))
    value = read_pickle(tmp_path / "a.pkl")
    assert value[0][0] is value[0][1] and value[1] is value[2]


@pytest.mark.parametrize("content", [b"\x80\x02]r\xff\xff\xff\x0f.", b"(lp4294967294\n."])
def test_a_part_of_any_number_takes_no_room_for_those_before_it(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)  # the compiled unpickler takes 4 GB and 64 GB
    tracemalloc.start()
    assert read_pickle(tmp_path / "a.pkl") == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


class Command:
    """Runs a command when it is unpickled freely."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_that_would_run_a_command_runs_none(tmp_path):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": Command(tmp_path / "mark")}, protocol))
        with pytest.raises(InputError, match=r"a\.pkl: asks for (posix|nt)\.system, which could run code and is not loaded"):
            read_pickle(tmp_path / "a.pkl")
        assert not (tmp_path / "mark").exists()
    pickle.loads(pickle.dumps(Command(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()  # freely unpickled, it does


def named(module, name):
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


HOSTILE = {
    "chumpy": (b"\x80\x02" + named("chumpy.ch", "Ch") + b")\x81.", r"chumpy\.ch\.Ch, .* as a dictionary of plain numpy"),
    "scipy": (pickle.dumps(scipy.sparse.eye_array(3, format="csc")), r"asks for scipy\.sparse\.\S*csc_array"),
    "copyreg": (pickle.dumps(Fraction(1, 2), 0), r"asks for fractions\.Fraction|asks for copy_reg\._reconstructor"),
    "ordered": (pickle.dumps(OrderedDict(a=1)), r"asks for collections\.OrderedDict"),
    "eval": (b"\x80\x02" + named("__builtin__", "eval") + b"X\x01\x00\x00\x001\x85R.", r"asks for __builtin__\.eval"),
    "getattr of numpy": (b"\x80\x04\x8c\x05numpy\x8c\x08f2py.sys\x93.", r"asks for numpy\.f2py\.sys"),
    "set": (pickle.dumps({1, 2}), "holds a value of the kind set"),
    "bytearray": (pickle.dumps(bytearray(b"a"), 5), "holds a value of the kind bytearray"),
    "objects": (pickle.dumps(np.array([{}, None])), "an array of the type 'O8'"),
    "dates": (pickle.dumps(np.array(["2026-01-01"], "M8[D]")), "an array of the type 'M8'"),
    "structures": (pickle.dumps(np.zeros(2, "f4,i4")), "an array of the type 'V8'"),
    "a function": (b"\x80\x02" + named("numpy.core.multiarray", "scalar") + b".", "a value of the kind Scalar"),
    "a type": (b"\x80\x02" + named("numpy", "dtype") + b"X\x02\x00\x00\x00f4\x85R.", "a value of the kind Type"),
    "no pickle": (b"vertices", "is cut short or damaged"),
    "nothing": (b"", "is cut short or damaged"),
    "itself": (b"\x80\x02]q\x00h\x00a.", "is cut short or damaged"),
    "attribute of a function": (b"\x80\x02" + named("_codecs", "encode") + b"}X\x01\x00\x00\x00aK\x01sb.", "is cut short"),
    "a key of many nested tuples": (b"\x80\x02})" + 200_000 * b"\x85" + b"K\x01s.", "has a key of the kind tuple"),
    "such keys at once": (b"\x80\x02}()" + 200_000 * b"\x85" + b"K\x01u.", "has a key of the kind tuple"),
    "such keys of old protocols": (b"()" + 200_000 * b"\x85" + b"K\x01d.", "has a key of the kind tuple"),
    "a set of them": (b"\x80\x04\x8f()" + 200_000 * b"\x85" + b"\x90.", "has a key of the kind tuple"),
    "a frozen set of them": (b"\x80\x04()" + 200_000 * b"\x85" + b"\x91.", "has a key of the kind tuple"),
    "many nested lists": (b"\x80\x02" + 200_000 * b"]" + 199_999 * b"a" + b".", "is cut short or damaged"),
    "a shape without end": (b"\x80\x02]" + b"q\x00" + 40 * b"]h\x00ah\x00aq\x00" + b"0"
                            + pickle.dumps(np.arange(3.0), 2)[2:].replace(b"K\x03\x85", b"h\x00\x85"), "is cut short"),
    "text of 1 EB": (b"\x80\x04\x8d" + b"\x00" * 7 + b"\x10a.", "is cut short or damaged"),
    "wrong length": (pickle.dumps(np.arange(3.0), 2).replace(b"K\x03\x85", b"K\x04\x85"), r"shape \(4,\) has 24 bytes"),
    "type with objects": (pickle.dumps(np.arange(3.0), 2).replace(b"NNNJ", b"N)}J"), "holds an array of structures"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_anything_but_plain_data_is_refused_by_name(tmp_path, name):
    content, message = HOSTILE[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_pickle(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [python2_pickle.dumps, pickle.dumps], ids=["python 2", "python 3"])
def test_a_truncated_pickle_is_refused_at_any_length(tmp_path, write):
    content = write(PLAIN)
    path = tmp_path / "a.pkl"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=re.escape(f"{path}: is cut short or damaged")):
            read_pickle(path)


def test_no_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="none.pkl: no such file"):
        read_pickle(tmp_path / "none.pkl")
