"""Files that are whole or absent."""

import pytest

from otlib.errors import InputError
from otlib.files import atomic_write, read_json, sha256, write_json


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
    with pytest.raises(InputError, match=f"{place}: cannot be written .*; free some space or choose another folder"):
        write_json(tmp_path / place, 1)


def test_a_number_that_json_has_not_is_refused(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content, sentence", [(None, "no such file"), (b"{", "not a JSON file"),
                                               (b"\xff", "not a JSON file")])
def test_what_is_not_json_is_refused(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=f"a.json: {sentence}"):
        read_json(tmp_path / "a.json")


def test_checksum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a").startswith("ba7816bf")  # FIPS 180-2, appendix B.1
