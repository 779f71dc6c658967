"""Variations of an utterance, for robustness to recordings: another speed, another pitch, another room.

Speed and pitch change at synthesis, not by stretching: espeak-ng speaks faster or slower, and its samples are played at
another rate, which shifts voice and formants together, as a vocal tract of another length does. Nothing is smeared, and the
phoneme times are those of the new sound, so motion made from them stays in step with it. Rooms and microphones
(:mod:`data_prep.corpus.augmentation`) leave the timing unchanged.
"""

from dataclasses import dataclass, replace

import numpy as np

from data_prep.corpus.espeak import Speech
from otlib.phonemes.timed_phoneme import Phoneme

SPEEDS = (0.85, 1.15)  # times as fast; our choice: about the range of the corpus's own speakers around their mean
SEMITONES = (-3.0, 3.0)  # our choice: 19 %, the difference between women's and men's vocal tracts
_RATE_STEP = 50  # Hz; a common divisor with other rates keeps the resampling filter short
_FULL_SCALE = 32768


@dataclass(frozen=True)
class Variation:
    """How a copy of an utterance differs from it.

    Attributes:
        speed: how many times as fast the speech is.
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
        """Return the rate at which to speak, so that the speech has the right speed when played."""
        return round(usual * self.speed / self.pitch)

    def record(self, speech: Speech) -> Speech:
        """Play speech, spoken at :meth:`words_a_minute`, at another rate and record it in another room.

        Sound too loud for 16 bits is clipped, as in recordings; phoneme times are whole microseconds.
        """
        playback_rate = round(speech.sample_rate * self.pitch / _RATE_STEP) * _RATE_STEP
        scale = speech.sample_rate / playback_rate
        return replace(speech, samples=_in_a_room(speech.samples, playback_rate, self.recording), sample_rate=playback_rate,
                       phonemes=tuple(Phoneme(symbol, round(start * scale, 6), round(end * scale, 6))
                                      for symbol, start, end in speech.phonemes),
                       words=tuple((word, start * scale) for word, start in speech.words))


def draw_variation(generator: np.random.Generator) -> Variation:
    """Draw a variation with speed and pitch uniform over ``SPEEDS`` and ``SEMITONES``."""
    return Variation(round(float(generator.uniform(*SPEEDS)), 4), round(float(generator.uniform(*SEMITONES)), 4),
                     int(generator.integers(2**31)))


def _in_a_room(samples: np.ndarray, sample_rate: int, seed: int) -> np.ndarray:
    import torch  # imported here, since a corpus without variations does not need it

    from data_prep.corpus.augmentation import augment

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the number of threads changes the rounding of sums, and the bytes must not differ
    try:
        sound = torch.from_numpy(samples.astype(np.float32) / _FULL_SCALE)[None]
        recorded = augment(sound, sample_rate, torch.Generator().manual_seed(seed))[0] * _FULL_SCALE
        return recorded.round().clamp(-_FULL_SCALE, _FULL_SCALE - 1).to(torch.int16).numpy()
    finally:
        torch.set_num_threads(threads)
