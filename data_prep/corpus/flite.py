"""Speech from text by flite, whose voices are made from recordings of people, with the times of its phones.

flite (Black and Lenzo 2001, BSD-like licence) is a program that Debian and others package. Its voice slt is left for
tests. awb speaks with a Scottish accent, but by the same American dictionary.
"""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from data_prep.corpus.articulatory_targets import VOWELS
from data_prep.corpus.espeak import Speech, as_16_bits
from otlib.errors import InputError
from otlib.phonemes.sphinx import IPA
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.speech.recording import Recording, read_recording, resampled
from otlib.speech.small_hubert import SAMPLE_RATE

VOICES = ("rms", "awb", "kal16")
_PHONES = {**IPA, "AX": "ə", "PAU": ""}
_FULL = VOWELS - frozenset("əɚɪᵻ")  # vowels that English does not reduce to


def synthesise(text: str, voice: str = "rms", slowness: float = 1.0, tract: float = 1.0) -> Speech:
    """Speak ``text`` and return the samples at 16 kHz with its phones in IPA, which tile them; words are not told.

    Neither is stress: full vowels have secondary stress here.

    Args:
        text: in English.
        voice: as ``flite -lv`` lists them.
        slowness: factor of every duration.
        tract: length of the voice's own vocal tract over the speaker's: samples and times shrink by it.

    Raises:
        InputError: flite is not installed, or fails.
    """
    flite = program()
    if voice not in _voices(flite):  # it would speak with another one
        raise InputError(f"flite: has no voice {voice!r}; `flite -lv` lists those that it has")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        done = subprocess.run([flite, "-voice", voice, "--setf", f"duration_stretch={slowness}", "-psdur", "-t", text,
                               "-o", str(file)], capture_output=True, text=True)
        if done.returncode or not file.is_file():
            raise InputError(f"flite: fails over {text[:40]!r} ({done.stderr.strip()[:80]}); give another text")
        recording = read_recording(file)
    samples = resampled(Recording(recording.samples, round(recording.sample_rate * tract)))
    seconds, phonemes, start = len(samples) / SAMPLE_RATE, [], 0.0
    for entry in done.stdout.split():
        phone, told = entry.split(":")
        end = min(float(told) / tract, seconds)  # the last one may end a little after the sound
        symbol = _PHONES[phone.upper()]
        phonemes.append(Phoneme(f"ˌ{symbol}" if symbol[:1] in _FULL else symbol, start, end))
        start = end
    return Speech(as_16_bits(samples.numpy()), SAMPLE_RATE, tuple(phonemes), (-1,) * len(phonemes), ())


def program() -> str:
    """Return the path of the program.

    Raises:
        InputError: flite is not installed.
    """
    path = shutil.which("flite")
    if path is None:
        raise InputError("flite: is not installed; install your system's package of that name, or do without its voices")
    return path


@functools.cache
def _voices(path: str) -> frozenset[str]:
    listed = subprocess.run([path, "-lv"], capture_output=True, text=True, check=True).stdout
    return frozenset(listed.partition(":")[2].split())
