"""Whether lips close at p, b and m: on recordings of people, on the demo's clip, and in silence."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from claims_common import Setting, goal

from data_prep.labelled_speech import text_to_phonemes
from otlib.audio import Recording, read_recording, resampled
from otlib.forced_alignment import load_aligner
from otlib.metrics.mouth import DEFAULT_CLOSURES, is_bilabial
from otlib.predict import load_trained

SHARE_OF_RANGE = 0.25  # of the clip's lip gaps, from below: the lips are together there
WANTED_SHARE = 0.8  # of the closures
MARGIN_FRAMES = 1  # by which a closure may come early or late
DEMO_MM = DEFAULT_CLOSURES.threshold_mm  # closed, as the metrics have it
SILENT_SECONDS, SILENT_RATE = 1.0, 16_000


def closure_rows(gap_mm: np.ndarray, phonemes: Iterable[tuple[str, float, float]],
                 frame_rate: float) -> list[dict[str, Any]]:
    """Return for each p, b and m how near the lips come to each other.

    Args:
        gap_mm: (T,) of a clip; frame t is at the time t / frame_rate.
        phonemes: symbol, start and end in seconds.
        frame_rate: of the gaps.

    Returns:
        Symbol, times, the smallest gap between start and end or a frame beside them, that gap's place in the range of
        all gaps (0 the smallest, 1 the widest), and whether it is under a quarter of it; closures after the last frame are
        left out.

    Raises:
        ValueError: the gap never changes, so that no share of its range says anything.
    """
    low, wide = float(gap_mm.min()), float(np.ptp(gap_mm))
    if wide == 0:
        raise ValueError("gap_mm: is the same in all frames")
    rows = []
    for symbol, start, end in phonemes:
        if not is_bilabial(symbol):
            continue
        first = max(0, int(np.ceil(start * frame_rate - 1e-9)) - MARGIN_FRAMES)
        last = int(np.floor(end * frame_rate + 1e-9)) + MARGIN_FRAMES
        near = gap_mm[first: last + 1]
        if len(near):
            share = (float(near.min()) - low) / wide
            rows.append({"phoneme": symbol, "start_s": round(start, 3), "end_s": round(end, 3),
                         "smallest_gap_mm": round(float(near.min()), 3), "share_of_range": round(share, 4),
                         "closed": share < SHARE_OF_RANGE})
    return rows


def measure_closures(setting: Setting, recordings: Sequence[tuple[str, str]], others: Sequence[Path] = ()) -> dict[str, Any]:
    """Return every closure that pocketsphinx finds in recordings, and how near the lips of an unseen head come there.

    Args:
        setting: model and head.
        recordings: files, and what is said in them.
        others: runs of other trainings, which are counted together beside the setting's own; one training is one sample.

    Raises:
        InputError: a recording cannot be read or aligned, pocketsphinx or espeak-ng is not installed, or a run has no model.
    """
    aligner = load_aligner("pocketsphinx")
    heard = []
    for file, text in recordings:
        recording = read_recording(file, setting.corpus.frame_rate)
        heard.append((recording, aligner.phonemes(resampled(recording), text_to_phonemes(text), name=file)))
    names = [Path(file).name for file, _ in recordings]
    clips = _closures(setting, heard, names)
    beside = [_closures(replace(setting, trained=load_trained(run)), heard, names) for run in others]
    models = {"the demo's model": [clips]} | ({f"{len(others)} models of the full corpus": beside} if others else {})
    goals = []
    for whose, results in models.items():
        found = [row["closed"] for clips_of in results for clip in clips_of for row in clip["closures"]]
        share = float(np.mean(found)) if found else 0.0
        goals.append(goal(f"share of {len(found)} p, b, m in {len(names)} recordings of people at which the lip gap falls "
                          f"under {SHARE_OF_RANGE:.0%} of its range, {whose}", share, WANTED_SHARE, least=True))
    return {"head": setting.corpus.select("test")[0].subject, "share_of_range": SHARE_OF_RANGE,
            "margin_frames": MARGIN_FRAMES, "recordings": clips, "full_corpus": beside, "goals": goals}


def _closures(setting: Setting, heard: Sequence[tuple[Recording, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each recording the range of its lip gaps and its closures."""
    template, clips = setting.corpus.select("test")[0].template, []
    for name, (recording, phonemes) in zip(names, heard, strict=True):
        gap = setting.gap_mm(recording, template)
        rows = closure_rows(gap, phonemes, setting.corpus.frame_rate)
        clips.append({"recording": name, "gap_range_mm": [round(float(gap.min()), 3), round(float(gap.max()), 3)],
                      "closures": rows})
        print(f"  {name}: {sum(row['closed'] for row in rows)} of {len(rows)} closed", flush=True)
    return clips


def measure_demo(setting: Setting) -> dict[str, Any]:
    """Return the lip gaps at p, b and m of the clip that ``make demo`` shows, and the widest one in a second of silence."""
    clip = setting.corpus.select("test")[0]
    rate = setting.corpus.frame_rate
    gap = setting.gap_mm(read_recording(clip.audio_path, rate), clip.template)
    rows = closure_rows(gap, clip.phonemes, rate)
    silence = Recording(np.zeros(round(SILENT_SECONDS * SILENT_RATE), np.float32), SILENT_RATE)
    silent = torch.from_numpy(setting.gap_mm(silence, clip.template))
    return {"clip": clip.id, "gap": "beyond that of the head at rest",
            "gap_range_mm": [round(float(gap.min()), 3), round(float(gap.max()), 3)], "closures": rows,
            "silence_widest_gap_mm": round(float(silent.max()), 3),
            "goals": [goal(f"widest gap at the {len(rows)} p, b, m of the demo's clip (mm beyond rest)",
                           max(row["smallest_gap_mm"] for row in rows), DEMO_MM),
                      goal("widest gap in a second of digital silence (mm beyond rest)", float(silent.max()), DEMO_MM)]}
