"""Whether lips close at p, b and m: on recordings of people, on the demo's clip, and in silence."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.corpus.labelled_speech import text_to_phonemes
from otlib.metrics.closures import DEFAULT_CLOSURES
from otlib.phonemes import Phoneme, load_aligner
from otlib.speech.recording import Recording, read_recording, resampled
from tests.benchmarks.claims_common import Setting, goal

SHARE_OF_RANGE = 0.25  # of the clip's lip gaps, from below: the lips are together there
WANTED_SHARE = 0.8  # of the closures
MARGIN_FRAMES = 1  # by which a closure may come early or late
DEMO_MM = DEFAULT_CLOSURES.threshold_mm  # closed, as the metrics have it
SILENT_SECONDS, SILENT_RATE = 1.0, 16_000


def closure_rows(gap_mm: np.ndarray, phonemes: Iterable[Phoneme],
                 frame_rate: float) -> list[dict[str, Any]]:
    """Return for each p, b and m how near the lips come to each other.

    Args:
        gap_mm: (T,) of a clip; frame t is at the time t / frame_rate.
        phonemes: with their times.
        frame_rate: of the gaps.

    Returns:
        Symbol, times, the smallest gap between start and end or a frame beside them, that gap's place in the range of
        all gaps (0 the smallest, 1 the widest), whether it is under a quarter of it, and how many of those frames there are
        and are so; closures after the last frame are left out.

    Raises:
        ValueError: the gap never changes, so that no share of its range says anything.
    """
    low, wide = float(gap_mm.min()), float(np.ptp(gap_mm))
    if wide == 0:
        raise ValueError("gap_mm: is the same in all frames")
    rows = []
    for symbol, start, end in filter(lambda phoneme: phoneme.is_bilabial, phonemes):
        first = max(0, int(np.ceil(start * frame_rate - 1e-9)) - MARGIN_FRAMES)
        last = int(np.floor(end * frame_rate + 1e-9)) + MARGIN_FRAMES
        near = gap_mm[first: last + 1]
        if len(near):
            share = (float(near.min()) - low) / wide
            rows.append({"phoneme": symbol, "start_s": round(start, 3), "end_s": round(end, 3),
                         "smallest_gap_mm": round(float(near.min()), 3), "share_of_range": round(share, 4),
                         "closed": share < SHARE_OF_RANGE, "frames": len(near),
                         "frames_closed": int(((near - low) / wide < SHARE_OF_RANGE).sum())})
    return rows


def measure_closures(setting: Setting, recordings: Sequence[tuple[str, str]],
                     others: Sequence[Setting] = ()) -> dict[str, Any]:
    """Return every closure that pocketsphinx finds in recordings, and how near the lips of all unseen speakers come there.

    Args:
        setting: a model, and the corpus of whose test speakers the heads are.
        recordings: files, and what is said in them.
        others: other trainings with their corpus, counted together beside the setting's own; one training is one sample.

    Raises:
        InputError: a recording cannot be read or aligned, or pocketsphinx or espeak-ng is not installed.
    """
    aligner, heard = load_aligner("pocketsphinx"), []
    for file, text in recordings:
        recording = read_recording(file, setting.corpus.frame_rate)
        phonemes = aligner.phonemes(resampled(recording), text_to_phonemes(text), name=file)
        heard.append((Path(file).name, recording, phonemes))
    own = _closures(setting, heard)
    beside = [_closures(other, heard) for other in others]
    models = {"the demo's model": [own]} | ({f"{len(others)} models of the full corpus": beside} if others else {})
    goals = []
    for whose, results in models.items():
        shares = np.array([[list(row["share_of_range"].values()) for row in rows] for rows in results])
        share = float((shares < SHARE_OF_RANGE).mean()) if shares.size else 0.0
        goals.append(goal(f"share of {len(own)} p, b, m in {len(heard)} recordings of people at which the lip gap falls "
                          f"under {SHARE_OF_RANGE:.0%} of its range, on {_heads(results)} unseen heads, {whose}", share,
                          WANTED_SHARE, least=True))
    return {"share_of_range": SHARE_OF_RANGE, "margin_frames": MARGIN_FRAMES, "closures": own, "full_corpus": beside,
            "goals": goals}


def _heads(results: Sequence[Sequence[dict[str, Any]]]) -> int:
    return len({speaker for rows in results for row in rows for speaker in row["share_of_range"]})


def _closures(setting: Setting, heard: Sequence[tuple[str, Recording, Any]]) -> list[dict[str, Any]]:
    """Return each closure with the smallest gap there of each test speaker, as a share of the range of that clip's gaps."""
    heads = {sequence.subject: sequence.template for sequence in setting.corpus.select("test")}
    found = []
    for name, recording, phonemes in heard:
        rows = [closure_rows(setting.gap_mm(recording, template), phonemes, setting.corpus.frame_rate)
                for template in heads.values()]
        here = [{"recording": name, **{key: of_heads[0][key] for key in ("phoneme", "start_s", "end_s", "frames")},
                 **{key: {head: row[key] for head, row in zip(heads, of_heads, strict=True)}
                    for key in ("share_of_range", "frames_closed")}}
                for of_heads in zip(*rows, strict=True)]
        closed = sum(row["closed"] for of_head in rows for row in of_head)
        print(f"  {name}: {closed} of {len(here) * len(heads)} closed on {len(heads)} heads", flush=True)
        found += here
    return found


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
