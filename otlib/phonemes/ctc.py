"""The back ends "ctc": sounds as spikes between blanks (Graves et al. 2006), put in order along a text.

With a transcript the path goes blank, sound, blank, sound, ...; a blank may be left out, except between two equal sounds.
CTC says when a sound is surest, not where it begins: two sounds part midway between the end of one's spike and the
beginning of the next one's, and a long stretch of blanks between words is a pause.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torchaudio.functional
from jaxtyping import Float, Int
from torch import Tensor

from otlib.data.dataset import PhonemeSpan
from otlib.errors import InputError
from otlib.phonemes.frame_classifier import PhonemeHeads, log_probabilities
from otlib.phonemes.transcript import PAUSE, Transcript, split_symbol
from otlib.phonemes.viterbi import best_path
from otlib.speech.encoder import Encoder
from otlib.speech.local_hubert import HOP, SAMPLE_RATE, WINDOW
from otlib.speech.torchaudio_guard import require_forced_align

_PAUSE = 0.2  # seconds of blanks between words from which on they are a pause; shorter ones are closures and slow sounds
_EDGE = 0.04  # seconds of such a stretch that stay with the sounds beside it: about half a short sound
ForcedAlign = Callable[[Float[Tensor, "T L"], Int[Tensor, " N"], int], np.ndarray]


@dataclass(frozen=True)
class CtcAligner:
    """An encoder, its phoneme heads, and what finds the path."""

    encoder: Encoder
    heads: PhonemeHeads
    forced_align: ForcedAlign

    @classmethod
    def load(cls, encoder: Encoder, heads: PhonemeHeads, *, torchaudio: bool = False) -> "CtcAligner":
        """Make one that uses our own path, or torchaudio's.

        Raises:
            InputError: torchaudio's compiled part is asked for and cannot be loaded beside this build of torch.
        """
        if torchaudio:
            try:
                require_forced_align()
            except RuntimeError as error:
                raise InputError(f"ctc-torchaudio: {error} ('ctc')") from error
        return cls(encoder, heads, compiled_path if torchaudio else own_path)

    def phonemes(self, samples: Float[Tensor, " S"], transcript: Transcript | None = None, *,
                 name: str = "the recording") -> tuple[PhonemeSpan, ...]:
        """See :class:`otlib.phonemes.alignment.Aligner`."""
        logarithms = log_probabilities(self.encoder, self.heads.ctc, samples)
        clock = FrameClock(HOP / SAMPLE_RATE, (WINDOW - HOP) / 2 / SAMPLE_RATE, len(samples) / SAMPLE_RATE)
        return ctc_phonemes(logarithms, self.heads.labels, 0, transcript, clock, self.forced_align, name)


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
                 clock: FrameClock, forced_align: ForcedAlign, name: str) -> tuple[PhonemeSpan, ...]:
    """Turn the output of a CTC model into phonemes with times.

    Args:
        logarithms: of the labels' probabilities.
        labels: IPA, with "" for the blank and for what is no sound.
        blank: index of the blank.
        transcript: what is said; None takes the likeliest label of each frame.
        clock: when frames are.
        forced_align: :func:`own_path` or :func:`compiled_path`.
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
            path = forced_align(logarithms, torch.from_numpy(sounds), blank)
        except ValueError as error:
            raise InputError(f"{name}: cannot be aligned with its text ({error}); check that the text is what is said"
                             ) from error
    if len(sounds) == 0:
        return (PhonemeSpan(PAUSE, 0.0, clock.seconds),)
    return _spans(path, owners, symbols, word_ends, clock)


def own_path(logarithms: Float[Tensor, "T L"], sounds: Int[Tensor, " N"], blank: int) -> np.ndarray:
    """Return which of the N sounds each frame is, -1 for a blank, by :func:`otlib.phonemes.viterbi.best_path`.

    Raises:
        ValueError: too few frames.
    """
    states = np.full(2 * len(sounds) + 1, blank)
    states[1::2] = sounds.numpy()
    optional = np.zeros(len(states), bool)
    optional[::2] = True
    optional[2:-1:2] = states[1:-2:2] != states[3::2]  # between equal sounds a blank must stand
    path = best_path(logarithms.double().numpy()[:, states], optional)
    return np.where(path % 2 == 1, path // 2, -1)


def compiled_path(logarithms: Float[Tensor, "T L"], sounds: Int[Tensor, " N"], blank: int) -> np.ndarray:
    """Return the same by torchaudio's ``forced_align``.

    Raises:
        ValueError: too few frames.
    """
    needed = len(sounds) + int((sounds[1:] == sounds[:-1]).sum())
    if len(logarithms) < max(1, needed):
        raise ValueError(f"{len(logarithms)} frames are too few for {needed} sounds")
    labels, _ = torchaudio.functional.forced_align(logarithms[None], sounds[None], blank=blank)
    found = labels[0].numpy()
    starts = (found != blank) & (np.diff(found, prepend=blank) != 0)
    return np.where(found == blank, -1, np.cumsum(starts) - 1)


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
           clock: FrameClock) -> tuple[PhonemeSpan, ...]:
    """Give the blanks between spikes to the sounds beside them, or to a pause."""
    heard = np.flatnonzero(path >= 0)
    sound = path[heard]
    firsts, lasts = heard[np.flatnonzero(np.diff(sound, prepend=-1))], heard[np.flatnonzero(np.diff(sound, append=-1))]
    edge, spans, start = _EDGE / clock.hop, [], 0.0

    def pause(until: float) -> None:
        nonlocal start
        if until > start:
            spans.append(PhonemeSpan(PAUSE, start, until))
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
        spans.append(PhonemeSpan(symbols[owners[index]], start, end))
        start = end
        if is_pause:
            pause(clock.boundary(following - edge) if index + 1 < len(firsts) else clock.seconds)
    return tuple(span for span in spans if span.end > span.start)
