"""Files are read within bounds or refused in one sentence that names them, and written whole or not at all."""

import io
import json
import os
import pickle
import warnings

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from otlib.errors import LONGEST_LINE, InputError, shown
from otlib.files import (
    atomic_write,
    map_array,
    parsed_json,
    parsed_yaml,
    read_array,
    read_bytes,
    read_json,
    read_object,
    read_tensors,
    read_text,
    read_yaml,
    sha256,
    write_json,
    write_tensors,
)
from tests.fixtures.bad_paths import BAD_PATHS, NO_PERMISSIONS

READERS = (read_bytes, read_text, read_json, read_object, read_yaml, map_array, read_array, read_tensors, sha256)


def test_a_file_is_replaced_only_once_it_is_whole(tmp_path):
    file = tmp_path / "deep" / "a.json"
    write_json(file, {"b": 1})
    with pytest.raises(RuntimeError), atomic_write(file) as temporary:
        temporary.write_text("half")
        assert temporary.suffix == ".json" and read_json(file) == {"b": 1}
        raise RuntimeError
    assert read_json(file) == {"b": 1} and [path.name for path in file.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("place", ["file/a.json", "file/deep/a.json", "folder"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=f"{place}: cannot be written .*; (free some space or )?choose another"):
        write_json(tmp_path / place, 1)


def test_a_number_that_json_has_not_is_refused(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", BAD_PATHS)
def test_what_is_no_file_is_refused_at_once(tmp_path, read, kind):
    path, reason = BAD_PATHS[kind](tmp_path)
    with pytest.raises(InputError, match=reason) as caught:
        read(path)
    assert shown(path)[:400] in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(NO_PERMISSIONS, reason="this user may read everything")
@pytest.mark.parametrize("read", READERS)
def test_a_file_without_permission_is_named(tmp_path, read):
    (tmp_path / "a").touch()
    os.chmod(tmp_path / "a", 0)
    with pytest.raises(InputError, match="a: cannot be read .Permission denied"):
        read(tmp_path / "a")


def test_the_system_says_why_a_file_cannot_be_read(tmp_path, monkeypatch):
    def denied(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", denied)
    with pytest.raises(InputError, match="a.json: cannot be read .Permission denied"):
        read_json(tmp_path / "a.json")


def test_a_file_larger_than_its_bound_is_not_read(tmp_path):
    (tmp_path / "a").write_bytes(bytes(11))
    assert len(read_bytes(tmp_path / "a", 11)) == 11
    with pytest.raises(InputError, match="a: is too large, 11 bytes; give a file of at most 10 bytes"):
        read_bytes(tmp_path / "a", 10)
    with open(tmp_path / "large.json", "wb") as file:
        file.truncate(1 << 40)  # a hole, which takes no room on the disk
    for read in (read_json, read_yaml, read_bytes):
        with pytest.raises(InputError, match="large.json: is too large, 1,099,511,627,776 bytes"):
            read(tmp_path / "large.json")


SOUND = ["null", "true", "-3", "1.5", '"a\\u00e4 \\ud83d\\ude00"', "[]", '{"a": [1, {"b": null}], "c": "d"}',
         "[" * 64 + "]" * 64, str(2**64 - 1)]
ODD = {"{": "", "": "", "[1,": "", "[" * 65 + "]" * 65: "nested more than 64 deep", "[" * 100_000: "recursion|nested",
       str(2**64): "20 digits", "-" + str(2**64): "20 digits", "9" * 5000: "limit", '"\\ud800"': "is not Unicode",
       '{"a\\udfff": 1}': "is not Unicode", '{"a": 1, "a": 2}': "the name 'a' comes twice"}


@pytest.mark.parametrize("text", SOUND)
def test_json_and_yaml_say_what_json_and_yaml_say(text):
    assert parsed_json(text, "a") == json.loads(text)
    if "\\ud83d" not in text:  # YAML has no pairs of surrogates
        assert parsed_yaml(text, "a") == yaml.safe_load(text)


@pytest.mark.parametrize("text", [*ODD, "1e999", "NaN", "-Infinity", "\ufeff1", "{a: 1}"])
def test_json_that_is_none_or_out_of_bounds_is_refused(text):
    with pytest.raises(InputError, match=rf"a.json: not a JSON file \(.*({ODD.get(text, '')})") as caught:
        parsed_json(text, "a.json")
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= LONGEST_LINE


YAML = {"a: &x 1\nb: *x": "anchor", "a: &a [*a]": "anchor", "@x": "character '@'", "{1: 2}": "the name 1 is not text",
        "? [1]\n: 2": "is not text", "!!binary aGk=": "bytes", "!!timestamp 2001-01-01": "date", "\x1b": "unacceptable",
        "!!python/object/apply:os.getcwd []": "constructor", "a: 1\na: 2": "comes twice", ".nan": "not finite"}


@pytest.mark.parametrize("text", [text for text in [*ODD, *YAML] if text and "\\" not in text])
def test_yaml_that_is_none_or_refers_to_anything_is_refused(text):
    with pytest.raises(InputError, match=rf"-p X: not YAML \(.*({YAML.get(text, '')})") as caught:
        parsed_yaml(text, "-p X")
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= LONGEST_LINE


def test_dates_and_signs_of_yaml_are_text():
    assert parsed_yaml("[2024-01-01, =, 2024-01-01T10:00:00]", "a") == ["2024-01-01", "=", "2024-01-01T10:00:00"]
    assert parsed_yaml("<<: {a: 1}", "a") == {"<<": {"a": 1}}


def test_files_of_text(tmp_path):
    (tmp_path / "a").write_bytes("\ufeff{\"ä\": 1}".encode())
    assert read_object(tmp_path / "a") == read_json(tmp_path / "a") == read_yaml(tmp_path / "a") == {"ä": 1}
    (tmp_path / "a").write_bytes(b"ab\xff")
    for read in (read_text, read_json, read_yaml):
        with pytest.raises(InputError, match="a: is not UTF-8 text .byte 2"):
            read(tmp_path / "a")
    (tmp_path / "a").write_text("[]")
    with pytest.raises(InputError, match="a: is not a JSON object"):
        read_object(tmp_path / "a")


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8", "int32", "uint8"])
def test_arrays_of_numbers_are_read(tmp_path, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    for read in (map_array, read_array):
        np.testing.assert_array_equal(read(tmp_path / "a.npy"), array)
    assert not map_array(tmp_path / "a.npy").flags.writeable and read_array(tmp_path / "a.npy").flags.writeable


def header(text):
    """A .npy of version 1 with some header and no numbers."""
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n"


def zipped(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


ARRAYS = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-1]), "empty": lambda file: file.write_bytes(b""),
    "pickle": lambda file: file.write_bytes(pickle.dumps([1])), "text": lambda file: file.write_text("1 2 3"),
    "objects": lambda file: np.save(file, np.array([{}], object), allow_pickle=True),
    "words": lambda file: np.save(file, np.array(["a"])), "complex": lambda file: np.save(file, np.array([1j])),
    "number": lambda file: np.save(file, np.array(1.0)), "archive": lambda file: file.write_bytes(zipped(a=np.ones(2))),
    "structure": lambda file: np.save(file, np.zeros(2, "f4,f4")),
    "endless": lambda file: file.write_bytes(header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**30},)}}")),
    "overflow": lambda file: file.write_bytes(header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**62}, 4)}}")),
    "negative": lambda file: file.write_bytes(header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}")),
    "no shape": lambda file: file.write_bytes(header("{'descr': '<f4', 'fortran_order': False, 'shape': 3}")),
    "deep": lambda file: file.write_bytes(header("(" * 5000)), "call": lambda file: file.write_bytes(header("exit()")),
}


@pytest.mark.parametrize("damage", ARRAYS)
def test_what_is_no_array_of_numbers_is_refused(tmp_path, damage):
    file = tmp_path / "a.npy"
    np.save(file, np.ones((3, 2), np.float32))
    ARRAYS[damage](file)
    for read in (map_array, read_array):
        with (warnings.catch_warnings(record=True) as heard,
              pytest.raises(InputError, match="a.npy: is not a (whole )?.npy array of numbers")):
            warnings.simplefilter("always")
            read(file)
        assert not heard


def test_tensors_are_read_from_a_name_that_is_no_text(tmp_path):
    path = tmp_path / "a\udcffb"
    try:
        write_tensors(path, {"a": torch.arange(3.0)})
    except InputError as error:
        pytest.skip(f"this file system takes no such name: {error}")
    assert torch.equal(read_tensors(path)[0]["a"], torch.arange(3.0))
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"a\\udcffb: is not a whole safetensors file"):
        read_tensors(path)


def test_tensors_are_read_with_their_texts(tmp_path):
    tensors = {"a": torch.arange(3.0), "b": torch.ones(2, 2, dtype=torch.float16)}
    safetensors.torch.save_file(tensors, tmp_path / "a", {"note": "text"})
    found, texts = read_tensors(tmp_path / "a")
    assert texts == {"note": "text"} and found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) and found[name].dtype == tensors[name].dtype for name in tensors)
    content = (tmp_path / "a").read_bytes()
    for damaged in (content[:-1], content[:20], b"", b"\xff" * 100, pickle.dumps([1]), b"\x80" + content[1:]):
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(InputError, match="a: is not a whole safetensors file"):
            read_tensors(tmp_path / "a")


@pytest.mark.parametrize(("text", "line"), [("plain – ä 漢", "plain – ä 漢"), ("a\nb\r\tc", r"a\nb\r\tc"),
                                            ("\x1b[2J", r"\x1b[2J"), ("\udcff", r"\udcff"), ("\u202e", r"\u202e")])
def test_names_are_shown_as_one_line_of_print(text, line):
    assert shown(text) == line == shown(line)
    assert str(InputError(f"{text}: no such file", "second")) == f"{line}: no such file\nsecond"
    assert str(InputError(text)).encode() and str(pickle.loads(pickle.dumps(InputError(text, "b")))) == f"{line}\nb"


@pytest.mark.parametrize("letter", ["a", "\n", "\udcff"])
def test_a_megabyte_is_shortened_in_its_middle(letter):
    line = shown(f"first {letter * 10**6} last")
    assert len(line) <= LONGEST_LINE and line.startswith("first ") and line.endswith(" last") and "…" in line
    assert shown(line) == line


def test_checksum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a").startswith("ba7816bf")  # FIPS 180-2, appendix B.1
