"""The back end "ctc": sounds as spikes between blanks (Graves et al. 2006), put in order along a text.

With a transcript the path goes blank, sound, blank, sound, ...; a blank may be left out, except between two equal sounds.
CTC says when a sound is most certain, not where it begins: the boundary of two sounds lies midway between the end of one
spike and the beginning of the next, and a long stretch of blanks between words is a pause.
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

_PAUSE = 0.2  # seconds: so many blanks between words are a pause; fewer are closures and slow sounds
_EDGE = 0.04  # seconds of a pause that go to the sounds on either side: about half a short sound


@dataclass(frozen=True)
class CtcAligner:
    """An encoder with its phoneme heads."""

    encoder: Encoder
    heads: PhonemeHeads

    @property
    def fingerprint(self) -> str:
        """See :class:`otlib.phonemes.aligner.Aligner`."""
        return f"ctc {self.heads.digest}"

    def phonemes(self, samples: Float[Tensor, " S"], transcript: Transcript | None = None, *,
                 name: str = "the recording") -> tuple[Phoneme, ...]:
        """See :class:`otlib.phonemes.aligner.Aligner`."""
        logarithms = log_probabilities(self.encoder, self.heads.ctc, samples)
        clock = FrameClock(HOP / SAMPLE_RATE, (WINDOW - HOP) / 2 / SAMPLE_RATE, len(samples) / SAMPLE_RATE)
        return ctc_phonemes(logarithms, self.heads.labels, 0, transcript, clock, name)


@dataclass(frozen=True)
class FrameClock:
    """The times of frames: frame t begins at ``t * hop + offset``, and the recording ends at ``seconds``."""

    hop: float
    offset: float
    seconds: float

    def boundary(self, frame: float) -> float:
        """Return when a frame begins, in seconds, kept within the recording."""
        return min(max(frame * self.hop + self.offset, 0.0), self.seconds)


def ctc_phonemes(logarithms: Float[Tensor, "T L"], labels: tuple[str, ...], blank: int, transcript: Transcript | None,
                 clock: FrameClock, name: str) -> tuple[Phoneme, ...]:
    """Turn the output of a CTC model into phonemes with times.

    Args:
        logarithms: log-probabilities of the labels.
        labels: IPA, with "" for the blank and for marks that are not sounds.
        blank: index of the blank.
        transcript: what is said; None takes the likeliest label of each frame.
        clock: the times of frames.
        name: the recording's name in messages.

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
    return np.array(sounds, np.int64), np.array(owners), tuple(symbols), np.isin(np.arange(len(sounds)), ends)


def _spans(path: np.ndarray, owners: np.ndarray, symbols: tuple[str, ...], word_ends: np.ndarray,
           clock: FrameClock) -> tuple[Phoneme, ...]:
    """Give the blanks between spikes to the sounds on either side, or to a pause."""
    spikes = np.flatnonzero(path >= 0)
    sound = path[spikes]
    firsts, lasts = spikes[np.flatnonzero(np.diff(sound, prepend=-1))], spikes[np.flatnonzero(np.diff(sound, append=-1))]
    edge, spans, start = _EDGE / clock.hop, [], 0.0

    def pause(until: float) -> None:
        nonlocal start
        if until > start:
            spans.append(Phoneme(PAUSE, start, until))
            start = until

    if firsts[0] * clock.hop >= _PAUSE:
        pause(clock.boundary(firsts[0] - edge))
    for index in range(len(firsts)):
        is_last = index + 1 == len(firsts)
        if not is_last and owners[index] == owners[index + 1]:
            continue
        following = len(path) if is_last else firsts[index + 1]
        blanks = following - lasts[index] - 1
        is_pause = word_ends[index] and blanks * clock.hop >= _PAUSE
        if is_last and not is_pause:
            end = clock.seconds
        else:
            end = clock.boundary(lasts[index] + 1 + (edge if is_pause else blanks / 2))
        spans.append(Phoneme(symbols[owners[index]], start, end))
        start = end
        if is_pause:
            pause(clock.seconds if is_last else clock.boundary(following - edge))
    return tuple(span for span in spans if span.end > span.start)
