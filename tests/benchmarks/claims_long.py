"""A recording of ten minutes: memory beside that for one minute, and what the joins of the windows change."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from notebooks.experiments.folders import Folders
from otlib.predict import LEAD_IN, talk
from otlib.speech import features
from otlib.speech.recording import Recording, resampled
from tests.benchmarks.claims_common import Setting, goal, open_setting

ROOT = Path(__file__).resolve().parents[2]

OTHER_SECONDS = 13.7  # cut elsewhere
ONE_PASS_SECONDS = 60
WANTED_GROWTH_MB = 30  # beyond the sound itself; the vertices are 200 MB and more
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # glibc: else the process may keep tens of MB that were freed, by luck
WANTED_JUMP = 1.0  # median steps


def tiled(setting: Setting, minutes: float) -> Recording:
    """Return the test sentences laid end to end, again and again."""
    found = [clip.audio for clip in setting.corpus.select("test")]
    rate = found[0][1]
    once = np.concatenate([samples for samples, one in found if one == rate])
    return Recording(np.resize(once, round(minutes * 60 * rate)).astype(np.float32), rate)


def steps_mm(motion: np.ndarray, frames: np.ndarray | None = None) -> np.ndarray:
    """Return how far the vertex that moves most goes to each frame from the one before, mm.

    Args:
        motion: (T, V, 3) metres; may be a memory map.
        frames: which, from 1; None all.
    """
    frames = np.arange(1, len(motion)) if frames is None else frames
    return np.array([1000 * np.linalg.norm(motion[frame] - motion[frame - 1], axis=-1).max() for frame in frames])


def jumps_mm(motion: np.ndarray, other: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return by how much the steps to some frames differ from those of the same motion cut elsewhere, mm."""
    step, other_step = (one[frames] - one[frames - 1] for one in (motion, other))
    return 1000 * np.linalg.norm(step - other_step, axis=-1).max(-1)


def joins(frames: int, window: int, lead: int = 0) -> np.ndarray:
    """Return the first frame of every window but the first, which begins with so many frames of silence."""
    return np.arange(window - lead, frames, window)


def measure_long(setting: Setting, minutes: float) -> dict[str, Any]:
    """Return peak memory for one minute and for so many, and the jumps at the joins."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "talk.npy"
        memory = {f"{one:g} min": _in_a_process(setting, one, file) for one in (1, minutes)}
        print("  peak anonymous memory:", {name: f"{one['anonymous']:.0f} MB" for name, one in memory.items()}, flush=True)
        motion = np.load(file, mmap_mode="r", allow_pickle=False)
        seam = _seam(setting, tiled(setting, minutes), motion, Path(folder) / "other.npy")
    short, long = memory.values()
    growth = long["anonymous"] - short["anonymous"] - (long["sound"] - short["sound"])
    return {"minutes": minutes, "frames": len(motion), "vertices_mb": round(motion.nbytes / 1e6), "peak_mb": memory,
            "growth_beyond_the_sound_mb": round(growth, 1), "seam": seam, "goals": [
        goal(f"growth of peak memory from 1 to {minutes:g} minutes, beyond the sound itself (MB)", growth, WANTED_GROWTH_MB),
        goal(f"largest jump at {seam['joins']} joins, in median steps between frames", seam["jump_over_median_step"],
             WANTED_JUMP)]}


def talked(setting: Setting, recording: Recording, window_seconds: float) -> Iterator[np.ndarray]:
    """Yield the vertices of the first test speaker's head, cut into windows of so many seconds."""
    usual, features.WINDOW_SECONDS = features.WINDOW_SECONDS, window_seconds
    try:
        yield from talk(setting.trained, recording, setting.corpus.select("test")[0].template, setting.corpus.topology)
    finally:
        features.WINDOW_SECONDS = usual


def write_talk(setting: Setting, recording: Recording, file: Path, window_seconds: float = features.WINDOW_SECONDS) -> None:
    """Write what is talked to a .npy file, stretch by stretch."""
    shape = (recording.frames(setting.trained.frame_rate), len(setting.corpus.select("test")[0].template), 3)
    with open(file, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for stretch in talked(setting, recording, window_seconds):
            stream.write(np.ascontiguousarray(stretch, "<f4").data)


def _seam(setting: Setting, recording: Recording, motion: np.ndarray, file: Path) -> dict[str, Any]:
    """Compare a motion with the same recording's cut elsewhere, and its first minute with one that is not cut.

    The step over a join is motion too: what the join has done to it is what differs where nothing is joined.
    """
    trained = setting.trained
    rate = trained.frame_rate
    write_talk(setting, recording, file, OTHER_SECONDS)
    other = np.load(file, mmap_mode="r", allow_pickle=False)
    here = np.setdiff1d(*(joins(len(motion), round(seconds * rate), round(LEAD_IN * rate))
                          for seconds in (features.WINDOW_SECONDS, OTHER_SECONDS)))
    start = Recording(recording.samples[: ONE_PASS_SECONDS * recording.sample_rate], recording.sample_rate)
    whole = np.concatenate(list(talked(setting, start, 2 * ONE_PASS_SECONDS)))
    counted = len(whole) - 2 * int(rate)  # its end hears what comes after in the long one only
    early = here[here < counted]
    every = steps_mm(motion)
    median = float(np.median(every))
    largest = float(jumps_mm(motion, other, here).max())
    return {"joins": len(here), "median_step_mm": round(median, 4), "largest_jump_mm": float(f"{largest:.4g}"),
            "jump_over_median_step": float(f"{largest / median:.4g}"),
            "one_pass": {"seconds": ONE_PASS_SECONDS, "joins": len(early),
                         "largest_jump_mm": float(f"{jumps_mm(motion, whole, early).max():.4g}"),
                         "largest_difference_mm": float(f"{1000 * np.abs(motion[:counted] - whole[:counted]).max():.4g}")},
            "steps_at_joins_mm": {"median": round(float(np.median(steps_mm(motion, here))), 4),
                                  "largest": round(float(steps_mm(motion, here).max()), 4)},
            "steps_everywhere_mm": {"largest": round(float(every.max()), 4)}}


def _in_a_process(setting: Setting, minutes: float, file: Path) -> dict[str, float]:
    program = [sys.executable, "-m", "tests.benchmarks.claims_long", setting.folders.profile, setting.folders.name,
               str(setting.folders.root), str(minutes), str(file)]
    return json.loads(subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True,
                                     env=os.environ | GIVEN_BACK).stdout)


def main(profile: str, run: str, root: str, minutes: str, file: str) -> None:
    """Write the talk of so many minutes to a file; print the peak memory of this process and the size of the sound, MB."""
    torch.set_num_threads(1)
    setting = open_setting(Folders(profile, run, Path(root)))
    recording = tiled(setting, float(minutes))
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    write_talk(setting, recording, Path(file))
    done.set()
    watcher.join()
    sound = (recording.samples.nbytes + 4 * len(resampled(recording))) / 1e6
    print(json.dumps({"anonymous": round(peak[0], 1), "sound": round(sound, 1)}))


def anonymous_mb() -> float:
    """Return this process's memory that no file stands behind, MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
