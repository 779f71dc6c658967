"""Time, memory and error of the sliced Wasserstein distance, in one process with POT: ``make bench``.

Four parts, the most telling first:
- error: of value and vertex gradient against the number of directions, for each sampler, on two pairs of frames of a
  talking head;
- equal: the cost of POT with Monte-Carlo directions and of the kernel with a design of no larger error;
- time: forward and backward in points and weights by the kernel, the batched torch path and POT, over a grid of atoms,
  dimensions, directions and frames, beside numpy's sorts of the same keys (the floor of any method that sorts);
- memory: extra peak of one call in a fresh process.

The slow methods are timed on at most four frames and scaled; their rows say so. Where there is a GPU (or with
``--device``) the torch path is timed on it too. Every finished row is kept beside the result, so that a run that is
stopped, or stops by itself when its time is up, goes on where it was; rows of other code or another machine are made
anew. When all rows are there, sliced_wasserstein.json and .png are written into the run's folder bench, the kept rows
removed, and each goal printed with what was measured.
"""

import argparse
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from otlib.code_checksum import code_checksum
from otlib.files import atomic_write, read_json, write_json
from tests.benchmarks.sliced_errors import equal_error_rows, error_row
from tests.benchmarks.sliced_figure import draw_figure
from tests.benchmarks.sliced_problems import METHODS, TalkingHeads, run_sorts, sort_keys
from tests.benchmarks.sliced_summary import report, summary
from tests.benchmarks.targets import add_target, target_of

ROOT = Path(__file__).resolve().parents[2]
ATOMS, DIMENSIONS, DIRECTIONS, FRAMES = (9976, 20000, 46068), (3, 6), (50, 100), (1, 30, 120)
ERROR_ATOMS = (9976, 46068)
SCALED_FRAMES = 4
REPEATS = 3
SHORT_SECONDS = 0.2  # calls shorter than this are repeated more often


def machine(device: str | None = None) -> dict[str, object]:
    """What the numbers were measured on."""
    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("torch", "numba", "numpy", "pot")},
        **({"device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device} if device else {}),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def seconds_of(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def time_row(heads: TalkingHeads, atoms: int, dimension: int, directions: int, frames: int,
             device: str | None) -> dict[str, object]:
    """Median seconds of each method, taken in turns; "device" is the torch path there, without the way there."""
    problem = heads.problem(atoms, dimension, directions, frames)
    few = problem.first(SCALED_FRAMES)
    scale = frames / len(few.points)
    keys = sort_keys(few)
    calls = {
        "kernel": lambda: METHODS["kernel"](problem),
        "torch": lambda: METHODS["torch"](few),
        "pot": lambda: METHODS["pot"](few),
        "argsort": lambda: run_sorts(keys, np.argsort),
        "sort": lambda: run_sorts(keys, np.sort),
    }
    whole = ["kernel"]  # timed on all frames
    if device:
        there = problem.to(device)
        calls["device"] = lambda: METHODS["torch"](there)
        whole.append("device")
    for name in calls if frames == 1 else whole:
        calls[name]()  # warm: compiled code, allocators
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(REPEATS):
        for name, call in calls.items():
            if repeat == 0 or name not in ("torch", "pot") or frames == 1:
                times = 5 if taken[name] and taken[name][0] < SHORT_SECONDS else 1
                taken[name] += [seconds_of(call) for _ in range(times)]
    seconds = {name: float(np.median(values)) * (1 if name in whole else scale) for name, values in taken.items()}
    return {
        "atoms": atoms, "dimension": dimension, "directions": directions, "frames": frames, "seconds": seconds,
        "scaled_from_frames": {name: len(few.points) for name in calls if name not in whole} if scale > 1 else {},
        "pot_over_kernel": seconds["pot"] / seconds["kernel"],
        "kernel_over_argsort": seconds["kernel"] / seconds["argsort"],
    }


def memory_row(heads: TalkingHeads, atoms: int, dimension: int, directions: int, frames: int, method: str) -> dict:
    """Extra peak memory of one call, MB, in a fresh process."""
    problem = heads.problem(atoms, dimension, directions, frames)
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "problem.npz"
        np.savez(arrays, **{name: getattr(problem, name).numpy() for name in problem.__dataclass_fields__})
        del problem
        program = [sys.executable, "-m", "tests.benchmarks.sliced_problems", str(arrays), method,
                   str(torch.get_num_threads())]
        found = json.loads(subprocess.run(program, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    return {"atoms": atoms, "dimension": dimension, "directions": directions, "frames": frames, "method": method,
            "extra_mb": found}


def jobs(grid: dict[str, tuple[int, ...]]) -> list[tuple[str, tuple]]:
    """Every row to be made, in order: the name of its part and its arguments."""
    cells = [(n, d, count) for n in grid["atoms"] for d in DIMENSIONS for count in grid["directions"]]
    frames = grid["frames"]
    return [
        *((part, (n, d)) for n in grid["error_atoms"] for d in DIMENSIONS for part in ("error", "equal")),
        *(("time", (*cell, t)) for t in frames for cell in cells),
        *(("memory", (*cell, 1, method)) for cell in cells for method in METHODS),
        ("memory", (grid["atoms"][-1], 6, grid["directions"][-1], frames[-1], "kernel")),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20, help="stop before a row after this time; run again to go on")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--quick", action="store_true", help="a small grid, to try the program itself")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else None,
                        help="where the torch path is timed besides the CPU (default: a GPU if there is one)")
    add_target(parser)
    arguments = parser.parse_args()
    target = target_of(parser, arguments, "sliced_wasserstein")
    torch.set_num_threads(arguments.threads)
    grid = {"atoms": ATOMS, "directions": DIRECTIONS, "frames": FRAMES, "error_atoms": ERROR_ATOMS}
    if arguments.quick:
        grid = {"atoms": (9976,), "directions": (50, 100), "frames": (1, 30), "error_atoms": (9976,)}
    kept_at = target.with_suffix(".partial.json")
    kept = read_json(kept_at) if kept_at.exists() else {}
    made_by = {"machine": machine(arguments.device), "code": code_checksum("tests.benchmarks.bench_sliced")}
    if {name: kept.get(name) for name in made_by} != made_by:  # rows of another machine or other code do not go with these
        kept = {**made_by, "rows": {}}
    deadline = time.monotonic() + 60 * arguments.minutes
    heads = TalkingHeads()

    def equal_row(heads: TalkingHeads, atoms: int, dimension: int) -> dict[str, object]:
        return {"cells": equal_error_rows(heads, kept["rows"][f"error {atoms} {dimension}"], seconds_of)}

    makers = {"error": error_row, "equal": equal_row, "time": functools.partial(time_row, device=arguments.device),
              "memory": memory_row}
    todo = jobs(grid)
    with tqdm(todo, desc="bench", unit="row") as bar:
        for part, values in bar:
            name = f"{part} {' '.join(map(str, values))}"
            bar.set_postfix_str(name)
            if name in kept["rows"]:
                continue
            if time.monotonic() > deadline:
                print(f"stopped after {arguments.minutes:g} minutes; run again to go on", file=sys.stderr)
                return 3
            kept["rows"][name] = {**makers[part](heads, *values), "load": list(os.getloadavg())}
            write_json(kept_at, kept)
    rows = {part: [kept["rows"][f"{kind} {' '.join(map(str, values))}"] for kind, values in todo if kind == part]
            for part in makers}
    result = {"format": "otlib-bench", "version": 2, **made_by, "summary": summary(rows), **rows}
    write_json(target, result)
    with atomic_write(target.with_suffix(".png")) as temporary:
        draw_figure(result).savefig(temporary, dpi=120)
    kept_at.unlink()
    print(report(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
