"""The people of the built-in corpus, each with a head, a voice and a speaking style, and their speech."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_prep.corpus import flite, voices
from data_prep.corpus.articulation import Style
from data_prep.corpus.espeak import Speech, synthesise
from otlib.data.manifest import SPLITS
from otlib.phonemes.timed_phoneme import Phoneme

_LARGEST_IDENTITY = 2.0  # standard deviations; a rarer face would be a caricature
ENGINES = ("espeak", "flite")
_TRACT_LENGTHS = (1.0, 0.9, 1.1, 0.95, 1.06)  # so that three voices of flite make fifteen people
_USUAL_RATE = 175  # words a minute of espeak-ng at which flite speaks at its own pace
_LEAD_IN = 0.3  # seconds of silence before the first word, so that the mouth starts from rest; espeak-ng starts at once


@dataclass(frozen=True)
class Speaker:
    """One person of the corpus.

    Attributes:
        id: split and number, such as "train03".
        split: "train", "val" or "test".
        identity: coefficients of the head's identity directions.
        voice: espeak-ng's name for it, or "flite:", flite's name for it and the length of the vocal tract, "flite:rms:0.9".
        rate: words per minute.
        pitch, pitch_range: 0 to 100, as in espeak-ng; flite has its voice's own.
        style: manner of articulation.
    """

    id: str
    split: str
    identity: tuple[float, ...]
    voice: str
    rate: int
    pitch: int
    pitch_range: int
    style: Style


def speak(speaker: Speaker, text: str) -> Speech:
    """Synthesise ``text`` in the speaker's voice after a short silence; phoneme times are whole microseconds.

    Raises:
        InputError: espeak-ng or flite is not installed, or the text has nothing to speak.
    """
    if speaker.voice.startswith("flite:"):
        _, voice, tract = speaker.voice.split(":")
        speech = flite.synthesise(text, voice, _USUAL_RATE / speaker.rate, float(tract))
    else:
        speech = synthesise(text, speaker.voice, speaker.rate, speaker.pitch, speaker.pitch_range)
    silence = round(_LEAD_IN * speech.sample_rate)
    lead_in = silence / speech.sample_rate
    phonemes = [Phoneme(symbol, round(start + lead_in, 6), round(end + lead_in, 6))
                for symbol, start, end in speech.phonemes]
    return Speech(np.concatenate([np.zeros(silence, np.int16), speech.samples]), speech.sample_rate,
                  (Phoneme("", 0.0, round(lead_in, 6)), *phonemes), (-1, *speech.word_numbers),
                  tuple((word, start + lead_in) for word, start in speech.words))


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator that depends only on the seed and the names, not on the order of work or the process."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng(np.random.SeedSequence([seed, *np.frombuffer(digest, dtype="<u4").tolist()]))


def draw_speakers(seed: int, counts: dict[str, int], directions: int,
                  engines: Sequence[str] = ENGINES[:1]) -> list[Speaker]:
    """Return speakers for each split, each with a different voice; those of flite come again from the sixteenth on.

    No encoder or model of this project is trained on the test speakers' voices (:mod:`data_prep.corpus.voices`);
    validation speakers take theirs from the other end of the training list. A larger count includes the speakers of a
    smaller one.

    Args:
        seed: the same seed gives the same speakers.
        counts: number of speakers in each split.
        directions: number of the head's identity coefficients.
        engines: of ENGINES, whose voices the training speakers have in turn; all others have espeak-ng's.

    Raises:
        ValueError: there are fewer voices than speakers.
    """
    train = _alternate(named_generator(seed, "voices"), voices.TRAIN_FEMALE, voices.TRAIN_MALE)
    unseen = _alternate(named_generator(seed, "test voices"), voices.TEST_FEMALE, voices.TEST_MALE)
    if counts["train"] + counts["val"] > len(train) or counts["test"] > len(unseen):
        raise ValueError(f"there are {len(train)} voices for training and validation and {len(unseen)} for test, "
                         f"fewer than the speakers asked for: {counts}")
    variants = {"train": train, "val": train[::-1], "test": unseen}
    speakers = [_draw(seed, split, index, variants[split][index], directions)
                for split in SPLITS for index in range(counts[split])]
    people = itertools.cycle(f"flite:{voice}:{tract:g}" for tract in _TRACT_LENGTHS for voice in flite.VOICES)
    turns = itertools.cycle(engines)
    return [replace(speaker, voice=next(people)) if speaker.split == "train" and next(turns) == "flite" else speaker
            for speaker in speakers]


def _alternate(generator: np.random.Generator, female: tuple[str, ...], male: tuple[str, ...]) -> list[str]:
    """Shuffle both lists and spread the shorter one evenly over the longer one."""
    keyed = [((index + 0.5) / len(names), str(name)) for names in (female, male)
             for index, name in enumerate(generator.permutation(names))]
    return [name for _, name in sorted(keyed)]


def _draw(seed: int, split: str, index: int, variant: str, directions: int) -> Speaker:
    speaker = f"{split}{index:02d}"
    generator = named_generator(seed, "speaker", speaker)
    identity = np.clip(generator.normal(size=directions), -_LARGEST_IDENTITY, _LARGEST_IDENTITY)
    return Speaker(speaker, split, tuple(identity.round(4).tolist()), f"{generator.choice(voices.ACCENTS)}+{variant}",
                   int(generator.integers(140, 206)), int(generator.integers(30, 71)), int(generator.integers(35, 86)),
                   draw_style(generator))


def draw_style(generator: np.random.Generator) -> Style:
    """Draw a speaking style around the mean style; spreads and bounds are our choice."""
    def scale(spread: float, lowest: float, highest: float) -> float:
        return round(float(np.clip(np.exp(spread * generator.normal()), lowest, highest)), 4)

    def offset(spread: float, bound: float) -> float:
        return round(float(np.clip(spread * generator.normal(), -bound, bound)), 4)

    return Style(amplitude=scale(0.15, 0.75, 1.3), jaw_preference=offset(0.35, 0.7), lead=offset(0.02, 0.045),
                 asymmetry=offset(0.12, 0.3), rounding=scale(0.18, 0.7, 1.4), effort=scale(0.25, 0.6, 1.5),
                 smoothness=scale(0.10, 0.8, 1.25), brow_activity=scale(0.4, 0.4, 2.0),
                 blink_rate=Style.blink_rate * scale(0.3, 0.5, 2.0))
