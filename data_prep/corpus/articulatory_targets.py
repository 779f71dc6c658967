"""What the mouth does for each sound: IPA symbols to articulatory targets.

A symbol of espeak-ng's English voices, such as "ˈaɪə" or "ɑːɹ", is taken apart into letters, each with a target for the
five blended articulators and a dominance, which says how much the sound insists on that target against its neighbours
(Cohen and Massaro 1993, "Modeling coarticulation in synthetic visual speech"). Lips that must meet (p, b, m) and the
lower lip that must meet the teeth (f, v) are marked apart: no neighbour may undo them.

The numbers are our choice: ordered as in phonetic descriptions of English (close to open vowels, sibilants with closed
teeth, rounded postalveolars), scaled so that the corpus moves like a real clip (:mod:`data_prep.card`).
"""

import unicodedata
from dataclasses import dataclass

from otlib.errors import InputError
from otlib.phonemes.timed_phoneme import BILABIALS

ARTICULATORS = ("jaw", "aperture", "round", "spread", "protrude")  # the blended ones, in the order of the tables below

LABIODENTALS = frozenset("fv")
ROUNDED_VOWELS, SPREAD_VOWELS = frozenset("uʊʉ"), frozenset("iɪ")  # the ends of the scale of mouth width
_PRIMARY_STRESS, _SECONDARY_STRESS = "ˈ", "ˌ"
_LONG = "ː:"
_IGNORED = "\u0329\u032a\u0303"  # syllabic, dental, nasal: the lips do not show them


@dataclass(frozen=True)
class Target:
    """Target positions of the articulators and how strongly each is pulled there, 0 to 1; in the order of ARTICULATORS."""

    position: tuple[float, float, float, float, float]
    dominance: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Letter:
    """One articulatory target within a phoneme: its IPA letter and its share of the phoneme's duration."""

    letter: str
    share: float


REST = Target((0.0, 0.0, 0.0, 0.0, 0.0), (0.8, 1.0, 0.8, 0.8, 0.8))

# classes of consonants: positions and dominances of jaw, aperture, round, spread, protrude
_BILABIAL = Target((0.12, 0.10, 0.00, 0.00, 0.05), (0.45, 0.05, 0.05, 0.05, 0.10))  # the closure itself comes on top
_LABIODENTAL = Target((0.14, 0.16, 0.00, 0.10, 0.00), (0.55, 0.25, 0.10, 0.10, 0.20))
_DENTAL = Target((0.20, 0.28, 0.00, 0.10, 0.00), (0.55, 0.50, 0.10, 0.10, 0.10))
_ALVEOLAR = Target((0.16, 0.26, 0.00, 0.15, 0.00), (0.50, 0.40, 0.10, 0.10, 0.10))
_TAP = Target((0.20, 0.30, 0.00, 0.10, 0.00), (0.25, 0.25, 0.05, 0.05, 0.05))
_LATERAL = Target((0.26, 0.34, 0.00, 0.10, 0.00), (0.40, 0.35, 0.10, 0.10, 0.10))
_SIBILANT = Target((0.04, 0.22, 0.00, 0.30, 0.00), (0.90, 0.60, 0.20, 0.35, 0.15))
_POSTALVEOLAR = Target((0.06, 0.30, 0.50, 0.00, 0.75), (0.90, 0.65, 0.80, 0.70, 0.90))
_RHOTIC = Target((0.18, 0.26, 0.40, 0.00, 0.45), (0.45, 0.40, 0.50, 0.25, 0.50))
_VELAR = Target((0.24, 0.32, 0.00, 0.05, 0.00), (0.30, 0.25, 0.05, 0.05, 0.05))
_GLOTTAL = Target((0.25, 0.35, 0.00, 0.00, 0.00), (0.08, 0.08, 0.05, 0.05, 0.05))
_LABIOVELAR = Target((0.16, 0.10, 1.00, 0.00, 0.85), (0.50, 0.90, 1.00, 0.60, 1.00))
_PALATAL = Target((0.14, 0.26, 0.00, 0.60, 0.00), (0.45, 0.40, 0.25, 0.50, 0.25))


def _vowel(jaw: float, aperture: float, rounding: float, spread: float, protrude: float) -> Target:
    lips = 0.95 if rounding >= 0.5 else 0.55  # rounding is an active gesture, neutral lips yield to their neighbours
    return Target((jaw, aperture, rounding, spread, protrude), (0.80, 0.90, lips, 0.70, lips))


TARGETS = {
    **dict.fromkeys(sorted(BILABIALS), _BILABIAL),
    **dict.fromkeys(sorted(LABIODENTALS), _LABIODENTAL),
    **dict.fromkeys("θð", _DENTAL),
    **dict.fromkeys("tdn", _ALVEOLAR),
    **dict.fromkeys("ɾr", _TAP),
    **dict.fromkeys("lɬ", _LATERAL),
    **dict.fromkeys("sz", _SIBILANT),
    **dict.fromkeys(["ʃ", "ʒ", "tʃ", "dʒ"], _POSTALVEOLAR),
    "ɹ": _RHOTIC,
    **dict.fromkeys("kɡŋx", _VELAR),
    **dict.fromkeys("hʔ", _GLOTTAL),
    **dict.fromkeys("wʍ", _LABIOVELAR),
    **dict.fromkeys("jʲ", _PALATAL),
    # from close to open; unrounded, then rounded
    "i": _vowel(0.14, 0.28, 0.00, 0.85, 0.00),
    "ɪ": _vowel(0.24, 0.34, 0.00, 0.55, 0.00),
    "ᵻ": _vowel(0.22, 0.32, 0.00, 0.35, 0.00),
    "e": _vowel(0.32, 0.42, 0.00, 0.60, 0.00),
    "ɛ": _vowel(0.46, 0.50, 0.00, 0.40, 0.00),
    "æ": _vowel(0.66, 0.62, 0.00, 0.40, 0.00),
    "a": _vowel(0.74, 0.66, 0.00, 0.20, 0.00),
    "ɑ": _vowel(0.78, 0.68, 0.05, 0.05, 0.00),
    "ɐ": _vowel(0.50, 0.48, 0.00, 0.10, 0.00),
    "ʌ": _vowel(0.54, 0.50, 0.00, 0.10, 0.00),
    "ə": _vowel(0.28, 0.34, 0.05, 0.10, 0.05),
    "ɜ": _vowel(0.30, 0.36, 0.20, 0.05, 0.20),
    "ɚ": _vowel(0.26, 0.32, 0.30, 0.00, 0.30),
    "u": _vowel(0.16, 0.16, 0.95, 0.00, 0.85),
    "ʉ": _vowel(0.16, 0.16, 0.85, 0.00, 0.75),
    "ʊ": _vowel(0.26, 0.24, 0.70, 0.00, 0.55),
    "o": _vowel(0.38, 0.34, 0.80, 0.00, 0.60),
    "ɔ": _vowel(0.52, 0.46, 0.60, 0.00, 0.45),
    "ɒ": _vowel(0.66, 0.56, 0.40, 0.00, 0.25),
}
VOWELS = frozenset("iɪᵻeɛæaɑɐʌəɜɚuʉʊoɔɒ")


def stress(symbol: str) -> float:
    """Return 1 for primary stress, 0.5 for secondary, 0 for none."""
    return {_PRIMARY_STRESS: 1.0, _SECONDARY_STRESS: 0.5}.get(symbol[:1], 0.0)


def letters(symbol: str) -> tuple[Letter, ...]:
    """Take an IPA symbol apart into its articulatory targets; a pause ("") has none.

    Args:
        symbol: as espeak-ng emits it, stress marks included.

    Returns:
        Letters in the order of time; their shares add up to 1. A long vowel and the first part of a diphthong hold
        longer than what follows.

    Raises:
        InputError: a letter is unknown.
    """
    text = unicodedata.normalize("NFD", symbol).lstrip(_PRIMARY_STRESS + _SECONDARY_STRESS)
    targets: list[str] = []
    weights: list[float] = []
    position = 0
    while position < len(text):
        pair, single = text[position:position + 2], text[position]
        if len(pair) == 2 and pair in TARGETS:
            targets.append(pair)
            weights.append(1.0)
            position += 2
            continue
        if single in _LONG and weights:
            weights[-1] += 0.5
        elif single in TARGETS:
            weights.append(1.0 if targets else 1.5)
            targets.append(single)
        elif single not in _IGNORED:
            raise InputError(f"the phoneme {symbol!r} has the letter {single!r}, which articulatory_targets.py does not "
                             "know; use an English voice of espeak-ng or add the letter there")
        position += 1
    total = sum(weights)
    return tuple(Letter(letter, weight / total) for letter, weight in zip(targets, weights, strict=True))
