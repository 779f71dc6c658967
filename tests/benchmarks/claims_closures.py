"""Whether lips close at p, b and m and nowhere else: on recordings of people, on the demo's clip, and in silence."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.corpus.labelled_speech import text_to_phonemes
from otlib.data.check import read_phonemes
from otlib.errors import InputError
from otlib.metrics.aggregate import CorpusScores, aggregate
from otlib.metrics.closures import DEFAULT_CLOSURES, frames_within
from otlib.metrics.closures_of_speech import MARGIN_FRAMES, closures_beside_chance, closures_of_speech, loud_frames
from otlib.metrics.intervals import IntervalUndefined, speaker_interval
from otlib.phonemes import Phoneme, load_aligner
from otlib.speech.recording import Recording, read_recording, resampled
from tests.benchmarks.claims_common import Setting, goal

DEMO_MM = DEFAULT_CLOSURES.threshold_mm  # closed, as the metrics have it
SILENT_SECONDS, SILENT_RATE = 1.0, 16_000
SHOWN = ("found_shut", "found_near", "false_share", "false_per_s", "shut_in_pauses", "open_vowel_mm", "close_vowel_mm",
         "closure_lag_frames")
MODEL, CONTROL = "OT-Talk", "loudness and pitch"
LEAST_FOUND, MOST_FALSE, LEAST_ABOVE_CHANCE, LEAST_VOWELS_MM = 0.85, 0.30, 0.35, 3.8


def closure_rows(gap_mm: np.ndarray, phonemes: Iterable[Phoneme],
                 frame_rate: float) -> list[dict[str, Any]]:
    """Return for each p, b and m its times and the smallest gap within it or a frame beside it.

    Args:
        gap_mm: (T,) of a clip; frame t is at the time t / frame_rate.
        phonemes: with their times; closures after the last frame are left out.
        frame_rate: of the gaps.
    """
    rows, margin = [], MARGIN_FRAMES / frame_rate
    for symbol, start, end in filter(lambda phoneme: phoneme.is_bilabial, phonemes):
        near = gap_mm[frames_within(start - margin, end + margin, frame_rate, len(gap_mm))]
        if len(near):
            rows.append({"phoneme": symbol, "start_s": round(start, 3), "end_s": round(end, 3),
                         "smallest_gap_mm": round(float(near.min()), 3)})
    return rows


def read_speech(recordings: Sequence[tuple[str, str]], frame_rate: float) -> dict[str, tuple[Recording, list[Phoneme]]]:
    """Return recordings with their phonemes, by the file's name.

    Args:
        recordings: files, and what is said in them: a text, which pocketsphinx aligns, or a JSON of `python -m otlib align`.
        frame_rate: of the motion.

    Raises:
        InputError: a recording cannot be read or aligned, two have one name, or pocketsphinx or espeak-ng is not installed.
    """
    speech: dict[str, tuple[Recording, list[Phoneme]]] = {}
    for file, text in recordings:
        if file in speech:
            raise InputError(f"{file}: is named twice; name each recording once")
        recording = read_recording(file, frame_rate)
        if text.endswith(".json"):
            phonemes = list(read_phonemes(Path(text)))
        else:
            phonemes = list(load_aligner("pocketsphinx").phonemes(resampled(recording), text_to_phonemes(text), name=file))
        speech[file] = recording, phonemes
    return speech


def measure_closures(settings: Mapping[str, Setting], recordings: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what the lips of the corpus's unseen heads do at the sounds of recordings, and what they would do by chance.

    Args:
        settings: models by name, :data:`MODEL` and :data:`CONTROL` among them, each with the corpus of its test heads.
        recordings: of :func:`read_speech`.

    Raises:
        InputError: as :func:`read_speech`.
    """
    speech = read_speech(recordings, settings[MODEL].corpus.frame_rate)
    rows: dict[str, Any] = {}
    for name, setting in settings.items():
        own, chance = scores_of(setting, speech)
        rows[name] = summary(own)
        if chance:
            rows[f"{name}, on another recording"] = summary(chance)
    best, chance, people = rows[MODEL], rows.get(f"{MODEL}, on another recording"), f"in {len(speech)} recordings of people"
    vowels = best["open_vowel_mm"]["mean"] - best["close_vowel_mm"]["mean"]
    goals = [goal(f"share of the {best['bilabials']:.0f} p, b, m {people} and on unseen heads at which the lip gap falls "
                  "under 15% of its range", best["found_shut"]["mean"], LEAST_FOUND, least=True),
             goal(f"share of false closures among all {people}", best["false_share"]["mean"], MOST_FALSE),
             goal(f"opening at open beyond that at close vowels {people} (mm)", vowels, LEAST_VOWELS_MM, least=True)]
    if chance:
        goals.append(goal(f"closures found {people} beyond those found in another recording",
                          best["found_shut"]["mean"] - chance["found_shut"]["mean"], LEAST_ABOVE_CHANCE, least=True))
    return {"rows": rows, "goals": goals}


def scores_of(setting: Setting, speech: Mapping[str, tuple[Recording, list[Phoneme]]],
              ) -> tuple[CorpusScores, CorpusScores | None]:
    """Return the scores of a model, and those of the same motions beside another recording (None where there is one only).

    Counts are summed over the heads of the test speakers; the speaker of the averages is the recording's.
    """
    heads = {sequence.subject: sequence.template for sequence in setting.corpus.select("test")}
    rate, recordings = setting.corpus.frame_rate, [recording for recording, _ in speech.values()]
    phonemes = [said for _, said in speech.values()]
    own, chance = [], []
    for head in heads.values():
        gaps = [setting.gap_mm(recording, head) for recording in recordings]
        loud = [loud_frames(recording.samples, recording.sample_rate, len(gap), rate)
                for recording, gap in zip(recordings, gaps, strict=True)]
        if len(speech) > 1:
            pair = closures_beside_chance(gaps, phonemes, loud, rate)
            own += pair[0]
            chance += pair[1]
        else:
            own.append(closures_of_speech(gaps[0], phonemes[0], loud[0], rate))
    speakers = list(speech) * len(heads)
    return aggregate(own, speakers), aggregate(chance, speakers) if chance else None


def summary(scores: CorpusScores) -> dict[str, Any]:
    """Return each score's mean over recordings with its interval, and the number of closures."""
    result: dict[str, Any] = {"bilabials": scores.mean["bilabials"], "closures_made": scores.mean["closures_made"]}
    for name in SHOWN:
        defined = {who: value for who, value in scores.by_speaker(name).items() if not math.isnan(value)}
        try:
            interval = speaker_interval(defined, generator=np.random.default_rng(0))
            result[name] = {"mean": interval.estimate, "interval": [interval.low, interval.high], "recordings": len(defined)}
        except IntervalUndefined:
            result[name] = {"mean": scores.mean[name], "interval": None, "recordings": len(defined)}
    return result


def measure_demo(setting: Setting) -> dict[str, Any]:
    """Return the lip gaps at p, b and m of the clip that ``make demo`` shows, and the widest one in a second of silence."""
    clip = setting.corpus.select("test")[0]
    rate = setting.corpus.frame_rate
    gap = setting.gap_mm(read_recording(clip.audio_path, rate), clip.template)
    rows = closure_rows(gap, clip.phonemes, rate)
    silence = Recording(np.zeros(round(SILENT_SECONDS * SILENT_RATE), np.float32), SILENT_RATE)
    silent = setting.gap_mm(silence, clip.template)
    return {"clip": clip.id, "gap": "beyond that of the head at rest",
            "gap_range_mm": [round(float(gap.min()), 3), round(float(gap.max()), 3)], "closures": rows,
            "silence_widest_gap_mm": round(float(silent.max()), 3),
            "goals": [goal(f"widest gap at the {len(rows)} p, b, m of the demo's clip (mm beyond rest)",
                           max(row["smallest_gap_mm"] for row in rows), DEMO_MM),
                      goal("widest gap in a second of digital silence (mm beyond rest)", float(silent.max()), DEMO_MM)]}
