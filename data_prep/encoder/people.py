"""Recordings of people to pre-train on, without labels, and the voices among them that no training may hear.

``people.json`` lists recordings by the beginning of their file's SHA-256: the voice, as speaker embeddings cluster, and
the split. It belongs to the 492 recordings of Picovoice's speech-to-intent benchmark (Apache-2.0); whatever else lies in
a folder is for training.
"""

import functools
import json
from pathlib import Path

from data_prep.corpus.espeak import as_16_bits
from data_prep.encoder.made_up_speech import Utterance
from otlib.errors import InputError
from otlib.files import sha256
from otlib.speech.recording import read_recording, resampled
from otlib.speech.small_hubert import SAMPLE_RATE

SPLIT = Path(__file__).with_name("people.json")
_KINDS = frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3"))
_LONGEST = 20 * SAMPLE_RATE  # samples of a piece


@functools.cache
def _listed(split: Path) -> dict[str, dict]:
    return json.loads(split.read_text(encoding="utf-8"))


def split_of(file: Path) -> tuple[str, int | None]:
    """Return "train", "validation" or "test", and the voice's number where it is known."""
    entry = _listed(SPLIT).get(sha256(file)[:16])
    return ("train", None) if entry is None else (entry["split"], entry["voice"])


def recordings(folder: Path, split: str) -> list[tuple[Path, int | None]]:
    """Return the recordings of a split under ``folder``, in order of their names, each with its voice's number.

    Raises:
        InputError: there is none.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _KINDS)
    chosen = [(file, voice) for file in files for part, voice in [split_of(file)] if part == split]
    if not chosen:
        raise InputError(f"{folder}: holds no recording for {split} ({', '.join(sorted(_KINDS))}); give another folder")
    return chosen


def people_pool(folder: Path) -> list[Utterance]:
    """Return what people say in the training recordings under ``folder``, in pieces of at most 20 seconds, unlabelled.

    Raises:
        InputError: no recording there is for training, or one cannot be read.
    """
    pool = []
    for file, _ in recordings(folder, "train"):
        samples = as_16_bits(resampled(read_recording(file)).numpy())
        pool += [Utterance(samples[start:start + _LONGEST], ()) for start in range(0, len(samples), _LONGEST)]
    return pool
