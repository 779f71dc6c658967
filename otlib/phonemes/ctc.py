"""The back end "ctc": sounds as spikes between blanks (Graves et al. 2006), put in order along a text.

With a transcript the path goes blank, sound, blank, sound, ...; a blank may be left out, except between two equal sounds.
CTC says when a sound is surest, not where it begins: two sounds part midway between the end of one's spike and the
beginning of the next one's, and a long stretch of blanks between words is a pause.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from otlib.errors import InputError
from otlib.phonemes.frame_classifier import PhonemeHeads, log_probabilities
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.viterbi import best_path
from otlib.phonemes.words import PAUSE, Transcript, split_symbol
from otlib.speech.encoder import Encoder
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW

_PAUSE = 0.2  # seconds of blanks between words from which on they are a pause; shorter ones are closures and slow sounds
_EDGE = 0.04  # seconds of such a stretch that stay with the sounds beside it: about half a short sound


@dataclass(frozen=True)
class CtcAligner:
    """An encoder with its phoneme heads."""

    encoder: Encoder
    heads: PhonemeHeads

    def phonemes(self, samples: Float[Tensor, " S"], transcript: Transcript | None = None, *,
                 name: str = "the recording") -> tuple[Phoneme, ...]:
        """See :class:`otlib.phonemes.aligner.Aligner`."""
        logarithms = log_probabilities(self.encoder, self.heads.ctc, samples)
        clock = FrameClock(HOP / SAMPLE_RATE, (WINDOW - HOP) / 2 / SAMPLE_RATE, len(samples) / SAMPLE_RATE)
        return ctc_phonemes(logarithms, self.heads.labels, 0, transcript, clock, name)


@dataclass(frozen=True)
class FrameClock:
    """When frames are: the boundary before frame t lies at ``t * hop + offset``; the recording ends at ``seconds``."""

    hop: float
    offset: float
    seconds: float

    def boundary(self, frame: float) -> float:
        """Return the time at which a frame begins, within the recording."""
        return min(max(frame * self.hop + self.offset, 0.0), self.seconds)


def ctc_phonemes(logarithms: Float[Tensor, "T L"], labels: tuple[str, ...], blank: int, transcript: Transcript | None,
                 clock: FrameClock, name: str) -> tuple[Phoneme, ...]:
    """Turn the output of a CTC model into phonemes with times.

    Args:
        logarithms: of the labels' probabilities.
        labels: IPA, with "" for the blank and for what is no sound.
        blank: index of the blank.
        transcript: what is said; None takes the likeliest label of each frame.
        clock: when frames are.
        name: of the recording.

    Raises:
        InputError: fewer frames than the text needs, or a sound that the labels lack.
    """
    if transcript is None:
        best = logarithms.argmax(1).numpy()
        starts = (best != blank) & (np.diff(best, prepend=blank) != 0)
        sounds = best[starts]
        path = np.where(best == blank, -1, np.cumsum(starts) - 1)
        owners, symbols = np.arange(len(sounds)), tuple(labels[sound] for sound in sounds)
        word_ends = np.ones(len(sounds), bool)
    else:
        sounds, owners, symbols, word_ends = _targets(transcript, labels)
        try:
            path = ctc_path(logarithms.double().numpy(), sounds, blank)
        except ValueError as error:
            raise InputError(f"{name}: cannot be aligned with its text ({error}); check that the text is what is said"
                             ) from error
    if len(sounds) == 0:
        return (Phoneme(PAUSE, 0.0, clock.seconds),)
    return _spans(path, owners, symbols, word_ends, clock)


def ctc_path(logarithms: Float[np.ndarray, "T L"], sounds: Int[np.ndarray, " N"], blank: int) -> Int[np.ndarray, " T"]:
    """Return which of the N sounds each frame is, -1 for a blank, by :func:`otlib.phonemes.viterbi.best_path`.

    Raises:
        ValueError: too few frames.
    """
    states = np.full(2 * len(sounds) + 1, blank)
    states[1::2] = sounds
    optional = np.zeros(len(states), bool)
    optional[::2] = True
    optional[2:-1:2] = states[1:-2:2] != states[3::2]  # between equal sounds a blank must stand
    path = best_path(logarithms[:, states], optional)
    return np.where(path % 2 == 1, path // 2, -1)


def _targets(transcript: Transcript, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray]:
    """Return the label of each sound, the symbol it is part of, the symbols, and which sounds end a word."""
    number = {label: index for index, label in enumerate(labels) if label}
    sounds: list[int] = []
    owners: list[int] = []
    symbols: list[str] = []
    ends: list[int] = []
    for word in transcript.words:
        for symbol in word.phonemes:
            parts = split_symbol(symbol, number)
            sounds += [number[part] for part in parts]
            owners += [len(symbols)] * len(parts)
            symbols += [symbol] if parts else []
        ends.append(len(sounds) - 1)
    word_ends = np.zeros(len(sounds), bool)
    word_ends[[end for end in ends if end >= 0]] = True
    return np.array(sounds, np.int64), np.array(owners), tuple(symbols), word_ends


def _spans(path: np.ndarray, owners: np.ndarray, symbols: tuple[str, ...], word_ends: np.ndarray,
           clock: FrameClock) -> tuple[Phoneme, ...]:
    """Give the blanks between spikes to the sounds beside them, or to a pause."""
    heard = np.flatnonzero(path >= 0)
    sound = path[heard]
    firsts, lasts = heard[np.flatnonzero(np.diff(sound, prepend=-1))], heard[np.flatnonzero(np.diff(sound, append=-1))]
    edge, spans, start = _EDGE / clock.hop, [], 0.0

    def pause(until: float) -> None:
        nonlocal start
        if until > start:
            spans.append(Phoneme(PAUSE, start, until))
            start = until

    if firsts[0] * clock.hop >= _PAUSE:
        pause(clock.boundary(firsts[0] - edge))
    for index in range(len(firsts)):
        if index + 1 < len(firsts) and owners[index] == owners[index + 1]:
            continue
        following = firsts[index + 1] if index + 1 < len(firsts) else len(path)
        blanks = following - lasts[index] - 1
        is_pause = word_ends[index] and blanks * clock.hop >= _PAUSE
        end = lasts[index] + 1 + (edge if is_pause else blanks / 2)
        if index + 1 == len(firsts) and not is_pause:
            end = np.inf
        end = clock.boundary(end)
        spans.append(Phoneme(symbols[owners[index]], start, end))
        start = end
        if is_pause:
            pause(clock.boundary(following - edge) if index + 1 < len(firsts) else clock.seconds)
    return tuple(span for span in spans if span.end > span.start)
