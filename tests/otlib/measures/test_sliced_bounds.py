"""The compiled kernels under numba's bounds checks, where an index may be wrong: no mass, padding, ties, one atom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]

PROBLEMS = """
import torch
from otlib.measures.measure import Measure
from otlib.measures.sliced import sliced_wasserstein
from otlib.measures.matching import atom_transport

TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-9}  # relative: the gradients are running sums of differences
generator = torch.Generator().manual_seed(0)


def integer(low, high):
    return int(torch.randint(low, high, (), generator=generator))


def points_and_masses(kind, atoms, dimension):
    points = torch.randn(atoms, dimension, generator=generator, dtype=torch.float64)
    masses = torch.rand(atoms, generator=generator, dtype=torch.float64) + 0.1
    if kind == "ties":  # whole coordinates, sixteenths of a mass: exact sums, so that both paths see the same ties
        return (2 * points).round(), torch.randint(atoms, (16,), generator=generator).bincount(minlength=atoms) / 16.0
    if kind != "full":
        masses[torch.rand(atoms, generator=generator) < 0.4] = 0
        masses[integer(0, atoms)] = 1
    if kind == "far":
        points = points * (3 * points.abs()).exp()
    if kind == "padded":
        more = integer(1, 6)
        points = torch.nn.functional.pad(points, (0, 0, more, more))
        masses = torch.nn.functional.pad(masses, (more, more))
    return points, masses / masses.sum()


def problem(kind, atoms, dtype):
    dimension = integer(1, 4)
    parts = [part.to(dtype) for count in atoms for part in points_and_masses(kind, count, dimension)]
    directions = torch.randn(integer(1, 5), dimension, generator=generator, dtype=torch.float64)
    directions = torch.eye(dimension) if kind == "ties" else torch.nn.functional.normalize(directions, dim=-1)
    return parts, directions.to(dtype)


def with_gradients(parts, directions, **options):
    leaves = [part.detach().clone().requires_grad_() for part in parts]
    value = sliced_wasserstein(Measure(*leaves[:2]), Measure(*leaves[2:]), directions, **options)
    return value.detach(), *torch.autograd.grad(value, leaves)


def check(parts, directions, p):
    kernel, expected = (with_gradients(parts, directions, p=p, backend=backend) for backend in ("kernel", "torch"))
    for one, other in zip(kernel, expected):
        size = max(other.norm().item(), expected[0].item())
        assert (one - other).norm().item() <= TOLERANCES[one.dtype] * size, (p, one, other, parts, directions)


few = [(1, 1), (1, 6), (6, 1), (2, 2)] + [(integer(1, 12), integer(1, 12)) for _ in range(16)]
for dtype in TOLERANCES:
    for kind in ("full", "massless", "padded", "ties", "far"):
        for atoms in few:
            parts, directions = problem(kind, atoms, dtype)
            for p in (1.0, 2.0, 3.0):
                check(parts, directions, p)
            atom_transport(Measure(*parts[:2]), Measure(*parts[2:]), directions)
        for atoms in ((300, 200), (4100, 4200)):  # below and above the number that makes the keys longer
            check(*problem(kind, atoms, dtype), 2.0)
    (x, a, y, b), directions = problem("full", (12, 10), dtype)
    optimiser = torch.optim.Adam([a.requires_grad_()], 0.02)
    for _ in range(20):
        check((x, a / a.sum(), y, b), directions, 2.0)
        optimiser.zero_grad()
        sliced_wasserstein(Measure(x, a / a.sum()), Measure(y, b), directions).backward()
        optimiser.step()
        with torch.no_grad():
            a.clamp_(min=0)
    assert (a == 0).any()
"""


def test_no_index_leaves_its_array_and_both_paths_agree(tmp_path):
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PROBLEMS], cwd=ROOT, env=environment, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr[-4000:]
