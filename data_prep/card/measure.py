"""How the heads of a data set move: the figures of its data card.

Beside them stand those of a real clip (one of 4 s at 30 frames a second, measured for this project, which does not hold
it): lip gap 0.8 to 16.5 mm, mean lip speed 0.73 mm a frame; a frozen template has a maximum lip error of 4.6 mm and a
mean vertex error of 0.93 mm there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep.card.surface import measure_surface
from data_prep.corpus.articulation import Style, articulate
from data_prep.corpus.articulatory_targets import ROUNDED_VOWELS, SPREAD_VOWELS, letters
from data_prep.head import CONTROLS
from otlib.data.dataset import Dataset, Sequence
from otlib.errors import InputError
from otlib.phonemes.timed_phoneme import Phoneme

REAL_CLIP = {"lip_gap_mm": [0.8, 16.5], "lip_speed_mm_per_frame": 0.73, "frozen_template_lip_error_mm": 4.6,
             "frozen_template_mean_vertex_error_mm": 0.93}
CLOSED_GAP_MM = 1.0
_MILLIMETRES = 1000.0
_FINE_RATE = 1000.0  # frames a second, to see when exactly lips close
_OPEN_APERTURE = 0.05  # lips with a smaller aperture, about 1 mm, are shut


@dataclass(frozen=True)
class _Clip:
    """What one sequence contributes, in mm; lists are empty if the data set lacks what they need."""

    gap: np.ndarray  # (T,)
    lip_speed: float
    closures: list[float]
    rounded: list[float]
    spread: list[float]
    template_lip_error: float
    template_vertex_error: float
    mean_style_lip_error: float | None


def measure(dataset: Dataset) -> dict[str, Any]:
    """Return the card's figures, ready for JSON; null if the data set lacks phonemes, mouth corners or mean styles.

    Args:
        dataset: any data set.

    Returns:
        Sizes by split; the range of the lip gap (1st and 99th percentile of all frames, so that no single frame
        decides); the mean speed of the lips; the share of p, b and m whose lip gap falls below 1 mm; how much wider
        than at rest the mouth is in rounded and in spread vowels; the errors of a frozen template and, on the sequences
        with a mean style, also those of that style; how far closures are from the centres of their phonemes without lead
        or lag; and how far faces shrink and lips cross in 1,000 random frames.
    """
    clips = [_clip(dataset, sequence) for sequence in dataset.sequences]
    styled = [clip for clip in clips if clip.mean_style_lip_error is not None]
    utterances = [sequence.phonemes for sequence in dataset.sequences if sequence.phonemes]
    english = all(known_letters(span) is not None for phonemes in utterances for span in phonemes)
    closures = [gap for clip in clips for gap in clip.closures]
    gaps = np.concatenate([clip.gap for clip in clips])
    splits = dict.fromkeys(sequence.split for sequence in dataset.sequences)
    return {
        "name": dataset.name,
        "checksum": dataset.checksum,
        "faces": len(dataset.topology.faces),
        "vertices": len(dataset.sequences[0].template),
        "splits": {split: _amount(dataset.select(split)) for split in splits},
        "lip_gap_mm": [_round(np.percentile(gaps, share)) for share in (1, 99)],
        "lip_speed_mm_per_frame": _mean([clip.lip_speed for clip in clips]),
        "closures": len(closures),
        "closed_share": _mean([float(gap < CLOSED_GAP_MM) for gap in closures]),
        "rounded_width_mm": _mean([width for clip in clips for width in clip.rounded]),
        "spread_width_mm": _mean([width for clip in clips for width in clip.spread]),
        "template_lip_error_mm": _mean([clip.template_lip_error for clip in clips]),
        "template_vertex_error_mm": _mean([clip.template_vertex_error for clip in clips]),
        "styled": {"sequences": len(styled),
                   "template_lip_error_mm": _mean([clip.template_lip_error for clip in styled]),
                   "mean_style_lip_error_mm": _mean([clip.mean_style_lip_error for clip in styled])},
        "closure_offset_ms": _closure_offsets(utterances) if utterances and english else None,
        "surface": measure_surface(dataset),
        "real_clip": REAL_CLIP,
    }


def _clip(dataset: Dataset, sequence: Sequence) -> _Clip:
    topology, regions = dataset.topology, dataset.topology.regions
    vertices, template = sequence.vertices, sequence.template.astype(float)
    lips = vertices[:, topology.lips].astype(float)  # (T, N, 3)
    gap = topology.gap_mm(vertices)
    lead = dataset.subjects[sequence.subject].get("style", {}).get("lead", 0.0)
    closures, widths = [], {"rounded": [], "spread": []}
    if sequence.phonemes:
        times = np.arange(len(gap)) / dataset.frame_rate + lead  # of the sound that each frame shows
        closures = [float(gap[_during(span, times)].min()) for span in sequence.phonemes if span.is_bilabial]
        if "mouth_corners" in regions:
            width = _width(vertices[:, regions["mouth_corners"]]) - _width(template[None, regions["mouth_corners"]])
            for name, vowels in (("rounded", ROUNDED_VOWELS), ("spread", SPREAD_VOWELS)):
                widths[name] = [float(width[_nearest(span, times)]) for span in sequence.phonemes
                                if (own := known_letters(span)) and vowels.issuperset(own)]
    mean_style = sequence.mean_style
    return _Clip(gap, float(_distance(lips[1:], lips[:-1]).mean()) if len(lips) > 1 else 0.0, closures,
                 widths["rounded"], widths["spread"], _lip_error(lips, template[topology.lips]),
                 float(_distance(vertices, template).mean()),
                 None if mean_style is None else _lip_error(lips, mean_style[:, topology.lips]))


def _lip_error(lips: np.ndarray, other: np.ndarray) -> float:
    """Return the largest distance of a frame, averaged over the frames."""
    return float(_distance(lips, other).max(axis=1).mean())


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _MILLIMETRES * np.linalg.norm(a - b, axis=-1)


def _width(corners: np.ndarray) -> np.ndarray:
    return _distance(corners[:, 0].astype(float), corners[:, 1])


def known_letters(span: Phoneme) -> list[str] | None:
    """Return the letters of a phoneme, none for a pause; None if one of them is not among the known, English ones."""
    try:
        return [part.letter for part in letters(span.symbol)]
    except InputError:
        return None


def _nearest(span: Phoneme, times: np.ndarray) -> int:
    return int(np.abs(times - span.middle).argmin())


def _during(span: Phoneme, times: np.ndarray) -> np.ndarray:
    """Return the frames of a phoneme (T,), bool; the nearest one if it falls between two."""
    during = (times >= span.start) & (times <= span.end)
    during[_nearest(span, times)] = True
    return during


def _closure_offsets(utterances: list[tuple[Phoneme, ...]]) -> dict[str, Any]:
    """Return the distance in ms of lip closures from the centres of p, b and m, in the mean style without lead or lag.

    Pressing marks the moment of every closure; closures between open sounds, where the lips part on either side, also
    give the middle of the time in which the lips are shut.
    """
    pressed, shut = [], []
    for phonemes in utterances:
        frames = int(phonemes[-1].end * _FINE_RATE)
        controls = articulate(phonemes, frames, _FINE_RATE, Style(), np.random.default_rng(0))
        press, aperture = (controls[:, CONTROLS.index(name)] for name in ("press", "aperture"))
        for before, span, after in zip(phonemes, phonemes[1:], phonemes[2:], strict=False):
            if not span.is_bilabial or before.is_bilabial or after.is_bilabial:  # two in a row share one closure
                continue
            centre = span.middle * _FINE_RATE
            pressed.append(_middle(press > press[round(centre)] / 2, centre) - centre)
            if before.symbol and after.symbol:
                shut.append(_middle(aperture < _OPEN_APERTURE, centre) - centre)
    scale = 1000 / _FINE_RATE
    return {"pressed": _spread(scale * np.array(pressed)), "shut": _spread(scale * np.array(shut))}


def _middle(condition: np.ndarray, centre: float) -> float:
    """Return the middle of the run of true frames around a frame, NaN if that frame is false."""
    index = round(centre)
    if not condition[index]:
        return float("nan")
    edges = np.flatnonzero(~condition)
    before, after = edges[edges < index], edges[edges > index]
    return ((before[-1] + 1 if len(before) else 0) + (after[0] - 1 if len(after) else len(condition) - 1)) / 2


def _spread(offsets: np.ndarray) -> dict[str, Any]:
    if not len(offsets):
        return {"closures": 0, "largest": None, "within_10": None}
    return {"closures": len(offsets), "largest": _round(np.nanmax(np.abs(offsets))),
            "within_10": _round(np.mean(np.abs(offsets) <= 10))}


def _amount(sequences: tuple[Sequence, ...]) -> dict[str, Any]:
    return {"speakers": len({sequence.subject for sequence in sequences}),
            "sentences": len({sequence.sentence for sequence in sequences}), "sequences": len(sequences),
            "minutes": _round(sum(sequence.frames / sequence.frame_rate for sequence in sequences) / 60)}


def _mean(values: list[float]) -> float | None:
    return _round(np.mean(values)) if values else None


def _round(value: float) -> float:
    return round(float(value), 3)
