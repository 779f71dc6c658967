"""How many directions training needs: what ``otlib.measures.directions.TRAINING_DIRECTIONS`` rests on.

For pairs of frames of a talking head, from one frame apart to lips closed against wide open, at two resolutions, the
gradient of SW_2^2 in the vertices with each stored design is compared with that of 5,000 directions, over many rotations.
Enough is the smallest design whose worst cosine is at least 0.95, with normals worth what they are by default; what
becomes of it where they are worth twice that is measured too. Run ``python -m tests.benchmarks.training_directions``:
a few minutes; it writes training_directions.json into the run's folder bench, prints the worst and the mean cosine of each
design, and ends with status 1 if the default is not the smallest that is enough.
"""

import argparse
import functools
import sys

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from data_prep.head import CONTROLS, make_head, pose
from otlib.files import write_json
from otlib.measures.directions import TRAINING_DIRECTIONS, design_sizes, draw_directions
from otlib.measures.measure import NORMAL_WEIGHT, barycentres, varifold
from tests.benchmarks.sliced_errors import REFERENCE, evaluator
from tests.benchmarks.sliced_problems import TalkingHeads
from tests.benchmarks.targets import add_target, target_of

LEAST_COSINE = 0.95
ROTATIONS = 30
RESOLUTIONS = ("medium", "high")
FRAMES_APART = {"1/30 s apart": (0, 1), "1/15 s apart": (0, 2), "1/6 s apart": (0, 5), "1/3 s apart": (0, 10),
                "2/3 s apart": (10, 30)}
OPENINGS = {"closed against half open": {"jaw": 0.35, "aperture": 0.5},
            "closed against wide open": {"jaw": 0.8, "aperture": 1.0}}
MEASURES = {"barycentres": (3, barycentres), "varifold": (6, varifold),
            "varifold, normals doubled": (6, functools.partial(varifold, normal_weight=2 * NORMAL_WEIGHT))}
DECIDING = ("barycentres", "varifold")
BEYOND = 2  # designs larger than the default that are measured too


def pairs(heads: TalkingHeads, resolution: str) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Pairs of frames by name, (V, 3) each, and the faces."""
    moved, faces = heads.vertices(resolution, 1 + max(max(frames) for frames in FRAMES_APART.values()))
    found = {name: (moved[first], moved[second]) for name, (first, second) in FRAMES_APART.items()}
    controls = np.zeros((1 + len(OPENINGS), len(CONTROLS)))
    for row, opening in enumerate(OPENINGS.values(), start=1):
        for name, height in opening.items():
            controls[row, CONTROLS.index(name)] = height
    closed, *opened = torch.from_numpy(pose(make_head(resolution=resolution), controls))
    return found | {name: (closed, open_) for name, open_ in zip(OPENINGS, opened, strict=True)}, faces


def sizes(dimension: int) -> list[int]:
    """Stored designs up to a little beyond the default."""
    stored = design_sizes(dimension)
    return list(stored[:stored.index(TRAINING_DIRECTIONS[dimension]) + 1 + BEYOND])


def cosines(pair: tuple[Tensor, Tensor], faces: Tensor, dimension: int, make) -> dict[int, list[float]]:
    """For each size of design, the cosine of its gradient with the reference's for each rotation."""
    generator = torch.Generator().manual_seed(1)
    evaluate = evaluator(pair[0].clone().requires_grad_(), pair[1], faces, make)
    reference = evaluate(draw_directions(REFERENCE, dimension, generator=generator))[1]
    return {
        size: [torch.cosine_similarity(evaluate(draw_directions(size, dimension, generator=generator))[1], reference,
                                       dim=0).item() for _ in range(ROTATIONS)]
        for size in sizes(dimension)
    }


def smallest_enough(rows: list[dict], dimension: int) -> int | None:
    """The smallest size none of whose rows falls short, or None."""
    worst = {size: min(row["worst"] for row in rows if row["measure"] in DECIDING
                       and (row["dimension"], row["directions"]) == (dimension, size)) for size in sizes(dimension)}
    return min((size for size, cosine in worst.items() if cosine >= LEAST_COSINE), default=None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolutions", nargs="+", default=RESOLUTIONS, help="of the head (default: %(default)s)")
    add_target(parser)
    arguments = parser.parse_args()
    target = target_of(parser, arguments, "training_directions")
    heads, rows = TalkingHeads(), []
    for resolution in arguments.resolutions:
        found, faces = pairs(heads, resolution)
        for name, pair in tqdm(found.items(), desc=f"{len(faces)} faces", unit="pair"):
            for measure, (dimension, make) in MEASURES.items():
                for size, values in cosines(pair, faces, dimension, make).items():
                    rows.append({"faces": len(faces), "pair": name, "measure": measure, "dimension": dimension,
                                 "directions": size, "worst": min(values), "mean": sum(values) / len(values)})
    enough = {dimension: smallest_enough(rows, dimension) for dimension in TRAINING_DIRECTIONS}
    for measure, (dimension, _) in MEASURES.items():
        for size in sizes(dimension):
            chosen = [row for row in rows if (row["measure"], row["directions"]) == (measure, size)]
            print(f"{measure}, {size:2} directions: worst cosine {min(row['worst'] for row in chosen):.3f}, "
                  f"mean {sum(row['mean'] for row in chosen) / len(chosen):.3f}")
    for dimension in TRAINING_DIRECTIONS:
        print(f"d = {dimension}: {enough[dimension]} are enough, the training default is {TRAINING_DIRECTIONS[dimension]}")
    write_json(target, {"format": "otlib-training-directions", "version": 1, "least_cosine": LEAST_COSINE,
                                  "rotations": ROTATIONS, "reference_directions": REFERENCE,
                                  "enough": {str(dimension): size for dimension, size in enough.items()}, "rows": rows})
    return 0 if enough == TRAINING_DIRECTIONS else 1


if __name__ == "__main__":
    sys.exit(main())
