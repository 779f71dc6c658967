"""What a round of pre-training hears, and what it has to say of each frame: crops of several kinds of speech."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_prep.encoder.made_up_speech import Utterance
from otlib.files import atomic_write
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.speech.small_hubert import HOP, WINDOW


@dataclass(frozen=True)
class Material:
    """Speech of one kind.

    Attributes:
        pool: N utterances.
        units: of each frame of each utterance; UNKNOWN where there is none.
        share: of the crops, relative to the other kinds'.
        lessons: a teacher's features (T, C) of each utterance; none where no teacher has heard them.
    """

    pool: Sequence[Utterance]
    units: Sequence[Int[np.ndarray, " T"]]
    share: float = 1.0
    lessons: Sequence[Float[np.ndarray, "T C"]] | None = None


@dataclass(frozen=True)
class Crops:
    """How crops are cut: how many a step, their frames of 20 ms, and the speeds between which each is heard."""

    batch: int
    frames: int
    speeds: tuple[float, float]

    @property
    def samples(self) -> tuple[int, int]:
        """Samples of a recording that the slowest and the fastest crop take."""
        return tuple(int(speed * ((self.frames - 1) * HOP + WINDOW)) + 1 for speed in self.speeds)


@dataclass(frozen=True)
class Batch:
    """Samples (B, S) float32, units (B, T), and lessons (B, T, C), NaN where there is none, or None without a teacher."""

    samples: Tensor
    units: Tensor
    lessons: Tensor | None


def draw_batch(materials: Sequence[Material], crops: Crops, generator: np.random.Generator) -> Batch:
    """Draw crops, each heard at a speed of its own, with what belongs to the moments of their frames.

    Raises:
        ValueError: no utterance of a kind is as long as a crop.
    """
    length = (crops.frames - 1) * HOP + WINDOW
    samples, units = np.zeros((crops.batch, length), np.float32), np.zeros((crops.batch, crops.frames), np.int64)
    channels = next((one.lessons[0].shape[1] for one in materials if one.lessons), 0)
    lessons = np.full((crops.batch, crops.frames, channels), np.nan, np.float32)
    shares = np.array([one.share for one in materials])
    for row in range(crops.batch):
        material = materials[generator.choice(len(materials), p=shares / shares.sum()) if len(materials) > 1 else 0]
        speed = generator.uniform(*crops.speeds)
        heard = int(speed * length) + 1  # samples of the recording that make one crop
        index, spare = _long_enough(material.pool, heard, generator)
        start = int(generator.integers(spare + 1))
        crop = material.pool[index].samples[start * HOP: start * HOP + heard]
        samples[row] = np.interp(speed * np.arange(length), np.arange(heard), crop) / 32768
        middle = speed * (np.arange(crops.frames) * HOP + WINDOW / 2)  # in samples from the crop's start
        frame = np.rint((middle - WINDOW / 2) / HOP).astype(np.int64)
        frame = start + frame.clip(0, len(material.units[index]) - 1 - start)
        units[row] = material.units[index][frame]
        if material.lessons:
            lessons[row] = material.lessons[index][frame]
    return Batch(torch.from_numpy(samples), torch.from_numpy(units), torch.from_numpy(lessons) if channels else None)


def _long_enough(pool: Sequence[Utterance], samples: int, generator: np.random.Generator) -> tuple[int, int]:
    """Return an utterance drawn among those of so many samples, and the frames that it has more."""
    if max((len(one.samples) for one in pool), default=0) < samples:
        raise ValueError(f"pool: no utterance has the {samples} samples of a crop")
    while True:
        index = int(generator.integers(len(pool)))
        spare = (len(pool[index].samples) - samples) // HOP
        if spare >= 0:
            return index, spare


def kept_pool(file: Path, make: Callable[[], list[Utterance]]) -> list[Utterance]:
    """Return the utterances that ``file`` keeps; where it is missing, make them and keep them there."""
    if not file.exists():
        pool = make()
        with atomic_write(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, samples=np.concatenate([one.samples for one in pool]),
                     lengths=[len(one.samples) for one in pool], phonemes=json.dumps([one.phonemes for one in pool]))
    with np.load(file, allow_pickle=False) as stored:
        clips = np.split(stored["samples"], np.cumsum(stored["lengths"])[:-1])
        return [Utterance(clip, tuple(Phoneme(*one) for one in phonemes))
                for clip, phonemes in zip(clips, json.loads(str(stored["phonemes"])), strict=True)]


def kept_rows(file: Path, make: Callable[[], list[np.ndarray]]) -> list[np.ndarray]:
    """Return the arrays, one an utterance, that ``file`` keeps; where it is missing, make them and keep them there."""
    if not file.exists():
        rows = make()
        with atomic_write(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, rows=np.concatenate(rows), lengths=[len(one) for one in rows])
    with np.load(file, allow_pickle=False) as stored:
        return np.split(stored["rows"], np.cumsum(stored["lengths"])[:-1])
