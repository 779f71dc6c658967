"""Speech by flite, whose voices are made from recordings of people: the same texts as espeak-ng's, with their own times.

flite (Black and Lenzo 2001, BSD-like licence) is a program that Debian and others package. Its voice slt is left for
tests. awb speaks with a Scottish accent, but by the same American dictionary.
"""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from data_prep.corpus.sentences import sentences
from data_prep.encoder.made_up_speech import Utterance, as_16_bits, spelt_words
from otlib.errors import InputError
from otlib.phonemes.sphinx import IPA
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.speech.recording import Recording, read_recording, resampled
from otlib.speech.small_hubert import SAMPLE_RATE

VOICES = ("rms", "awb", "kal16")
_PHONES = {**IPA, "AX": "ə", "PAU": ""}
# vocal tracts shorter or longer than the voice's own, as for espeak-ng
_TRACT_LENGTHS = (0.88, 0.94, 1.0, 1.0, 1.06, 1.14)


def speak(text: str, voice: str, slowness: float = 1.0) -> Utterance:
    """Return what flite says, with its phones in IPA, which tile the recording.

    Args:
        text: in English.
        voice: as ``flite -lv`` lists them.
        slowness: factor of every duration.

    Raises:
        InputError: flite is not installed, or fails.
    """
    program = shutil.which("flite")
    if program is None:
        raise InputError("flite: is not installed; install your system's package of that name, or do without its voices")
    if voice not in _voices(program):  # it would speak with another one
        raise InputError(f"flite: has no voice {voice!r}; `flite -lv` lists those that it has")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        done = subprocess.run([program, "-voice", voice, "--setf", f"duration_stretch={slowness}", "-psdur", "-t", text,
                               "-o", str(file)], capture_output=True, text=True)
        if done.returncode or not file.is_file():
            raise InputError(f"flite: fails over {text[:40]!r} ({done.stderr.strip()[:80]}); give another text")
        recording = read_recording(file)
    phonemes, start = [], 0.0
    for entry in done.stdout.split():
        phone, end = entry.split(":")
        phonemes.append(Phoneme(_PHONES[phone.upper()], start, float(end)))
        start = float(end)
    return Utterance(as_16_bits(resampled(recording)), tuple(phonemes))


@functools.cache
def _voices(program: str) -> frozenset[str]:
    listed = subprocess.run([program, "-lv"], capture_output=True, text=True, check=True).stdout
    return frozenset(listed.partition(":")[2].split())


def draw_utterance(seed: int, index: int) -> Utterance:
    """Return the ``index``-th utterance of the pool that ``seed`` names: text, voice, tempo and vocal tract."""
    generator = np.random.default_rng([seed, index])
    text = next(sentences(generator)) if generator.random() < 0.4 else spelt_words(generator)
    said = speak(text, str(generator.choice(VOICES)), float(generator.uniform(0.8, 1.3)))
    tract = float(generator.choice(_TRACT_LENGTHS))
    samples = as_16_bits(resampled(Recording(said.samples.astype(np.float32) / 32768, round(SAMPLE_RATE * tract))))
    return Utterance(samples, tuple(Phoneme(symbol, start / tract, end / tract) for symbol, start, end in said.phonemes))
