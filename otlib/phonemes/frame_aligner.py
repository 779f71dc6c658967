"""The back end "frames": the sound of each frame by a classifier, put in order by Viterbi.

With a transcript the path goes along its phonemes, letter by letter, with a pause allowed between words; without one, any
sound may follow any, as often as in the speech that the classifier was trained on. The score of a sound is its
probability divided by its frequency, as in hybrid recognisers (Bourlard and Morgan 1994).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from otlib.errors import InputError
from otlib.phonemes.frame_classifier import PhonemeHeads, log_probabilities
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.viterbi import best_loop, best_path
from otlib.phonemes.words import PAUSE, Transcript, split_symbol
from otlib.speech.encoder import Encoder
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW

_PRIOR_SCALE = 0.3  # how much of the sounds' frequencies is taken out of their probabilities
_PAUSE_COST = 4.0  # per frame of a pause: people's closures and breath sound like synthetic silence, and pauses are optional
_STOPS = ("p", "b", "t", "d", "k", "ɡ")
_LONGEST_CLOSURE = 0.15  # seconds; a shorter silence before a stop is its closure, not a pause
_BETWEEN = (WINDOW - HOP) / 2 / SAMPLE_RATE  # seconds from t * HOP to the midpoint between frames t - 1 and t


@dataclass(frozen=True)
class FrameAligner:
    """An encoder with its phoneme heads."""

    encoder: Encoder
    heads: PhonemeHeads

    @property
    def fingerprint(self) -> str:
        """See :class:`otlib.phonemes.aligner.Aligner`."""
        return f"frames {self.heads.digest}"

    def phonemes(self, samples: Float[Tensor, " S"], transcript: Transcript | None = None, *,
                 name: str = "the recording") -> tuple[Phoneme, ...]:
        """See :class:`otlib.phonemes.aligner.Aligner`."""
        logarithms = log_probabilities(self.encoder, self.heads.frames, samples)
        scores = (logarithms - _PRIOR_SCALE * self.heads.prior).double().numpy()
        seconds = len(samples) / SAMPLE_RATE
        if transcript is None:
            path = best_loop(scores, self.heads.transitions.double().numpy())
            return spans_of(path, np.arange(len(self.heads.labels)), self.heads.labels, seconds)
        letters, owners, symbols = states_of(transcript, self.heads.labels)
        scores[:, self.heads.labels.index(PAUSE)] -= _PAUSE_COST
        try:
            path = best_path(scores[:, letters], np.array([symbols[owner] == PAUSE for owner in owners]))
        except ValueError as error:
            raise InputError(f"{name}: cannot be aligned with its text ({error}); check that the text is what is said"
                             ) from error
        return with_closures(spans_of(path, owners, symbols, seconds))


def with_closures(spans: Sequence[Phoneme]) -> tuple[Phoneme, ...]:
    """Give a short silence before a stop to the stop: the mouth is closed during it.

    The classifier knows the closures of synthetic speech, which are digital silence; people's sound like its pauses.
    """
    joined: list[Phoneme] = []
    for span in spans:
        before = joined[-1] if joined else None
        if (span.symbol.startswith(_STOPS) and before and before.symbol == PAUSE and before.start > 0
                and before.end - before.start < _LONGEST_CLOSURE):
            joined[-1] = Phoneme(span.symbol, before.start, span.end)
        else:
            joined.append(span)
    return tuple(joined)


def states_of(transcript: Transcript, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return the states of a transcript, in order.

    Returns:
        The label (N,) of each state; the number (N,) of the symbol that it is part of; and the symbols, with a pause before
        each word and at the end.
    """
    number = {label: index for index, label in enumerate(labels)}
    states, owners, symbols = [number[PAUSE]], [0], [PAUSE]
    for word in transcript.words:
        for symbol in word.phonemes:
            parts = split_symbol(symbol, labels)
            states += [number[part] for part in parts]
            owners += [len(symbols)] * len(parts)
            symbols += [symbol] if parts else []
        if symbols[-1] != PAUSE:
            states.append(number[PAUSE])
            owners.append(len(symbols))
            symbols.append(PAUSE)
    return np.array(states), np.array(owners), tuple(symbols)


def spans_of(path: np.ndarray, owners: np.ndarray, symbols: tuple[str, ...], seconds: float) -> tuple[Phoneme, ...]:
    """Turn the state of each frame into spans that tile the recording, with boundaries midway between frames' middles.

    Args:
        path: (T,) states.
        owners: (N,) the number of the symbol that each state is part of.
        symbols: IPA.
        seconds: length of the recording.
    """
    owner = owners[path]
    changes = np.flatnonzero(np.diff(owner)) + 1
    bounds = [0.0, *(changes * HOP / SAMPLE_RATE + _BETWEEN).tolist(), seconds]
    firsts = [0, *changes.tolist()]
    return tuple(Phoneme(symbols[owner[first]], start, end)
                 for first, start, end in zip(firsts, bounds[:-1], bounds[1:], strict=True))
