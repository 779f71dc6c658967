"""Whether the lips meet at p, b and m of a recording, and only there, by the lip gap alone: no true motion is known.

The unit is the clip's own range of gaps, so that heads of any scale can be compared. A mouth that often shuts finds many
closures by chance: compare every count with that of the same model on another recording (``of_another_recording``).
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import label

from otlib.metrics.aggregate import RATIOS, ratio
from otlib.metrics.closures import frames_within
from otlib.phonemes.timed_phoneme import Phoneme

NEAR, SHUT = 0.25, 0.15
"""Shares of the range of gaps below which lips are near each other, and shut (our choice)."""

MARGIN_FRAMES = 1
"""Frames by which a closure may come early or late: what an observer does not notice at 30 frames a second."""

LEAST_FRAMES = 2
"""Loud frames in a row in which the lips must be shut for an observer to see a closure (our choice)."""

LOUD = 0.1
"""Share of a recording's loudest frames (their 95th percentile) above which a frame is loud: -20 dB (our choice)."""

LARGEST_LAG = 5
"""Largest delay, in frames, early or late, at which the lag of closures is sought."""

_LABIAL = frozenset("pbmfvɸβɱʋ")
_OPEN, _CLOSE = frozenset("aɑæɐɒ"), frozenset("iɪuʊyɨʉɯ")


def closures_of_speech(gap_mm: Float[ndarray, " T"], phonemes: Sequence[Phoneme], loud: Bool[ndarray, " T"],
                       frame_rate: float | int) -> dict[str, float]:
    """Count the closures that lips make at p, b and m of a recording, and those that no sound asks for.

    Args:
        gap_mm: lip gap of each frame.
        phonemes: with their times; those without a frame in the clip are left out.
        loud: frames with sound, from :func:`loud_frames`.
        frame_rate: frames a second; frame t is at t / frame_rate.

    Returns:
        Numbers by name, for :func:`otlib.metrics.aggregate`.

        ===================================  ==================================================================
        bilabials                            p, b and m
        bilabials_near, bilabials_shut       those at which the gap falls below 25 % and below 15 % of the range, within
                                             the sound or one frame to either side
        pause_frames, pause_frames_near      frames in the middle half of pauses, and those of them below 25 %
        closures_false                       runs of two or more loud frames below 15 %, none of them in or beside p, b, m,
                                             f, v or a pause
        closures_made                        bilabials_shut plus closures_false
        loud_s                               seconds of loud frames
        open_vowel_mm, close_vowel_mm        mean gap in the middle half of open and of close vowels (NaN without any)
        closure_lag_frames                   delay at which the mean gap at p, b and m is smallest; late is positive
        found_near, found_shut, false_share, false_per_s, shut_in_pauses   ratios of these
        ===================================  ==================================================================

    Raises:
        ValueError: a gap that is empty, not finite or the same in all frames, or ``loud`` of another length.
    """
    if not len(gap_mm) or not np.isfinite(gap_mm).all() or np.ptp(gap_mm) == 0:
        raise ValueError("gap_mm: must be finite numbers that change, one a frame")
    if len(loud) != len(gap_mm):
        raise ValueError(f"loud has {len(loud)} frames and gap_mm {len(gap_mm)}")
    share = (gap_mm - gap_mm.min()) / np.ptp(gap_mm)
    excused, margin = np.zeros(len(share), bool), MARGIN_FRAMES / frame_rate  # frames that may be shut
    smallest, middles, kinds = [], [], {"open": [], "close": [], "pause": []}
    for phoneme in phonemes:
        span = frames_within(phoneme.start - margin, phoneme.end + margin, frame_rate, len(share))
        if not phoneme.symbol or _LABIAL & set(_letters(phoneme.symbol)):
            excused[span] = True
        if phoneme.is_bilabial and len(span):
            smallest.append(share[span].min())
            middles.append(phoneme.middle * frame_rate)
        quarter = (phoneme.end - phoneme.start) / 4
        if kind := _kind(phoneme.symbol):
            kinds[kind].extend(frames_within(phoneme.start + quarter, phoneme.end - quarter, frame_rate, len(share)))
    runs, _ = label((share < SHUT) & loud & ~excused)
    shut, false = float((np.array(smallest) < SHUT).sum()), float((np.bincount(runs)[1:] >= LEAST_FRAMES).sum())
    result = {"bilabials": float(len(smallest)), "bilabials_near": float((np.array(smallest) < NEAR).sum()),
              "bilabials_shut": shut, "closures_false": false, "closures_made": shut + false,
              "loud_s": float(loud.sum() / frame_rate), "closure_lag_frames": _lag(share, np.array(middles)),
              "pause_frames": float(len(kinds["pause"])), "pause_frames_near": float((share[kinds["pause"]] < NEAR).sum())}
    result |= {f"{kind}_vowel_mm": float(gap_mm[kinds[kind]].mean()) if kinds[kind] else np.nan
               for kind in ("open", "close")}
    return result | {name: ratio(*(result[part] for part in parts)) for name, parts in RATIOS.items() if parts[0] in result}


def of_another_recording(gaps_mm: Sequence[Float[ndarray, " _"]], loud: Sequence[Bool[ndarray, " _"]],
                         place: int) -> Float[ndarray, " _"]:
    """Return the lip gap that gives recording ``place`` its chance level: what the lips do while the next one speaks.

    That stretch, from the first to the last loud frame, is repeated or cut to this recording's; before and after it the
    lips are as shut as they get. Lips that are shut in the silence around another's words would find closures for nothing.

    Raises:
        ValueError: there is no other recording.
    """
    if len(gaps_mm) < 2:
        raise ValueError("there is only one recording; name two or more, so that each can be compared with another")
    other = (place + 1) % len(gaps_mm)
    motion, own = gaps_mm[other][_spoken(loud[other])], _spoken(loud[place])
    result = np.full(len(gaps_mm[place]), gaps_mm[other].min())
    result[own] = np.resize(motion, len(result[own]))
    return result


def _spoken(loud: Bool[ndarray, " T"]) -> slice:
    """Return the frames from the first loud one to the last; all where none is."""
    frames = np.flatnonzero(loud)
    return slice(frames[0], frames[-1] + 1) if len(frames) else slice(None)


def closures_beside_chance(gaps_mm: Sequence[Float[ndarray, " _"]], phonemes: Sequence[Sequence[Phoneme]],
                           loud: Sequence[Bool[ndarray, " _"]], frame_rate: float | int,
                           ) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Return the closures of several recordings, and those of the same motions each beside another recording's sounds.

    Args:
        gaps_mm, phonemes, loud: of each recording, as :func:`closures_of_speech` takes them.
        frame_rate: frames a second.

    Raises:
        ValueError: as :func:`closures_of_speech` and :func:`of_another_recording`.
    """
    own = [closures_of_speech(*one, frame_rate) for one in zip(gaps_mm, phonemes, loud, strict=True)]
    others = [of_another_recording(gaps_mm, loud, place) for place in range(len(gaps_mm))]
    return own, [closures_of_speech(*one, frame_rate) for one in zip(others, phonemes, loud, strict=True)]


def loud_frames(samples: Float[ndarray, " S"], sample_rate: int, frames: int,
                frame_rate: float | int) -> Bool[ndarray, " T"]:
    """Tell for each frame whether its sound is loud: the root mean square within half a frame to each side.

    Args:
        samples: sound, full scale 1.
        sample_rate: samples a second.
        frames: T.
        frame_rate: frames a second; frame t is at t / frame_rate.
    """
    edges = np.clip(np.round((np.arange(frames + 1) - 0.5) / frame_rate * sample_rate), 0, len(samples)).astype(np.int64)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])[edges]
    power = np.maximum(np.diff(energy), 0.0) / np.maximum(np.diff(edges), 1)
    return power > LOUD**2 * np.percentile(power, 95)


def _lag(share: ndarray, middles: ndarray) -> float:
    """Return the delay, in whole frames, at which the gap at the middles of p, b and m is smallest; NaN without any."""
    frames = np.arange(len(share))
    delays = np.arange(-LARGEST_LAG, LARGEST_LAG + 1)
    means = [np.interp(middles + delay, frames, share).mean() for delay in delays] if len(middles) else []
    return float(delays[np.argmin(means)]) if means else np.nan


def _kind(symbol: str) -> str | None:
    letters = set(_letters(symbol))
    if not letters:
        return None if symbol else "pause"
    return "open" if letters <= _OPEN else "close" if letters <= _CLOSE else None


def _letters(symbol: str) -> list[str]:
    return [letter for letter in unicodedata.normalize("NFD", symbol) if unicodedata.category(letter) == "Ll"]
