"""Time, memory and error of the sliced Wasserstein distance on a GPU: ``python -m tests.benchmarks.bench_sliced_gpu``.

For each number of atoms, dimension, directions and frames, float32, forward and backward in points and weights: the
Triton kernels, the batched torch path and POT, beside torch.sort of the same keys; and for a few problems the errors of
all three against the CPU kernel in float64. All on one card, in one process. POT is timed on at most four frames and
scaled (it is a loop over frames). Every finished row is written to ``--out``, and not made again by the next run on the
same card with the same code.
"""

import argparse
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from otlib.files import read_json, write_json
from otlib.measures.compiled import sliced_cpu
from tests.benchmarks.bench_sliced import ATOMS, DIMENSIONS, DIRECTIONS, FRAMES, measured_code
from tests.benchmarks.sliced_problems import Problem, TalkingHeads, otlib_value, pot_value, run_otlib, run_pot

POT_FRAMES = 4
COLUMNS = ("triton", "torch", "sort", "pot")
ERROR_CELLS = ((9976, 3, 50, 2), (46068, 6, 100, 2))
LEAST_SECONDS, LEAST_REPEATS, MOST_REPEATS = 0.2, 3, 30
SORTED_AT_ONCE = 1 << 27  # keys, at least one frame's
GOALS = {"triton_over_sort": 3, "pot_over_triton": 20}
GOAL_CELL = (9976, 3, 50, 30)


def machine(device: torch.device) -> dict[str, object]:
    """What the numbers were measured on."""
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        driver = "unknown"
    return {"card": torch.cuda.get_device_name(device), "driver": driver,
            "versions": {name: installed(name) for name in ("torch", "triton", "numpy", "pot")}}


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def seconds_of(call) -> float:
    """Median seconds of a call, with the host's part, after one to warm up."""
    taken = []
    call()
    while len(taken) < LEAST_REPEATS or (sum(taken) < LEAST_SECONDS and len(taken) < MOST_REPEATS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def extra_megabytes(call) -> float:
    """The highest memory of a call that has run before, less that before it."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def sort_keys(problem: Problem) -> list[torch.Tensor]:
    """Projections (T, L, N) of both measures, in blocks of frames."""
    step = max(1, SORTED_AT_ONCE // (problem.directions.shape[1] * problem.points.shape[1]))
    return [problem.directions[start:start + step] @ points[start:start + step].transpose(-1, -2)
            for points in (problem.points, problem.target_points) for start in range(0, len(points), step)]


def time_row(problem: Problem, methods: tuple[str, ...]) -> dict[str, object]:
    """Median seconds and memory of each method, and how they compare."""
    frames = len(problem.points)
    few = problem.first(POT_FRAMES)
    calls = {name: lambda name=name: run_otlib(problem, name) for name in methods}
    seconds = {name: seconds_of(call) for name, call in calls.items()}
    memory = {name: extra_megabytes(call) for name, call in calls.items()}
    seconds["pot"] = seconds_of(lambda: run_pot(few)) * frames / len(few.points)
    keys = sort_keys(problem)
    seconds["sort"] = seconds_of(lambda: [block.sort(dim=-1) for block in keys])
    return {
        **cell_of(problem), "seconds": seconds, "extra_mb": memory,
        **{f"{name}_over_sort": seconds[name] / seconds["sort"] for name in methods},
        **{f"pot_over_{name}": seconds["pot"] / seconds[name] for name in methods},
    }


def error_row(problem: Problem, methods: tuple[str, ...]) -> dict[str, object]:
    """Relative errors of value and gradients in points and weights, each frame against the CPU kernel in float64."""
    parts = [getattr(problem, name).cpu().double() for name in problem.__dataclass_fields__]
    expected = sliced_cpu.solve(*parts, 2.0, True)
    errors = {}
    for name in (*methods, "pot"):
        inputs = [part.detach().requires_grad_() for part in (problem.points, problem.weights)]
        value = pot_value(*inputs, problem) if name == "pot" else otlib_value(*inputs, problem, name)
        move, slope = (gradient.cpu().double() for gradient in torch.autograd.grad(value, inputs))
        slope = slope - (slope * parts[1]).sum(-1, keepdim=True)  # POT does not centre it
        errors[name] = {"value": abs(value.item() / expected[0].sum().item() - 1), "points": relative(move, expected[1]),
                        "weights": relative(slope, expected[2])}
    return {**cell_of(problem), "errors": errors}


def cell_of(problem: Problem) -> dict[str, int]:
    frames, count, dimension = problem.directions.shape
    return {"atoms": problem.points.shape[1], "dimension": dimension, "directions": count, "frames": frames}


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def report(result: dict[str, object]) -> str:
    """The rows as text, and what was reached at the cell of the goals."""
    lines = [str(result["machine"]), " atoms  d    L    T " + "".join(f"{name:>10}" for name in COLUMNS)
             + "  ms, triton/sort, pot/triton"]
    for row in result["rows"].values():
        start = f"{row['atoms']:6} {row['dimension']:2} {row['directions']:4} {row['frames']:4} "
        if "errors" in row:
            lines.append(f"{start} errors {row['errors']}")
            continue
        ratios = [row[name] for name in GOALS if name in row]
        lines.append(start + "".join(f"{1e3 * row['seconds'][name]:10.2f}" if name in row["seconds"] else f"{'-':>10}"
                                     for name in COLUMNS) + "".join(f"{ratio:12.2f}" for ratio in ratios))
    cell = result["rows"].get(f"time {GOAL_CELL}", {})
    lines += [f"{name} {cell[name]:.2f}, goal {goal}" for name, goal in GOALS.items() if name in cell]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("sliced_gpu.json"), help="where the JSON goes")
    parser.add_argument("--minutes", type=float, default=20, help="stop before a row after this time; run again to go on")
    parser.add_argument("--atoms", type=int, nargs="+", default=ATOMS)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU: torch.cuda.is_available() is False", file=sys.stderr)
        return 2
    device = torch.device("cuda")
    methods = ("triton", "torch") if installed("triton") else ("torch",)
    made_by = {"machine": machine(device), "code": measured_code()}
    result = read_json(arguments.out) if arguments.out.exists() else {}
    if {name: result.get(name) for name in made_by} != made_by:
        result = {"format": "otlib-bench-gpu", "version": 1, **made_by, "rows": {}}
    deadline = time.monotonic() + 60 * arguments.minutes
    heads = TalkingHeads()
    todo = [("error", cell) for cell in ERROR_CELLS if cell[0] in arguments.atoms]
    todo += sorted((("time", (n, d, count, frames)) for n in arguments.atoms for d in DIMENSIONS for count in DIRECTIONS
                    for frames in FRAMES), key=lambda job: (job[1] != GOAL_CELL, job[1][:2]))
    whole, shape = None, None
    for part, cell in todo:
        if f"{part} {cell}" in result["rows"]:
            continue
        if time.monotonic() > deadline:
            print(f"stopped after {arguments.minutes:g} minutes; run again to go on", file=sys.stderr)
            return 3
        atoms, dimension, count, frames = cell
        if shape != (atoms, dimension):
            whole, shape = None, (atoms, dimension)
            whole = heads.problem(atoms, dimension, max(DIRECTIONS), max(FRAMES)).to("cuda")
        kept = {name: getattr(whole.first(frames), name) for name in whole.__dataclass_fields__}
        problem = Problem(**{**kept, "directions": kept["directions"][:, :count].contiguous()})
        result["rows"][f"{part} {cell}"] = {"time": time_row, "error": error_row}[part](problem, methods)
        write_json(arguments.out, result)
    print(report(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
