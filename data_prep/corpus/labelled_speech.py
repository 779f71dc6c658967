"""The corpus's speech without its heads: what is said, by whom, at 16 kHz, with the times of phonemes and words.

The same speakers say the same sentences as in the corpus on disk (:mod:`data_prep.corpus.synthetic`); without the heads, an
hour of it takes seconds to make. Nothing here is trained on the test speakers or the test words.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torchaudio.functional

from data_prep.corpus.espeak import Speech, synthesise
from data_prep.corpus.sentences import corpus_sentences
from data_prep.corpus.speakers import Speaker, draw_speakers, speak
from data_prep.head import IDENTITY_DIRECTIONS
from otlib.data.manifest import SPLITS
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.words import Transcript, Word
from otlib.speech.small_hubert import SAMPLE_RATE


@dataclass(frozen=True)
class LabelledSpeech:
    """One sentence of one speaker.

    Attributes:
        speaker: who says it.
        text: the wording.
        samples: (S,) float32 at 16 kHz, in [-1, 1].
        phonemes: they tile the recording; "" is a pause.
        transcript: words and their phonemes, without times.
        word_spans: (start, end) of each word of the transcript, in seconds.
    """

    speaker: Speaker
    text: str
    samples: np.ndarray
    phonemes: tuple[Phoneme, ...]
    transcript: Transcript
    word_spans: tuple[tuple[float, float], ...]


def corpus_speech(split: str, speakers: int, sentences: int, seed: int = 0) -> list[LabelledSpeech]:
    """Return the speech of the first speakers of a split; no two say the same sentence.

    Args:
        split: "train", "val" or "test".
        speakers: number of speakers.
        sentences: number of sentences for each speaker.
        seed: the seed of speakers and sentences; 0 gives the people of the corpus.

    Raises:
        InputError: espeak-ng is not installed.
    """
    none = dict.fromkeys(SPLITS, 0)
    counts = none | {split: speakers * sentences}
    texts = corpus_sentences(seed, counts["train"], counts["val"], counts["test"])[split]
    people = draw_speakers(seed, none | {split: speakers}, len(IDENTITY_DIRECTIONS))
    return [_labelled(speaker, texts[number * sentences + index]) for number, speaker in enumerate(people)
            for index in range(sentences)]


def _labelled(speaker: Speaker, text: str) -> LabelledSpeech:
    speech = speak(speaker, text)
    samples = torch.from_numpy(speech.samples.astype(np.float32) / 32768)
    samples = torchaudio.functional.resample(samples, speech.sample_rate, SAMPLE_RATE).numpy()
    words = spoken_words(text, speech)
    spans = tuple((phonemes[0].start, phonemes[-1].end) for _, phonemes in words)
    return LabelledSpeech(speaker, text, samples, speech.phonemes, as_transcript(words), spans)


def spoken_words(text: str, speech: Speech) -> list[tuple[str, tuple[Phoneme, ...]]]:
    """Return each word of ``text`` as written, with its phonemes, pauses left out.

    espeak-ng says some pairs, such as "in the", as one word that it calls "in"; here it is called by both.
    """
    starts = [0]
    for word, _ in speech.words[1:]:
        match = re.compile(rf"(?<!\w){re.escape(word.strip())}").search(text, starts[-1] + 1)
        starts.append(match.start() if match else starts[-1])
    parts: list[list[Phoneme]] = [[] for _ in speech.words]
    for phoneme, word in zip(speech.phonemes, speech.word_numbers, strict=True):
        if word >= 0:
            parts[word].append(phoneme)
    return [(text[start:end].strip(), tuple(phonemes))
            for start, end, phonemes in zip(starts, [*starts[1:], len(text)], parts, strict=True) if phonemes]


def as_transcript(words: Iterable[tuple[str, tuple[Phoneme, ...]]]) -> Transcript:
    """Return the words with their phonemes, without times."""
    return Transcript(tuple(Word(text, tuple(phoneme.symbol for phoneme in phonemes)) for text, phonemes in words))


def text_to_phonemes(text: str, voice: str = "en-us") -> Transcript:
    """Return the words of a text with their phonemes as espeak-ng would say them, without times.

    Args:
        text: any text.
        voice: accent or language, as espeak-ng names it.

    Raises:
        InputError: espeak-ng is not installed, there is no such voice, or the text gives no sound.
    """
    return as_transcript(spoken_words(text, synthesise(text, voice)))


def unseen_word_frames(speech: LabelledSpeech, seen: frozenset[str], times: np.ndarray) -> np.ndarray:
    """Return which moments lie in words that are not in ``seen``; (T,) bool for (T,) seconds."""
    inside = np.zeros(len(times), bool)
    for word, (start, end) in zip(speech.transcript.words, speech.word_spans, strict=True):
        if any(plain(part) not in seen for part in word.text.split()):
            inside |= (times >= start) & (times < end)
    return inside


def plain(word: str) -> str:
    """Return a word in lower case, without punctuation around it."""
    return word.lower().strip(".,;:!?\"'()")


def vocabulary(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of some sentences."""
    return frozenset(plain(word) for text in texts for word in text.split())
