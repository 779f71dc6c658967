"""The sliced Wasserstein distance: loops and closed forms as oracles, properties, gradients, hard cases, refusals."""

import importlib.util
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otlib.measures import sliced, sliced_batched
from otlib.measures.compiled import sliced_cpu
from otlib.measures.directions import draw_directions
from otlib.measures.measure import Measure
from otlib.measures.sliced import sliced_wasserstein
from tests.oracles.sliced_naive import gaussian_cost, sliced_cost

EXACT = 1e-12  # relative, float64: sums of some hundred terms
ZERO = 1e-20  # float64 rounding, squared: the cost of a thing and itself written down otherwise
EXACT_GRADIENT = 1e-9  # relative, float64: potentials are running sums of differences
SINGLE = 1e-6  # relative, float32: a few roundings of 6e-8
SINGLE_GRADIENT = 1e-4  # relative, float32: the gradient is first order in gaps that rounding touches
BACKENDS = ("kernel", "torch")
EXPONENTS = (1.0, 1.5, 2.0, 3.0)

both_backends = pytest.mark.parametrize("backend", BACKENDS)
all_exponents = pytest.mark.parametrize("p", EXPONENTS)


def random_measure(generator, atoms, dimension=3, batch=(), dtype=torch.float64):
    points = torch.randn(*batch, atoms, dimension, generator=generator, dtype=torch.float64)
    weights = torch.rand(*batch, atoms, generator=generator, dtype=torch.float64) + 0.1
    return Measure(points.to(dtype), (weights / weights.sum(-1, keepdim=True)).to(dtype))


def random_directions(generator, count, dimension=3, **keywords):
    return draw_directions(count, dimension, sampler="gaussian", generator=generator, **{"dtype": torch.float64, **keywords})


def with_gradients(x, y, directions, **keywords):
    """Value, gradients in points and weights of x, then of y."""
    parts = [part.detach().clone().requires_grad_() for part in (x.points, x.weights, y.points, y.weights)]
    value = sliced_wasserstein(Measure(*parts[:2]), Measure(*parts[2:]), directions, **keywords)
    return value.detach(), *torch.autograd.grad(value.sum(), parts)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


# oracles


@pytest.mark.slow
@both_backends
@all_exponents
@pytest.mark.parametrize("atoms", [(1, 1), (1, 7), (9, 9), (8, 13)])
def test_agrees_with_loops(backend, p, atoms, generator):
    x, y = (random_measure(generator, count) for count in atoms)
    directions = random_directions(generator, 5)
    arrays = [part.numpy() for part in (x.points, x.weights, y.points, y.weights)]
    expected = sliced_cost(*arrays, directions.numpy(), p)
    assert sliced_wasserstein(x, y, directions, p=p, backend=backend).item() == pytest.approx(expected, rel=EXACT)
    root = sliced_wasserstein(x, y, directions, p=p, root=True, backend=backend).item()
    assert root == pytest.approx(expected ** (1 / p), rel=EXACT)


@both_backends
@all_exponents
def test_a_translation_costs_its_projections(backend, p, generator):
    x = random_measure(generator, 40)
    shift = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    directions = random_directions(generator, 6)
    found = sliced_wasserstein(x, Measure(x.points + shift, x.weights), directions, p=p, backend=backend)
    assert found.item() == pytest.approx((directions @ shift).abs().pow(p).mean().item(), rel=EXACT)


@pytest.mark.parametrize("dimension", [3, 6])
def test_a_translation_costs_its_square_over_the_dimension(dimension, generator):
    """Exactly so for orthogonal blocks, whose squares average to 1 / d."""
    x = random_measure(generator, 40, dimension)
    shift = torch.randn(dimension, generator=generator, dtype=torch.float64)
    directions = draw_directions(dimension, dimension, sampler="orthogonal", generator=generator, dtype=torch.float64)
    found = sliced_wasserstein(x, Measure(x.points + shift, x.weights), directions).item()
    assert found == pytest.approx((shift @ shift).item() / dimension, rel=EXACT)


@both_backends
def test_scaling_about_the_origin_costs_the_second_moment(backend, generator):
    x = random_measure(generator, 40)
    directions = random_directions(generator, 6)
    moment = (x.weights * (x.points @ directions.T).square().T).sum(-1).mean().item()
    found = sliced_wasserstein(x, Measure(1.5 * x.points, x.weights), directions, backend=backend).item()
    assert found == pytest.approx(0.25 * moment, rel=EXACT)


@both_backends
@all_exponents
def test_point_masses_cost_their_distance(backend, p):
    line = torch.ones(1, 1, dtype=torch.float64)
    x, y = (Measure(place * line, line[0]) for place in (0.5, 2.5))
    assert sliced_wasserstein(x, y, line, p=p, backend=backend).item() == pytest.approx(2**p, rel=EXACT)
    assert sliced_wasserstein(x, y, line, p=p, root=True, backend=backend).item() == pytest.approx(2, rel=EXACT)


@both_backends
def test_gaussians_on_the_line(backend):
    atoms = 20000
    levels = (torch.arange(atoms, dtype=torch.float64) + 0.5) / atoms
    normal = torch.special.ndtri(levels)[:, None]
    weights = torch.full((atoms,), 1 / atoms, dtype=torch.float64)
    found = sliced_wasserstein(Measure(1 + 2 * normal, weights), Measure(-0.5 + 0.7 * normal, weights),
                               torch.ones(1, 1, dtype=torch.float64), backend=backend).item()
    assert found == pytest.approx(gaussian_cost(1, 2, -0.5, 0.7), rel=1e-3)  # the tails past the last quantile


@both_backends
@pytest.mark.parametrize("p", [2.0, 3.0])
@pytest.mark.parametrize("light", ["low", "high"])
def test_most_of_the_mass_on_a_few_atoms_at_one_end(backend, p, light, generator):
    """One side of the merge is then much longer than the other."""
    x, y = (random_measure(generator, atoms, 1) for atoms in (31, 50))
    order = x.points[:, 0].argsort(descending=light == "high")
    weights = torch.full((31,), 1e-9, dtype=torch.float64)
    weights[order[20:]] = 1.0
    x = Measure(x.points, weights / weights.sum())
    line = torch.ones(1, 1, dtype=torch.float64)
    expected = sliced_cost(*(part.numpy() for part in (x.points, x.weights, y.points, y.weights)), line.numpy(), p)
    assert sliced_wasserstein(x, y, line, p=p, backend=backend).item() == pytest.approx(expected, rel=EXACT)


@both_backends
@pytest.mark.parametrize("length", [1e-9, 1.0, 1e12])
def test_no_length_is_too_large_or_too_small_for_single_precision(backend, length):
    """From a nanometre to seven times the way to the sun: its square fits float32, but not in the kernel's units of mass."""
    line, mass = torch.ones(2, 1), torch.ones(1)
    points = torch.full((1, 1), length).requires_grad_()
    found = sliced_wasserstein(Measure(points, mass), Measure(torch.zeros(1, 1), mass), line, backend=backend)
    assert found.item() == pytest.approx(length**2, rel=SINGLE)
    found.backward()
    assert points.grad.item() == pytest.approx(2 * length, rel=SINGLE)


@both_backends
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_from_the_origin(backend, dtype, generator):
    """Sixteenths of a metre 500 km away, which float32 just holds, along the axes, so that projections are exact."""
    near = [Measure(torch.randint(0, 1600, (atoms, 3), generator=generator).to(dtype) / 16,
                    torch.full((atoms,), 1 / atoms, dtype=dtype)) for atoms in (5000, 4800)]
    far = [Measure(measure.points + 2.0**19, measure.weights) for measure in near]
    axes = torch.eye(3, dtype=dtype)
    expected = sliced_wasserstein(*near, axes, backend=backend).item()
    found = sliced_wasserstein(*far, axes, backend=backend).item()
    assert found == pytest.approx(expected, rel=SINGLE if dtype == torch.float32 else EXACT)


# properties


@st.composite
def problems(draw, measures=2):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    dimension = draw(st.sampled_from([1, 2, 3, 6]))
    found = [random_measure(generator, draw(st.integers(1, 12)), dimension) for _ in range(measures)]
    directions = random_directions(generator, draw(st.integers(1, 7)), dimension)
    return (*found, directions, {"p": draw(st.sampled_from(EXPONENTS)), "backend": draw(st.sampled_from(BACKENDS))})


quickly = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.mark.slow
@quickly
@given(problems())
def test_zero_on_itself_positive_and_symmetric(problem):
    x, y, directions, options = problem
    assert sliced_wasserstein(x, x, directions, **options).item() == 0
    forth = sliced_wasserstein(x, y, directions, **options).item()
    assert forth > 0
    assert sliced_wasserstein(y, x, directions, **options).item() == pytest.approx(forth, rel=EXACT)


@quickly
@given(problems(measures=3))
def test_the_root_obeys_the_triangle_inequality(problem):
    x, y, z, directions, options = problem
    xy, yz, xz = (sliced_wasserstein(*pair, directions, root=True, **options).item() for pair in ((x, y), (y, z), (x, z)))
    assert xz <= (xy + yz) * (1 + EXACT)


@quickly
@given(problems(), st.integers(0, 2**31))
def test_neither_order_nor_splitting_nor_empty_atoms_matter(problem, seed):
    x, y, directions, options = problem
    expected = sliced_wasserstein(x, y, directions, **options).item()
    order = torch.randperm(len(x.weights), generator=torch.Generator().manual_seed(seed))
    halves = torch.cat([x.weights[:1] / 2, x.weights[1:], x.weights[:1] / 2])
    far = torch.full_like(x.points[:1], 100.0)
    for other in (
        Measure(x.points[order], x.weights[order]),
        Measure(torch.cat([x.points, x.points[:1]]), halves),
        Measure(torch.cat([x.points, far]), torch.cat([x.weights, torch.zeros_like(x.weights[:1])])),
        Measure(torch.cat([-far, x.points]), torch.cat([torch.zeros_like(x.weights[:1]), x.weights])),
    ):
        assert sliced_wasserstein(other, y, directions, **options).item() == pytest.approx(expected, rel=EXACT)


@pytest.mark.slow
@both_backends
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("frames", [1, 3, 20])
def test_a_batch_is_its_singles(backend, dtype, frames, generator):
    x, y = (random_measure(generator, atoms, batch=(frames, 1), dtype=dtype) for atoms in (30, 23))
    own = random_directions(generator, 9, batch=frames, dtype=dtype)[:, None]
    for directions in (own[0, 0], own):
        batched = with_gradients(x, y, directions, backend=backend)
        assert batched[0].shape == (frames, 1) and all(part.dtype == dtype for part in batched)
        for frame in range(frames):
            pair = [Measure(m.points[frame, 0], m.weights[frame, 0]) for m in (x, y)]
            single = with_gradients(*pair, directions if directions.ndim == 2 else directions[frame, 0], backend=backend)
            for whole, part in zip(batched, single, strict=True):
                torch.testing.assert_close(whole[frame, 0], part)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@all_exponents
def test_the_two_backends_agree(dtype, p, generator):
    x, y = (random_measure(generator, atoms, 6, (2,), dtype) for atoms in (400, 300))
    directions = random_directions(generator, 11, 6, dtype=dtype)
    kernel, on_torch = (with_gradients(x, y, directions, p=p, backend=backend) for backend in BACKENDS)
    value, gradient = (SINGLE, SINGLE_GRADIENT) if dtype == torch.float32 else (EXACT, EXACT_GRADIENT)
    assert (kernel[0] / on_torch[0] - 1).abs().max() < value
    for one, other in zip(kernel[1:], on_torch[1:], strict=True):
        assert (one - other).norm() < gradient * other.norm()


@pytest.mark.parametrize("frames", [1, 5])
def test_threads_do_not_change_a_bit(frames, generator):
    x, y = (random_measure(generator, 500, batch=(frames,), dtype=torch.float32) for _ in range(2))
    directions = random_directions(generator, 33, dtype=torch.float32)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            results.append(with_gradients(x, y, directions, backend="kernel"))
        finally:
            torch.set_num_threads(1)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


def test_several_threads_may_call_at_once(generator):
    x, y = (random_measure(generator, 300, batch=(4,)) for _ in range(2))
    directions = random_directions(generator, 12)
    expected = sliced_wasserstein(x, y, directions)
    found = [None] * 4

    def call(slot):
        found[slot] = sliced_wasserstein(x, y, directions)

    torch.set_num_threads(2)
    try:
        threads = [threading.Thread(target=call, args=(slot,)) for slot in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(value, expected) for value in found)


def test_small_blocks_give_the_same_result_on_torch(generator, monkeypatch):
    x, y = (random_measure(generator, 20, batch=(3,)) for _ in range(2))
    directions = random_directions(generator, 7, batch=3)
    whole = with_gradients(x, y, directions, backend="torch")
    monkeypatch.setattr(sliced_batched, "BYTE_BUDGET", 1)
    for one, other in zip(whole, with_gradients(x, y, directions, backend="torch"), strict=True):
        torch.testing.assert_close(one, other, rtol=EXACT, atol=EXACT)


# gradients


@pytest.mark.slow
@both_backends
@all_exponents
@pytest.mark.parametrize("root", [False, True])
def test_gradients_agree_with_central_differences(backend, p, root, generator):
    x, y = (random_measure(generator, atoms, batch=(2,)) for atoms in (6, 5))
    directions = random_directions(generator, 4, batch=2)

    def distance(x_points, x_masses, y_points, y_masses):
        scaled = [masses / masses.sum(-1, keepdim=True) for masses in (x_masses, y_masses)]
        return sliced_wasserstein(Measure(x_points, scaled[0]), Measure(y_points, scaled[1]), directions,
                                  p=p, root=root, backend=backend)

    inputs = [part.clone().requires_grad_() for part in (x.points, x.weights, y.points, y.weights)]
    torch.autograd.gradcheck(distance, inputs)


@both_backends
def test_the_gradient_in_the_weights_knows_that_they_sum_to_one(backend, generator):
    x, y = (random_measure(generator, 9) for _ in range(2))
    _, _, x_slope, _, y_slope = with_gradients(x, y, random_directions(generator, 4), backend=backend)
    assert abs((x_slope * x.weights).sum()) < EXACT and abs((y_slope * y.weights).sum()) < EXACT


@both_backends
@pytest.mark.parametrize("root", [False, True])
@all_exponents
def test_equal_measures_have_a_zero_gradient(backend, root, p, generator):
    x = random_measure(generator, 20)
    _, *gradients = with_gradients(x, x, random_directions(generator, 4), p=p, root=root, backend=backend)
    assert all((gradient == 0).all() for gradient in gradients)


@both_backends
def test_only_the_gradients_asked_for_are_made(backend, generator):
    x, y = (random_measure(generator, 9) for _ in range(2))
    directions = random_directions(generator, 4)
    _, *expected = with_gradients(x, y, directions, backend=backend)
    parts = [x.points, x.weights, y.points, y.weights]
    for wanted in range(4):
        inputs = [part.clone().requires_grad_(index == wanted) for index, part in enumerate(parts)]
        value = sliced_wasserstein(Measure(*inputs[:2]), Measure(*inputs[2:]), directions, backend=backend)
        (gradient,) = torch.autograd.grad(value, inputs[wanted])
        torch.testing.assert_close(gradient, expected[wanted])


# hard cases


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", ["one far atom", "two clusters", "heavy tails", "ties", "one place", "tiny"])
def test_the_kernel_sorts_what_is_hard_to_sort(spread, dtype, generator):
    """Projections that crowd under few quantised keys; the torch path sorts with torch."""
    atoms = 3000
    x, y = (torch.randn(atoms, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    if spread == "one far atom":
        x[7] = 1e9
    elif spread == "two clusters":
        x[::2] += 1e6
        y[::3] -= 1e6
    elif spread == "heavy tails":
        x, y = x.sign() * (8 * x.abs()).exp(), y.sign() * (8 * y.abs()).exp()
    elif spread == "ties":
        x, y = x.round(), y.round()
    elif spread == "one place":
        x[:] = 0.25
    elif spread == "tiny":
        x, y = 1e-36 * x, 1e-36 * y
    weights = torch.full((atoms,), 1 / atoms, dtype=dtype)
    x, y = Measure(x.to(dtype), weights), Measure(y.to(dtype), weights)
    directions = random_directions(generator, 5, dtype=dtype)
    kernel, on_torch = (with_gradients(x, y, directions, p=1.0, backend=backend) for backend in BACKENDS)
    value, gradient = (SINGLE, SINGLE_GRADIENT) if dtype == torch.float32 else (EXACT, EXACT_GRADIENT)
    torch.testing.assert_close(kernel[0], on_torch[0], rtol=value, atol=0)
    if spread != "ties":  # with ties every order is right, and each gives another subgradient
        for index in (1, 3):
            assert (kernel[index] - on_torch[index]).norm() < gradient * on_torch[index].norm()


@both_backends
def test_float32_is_near_float64_on_a_surface(backend, generator):
    """Close measures, as in training: gaps of a millimetre on a head of 0.1 m."""
    points = 0.1 * torch.nn.functional.normalize(torch.randn(5000, 3, generator=generator, dtype=torch.float64), dim=-1)
    weights = torch.full((5000,), 1 / 5000, dtype=torch.float64)
    pair = [points.float(), (points + 0.001 * torch.sin(40 * points.roll(1, 1))).float()]
    directions = random_directions(generator, 20, dtype=torch.float32)
    single = with_gradients(*(Measure(part, weights.float()) for part in pair), directions, backend=backend)
    double = with_gradients(*(Measure(part.double(), weights) for part in pair), directions.double(), backend=backend)
    assert single[0].item() == pytest.approx(double[0].item(), rel=SINGLE)
    for one, other in zip(single[1:], double[1:], strict=True):
        assert (one - other).norm() < 10 * SINGLE_GRADIENT * other.norm()


@both_backends
def test_inputs_that_are_not_contiguous_or_shared_by_all_frames(backend, generator):
    x, y = (random_measure(generator, 12, batch=(4,)) for _ in range(2))
    directions = random_directions(generator, 5)
    turned = Measure(x.points.transpose(-1, -2).contiguous().transpose(-1, -2), x.weights[:1].expand(4, -1))
    plain = Measure(x.points, x.weights[:1].repeat(4, 1))
    assert torch.equal(sliced_wasserstein(turned, y, directions, backend=backend),
                       sliced_wasserstein(plain, y, directions, backend=backend))


# refusals


@both_backends
@pytest.mark.parametrize(("change", "culprit"), [
    (lambda x, y, d: (x, y, 2 * d), r"unit length; the one at \(0,\)"),
    (lambda x, y, d: (x, y, d * float("nan")), "unit length"),
    (lambda x, y, d: (x, y, d[:0]), r"directions must have shape \(L, 3\)"),
    (lambda x, y, d: (x, y, d[:, :2]), r"directions must have shape \(L, 3\)"),
    (lambda x, y, d: (x, y, d[None]), r"directions must have shape \(L, 3\)"),
    (lambda x, y, d: (x, y, d.float()), "directions must be torch.float64"),
    (lambda x, y, d: (x, y, d.clone().requires_grad_()), "directions get no gradient"),
    (lambda x, y, d: (x, y, d.to("meta")), "directions must be torch.float64 on cpu, got torch.float64 on meta"),
    (lambda x, y, d: (x, Measure(y.points.float(), y.weights.float()), d), "share one dtype"),
    (lambda x, y, d: (x, Measure(y.points[:, :2], y.weights), d), "x lives in dimension 3, y in 2"),
    (lambda x, y, d: (x, Measure(y.points[None], y.weights[None]), d), "same batch shape"),
    (lambda x, y, d: (Measure(1e16 * x.points, x.weights), y, d), "x.points must be finite and within"),
])
def test_bad_input_is_refused_by_name(backend, change, culprit, generator):
    good = (random_measure(generator, 5), random_measure(generator, 6), random_directions(generator, 4))
    with pytest.raises(ValueError, match=culprit):
        sliced_wasserstein(*change(*good), backend=backend)


@both_backends
def test_a_measure_spoilt_after_it_was_made_is_refused(backend, generator):
    x, y = random_measure(generator, 5), random_measure(generator, 6)
    y.points[3, 1] = float("nan")
    with pytest.raises(ValueError, match="y.points must be finite"):
        sliced_wasserstein(x, y, random_directions(generator, 4), backend=backend)


@both_backends
def test_measures_on_two_devices_are_refused(backend, generator):
    """The second one without values, on the meta device, so that no GPU is needed; a Measure would refuse to be made."""
    x, y = random_measure(generator, 5), object.__new__(Measure)
    for name in ("points", "weights"):
        object.__setattr__(y, name, getattr(x, name).to("meta"))
    with pytest.raises(ValueError, match="x and y must share one device, got cpu and meta"):
        sliced_wasserstein(x, y, random_directions(generator, 4), backend=backend)


@pytest.mark.parametrize(("options", "culprit"), [
    ({"p": 0.5}, "p must be finite and at least 1"),
    ({"p": float("nan")}, "p must be"),
    ({"p": float("inf")}, "p must be"),
    ({"backend": "gpu"}, "backend must be one of auto, kernel, triton, torch, got 'gpu'"),
])
def test_bad_options_are_refused_by_name(options, culprit, generator):
    x, y = random_measure(generator, 5), random_measure(generator, 6)
    with pytest.raises(ValueError, match=culprit):
        sliced_wasserstein(x, y, random_directions(generator, 4), **options)


def test_more_atoms_than_the_kernel_can_index_go_to_torch(monkeypatch, generator):
    monkeypatch.setattr("otlib.measures.sliced.MAX_ATOMS", 5)
    x, y, directions = random_measure(generator, 5), random_measure(generator, 6), random_directions(generator, 4)
    expected = sliced_wasserstein(x, y, directions, backend="torch")
    assert torch.equal(sliced_wasserstein(x, y, directions), expected)
    with pytest.raises(ValueError, match="at most 5 atoms, got cpu and 6"):
        sliced_wasserstein(x, y, directions, backend="kernel")


def on(device, atoms=5):
    """A measure that knows its device and its size: all that the choice of a backend looks at."""
    measure = object.__new__(Measure)
    object.__setattr__(measure, "points", SimpleNamespace(device=torch.device(device)))
    object.__setattr__(measure, "weights", SimpleNamespace(shape=(atoms,)))
    return measure


@pytest.mark.parametrize("device", ["cpu", "cuda", "meta"])
def test_without_triton_a_gpu_takes_the_torch_path(device, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    expected = sliced_cpu.solve if device == "cpu" else sliced_batched.solve
    assert sliced._solver("auto", on(device), on(device)) is expected
    assert sliced._solver("torch", on(device), on(device)) is sliced_batched.solve
    with pytest.raises(ValueError, match=f"backend 'triton' needs a GPU and the package triton, got {device}"):
        sliced._solver("triton", on(device), on(device))


@pytest.mark.parametrize(("free", "budget"), [(4, 0.75), (1000, 2), (0, 0.25)])  # GB, with 2 that torch keeps for reuse
def test_a_gpu_gives_a_block_a_share_of_its_free_memory(free, budget, monkeypatch):
    gigabyte, gpu = 1 << 30, torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * gigabyte, 1000 * gigabyte))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * gigabyte)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * gigabyte)
    assert sliced_batched.byte_budget(gpu, 1 << 50) == budget * gigabyte
    assert sliced_batched.byte_budget(torch.device("cpu"), 1 << 50) == sliced_batched.BYTE_BUDGET
    assert len(sliced_batched.blocks(4, 10, gigabyte // 4, gpu)) == {0.75: 20, 2: 5, 0.25: 40}[budget]


def test_a_small_problem_does_not_ask_for_free_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: pytest.fail("asked"))
    assert len(sliced_batched.blocks(4, 10, 1 << 20, torch.device("cuda"))) == 1


def test_the_oracle_itself_on_two_atoms():
    """Half the mass goes by one, half by two."""
    half = np.array([0.5, 0.5])
    assert sliced_cost(np.array([[0.0], [1.0]]), half, np.array([[3.0], [1.0]]), half, np.array([[1.0]]), 2) == 0.5 * (1 + 4)
