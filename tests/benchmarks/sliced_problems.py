"""What the benchmark times: talking heads as measures, and one function for each way to compute the distance.

Run as a program it measures the memory of one call in a fresh process and prints it:
``python sliced_problems.py <file with the arrays> <method> <threads>``.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ot
import torch
from torch import Tensor

from otlib.measures.directions import draw_directions
from otlib.measures.measure import Measure, barycentres, varifold
from otlib.measures.sliced import sliced_wasserstein

ATOMS = {9976: "medium", 20000: "high", 46068: "high"}  # faces of the head; 20,000 are drawn from those of the high one
PACE = (("jaw", 0.5, 2.1), ("aperture", 0.6, 2.3), ("round", 0.5, 1.1), ("spread", 0.3, 0.7), ("protrude", 0.4, 1.1),
        ("brow", 0.3, 0.4))  # control, height, cycles a second: slow vowels, no closures


@dataclass(frozen=True)
class Problem:
    """T pairs of measures and the directions of each, float32.

    Attributes:
        points: of the prediction, (T, N, d).
        weights: of the prediction, (T, N).
        target_points: of the truth, (T, N, d).
        target_weights: of the truth, (T, N).
        directions: independent for each frame, (T, L, d).
    """

    points: Tensor
    weights: Tensor
    target_points: Tensor
    target_weights: Tensor
    directions: Tensor

    def first(self, frames: int) -> "Problem":
        """The same, cut to its first frames."""
        return Problem(*(getattr(self, name)[:frames] for name in self.__dataclass_fields__))

    def to(self, device: str) -> "Problem":
        """The same on another device."""
        return Problem(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class TalkingHeads:
    """Vertices of a head that talks, and of a prediction that lags by two frames at 30 frames a second."""

    LAG = 2

    def __init__(self) -> None:
        self._heads: dict[str, tuple[Tensor, Tensor]] = {}

    def vertices(self, resolution: str, frames: int) -> tuple[Tensor, Tensor]:
        """Vertices (frames + LAG, V, 3) float32 and faces (F, 3)."""
        from data_prep.head import CONTROLS, make_head, pose

        moved, faces = self._heads.get(resolution, (torch.empty(0), torch.empty(0)))
        if len(moved) < frames + self.LAG:
            seconds = np.arange(frames + self.LAG) / 30
            controls = np.zeros((len(seconds), len(CONTROLS)))
            for name, height, cycles in PACE:
                controls[:, CONTROLS.index(name)] = height * np.sin(np.pi * cycles * seconds + len(name)) ** 2
            head = make_head(resolution=resolution)
            moved, faces = torch.from_numpy(pose(head, controls)), torch.from_numpy(head.topology.faces)
            self._heads[resolution] = moved, faces
        return moved[:frames + self.LAG], faces

    def problem(self, atoms: int, dimension: int, directions: int, frames: int) -> Problem:
        vertices, faces = self.vertices(ATOMS[atoms], frames)
        generator = torch.Generator().manual_seed(0)
        kept = torch.randperm(len(faces), generator=generator)[:atoms].sort().values
        measures = [(varifold if dimension == 6 else barycentres)(part, faces)
                    for part in (vertices[self.LAG:], vertices[:-self.LAG])]
        if atoms < len(faces):
            measures = [measure.restrict(kept) for measure in measures]
        drawn = draw_directions(directions, dimension, sampler="gaussian", generator=generator, batch=frames)
        return Problem(*(part for measure in measures for part in (measure.points, measure.weights)), drawn)


def _differentiable(problem: Problem) -> tuple[Tensor, Tensor]:
    return problem.points.detach().requires_grad_(), problem.weights.detach().requires_grad_()


def otlib_value(points: Tensor, weights: Tensor, problem: Problem, backend: str) -> Tensor:
    """Sum over the frames, all in one call."""
    target = Measure(problem.target_points, problem.target_weights)
    return sliced_wasserstein(Measure(points, weights), target, problem.directions, backend=backend).sum()


def pot_value(points: Tensor, weights: Tensor, problem: Problem) -> Tensor:
    """Sum over the frames with POT, as its users call it: frame by frame, on torch tensors."""
    return sum(
        ot.sliced_wasserstein_distance(points[t], problem.target_points[t], weights[t], problem.target_weights[t],
                                       projections=problem.directions[t].T, p=2) ** 2
        for t in range(len(points))
    )


def run_otlib(problem: Problem, backend: str) -> float:
    """Forward and backward in points and weights."""
    value = otlib_value(*_differentiable(problem), problem, backend)
    value.backward()
    return value.item()


def run_pot(problem: Problem) -> float:
    """The same with POT."""
    value = pot_value(*_differentiable(problem), problem)
    value.backward()
    return value.item()


METHODS: dict[str, Callable[[Problem], float]] = {
    "kernel": lambda problem: run_otlib(problem, "kernel"),
    "torch": lambda problem: run_otlib(problem, "torch"),
    "pot": run_pot,
}


def sort_keys(problem: Problem) -> list[np.ndarray]:
    """Every array that any method must sort: float32 projections, one array for each frame, direction and measure."""
    keys = [(directions @ points.T).numpy() for side in (problem.points, problem.target_points)
            for directions, points in zip(problem.directions, side, strict=True)]
    return [row for block in keys for row in block]


def run_sorts(keys: list[np.ndarray], sort: Callable[[np.ndarray], np.ndarray]) -> None:
    """Sort every array with numpy, on as many threads as the other methods."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in pool.map(sort, keys):
            pass


def measure_memory(arrays: Path, method: str) -> float:
    """Extra peak memory of one call, MB: the highest resident size during the call less that before it (Linux only)."""
    with np.load(arrays, allow_pickle=False) as stored:
        problem = Problem(**{name: torch.from_numpy(stored[name]) for name in stored.files})
    # Load every library and compiled function on a problem too small to count.
    tiny = Problem(*(getattr(problem, name)[:1, :40].clone() for name in problem.__dataclass_fields__))
    tiny.weights.fill_(1 / 40)
    tiny.target_weights.fill_(1 / 40)
    METHODS[method](tiny)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest resident size starts anew
    before = resident_kilobytes("VmRSS")
    METHODS[method](problem)
    return (resident_kilobytes("VmHWM") - before) / 1024


def resident_kilobytes(which: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which))


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[3]))
    print(json.dumps(measure_memory(Path(sys.argv[1]), sys.argv[2])))
