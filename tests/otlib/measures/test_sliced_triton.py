"""The Triton path against the CPU kernel, value and gradients on hard cases: in Triton's interpreter, or on a GPU."""

import importlib
from types import SimpleNamespace

import pytest
import torch

from otlib.measures import sliced, sliced_batched
from otlib.measures.compiled import sliced_cpu
from otlib.measures.directions import draw_directions
from tests.oracles.sliced_naive import sliced_cost

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytest.importorskip("triton", "3.7" if DEVICE == "cpu" else None,  # below, the interpreter fails with numpy 2.4
                    reason="triton is not installed; it comes with torch's builds for CUDA")
pytestmark = pytest.mark.slow
sliced_triton = importlib.import_module("otlib.measures.compiled.sliced_triton")

EXACT = 1e-12  # relative, float64: sums of some hundred terms
EXACT_GRADIENT = 1e-9  # relative, float64: differences of running sums
SINGLE = 2e-6  # relative, float32: a few roundings of 6e-8, to the power p
SINGLE_GRADIENT = 1e-4  # relative, float32: the gradient is first order in gaps that rounding touches
EXPONENTS = (1.0, 1.5, 2.0, 3.0)
FRAMES, ATOMS, OTHERS = 2, 40, 27  # two tiles and one: the interpreter takes a second for a call

all_exponents = pytest.mark.parametrize("p", EXPONENTS)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    for name in ("TILE", "COLLECTED"):
        monkeypatch.setattr(sliced_triton, name, 32)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def random_measure(generator, atoms=ATOMS, dimension=3):
    points = torch.randn(FRAMES, atoms, dimension, generator=generator, dtype=torch.float64)
    weights = torch.rand(FRAMES, atoms, generator=generator, dtype=torch.float64) + 0.1
    return points, weights / weights.sum(-1, keepdim=True)


def random_directions(generator, dimension=3):
    """For each frame the first axis, along which the order of the atoms is that of their coordinates, and one more."""
    more = draw_directions(1, dimension, sampler="gaussian", generator=generator, batch=FRAMES, dtype=torch.float64)
    return torch.cat([torch.eye(1, dimension).double().expand(FRAMES, -1, -1), more], 1)


def massless(generator, atoms, ends, inside):
    """Atoms without mass at both ends of the first axis and among the others."""
    points, weights = random_measure(generator, atoms)
    points = points.gather(1, points[..., :1].argsort(1).expand_as(points))
    weights[:, :ends], weights[:, atoms - ends:], weights[:, ends + 1:ends + 1 + inside] = 0, 0, 0
    return points, weights / weights.sum(-1, keepdim=True)


def padded(measure, atoms=7, far=100.0):
    points, weights = measure
    return torch.cat([points, torch.full_like(points[:, :atoms], far)], 1), torch.cat([weights, 0 * weights[:, :atoms]], 1)


def equal_masses(generator, atoms):
    return random_measure(generator, atoms)[0], torch.full((FRAMES, atoms), 1 / atoms, dtype=torch.float64)


def on_a_grid(generator, atoms):
    points, weights = random_measure(generator, atoms)
    return points.round(), weights


CASES = {
    "unequal counts": lambda g: (random_measure(g), random_measure(g, OTHERS)),
    "more atoms in y": lambda g: (random_measure(g, OTHERS), random_measure(g)),
    "six dimensions": lambda g: (random_measure(g, dimension=6), random_measure(g, OTHERS, 6)),
    "one atom in x": lambda g: (random_measure(g, 1), random_measure(g)),
    "one atom in y": lambda g: (random_measure(g), random_measure(g, 1)),
    "one atom each": lambda g: (random_measure(g, 1), random_measure(g, 1)),
    "massless ends": lambda g: (massless(g, ATOMS, 3, 0), massless(g, OTHERS, 2, 0)),
    "massless inside": lambda g: (massless(g, ATOMS, 0, 25), massless(g, OTHERS, 0, 5)),
    "all but a few massless": lambda g: (massless(g, ATOMS, 19, 0), massless(g, OTHERS, 13, 0)),
    "padding": lambda g: (padded(random_measure(g)), padded(random_measure(g, OTHERS), far=-100.0)),
    "padding far away": lambda g: (padded(random_measure(g), far=-1e4), padded(random_measure(g), far=1e4)),
    "steps together": lambda g: (equal_masses(g, 32), equal_masses(g, 32)),
    "some steps together": lambda g: (equal_masses(g, 32), equal_masses(g, 16)),
    "steps together, padded": lambda g: (padded(equal_masses(g, 32)), padded(equal_masses(g, 16), far=0.0)),
    "ties": lambda g: (on_a_grid(g, ATOMS), on_a_grid(g, OTHERS)),
    "weights that moved": lambda g: tuple((points, factor * weights) for factor, (points, weights) in
                                          zip((1.3, 0.6), (random_measure(g), random_measure(g, OTHERS)), strict=True)),
}


def tensors(measure, dtype):
    return [part.to(DEVICE, dtype) for part in measure]


def solve_both_ways(solve, x, y, directions, p, dtype):
    """Value, gradients in points and weights of x, then of y, in float64."""
    x, y, directions = tensors(x, dtype), tensors(y, dtype), directions.to(DEVICE, dtype)
    if solve is sliced_cpu.solve:  # the oracle, in float64 on the same numbers
        x, y, (directions,) = ([part.cpu().double() for part in parts] for parts in (x, y, [directions]))
    found = [*solve(*x, *y, directions, p, True), *solve(*y, *x, directions, p, True)[1:]]
    if solve is sliced_triton.solve:
        assert all(part.dtype == dtype and part.device.type == DEVICE for part in found)
    return [part.cpu().double() for part in found]


def assert_near(found, expected, dtype):
    value, gradient = (SINGLE, SINGLE_GRADIENT) if dtype == torch.float32 else (EXACT, EXACT_GRADIENT)
    torch.testing.assert_close(found[0], expected[0], rtol=value, atol=0)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert one.shape == other.shape and (one - other).norm() <= gradient * other.norm() + 1e-15


@pytest.mark.parametrize(("case", "p", "dtype"), [
    *((case, 2.0, torch.float64) for case in CASES),
    *((case, p, torch.float64) for case in ("massless ends", "steps together, padded") for p in EXPONENTS if p != 2),
    *((case, 2.0, torch.float32) for case in ("unequal counts", "padding far away", "steps together, padded", "ties")),
    *(("massless ends", p, torch.float32) for p in EXPONENTS if p != 2),
])
def test_agrees_with_the_kernel(case, p, dtype, generator):
    x, y = CASES[case](generator)
    directions = random_directions(generator, x[0].shape[-1])
    if case == "ties":  # along an axis projections are exact, so both see the same ties
        directions = directions[:, :1]
    expected = solve_both_ways(sliced_cpu.solve, x, y, directions, p, dtype)
    assert_near(solve_both_ways(sliced_triton.solve, x, y, directions, p, dtype), expected, dtype)


@all_exponents
def test_agrees_with_loops(p, generator):
    x, y = random_measure(generator, 13), random_measure(generator, 8)
    directions = random_directions(generator)
    found = sliced_triton.solve(*tensors(x, torch.float64), *tensors(y, torch.float64), directions.to(DEVICE), p, False)
    assert found[1:] == (None, None)
    for frame, value in enumerate(found[0].tolist()):  # of the value alone
        arrays = [part[frame].numpy() for part in (*x, *y, directions)]
        assert value == pytest.approx(sliced_cost(*arrays, p), rel=EXACT)


@pytest.mark.parametrize(("p", "dtype"), [(1.5, torch.float32), (2.0, torch.float64), (3.0, torch.float64)])
def test_a_measure_and_itself_have_neither_cost_nor_gradient(p, dtype, generator):
    x = random_measure(generator)
    for found in solve_both_ways(sliced_triton.solve, x, x, random_directions(generator), p, dtype):
        assert (found == 0).all()


def test_padding_far_away_changes_nothing_and_does_not_move(generator):
    """In float32 too, where the potential of the padding, 1e8, would swallow the others' if they were reckoned from it."""
    dtype = torch.float32
    x, y = random_measure(generator), random_measure(generator, OTHERS)
    directions = random_directions(generator)
    plain = solve_both_ways(sliced_triton.solve, x, y, directions, 2.0, dtype)
    wide = solve_both_ways(sliced_triton.solve, padded(x, far=-1e4), padded(y, far=-1e4), directions, 2.0, dtype)
    assert (wide[1][:, ATOMS:] == 0).all() and (wide[3][:, OTHERS:] == 0).all()
    own = [wide[0], *(part[:, :ATOMS] for part in wide[1:3]), *(part[:, :OTHERS] for part in wide[3:])]
    assert_near(own, plain, dtype)


def test_two_runs_give_the_same_bits_and_blocks_the_same_sums(generator, monkeypatch):
    dtype = torch.float32
    x, y, directions = random_measure(generator), random_measure(generator, OTHERS), random_directions(generator)
    whole, again = (solve_both_ways(sliced_triton.solve, x, y, directions, 2.0, dtype) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))
    monkeypatch.setattr(sliced_batched, "byte_budget", lambda device, needed: 1)
    assert_near(solve_both_ways(sliced_triton.solve, x, y, directions, 2.0, dtype), whole, dtype)


def test_inputs_that_are_not_contiguous_or_shared_by_all_frames(generator):
    dtype = torch.float32
    points, weights = random_measure(generator)
    directions = random_directions(generator)[:1]
    turned = points.transpose(-1, -2).contiguous().transpose(-1, -2), weights[:1].expand(FRAMES, -1)
    plain = points, weights[:1].repeat(FRAMES, 1)
    y = random_measure(generator, 2 * OTHERS)
    every_other = y[0][:, ::2], 2 * y[1][:, ::2]
    copied = [part.contiguous() for part in every_other]
    found = solve_both_ways(sliced_triton.solve, turned, every_other, directions, 2.0, dtype)
    expected = solve_both_ways(sliced_triton.solve, plain, copied, directions.repeat(FRAMES, 1, 1), 2.0, dtype)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_large_tiles(generator, monkeypatch):
    monkeypatch.undo()
    x, y, directions = random_measure(generator, 1500), random_measure(generator, 2100), random_directions(generator)
    expected = solve_both_ways(sliced_cpu.solve, x, y, directions, 2.0, torch.float64)
    assert_near(solve_both_ways(sliced_triton.solve, x, y, directions, 2.0, torch.float64), expected, torch.float64)


def test_it_is_chosen_by_name_only(monkeypatch):
    device = torch.device("cuda")
    measure = object.__new__(sliced.Measure)
    for part in ("points", "weights"):
        object.__setattr__(measure, part, SimpleNamespace(device=device, shape=(5,)))
    assert sliced._solver("triton", measure, measure) is sliced_triton.solve
    assert sliced._solver("auto", measure, measure) is sliced_batched.solve
