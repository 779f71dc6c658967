"""What is said: the text, or a file that holds it; one rule for all commands."""

from pathlib import Path

import pytest

from data_prep.align import __main__ as align
from data_prep.align.said import file_of, said, transcript_of
from otlib.errors import InputError


def test_a_text_is_itself_and_a_file_behind_an_at_sign_is_read(tmp_path):
    (tmp_path / "said.txt").write_text("\ufeff  What is\n said. \n", encoding="utf-8")
    assert said("What is said.") == "What is said." and said(f"@{tmp_path / 'said.txt'}") == "What is\n said."
    assert file_of("@a b.txt") == Path("a b.txt") and file_of("a@b") is file_of(None) is file_of("@") is None


def test_both_are_the_same_words(tmp_path):
    (tmp_path / "said.txt").write_text("Two words.\n", encoding="utf-8")
    assert transcript_of(f"@{tmp_path / 'said.txt'}") == transcript_of("Two words.") and transcript_of(None) is None
    assert transcript_of("Two words.").text == "Two words."


@pytest.mark.parametrize("content, message", [(None, "said.txt: no such file"), (b" \n", "said.txt: holds no text"),
                                              (b"\xff", "said.txt: is not UTF-8 text")])
def test_a_file_that_says_nothing_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "said.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        said(f"@{tmp_path / 'said.txt'}")


def test_an_at_sign_alone_names_no_file():
    with pytest.raises(InputError, match="the text '@' names no file; write the file's name behind it"):
        said("@")


def test_the_aligner_reads_it_too_and_never_writes_over_it(tmp_path, capsys):
    (tmp_path / "said.json").write_text("{}")
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"RIFF")
    assert align.main([str(sound), "--text", f"@{tmp_path / 'said.json'}", "--json", str(tmp_path / "said.json")]) == 2
    assert "said.json: is, holds or lies in" in capsys.readouterr().err and (tmp_path / "said.json").read_text() == "{}"
