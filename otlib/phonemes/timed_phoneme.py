"""A phoneme with its times, and the one rule that says whether it is p, b or m."""

import unicodedata
from typing import NamedTuple

BILABIALS = frozenset("pbm")
"""Letters of the sounds for which the lips must meet."""


class Phoneme(NamedTuple):
    """An IPA symbol ("" for a pause) from ``start`` to ``end`` seconds."""

    symbol: str
    start: float
    end: float

    @property
    def middle(self) -> float:
        """Halfway between start and end, seconds."""
        return (self.start + self.end) / 2

    @property
    def is_bilabial(self) -> bool:
        """Whether the sound is p, b or m; see :func:`is_bilabial`."""
        return is_bilabial(self.symbol)


def is_bilabial(symbol: str) -> bool:
    """Tell whether an IPA symbol is p, b or m, alone or as a part of a longer sound.

    Any of its letters decides: the lips meet at some time during "k͡p", "pf" and "mb", as they do during "p". Marks and
    raised letters are ignored: "ˈb", "mʲ", "pʰ" and "m̩" are p, b and m, while "tᵐ" is not.
    """
    return any(letter in BILABIALS for letter in unicodedata.normalize("NFD", symbol))
