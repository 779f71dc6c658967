"""From phonemes to the motion of jaw, lips, brows and lids.

Targets are blended by dominance functions (Cohen and Massaro 1993): each sound pulls every articulator towards its own
target, with a strength that decays exponentially before and after it, and the articulator follows the weighted mean.
Sounds therefore colour their neighbours, and fast speech undershoots. Blending cannot guarantee that the lips meet for p, b
and m and that the lower lip touches the teeth for f and v, so envelopes with their own closing and opening times enforce
it afterwards.

Brows partly follow stress and phrases and are partly random; blinks are random (about 26 a minute in conversation,
Bentivoglio et al. 1997). Everything else is a function of the phonemes and the style.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from data_prep.corpus.articulatory_targets import (
    ARTICULATORS,
    LABIODENTALS,
    REST,
    TARGETS,
    VOWELS,
    Target,
    letters,
    stress,
)
from data_prep.head import CONTROLS, LOWEST_CONTROLS
from otlib.phonemes.timed_phoneme import BILABIALS, Phoneme

# exponential decay of the dominance, in seconds, before and after a sound; lips anticipate rounding (our choice, within
# the observed 50 to 150 ms of anticipation)
_DECAY_BEFORE = np.array([0.055, 0.050, 0.070, 0.060, 0.070])
_DECAY_AFTER = np.array([0.055, 0.050, 0.060, 0.060, 0.060])
_ROUNDNESS = 0.015  # seconds; rounds the tip of the exponential, which would otherwise be a kink in the motion
_VOWEL_CORE, _CONSONANT_CORE = 0.35, 0.15  # share of its duration over which a sound's pull does not decay
_REST_MARGIN = 0.09  # seconds at either end of a pause for moving to rest and back
_ENDLESS = 1e3  # seconds of pause before the first sound and after the last
_TOUCHING = 0.005  # seconds; phonemes closer than this follow each other without a gap
_FULL_PAUSE = 0.25  # seconds; shorter pauses pull the mouth only partly shut

_CLOSING, _OPENING = 0.070, 0.080  # seconds from open lips to closed and back
_HOLD_SHARE = 0.6  # fraction of its duration for which a closure is held
_SHORTEST_HOLD = 0.040  # seconds; at 30 frames a second every closure then spans a frame
_FASTEST = 0.035  # seconds; lips never close or open faster
_PRESS = {"p": 0.90, "b": 0.75, "m": 0.60}
_TUCK_APERTURE = 0.14  # the upper lip stays a little off the lower one, which touches the teeth

_STRESSED, _UNSTRESSED = 0.12, -0.10  # how much wider stressed vowels open, and how much less unstressed ones do
_BLINK_CLOSING, _BLINK_HOLD, _BLINK_OPENING = 0.075, 0.030, 0.140  # seconds


@dataclass(frozen=True)
class Style:
    """How a person speaks; the defaults are the mean style.

    Attributes:
        amplitude: scale of all speech movements.
        jaw_preference: from -1, mainly the lips move, to 1, mainly the jaw.
        lead: seconds by which the face precedes the sound; negative if it lags.
        asymmetry: pull of one mouth corner while speaking, -1 to 1, left positive.
        rounding: scale of rounding and protrusion.
        effort: how much stress widens vowels and how hard lips press; 1 is normal, 0 none.
        smoothness: scale of the time in which neighbouring sounds blend and lips close and open.
        brow_activity: scale of brow movements.
        blink_rate: blinks per second.
    """

    amplitude: float = 1.0
    jaw_preference: float = 0.0
    lead: float = 0.0
    asymmetry: float = 0.0
    rounding: float = 1.0
    effort: float = 1.0
    smoothness: float = 1.0
    brow_activity: float = 1.0
    blink_rate: float = 26 / 60


@dataclass(frozen=True)
class _Sound:
    """A letter of a phoneme in time; the letter "" is a pause."""

    letter: str
    start: float
    end: float
    stress: float

    @property
    def centre(self) -> float:
        return (self.start + self.end) / 2

    @property
    def duration(self) -> float:
        return self.end - self.start


def frame_count(sample_count: int, sample_rate: int, frame_rate: float) -> int:
    """Return the number of whole frames in the sound; frame t is at t / frame_rate seconds."""
    return math.floor(sample_count * frame_rate / sample_rate + 1e-9)  # 1e-9: rounding may fall just below a whole number


def articulate(phonemes: Sequence[Phoneme], frames: int, frame_rate: float, style: Style,
               generator: np.random.Generator) -> np.ndarray:
    """Return the controls of a speaking head.

    Args:
        phonemes: in order of time; a gap between two is a pause. At most a few minutes, since memory grows with the
            square of the length.
        frames: number of frames T; frame t is at t / frame_rate seconds.
        frame_rate: frames a second.
        style: how the speaker articulates.
        generator: draws blinks and the random part of the brows; lips and jaw do not depend on it.

    Returns:
        (T, A) float64, columns in the order of CONTROLS.

    Raises:
        InputError: a phoneme has an unknown letter.
        ValueError: a phoneme ends before it starts, or starts before the one before it ends.
    """
    sounds = _sounds(phonemes)
    times = np.arange(frames) / frame_rate
    sound_times = times + style.lead  # the moments of the sound that the face shows in these frames
    blend, speaking = _blend(sounds, sound_times, style)
    controls = dict(zip(ARTICULATORS, blend, strict=True))
    closed, press = _closures(sounds, sound_times, style)
    tuck = _envelopes(sounds, LABIODENTALS, sound_times, style).max(axis=0)
    aperture = controls["aperture"]
    aperture += tuck * (np.minimum(aperture, _TUCK_APERTURE) - aperture)
    controls["aperture"] = aperture * (1 - closed)
    controls["press"], controls["tuck"] = press, tuck * (1 - closed)
    controls["brow"] = _brows(sounds, sound_times, style, generator)
    controls["blink"] = _blinks(times, style, generator)
    controls["smirk"] = style.asymmetry * speaking
    return np.clip(np.stack([controls[name] for name in CONTROLS], axis=1), LOWEST_CONTROLS, 1.0)  # (T, A)


def _sounds(phonemes: Sequence[Phoneme]) -> list[_Sound]:
    """Split phonemes into letters; gaps become pauses, a pause is added at either end, and adjacent pauses are merged."""
    start = phonemes[0].start if phonemes else 0.0
    sounds = [_Sound("", start - _ENDLESS, start, 0.0)]
    for symbol, start, end in phonemes:
        if not end > start:
            raise ValueError(f"the phoneme {symbol!r} lasts from {start} to {end} s")
        if start < sounds[-1].end - _TOUCHING:
            raise ValueError(f"the phoneme {symbol!r} at {start} s starts before the one before it ends")
        if start > sounds[-1].end + _TOUCHING:
            _pause_until(sounds, sounds[-1].end, start)
        parts, duration = letters(symbol), end - start
        for part in parts:
            sounds.append(_Sound(part.letter, start, start + part.share * duration, stress(symbol)))
            start = sounds[-1].end
        if not parts:
            _pause_until(sounds, start, end)
    _pause_until(sounds, sounds[-1].end, sounds[-1].end + _ENDLESS)
    return sounds


def _pause_until(sounds: list[_Sound], start: float, end: float) -> None:
    if sounds[-1].letter == "":
        start = sounds.pop().start
    sounds.append(_Sound("", start, end, 0.0))


def _blend(sounds: list[_Sound], times: np.ndarray, style: Style) -> tuple[np.ndarray, np.ndarray]:
    """Return the blended articulators (5, T), scaled by the style, and how far the face is from rest (T,), 0 to 1."""
    positions = np.array([_position(sound, style) for sound in sounds])  # (N, 5)
    dominances = np.array([_target(sound).dominance for sound in sounds])  # (N, 5)
    pauses = np.array([sound.letter == "" for sound in sounds])
    durations = np.array([sound.duration for sound in sounds])
    dominances[pauses] *= np.minimum(durations[pauses, None] / _FULL_PAUSE, 1.0)
    core = np.array([_VOWEL_CORE if sound.letter in VOWELS else _CONSONANT_CORE for sound in sounds]) * durations / 2
    core[pauses] = np.maximum(durations[pauses] / 2 - _REST_MARGIN, 0.0)
    offset = times - np.array([sound.centre for sound in sounds])[:, None]  # (N, T)
    distance = np.maximum(np.abs(offset) - core[:, None], 0.0)
    distance = np.sqrt(distance**2 + _ROUNDNESS**2) - _ROUNDNESS
    decay = np.where(offset[None] < 0, _DECAY_BEFORE[:, None, None], _DECAY_AFTER[:, None, None]) * style.smoothness
    strength = dominances.T[:, :, None] * np.exp(-distance / decay)  # (5, N, T)
    total = strength.sum(axis=1)
    blended = (strength * positions.T[:, :, None]).sum(axis=1) / total  # (5, T)
    speaking = 1 - strength[0, pauses].sum(axis=0) / total[0]
    return blended, speaking


def _target(sound: _Sound) -> Target:
    return TARGETS[sound.letter] if sound.letter else REST


def _position(sound: _Sound, style: Style) -> tuple[float, ...]:
    """Return the target position of the articulators for a sound, given the style and the stress."""
    jaw, aperture, rounding, spread, protrude = _target(sound).position
    opening = style.amplitude
    if sound.letter in VOWELS:
        opening *= 1 + style.effort * (_UNSTRESSED + sound.stress * (_STRESSED - _UNSTRESSED))
    lips = style.amplitude * (1 - 0.4 * style.jaw_preference)
    return (jaw * opening * (1 + 0.5 * style.jaw_preference), aperture * opening, rounding * lips * style.rounding,
            spread * lips, protrude * lips * style.rounding)


def _closures(sounds: list[_Sound], times: np.ndarray, style: Style) -> tuple[np.ndarray, np.ndarray]:
    """Return how far p, b and m close the lips (T,), 1 meaning closed, and how hard the lips press (T,)."""
    envelopes = _envelopes(sounds, BILABIALS, times, style)
    force = style.effort * np.array([0.0] + [_PRESS[sound.letter] for sound in sounds if sound.letter in BILABIALS])
    return envelopes.max(axis=0), (force[:, None] * envelopes**3).max(axis=0)  # cubed: lips press once they have met


def _envelopes(sounds: list[_Sound], group: frozenset[str], times: np.ndarray, style: Style) -> np.ndarray:
    """Return (1 + N, T): a row of zeros, then a row for each sound in the group: 1 around its centre, 0 away from it.

    Next to a short neighbour the closing or opening is faster, so that the neighbour stays visible.
    """
    rows = [np.zeros_like(times)]
    for before, sound, after in zip(sounds, sounds[1:], sounds[2:], strict=False):  # a pause is first and last
        if sound.letter not in group:
            continue
        hold = max(_HOLD_SHARE * sound.duration, _SHORTEST_HOLD) / 2
        closing = max(min(_CLOSING * style.smoothness, 0.8 * before.duration), _FASTEST)
        opening = max(min(_OPENING * style.smoothness, 0.8 * after.duration), _FASTEST)
        rise = (times - (sound.centre - hold - closing)) / closing
        fall = ((sound.centre + hold + opening) - times) / opening
        rows.append(_smoothstep(np.minimum(rise, fall)))
    return np.stack(rows)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def _brows(sounds: list[_Sound], times: np.ndarray, style: Style, generator: np.random.Generator) -> np.ndarray:
    """Return (T,): brows rise on stressed vowels and at the start of phrases, by partly random amounts, and drift."""
    brow = np.zeros_like(times)
    for before, sound in pairwise(sounds):
        chance = generator.random()
        if sound.letter in VOWELS and sound.stress == 1:
            brow += (0.10 + 0.20 * chance) * np.exp(-(((times - sound.centre) / 0.11) ** 2))
        elif before.letter == "" and before.duration > _FULL_PAUSE:
            brow += (0.15 + 0.20 * chance) * np.exp(-(((times - sound.start - 0.15) / 0.25) ** 2))
    for frequency in (0.17, 0.31, 0.47):  # Hz
        brow += 0.04 * np.sin(2 * np.pi * (frequency * times + generator.random()))
    return style.brow_activity * (brow - 0.04)


def _blinks(times: np.ndarray, style: Style, generator: np.random.Generator) -> np.ndarray:
    """Return (T,): blinks at gamma-distributed intervals, which are never very short."""
    blink = np.zeros_like(times)
    if style.blink_rate <= 0 or not len(times):
        return blink
    shape = 4.0
    moment = -generator.random() / style.blink_rate
    while moment < times[-1]:
        rise = (times - moment) / _BLINK_CLOSING
        fall = (moment + _BLINK_CLOSING + _BLINK_HOLD + _BLINK_OPENING - times) / _BLINK_OPENING
        blink = np.maximum(blink, _smoothstep(np.minimum(rise, fall)))
        moment += generator.gamma(shape, 1 / (shape * style.blink_rate))
    return blink
