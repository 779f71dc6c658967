"""A training by several processes on the CPU, each of which says among how many it found itself.

    python -m torch.distributed.run --standalone --nproc_per_node 2 tests/train_by_processes.py WITNESSES OPTIONS...
"""

import os
import subprocess
import sys
from pathlib import Path

import torch
from accelerate.state import PartialState

from otlib.train import main

# Weights after two steps of 2e-3. Gradients are summed in another order, and nearly all weights differ by float32's
# rounding of a step. Adam divides a gradient by its size, though, so where gradients cancel what moves the weight a whole
# step is partly rounding (seen: 6e-6); a hundredth of a step is allowed to such a one.
MOST, MOST_DIFFER, ANY_DIFFERS = 0.99, 1e-7, 2e-5


def train_by_two(witnesses: Path, *options: object) -> None:
    """Train by two processes with options of ``otlib.train``; fail if either trained alone."""
    witnesses.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", __file__, witnesses,
               *options]  # standalone: the system gives a free port, which nobody can take in between
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
                                            "ACCELERATE_USE_CPU": str(torch.backends.mps.is_available())})
    assert done.returncode == 0, done.stderr
    assert {file.name: file.read_text() for file in witnesses.iterdir()} == {"0": "of 2", "1": "of 2"}


def difference(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return how far each weight of one model is from the other's, as a flat tensor."""
    assert one.keys() == two.keys()
    return torch.cat([(two[key] - one[key]).abs().flatten() for key in one])


def assert_same_but_for_rounding(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    """Fail where weights after two steps differ by more than the order of sums explains."""
    gaps = difference(one, two)
    assert gaps.quantile(MOST) < MOST_DIFFER and gaps.max() < ANY_DIFFERS, (gaps.quantile(MOST), gaps.max())


if __name__ == "__main__":
    status = main(sys.argv[2:])
    state = PartialState()  # as main has left it
    (Path(sys.argv[1]) / str(state.process_index)).write_text(f"of {state.num_processes}")
    sys.exit(status)
