"""The sound of every frame of the encoder: phonemes with times to one label for each 20 ms.

Labels are the letters of :data:`data_prep.corpus.articulatory_targets.TARGETS`, so that a diphthong is two sounds one after
the other, as the mouth makes it; label 0 is a pause.
"""

from collections.abc import Sequence

import numpy as np

from data_prep.corpus.articulatory_targets import TARGETS, letters
from otlib.errors import InputError
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW

LABELS = ("", *TARGETS)
UNKNOWN = -100  # what torch's cross-entropy leaves out
_NUMBER = {letter: number for number, letter in enumerate(LABELS)}


def frame_labels(phonemes: Sequence[Phoneme], frames: int) -> np.ndarray:
    """Return the sound at the middle of each frame's stretch of audio.

    Args:
        phonemes: with times in seconds, in order.
        frames: T, of the encoder: frame t hears samples 320 t to 320 t + 400 at 16 kHz.

    Returns:
        (T,) int64, indices into ``LABELS``; UNKNOWN where no phoneme is or its letters are not among them.
    """
    labels = np.full(frames, UNKNOWN, np.int64)
    middle = (np.arange(frames) * HOP + WINDOW / 2) / SAMPLE_RATE
    for phoneme in phonemes:
        start = phoneme.start
        for letter, share in _parts(phoneme.symbol):
            end = start + share * (phoneme.end - phoneme.start)
            labels[np.searchsorted(middle, start):np.searchsorted(middle, end)] = _NUMBER.get(letter, UNKNOWN)
            start = end
    return labels


def _parts(symbol: str) -> list[tuple[str, float]]:
    """Return letters and shares of a phoneme; one of another language that English has no letters for has none."""
    if not symbol:
        return [("", 1.0)]
    try:
        return [(letter.letter, letter.share) for letter in letters(symbol)]
    except InputError:
        return []
