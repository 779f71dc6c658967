"""What is said: words and their phonemes, as an aligner takes them."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from otlib.errors import InputError

PAUSE = ""
_MARKS = "ˈˌː:"  # stress and length


@dataclass(frozen=True)
class Word:
    """A word as written, and its phonemes: IPA symbols, with stress and length marks allowed."""

    text: str
    phonemes: tuple[str, ...]


@dataclass(frozen=True)
class Transcript:
    """Words in the order of time. Pauses may lie before, between and after words; they need not be named."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words as written."""
        return " ".join(word.text for word in self.words)


def split_symbol(symbol: str, labels: Collection[str]) -> tuple[str, ...]:
    """Split an IPA symbol such as "ˈaɪ" into labels, preferring the longest.

    Stress, length and combining marks that no label has are ignored.

    Raises:
        InputError: a letter is not among the labels.
    """
    text = unicodedata.normalize("NFD", symbol)
    decomposed = {unicodedata.normalize("NFD", label): label for label in labels if label}
    longest = max(map(len, decomposed), default=0)
    parts: list[str] = []
    while text:
        length = next((size for size in range(longest, 0, -1) if text[:size] in decomposed), 0)
        if length:
            parts.append(decomposed[text[:length]])
        elif text[0] not in _MARKS and not unicodedata.combining(text[0]):
            raise InputError(f"the phoneme {symbol!r} has the letter {text[0]!r}, which this aligner does not know; give "
                             "phonemes of English, or use a back end that knows the language")
        text = text[max(1, length):]
    return tuple(parts)
