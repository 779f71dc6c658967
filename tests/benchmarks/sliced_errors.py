"""Error of the sliced Wasserstein distance against the number of directions, and the cost at equal error."""

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from otlib.measures.directions import SAMPLERS, design_sizes, draw_directions
from otlib.measures.measure import Measure, barycentres, varifold
from otlib.measures.sliced import sliced_wasserstein
from tests.benchmarks.sliced_problems import ATOMS, METHODS, TalkingHeads

SEEDS = 50
REFERENCE = 5000
MONTE_CARLO = 100  # directions that POT's users take; its error is the one to match
COUNTS = {3: (6, 12, 24, 50, 100), 6: (16, 36, 48, 100)}
MANY_ATOMS = 20000  # from here on only what the cost at equal error needs: Monte-Carlo at its count, small designs
PAIRS = {"two frames apart": (0, 2), "a third of a second apart": (0, 10)}
EQUAL_ERROR_FRAMES = 30
POT_FRAMES, POT_REPEATS = 4, 2  # timed, the fastest taken, then scaled
LARGEST_SMALL = {3: 24, 6: 48}  # designs tried where there are many atoms


def error_row(heads: TalkingHeads, atoms: int, dimension: int) -> dict[str, object]:
    """Relative RMS error of value and vertex gradient over seeds, and the mean cosine of the gradient."""
    vertices, faces = heads.vertices(ATOMS[atoms], EQUAL_ERROR_FRAMES)
    results = []
    for pair, (first, second) in PAIRS.items():
        evaluate = evaluator(vertices[first].clone().requires_grad_(), vertices[second], faces,
                              varifold if dimension == 6 else barycentres)
        generator = torch.Generator().manual_seed(1)
        value, gradient = evaluate(draw_directions(REFERENCE, dimension, generator=generator))
        for sampler in SAMPLERS:
            for count in _counts(sampler, atoms, dimension):
                draws = [evaluate(draw_directions(count, dimension, sampler=sampler, generator=generator))
                         for _ in range(SEEDS)]
                errors = torch.stack([(g - gradient).norm() / gradient.norm() for _, g in draws])
                cosines = torch.stack([torch.cosine_similarity(g, gradient, dim=0) for _, g in draws])
                results.append({
                    "pair": pair, "sampler": sampler, "directions": count,
                    "value_error": float(np.sqrt(np.mean([(v / value - 1) ** 2 for v, _ in draws]))),
                    "gradient_error": float(errors.square().mean().sqrt()),
                    "gradient_cosine": float(cosines.mean()), "least_cosine": float(cosines.min()),
                })
    return {"atoms": atoms, "dimension": dimension, "seeds": SEEDS, "reference_directions": REFERENCE, "errors": results}


def evaluator(moving: Tensor, target: Tensor, faces: Tensor, make: Callable) -> Callable[[Tensor], tuple[float, Tensor]]:
    """From directions to the value and its gradient in the vertices ``moving``; the measures are made once."""
    measure, truth = make(moving, faces), make(target, faces)
    parts = measure.points, measure.weights

    def evaluate(directions: Tensor) -> tuple[float, Tensor]:
        leaves = [part.detach().requires_grad_() for part in parts]
        value = sliced_wasserstein(Measure(*leaves), truth, directions)
        slopes = torch.autograd.grad(value, leaves)
        return value.item(), torch.autograd.grad(parts, moving, slopes, retain_graph=True)[0].flatten()

    return evaluate


def _counts(sampler: str, atoms: int, dimension: int) -> list[int]:
    designs = design_sizes(dimension) if sampler == "design" else ()
    if atoms < MANY_ATOMS:
        return sorted({*COUNTS[dimension], *(size for size in designs if size <= max(COUNTS[dimension]))})
    return [size for size in designs if size <= LARGEST_SMALL[dimension]] or ([MONTE_CARLO] if sampler == "gaussian" else [])


def equal_error_rows(heads: TalkingHeads, error: dict, seconds_of) -> list[dict[str, object]]:
    """Time POT with Monte-Carlo directions and the kernel with the smallest design of no larger error, at 30 frames.

    Where no design that was tried is as good, what would follow from one is None.

    Args:
        heads: the talking heads.
        error: a row of :func:`error_row`.
        seconds_of: times a call.
    """
    atoms, dimension = error["atoms"], error["dimension"]
    pot_problem = heads.problem(atoms, dimension, MONTE_CARLO, POT_FRAMES)
    METHODS["pot"](pot_problem.first(1))  # warm
    pot_seconds = min(seconds_of(lambda: METHODS["pot"](pot_problem)) for _ in range(POT_REPEATS))
    pot_seconds *= EQUAL_ERROR_FRAMES / POT_FRAMES
    rows, kernel_seconds = [], {None: None}
    for kind in ("value_error", "gradient_error"):
        for pair in PAIRS:
            found = [entry for entry in error["errors"] if entry["pair"] == pair]
            limit = next(e[kind] for e in found if (e["sampler"], e["directions"]) == ("gaussian", MONTE_CARLO))
            enough = min((e["directions"] for e in found if e["sampler"] == "design" and e[kind] <= limit), default=None)
            if enough not in kernel_seconds:
                call = functools.partial(METHODS["kernel"], heads.problem(atoms, dimension, enough, EQUAL_ERROR_FRAMES))
                kernel_seconds[enough] = float(np.median([seconds_of(call) for _ in range(5)]))
            rows.append({
                "atoms": atoms, "dimension": dimension, "pair": pair, "error": kind, "frames": EQUAL_ERROR_FRAMES,
                "monte_carlo_directions": MONTE_CARLO, "monte_carlo_error": limit, "design_directions": enough,
                "pot_seconds": pot_seconds, "pot_scaled_from_frames": POT_FRAMES, "kernel_seconds": kernel_seconds[enough],
                "pot_over_kernel": pot_seconds / kernel_seconds[enough] if enough else None,
            })
    return rows
