"""The command line that says which phoneme is when."""

import json

import numpy as np
import pytest
import soundfile

from data_prep.align import __main__ as align
from data_prep.corpus.labelled_speech import corpus_speech
from otlib.phonemes.frame_classifier import FILE
from otlib.speech import small_hubert as hubert

pytestmark = pytest.mark.skipif(not (hubert.BUNDLED / FILE).is_file(), reason="the bundled encoder has no phoneme heads: "
                                "`python -m data_prep.encoder.phoneme_classifiers` trains them")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """A recording of a test speaker at 22,050 Hz in two channels, and what it says."""
    (speech,) = corpus_speech("test", 1, 1)
    file = tmp_path_factory.mktemp("align") / "said.wav"
    samples = np.interp(np.arange(0, len(speech.samples), 16000 / 22050), np.arange(len(speech.samples)), speech.samples)
    soundfile.write(file, np.stack([samples, samples], 1), 22050)
    return file, speech


def test_phonemes_are_printed_and_written(said, tmp_path, capsys):
    file, speech = said
    assert align.main([str(file), "--text", speech.text, "--json", str(tmp_path / "p.json")]) == 0
    printed = capsys.readouterr().out.splitlines()
    written = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert [row["phoneme"] for row in written] == [line[18:].strip() for line in printed]
    assert written[0]["start"] == 0.0 and written[-1]["end"] == pytest.approx(len(speech.samples) / 16000, abs=1e-3)
    for row, line in zip(written, printed, strict=True):
        assert [float(part) for part in line[:18].split()] == pytest.approx([row["start"], row["end"]], abs=6e-4)


def test_pocketsphinx_is_the_default_for_english_with_its_text_where_it_is_installed(said, capsys, monkeypatch):
    pytest.importorskip("pocketsphinx", reason="comes with otlib[aligners]")
    assert align.default_back_end("a text") == "pocketsphinx"
    assert align.default_back_end(None) == align.default_back_end("ein Text", "de") == "frames"
    assert align.default_back_end("a text", model="a folder") == "frames"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert align.main([str(said[0]), "--text", said[1].text]) == 0
    assert capsys.readouterr().err == "aligned by frames; --backend names another\n"


def test_without_a_text_sounds_are_recognised(said, capsys):
    assert align.main([str(said[0])]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 20


@pytest.mark.slow
def test_a_picture_is_drawn(said, tmp_path, capsys):
    pytest.importorskip("IPython", reason="pictures come with otlib[notebook]")
    assert align.main([str(said[0]), "--text", said[1].text, "--picture", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").stat().st_size > 10_000


@pytest.mark.parametrize("arguments, words", [
    (["none.wav"], "no such file"), (["silent.wav"], "is silent"), (["silent.wav", "--backend", "ctc"], "is silent"),
    (["said.wav", "--text", ""], "says nothing"), (["said.wav", "--text", "a", "--voice", "xx"], "no voice 'xx'"),
    (["said.wav", "--text", "word " * 200], "said.wav: pocketsphinx cannot align"),
    (["said.wav", "--text", "word " * 200, "--backend", "frames"], "said.wav: cannot be aligned with its text"),
    (["said.wav", "--model", "/no/such/model"], "/no/such/model"), (["said.wav", "--model", ""], "no HuBERT by that name"),
    (["said.wav", "--backend", "transformers", "--model", ""], "no name: "),
    (["said.wav", "--json", "said.wav/p.json"], "said.wav/p.json: is, holds or lies in said.wav")])
def test_bad_input_is_one_sentence_and_status_2(said, arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(said[0].parent)
    soundfile.write("silent.wav", np.zeros(16000), 16000)
    assert align.main(arguments) == 2
    error = capsys.readouterr()
    assert words in error.err and error.err.count("\n") == 1 and error.out == ""
