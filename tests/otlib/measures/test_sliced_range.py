"""Numbers that leave their range, half precision around the call, second derivatives: right or refused, never silent."""

import math

import pytest
import torch

from otlib.checks import NotFiniteError
from otlib.measures import sliced, sliced_batched
from otlib.measures.compiled import sliced_cpu
from otlib.measures.directions import draw_directions
from otlib.measures.matching import atom_transport, exact_plan, sliced_matching
from otlib.measures.measure import Measure, barycentres, varifold
from otlib.measures.sliced import sliced_wasserstein
from tests.oracles.mesh_naive import bumpy_grid
from tests.oracles.sliced_naive import sliced_cost

SINGLE = 1e-5  # relative, float32: a few roundings of 6e-8, to the power p
BACKENDS = ("kernel", "torch")
PARTS = ("x.points", "x.weights", "y.points", "y.weights")

both_backends = pytest.mark.parametrize("backend", BACKENDS)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def random_measure(generator, atoms=9, dtype=torch.float32):
    weights = torch.rand(atoms, generator=generator, dtype=torch.float64) + 0.1
    points = torch.randn(atoms, 3, generator=generator, dtype=torch.float64)
    return Measure(points.to(dtype), (weights / weights.sum()).to(dtype))


def random_directions(generator, dtype=torch.float32):
    return draw_directions(5, 3, sampler="gaussian", generator=generator, dtype=dtype)


def apart(length, dtype):
    """Point masses on the line so far apart; the first one's place is a leaf."""
    mass = torch.ones(1, dtype=dtype)
    place = torch.full((1, 1), length, dtype=dtype, requires_grad=True)
    return place, (Measure(place, mass), Measure(torch.zeros(1, 1, dtype=dtype), mass), torch.ones(1, 1, dtype=dtype))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@both_backends
@both_dtypes
def test_what_needs_no_rounding_has_every_bit(dtype, backend, p, generator):
    """Quarters of a metre and sixteenths of a mass along the axes: nothing is rounded, on any machine."""
    points = [torch.randint(-8, 9, (8, 2), generator=generator).double() / 4 for _ in range(2)]
    masses = [torch.randint(8, (16,), generator=generator).bincount(minlength=8).double() / 16 for _ in range(2)]
    axes = torch.eye(2, dtype=torch.float64)
    expected = sliced_cost(*(part.numpy() for pair in zip(points, masses, strict=True) for part in pair), axes.numpy(), p)
    x, y = (Measure(place.to(dtype), mass.to(dtype)) for place, mass in zip(points, masses, strict=True))
    assert sliced_wasserstein(x, y, axes.to(dtype), p=p, backend=backend).item() == expected
    places = torch.stack([torch.arange(8), torch.arange(8).flip(0)], 1).to(dtype)
    shift, leaf = torch.tensor([0.25, -0.5], dtype=dtype), places.clone().requires_grad_()
    sliced_wasserstein(Measure(leaf + shift, x.weights), Measure(places, x.weights), axes.to(dtype), p=p,
                       backend=backend).backward()
    assert torch.equal(leaf.grad, p / 2 * x.weights[:, None] * shift.sign() * shift.abs() ** (p - 1))


@both_dtypes
@both_backends
@pytest.mark.parametrize("length", [1e-3, 250.0])
@pytest.mark.parametrize("p", [8.0, 16.0, 20.0, 40.0, 150.0])
def test_a_root_is_the_distance_or_refused(p, length, backend, dtype):
    """SW_p^p of a millimetre or of 250 leaves float32 from p = 13 or 17 on, and float64 from p = 103 or 129 on."""
    place, problem = apart(length, dtype)
    limits = torch.finfo(dtype)
    if not math.log(limits.tiny) < p * math.log(length) < math.log(limits.max):
        with pytest.raises(NotFiniteError, match=f"SW_p\\^p with p = {p:g} leaves the range of {dtype} in measure \\(\\): "
                                                 "take float64, another unit of length or a smaller p"):
            sliced_wasserstein(*problem, p=p, root=True, backend=backend)
        return
    found = sliced_wasserstein(*problem, p=p, root=True, backend=backend)
    found.backward()
    assert found.item() == pytest.approx(length, rel=SINGLE) and place.grad.item() == pytest.approx(1, rel=SINGLE)


@both_dtypes
@both_backends
def test_the_root_of_equal_measures_is_zero_at_any_p(dtype, backend, generator):
    x = random_measure(generator, dtype=dtype)
    points = (x.points / 1000).requires_grad_()
    found = sliced_wasserstein(Measure(points, x.weights), Measure(points.detach(), x.weights),
                               random_directions(generator, dtype), p=20.0, root=True, backend=backend)
    found.backward()
    assert found.item() == 0 and (points.grad == 0).all()


@both_backends
def test_a_gap_far_below_the_coordinates_rounding_is_a_root_of_zero(backend):
    """1e-30 m beside a coordinate of a metre: nobody could tell the measures apart."""
    x, y = (Measure(torch.tensor([[1.0], [place]]), torch.full((2,), 0.5)) for place in (0.0, 1e-30))
    assert sliced_wasserstein(x, y, torch.ones(1, 1), root=True, backend=backend).item() == 0


@both_backends
def test_the_frame_that_leaves_the_range_is_named(backend):
    x = Measure(torch.tensor([1.0, 250.0]).reshape(2, 1, 1), torch.ones(2, 1))
    with pytest.raises(NotFiniteError, match=r"with p = 20 leaves the range of torch.float32 in measure \(1,\)"):
        sliced_wasserstein(x, Measure(torch.zeros(2, 1, 1), torch.ones(2, 1)), torch.ones(1, 1), p=20.0, backend=backend)


@both_backends
@pytest.mark.parametrize("length", [1e-10, 1e10])
def test_cubes_of_large_lengths_have_the_gradients_that_float32_holds(length, backend):
    place, problem = apart(length, torch.float32)
    sliced_wasserstein(*problem, p=3.0, backend=backend).backward()
    assert place.grad.item() == pytest.approx(3 * length**2, rel=SINGLE)


@both_backends
def test_a_gradient_that_leaves_the_range_is_refused(backend, generator):
    """Weights that sum to 1e-36, on atoms 1e3 apart: the value knows their shares only, its slope in them is 1e42."""
    x, y = random_measure(generator), random_measure(generator)
    weights = x.weights.clone().requires_grad_()
    moved = Measure(1e3 * x.points, weights)
    with torch.no_grad():
        weights.mul_(1e-36)
    value = sliced_wasserstein(moved, y, random_directions(generator), backend=backend)
    assert torch.isfinite(value)
    with pytest.raises(NotFiniteError, match=r"the gradient of the distance in x.weights must be finite, found -?inf at"):
        value.backward()


@both_backends
@pytest.mark.parametrize("factor", [3e38, float("nan"), float("inf")])
def test_what_follows_the_distance_cannot_make_its_gradient_infinite_in_silence(factor, backend):
    place, problem = apart(100.0, torch.float32)
    with pytest.raises(NotFiniteError, match=r"the gradient of the distance in x.points must be finite, found (inf|nan) at"):
        (sliced_wasserstein(*problem, backend=backend) * factor).backward()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["value", *PARTS])
@pytest.mark.parametrize(("backend", "module"), [("kernel", sliced_cpu), ("torch", sliced_batched)])
def test_no_backend_can_hand_on_what_is_not_finite(backend, module, part, bad, monkeypatch, generator):
    """Neither can one that is written later: where the solver lies does not matter."""
    solve, calls = module.solve, []

    def spoilt(*arguments):
        results, first = list(solve(*arguments)), 2 * len(calls)  # of the parts that this call makes gradients for
        calls.append(None)
        for place, name in enumerate(("value", *PARTS[first:first + 2])):
            if name == part:
                results[place] = torch.full_like(results[place], bad)
        return tuple(results)

    monkeypatch.setattr(module, "solve", spoilt)
    x, y = random_measure(generator), random_measure(generator)
    leaves = [tensor.requires_grad_() for tensor in (x.points, x.weights, y.points, y.weights)]
    said = "leaves the range" if part == "value" else f"the gradient of the distance in {part} must be finite"
    with pytest.raises(NotFiniteError, match=said):
        torch.autograd.grad(sliced_wasserstein(x, y, random_directions(generator), backend=backend), leaves)


# half precision


@both_backends
@pytest.mark.parametrize("root", [False, True])
def test_autocast_changes_no_bit_of_the_distance(backend, root, generator):
    x, y = random_measure(generator, 40), random_measure(generator, 30)
    directions = random_directions(generator)

    def with_gradients():
        leaves = [part.clone().requires_grad_() for part in (x.points, x.weights, y.points, y.weights)]
        value = sliced_wasserstein(Measure(*leaves[:2]), Measure(*leaves[2:]), directions, root=root, backend=backend)
        return value.detach(), *torch.autograd.grad(value, leaves)

    expected = with_gradients()
    with torch.autocast("cpu", torch.bfloat16):
        found = with_gradients()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_autocast_changes_no_bit_of_matchings_and_measures(generator):
    x, y, direction = random_measure(generator), random_measure(generator), random_directions(generator)[0]
    vertices, faces = (torch.from_numpy(part) for part in bumpy_grid())

    def everything():
        matching, transport = sliced_matching(x, y, direction), atom_transport(x, y, direction[None])
        plan, meshes = exact_plan(x, y), [make(vertices.float(), faces) for make in (varifold, barycentres)]
        draws = [draw_directions(7, 3, sampler=sampler, generator=torch.Generator().manual_seed(1))
                 for sampler in ("gaussian", "orthogonal", "design")]
        return [matching.x_values, matching.y_values, matching.mass, torch.tensor([matching.cost, plan.cost]), plan.mass,
                transport.displacement, transport.descent, transport.cost, *draws,
                *(part for mesh in meshes for part in (mesh.points, mesh.weights))]

    expected = everything()
    with torch.autocast("cpu", torch.bfloat16):
        found = everything()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


# second derivatives


@both_backends
@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_a_gradient_penalty_is_refused_not_dropped(part, root, backend, generator):
    x, y = random_measure(generator), random_measure(generator)
    leaves = [tensor.requires_grad_(index == part) for index, tensor in
              enumerate((x.points, x.weights, y.points, y.weights))]
    value = sliced_wasserstein(x, y, random_directions(generator), root=root, backend=backend)
    (gradient,) = torch.autograd.grad(value, leaves[part], create_graph=True)
    penalised = value + gradient.square().sum()
    for derive in (lambda: penalised.backward(retain_graph=True),
                   lambda: torch.autograd.grad(penalised, leaves[part], retain_graph=True),
                   lambda: torch.autograd.grad(gradient.sum(), leaves[part], retain_graph=True, allow_unused=True)):
        with pytest.raises(RuntimeError, match="the sliced Wasserstein distance is differentiable once; its gradient"):
            derive()


@both_backends
def test_a_graph_of_the_gradient_that_nobody_differentiates_does_no_harm(backend, generator):
    """Such as for the penalty of another term of one loss."""
    x, y = random_measure(generator), random_measure(generator)
    points = x.points.requires_grad_()
    value = sliced_wasserstein(x, y, random_directions(generator), backend=backend)
    (plain,) = torch.autograd.grad(value, points, retain_graph=True)
    (with_graph,) = torch.autograd.grad(value, points, create_graph=True)
    assert torch.equal(plain, with_graph) and with_graph.requires_grad and not plain.requires_grad


def test_a_distance_whose_points_are_overwritten_before_the_backward_pass_keeps_its_gradient(generator):
    """The gradient is made along with the value; nothing of the points is needed any more."""
    x, y = random_measure(generator), random_measure(generator)
    directions, points = random_directions(generator), x.points.requires_grad_()
    (expected,) = torch.autograd.grad(sliced_wasserstein(x, y, directions), points)
    value = sliced_wasserstein(x, y, directions)
    with torch.no_grad():
        points.zero_()
    assert torch.equal(torch.autograd.grad(value, points)[0], expected)


# matchings


@pytest.mark.parametrize("p", [40.0, 150.0])
@pytest.mark.parametrize("length", [1e-3, 1e9])
def test_matchings_and_plans_whose_cost_leaves_the_range_are_refused(p, length):
    _, (x, y, directions) = apart(length, torch.float32)
    if p * abs(math.log10(length)) > 307:
        with pytest.raises(NotFiniteError, match=f"the cost with p = {p:g} leaves the range of torch.float64"):
            exact_plan(x, y, p)
    else:
        assert exact_plan(x, y, p).cost == pytest.approx(length**p, rel=1e-4)  # float32 of the length, to the power p
    if length > 1:
        for call in (lambda: sliced_matching(x, y, directions[0], p), lambda: atom_transport(x, y, directions, p)):
            with pytest.raises(NotFiniteError, match=f"the cost with p = {p:g} leaves the range of torch.float32"):
                call()


def test_the_solver_of_a_device_is_asked_once(monkeypatch, generator):
    """The look at SW_1, which tells a distance too small for its power from none, is for roots that vanish only."""
    calls = []
    monkeypatch.setattr(sliced, "_solver", lambda *arguments: calls.append(arguments) or sliced_cpu.solve)
    sliced_wasserstein(random_measure(generator), random_measure(generator), random_directions(generator), root=True)
    assert len(calls) == 1
