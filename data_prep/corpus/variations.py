"""Variations of an utterance, for robustness to recordings: another speed, another pitch, another room.

Speed and pitch are changed where speech is made, not by stretching it: espeak-ng speaks faster or slower, and its samples
are played at another rate, which moves voice and formants together, as a vocal tract of another length does. Nothing is
smeared, and the times of the phonemes are those of the new sound, so a motion made from them is in step with it. What
rooms and microphones do (:mod:`data_prep.corpus.augmentation`) keeps its timing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

SPEEDS = (0.85, 1.15)  # times as fast; our choice: about as far as the corpus's own speakers are from their mean
SEMITONES = (-3.0, 3.0)  # our choice: 19 % either way is what parts the vocal tracts of women and men
_RATE_STEP = 50  # Hz; a rate with a divisor in common with others is resampled by a short filter
_FULL_SCALE = 32768

Phonemes = list[tuple[str, float, float]]


@dataclass(frozen=True)
class Variation:
    """How a copy of an utterance differs from it.

    Attributes:
        speed: how many times as fast it is spoken.
        semitones: how much higher voice and formants are.
        recording: seed of room, microphone, noise and level.
    """

    speed: float
    semitones: float
    recording: int

    @property
    def pitch(self) -> float:
        """How many times as fast the samples are played."""
        return 2 ** (self.semitones / 12)

    def words_a_minute(self, usual: int) -> int:
        """Return the rate at which to speak, so that the speech has its speed once it is played."""
        return round(usual * self.speed / self.pitch)

    def record(self, samples: np.ndarray, sample_rate: int, phonemes: Iterable[tuple[str, float, float]]
               ) -> tuple[np.ndarray, int, Phonemes]:
        """Play speech at another rate and record it in another room.

        Args:
            samples: (S,) int16, spoken at :meth:`words_a_minute`.
            sample_rate: Hz.
            phonemes: (symbol, start, end), seconds.

        Returns:
            Samples (S,) int16, the rate in Hz at which they are to be played, and the phonemes at that rate. Sound that
            is too loud for 16 bits is clipped, as in recordings.
        """
        played = round(sample_rate * self.pitch / _RATE_STEP) * _RATE_STEP
        scale = sample_rate / played
        spans = [(symbol, round(start * scale, 6), round(end * scale, 6)) for symbol, start, end in phonemes]
        return _in_a_room(samples, played, self.recording), played, spans


def draw_variation(generator: np.random.Generator) -> Variation:
    """Return a variation with speed and pitch uniform over ``SPEEDS`` and ``SEMITONES``."""
    return Variation(round(float(generator.uniform(*SPEEDS)), 4), round(float(generator.uniform(*SEMITONES)), 4),
                     int(generator.integers(2**31)))


def _in_a_room(samples: np.ndarray, sample_rate: int, seed: int) -> np.ndarray:
    import torch  # here, since a corpus without variations needs none of it

    from data_prep.corpus.augmentation import augment

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums over parts of a clip round by the number of threads, and bytes shall not differ
    try:
        sound = torch.from_numpy(samples.astype(np.float32) / _FULL_SCALE)[None]
        recorded = augment(sound, sample_rate, torch.Generator().manual_seed(seed))[0] * _FULL_SCALE
        return recorded.round().clamp(-_FULL_SCALE, _FULL_SCALE - 1).to(torch.int16).numpy()
    finally:
        torch.set_num_threads(threads)
