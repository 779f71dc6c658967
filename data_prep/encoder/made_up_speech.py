"""Speech to pre-train an encoder on: many voices, English sentences, made-up words, and numbers in other languages.

Most words are made up, of letters or of phonemes: an encoder that hears a few hundred real words over and over learns
the words and names a sound by its neighbours; in words that it never heard it is then wrong more often.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torchaudio.functional
from tqdm import tqdm

from data_prep.corpus import voices
from data_prep.corpus.espeak import as_16_bits, synthesise
from data_prep.corpus.labelled_speech import vocabulary
from data_prep.corpus.sentences import kept_phrases, sentences, training_phrases
from otlib.commands import Workers
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.speech.small_hubert import SAMPLE_RATE

# words that no training of anything hears
KEPT_WORDS = vocabulary(kept_phrases()) - vocabulary(training_phrases())
_ONSETS = ("b bl br d dr f fl fr g gl gr h j k kl kr l m n p pl pr r s sh sk sl sm sn sp st str sw t th tr v w y z ch "
           "kw").split()
_VOWELS = "a e i o u ee oo ai ow oi ar er or ay ea igh".split()
_CODAS = ["", "", "", *"b d f g k l m n p r s t v z sh ch th nd mp st ks lm nt".split()]
# the same in espeak-ng's names of phonemes, which every English accent has
_ONSET_PHONEMES = ["", "", *"p b t d k g f v T D s z S h m n l r j w tS dZ".split(),
                   *"pl pr bl br tr tw dr kr kl kw gr fl fr sp st sk sl sm sn sw Tr pj bj mj fj vj".split()]
_VOWEL_PHONEMES = "a A: A@ E e@ I i: i@ O O: O@ U U U@ u: u: V 3: eI aI OI oU aU".split()
_WEAK_PHONEMES = "@ @ I I2 i 3 @L U oU V".split()
_CODA_PHONEMES = ["", "", "", *"p b t d k g f v T s z S Z m n N l tS dZ mp nt nd st ks ft vz lv lf lm bz pt".split()]
# vocal tracts shorter or longer than espeak-ng's own: the recording is read at another speed
_TRACT_LENGTHS = (0.84, 0.88, 0.92, 0.96, 1.0, 1.0, 1.0, 1.05, 1.1, 1.16)
# below it espeak-ng 1.52 crashes now and then in its deepest voices (en+rob at 23 on one sentence of 2,000)
_LOWEST_PITCH = 32


@dataclass(frozen=True)
class Utterance:
    """Samples (S,) int16 at 16 kHz with phonemes and their times."""

    samples: np.ndarray
    phonemes: tuple[Phoneme, ...]


def spelt_words(generator: np.random.Generator) -> str:
    """Return made-up words in letters; espeak-ng finds how to say them."""
    def syllable() -> str:
        return "".join(str(generator.choice(parts)) for parts in (_ONSETS, _VOWELS, _CODAS))

    words = ["".join(syllable() for _ in range(generator.integers(1, 4))) for _ in range(generator.integers(4, 9))]
    return " ".join(word for word in words if word not in KEPT_WORDS) + "."


def _spoken_words(generator: np.random.Generator) -> str:
    """Return made-up words in phonemes, as often with rare sounds as with frequent ones.

    They have two to four syllables: a single one drawn at random would now and then be a word of the test sentences.
    """
    def word() -> str:
        syllables = int(generator.integers(2, 5))
        stressed = int(generator.integers(syllables))
        parts = []
        for index in range(syllables):
            vowels = _VOWEL_PHONEMES if index == stressed or generator.random() < 0.4 else _WEAK_PHONEMES
            parts += [str(generator.choice(_ONSET_PHONEMES)), "'" * (index == stressed), str(generator.choice(vowels))]
            if index == syllables - 1 or generator.random() < 0.3:
                parts.append(str(generator.choice(_CODA_PHONEMES)))
        return "".join(parts)

    return f"[[{' '.join(word() for _ in range(generator.integers(3, 7)))}]]."


def draw_utterance(seed: int, index: int) -> Utterance:
    """Return the ``index``-th utterance of the pool that ``seed`` names: text, voice and manner drawn from both."""
    generator = np.random.default_rng([seed, index])
    kind = generator.random()
    accent = str(generator.choice(voices.ACCENTS))
    if kind < 0.25:
        text = next(sentences(generator))
    elif kind < 0.45:
        text = spelt_words(generator)
    elif kind < 0.85:
        text = _spoken_words(generator)
    else:
        text = " ".join(str(generator.integers(10 ** int(generator.integers(1, 7)))) for _ in range(4))
        accent = str(generator.choice(voices.LANGUAGES)) if generator.random() < 0.7 else accent
    variant = str(generator.choice(voices.TRAIN_FEMALE if generator.random() < 0.45 else voices.TRAIN_MALE))
    if generator.random() < 0.08:
        variant = str(generator.choice(voices.EFFECTS))
    speech = synthesise(text, f"{accent}+{variant}", rate=int(generator.integers(120, 230)),
                        pitch=int(generator.integers(_LOWEST_PITCH, 85)), pitch_range=int(generator.integers(20, 90)),
                        phoneme_names=True)
    stretch = float(generator.choice(_TRACT_LENGTHS))
    rate = round(speech.sample_rate * stretch / 250) * 250  # a common divisor keeps the resampling filter short
    stretch = rate / speech.sample_rate
    samples = torchaudio.functional.resample(torch.from_numpy(speech.samples.astype(np.float32) / 32768), rate, SAMPLE_RATE)
    samples = as_16_bits(samples.numpy())
    phonemes = tuple(Phoneme(symbol, start / stretch, end / stretch) for symbol, start, end in speech.phonemes)
    return Utterance(samples, phonemes)


def _single_thread() -> None:
    torch.set_num_threads(1)


def speech_pool(seed: int, hours: float, processes: int = 1,
                draw: Callable[[int, int], Utterance] = draw_utterance) -> list[Utterance]:
    """Return ``hours`` of utterances; the same seed gives the same pool, whatever the number of processes.

    Args:
        seed, hours, processes: as said.
        draw: returns the utterance that a seed and a number name.
    """
    wanted, pool = hours * 3600 * SAMPLE_RATE, []
    with (Workers(processes, _single_thread) as executor,
          tqdm(total=round(hours * 3600), unit="s", desc="speech") as bar):
        start, have = 0, 0
        while have < wanted:
            for utterance in executor.map(draw, [seed] * 256, range(start, start + 256), chunksize=16):
                if have < wanted:
                    pool.append(utterance)
                    have += len(utterance.samples)
                    bar.update(len(utterance.samples) / SAMPLE_RATE)
            start += 256
    return pool
