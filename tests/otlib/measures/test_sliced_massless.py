"""Atoms without mass and weights that an optimiser moves: value and gradients against limits, padding, refusals."""

import pytest
import torch

from otlib.measures.directions import draw_directions
from otlib.measures.matching import atom_transport, exact_plan, sliced_matching
from otlib.measures.measure import Measure
from otlib.measures.sliced import sliced_wasserstein
from tests.oracles.sliced_naive import sliced_cost, weight_slopes

pytestmark = pytest.mark.slow

EXACT = 1e-12  # relative, float64: sums of some hundred terms
LIMIT = 1e-8  # float64: what rounding leaves of a difference of costs over a step of 1e-6 in mass
SINGLE = 2e-5  # float32: a sum over directions of running sums of differences
BACKENDS = ("kernel", "torch")
EXPONENTS = (1.0, 2.0, 3.0)
MASSLESS = {"none": [], "first": [0], "last": [8], "inside": [4], "both ends": [0, 1, 7, 8],
            "all but one": [0, 1, 2, 4, 5, 6, 7, 8]}

both_backends = pytest.mark.parametrize("backend", BACKENDS)
all_exponents = pytest.mark.parametrize("p", EXPONENTS)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def random_measure(generator, atoms=9, massless=(), dimension=3):
    """Atoms in ascending order along the first axis, some of them without mass."""
    points = torch.randn(atoms, dimension, generator=generator, dtype=torch.float64)
    weights = torch.rand(atoms, generator=generator, dtype=torch.float64) + 0.1
    weights[list(massless)] = 0
    return Measure(points[points[:, 0].argsort()], weights / weights.sum())


def random_directions(generator, count=5):
    """The first axis, along which the order of the atoms is known, and some more."""
    first = torch.eye(1, 3, dtype=torch.float64)
    more = draw_directions(count - 1, 3, sampler="gaussian", generator=generator, dtype=torch.float64)
    return torch.cat([first, more])


def with_gradients(x, y, directions, dtype=torch.float64, **keywords):
    """Value, gradients in points and weights of x, then of y, in float64."""
    parts = [part.detach().to(dtype).requires_grad_() for part in (x.points, x.weights, y.points, y.weights)]
    value = sliced_wasserstein(Measure(*parts[:2]), Measure(*parts[2:]), directions.to(dtype), **keywords)
    return [part.detach().double() for part in (value, *torch.autograd.grad(value.sum(), parts))]


def padded(measure, places, where):
    """A measure with atoms of mass zero before, after and between its own ones, and the indices of its own."""
    atoms, more = len(measure.weights), len(places)
    order = {"before": torch.cat([torch.arange(more) + atoms, torch.arange(atoms)]),
             "after": torch.arange(atoms + more),
             "between": torch.stack([torch.arange(more), torch.arange(more) + atoms], 1).reshape(-1)}[where]
    order = torch.cat([order, torch.arange(atoms)[~torch.isin(torch.arange(atoms), order)]])
    weights = torch.cat([measure.weights, torch.zeros_like(places[:, 0])])[order]
    return Measure(torch.cat([measure.points, places])[order], weights), order.argsort()[:atoms]


def arrays(*tensors):
    return [tensor.numpy() for tensor in tensors]


@both_backends
@both_dtypes
def test_the_smallest_case(backend, dtype):
    """Worked out by hand: half a unit of cost more for the second atom than for the first, nothing more for the third."""
    x, y = torch.tensor([[0.0], [1.0], [2.0]]).double(), torch.tensor([[0.25], [1.5]]).double()
    weights = torch.tensor([0.3, 0.7, 0.0]).double(), torch.tensor([0.45, 0.55]).double()
    line = torch.ones(1, 1).double()
    gradient = with_gradients(Measure(x, weights[0]), Measure(y, weights[1]), line, dtype, backend=backend)[2]
    assert gradient.tolist() == pytest.approx([-0.35, 0.15, 0.15], rel=1e-6)  # float32, a few roundings


@both_backends
@both_dtypes
@all_exponents
@pytest.mark.parametrize("x_massless", MASSLESS)
@pytest.mark.parametrize("y_massless", MASSLESS)
def test_value_and_gradients_are_the_limits_of_the_loops(backend, dtype, p, x_massless, y_massless, generator):
    x, y = (random_measure(generator, massless=MASSLESS[name]) for name in (x_massless, y_massless))
    directions = random_directions(generator, 3)
    value, x_move, x_slope, y_move, y_slope = with_gradients(x, y, directions, dtype, p=p, backend=backend)
    x_arrays, y_arrays = arrays(x.points, x.weights), arrays(y.points, y.weights)
    tolerance = SINGLE if dtype == torch.float32 else EXACT
    assert value.item() == pytest.approx(sliced_cost(*x_arrays, *y_arrays, directions.numpy(), p), rel=tolerance)
    tolerance = SINGLE if dtype == torch.float32 else LIMIT
    for slope, pair in ((x_slope, (*x_arrays, *y_arrays)), (y_slope, (*y_arrays, *x_arrays))):
        expected = weight_slopes(*pair, directions.numpy(), p)
        assert slope.tolist() == pytest.approx(expected.tolist(), abs=tolerance * (1 + abs(expected).max()))
    assert (x_move[x.weights == 0] == 0).all() and (y_move[y.weights == 0] == 0).all()


@both_backends
@both_dtypes
@all_exponents
@pytest.mark.parametrize("masses", ["equal", "unequal"])
@pytest.mark.parametrize("where", ["before", "after", "between"])
def test_padding_changes_neither_value_nor_gradient_of_the_atoms(backend, dtype, p, masses, where, generator):
    """Equal masses, powers of two, step together at every atom."""
    x, y = (random_measure(generator, 8) for _ in range(2))
    if masses == "equal":
        x, y = (Measure(measure.points, torch.full_like(measure.weights, 1 / 8)) for measure in (x, y))
    directions = random_directions(generator)
    value, *gradients = with_gradients(x, y, directions, dtype, p=p, backend=backend)
    tolerance = SINGLE if dtype == torch.float32 else EXACT
    for spread in (0.0, 1.0, 1e4):
        places = spread * torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
        (wide_x, own_x), (wide_y, own_y) = padded(x, places[0], where), padded(y, places[1], where)
        found, *others = with_gradients(wide_x, wide_y, directions, dtype, p=p, backend=backend)
        torch.testing.assert_close(found, value, rtol=tolerance, atol=0)
        for gradient, other, own in zip(gradients, others, (own_x, own_x, own_y, own_y), strict=True):
            assert (other[own] - gradient).norm() <= tolerance * gradient.norm()


@both_backends
@both_dtypes
@all_exponents
def test_a_padded_measure_and_itself_have_a_zero_gradient(backend, dtype, p, generator):
    x = Measure(random_measure(generator, 8).points, torch.full((8,), 1 / 8, dtype=torch.float64))
    wide, own = padded(x, torch.randn(5, 3, generator=generator, dtype=torch.float64), "between")
    for pair, kept in (((wide, x), (own, slice(None))), ((x, wide), (slice(None), own)), ((wide, wide), (own, own))):
        value, *gradients = with_gradients(*pair, random_directions(generator), dtype, p=p, backend=backend)
        assert value == 0
        for gradient, atoms in zip(gradients, (kept[0], kept[0], kept[1], kept[1]), strict=True):
            assert gradient[atoms].abs().max() <= (SINGLE if dtype == torch.float32 else EXACT)


@both_backends
@all_exponents
def test_the_gradient_in_equal_masses_bounds_the_cost_from_below(backend, p, generator):
    """Where the staircases step together the derivative depends on the side: the gradient must be a subgradient."""
    masses = torch.tensor([2, 1, 0, 1, 1, 0, 0, 2, 1]).double() / 8
    x, y = (Measure(random_measure(generator).points, weights) for weights in (masses, masses.flip(0)))
    directions = random_directions(generator)
    value, _, slope, _, _ = with_gradients(x, y, directions, p=p, backend=backend)
    for _ in range(50):
        masses = torch.rand(9, generator=generator, dtype=torch.float64)
        step = torch.rand(1, generator=generator, dtype=torch.float64) ** 4 * (masses / masses.sum() - x.weights)
        moved = sliced_wasserstein(Measure(x.points, x.weights + step), y, directions, p=p)
        assert moved >= value + slope @ step - EXACT * value


@both_backends
@both_dtypes
def test_weights_that_an_optimiser_moves(backend, dtype, generator):
    """A support made once, projected descent: atoms lose all mass on the way, the sum leaves one, every step is exact."""
    x, y = random_measure(generator), random_measure(generator)
    directions = random_directions(generator)
    weights = x.weights.to(dtype).requires_grad_()
    free, fixed = Measure(x.points.to(dtype), weights), Measure(y.points.to(dtype), y.weights.to(dtype))
    optimiser = torch.optim.Adam([weights], 0.02)
    massless = 0
    for _ in range(12):
        optimiser.zero_grad()
        sliced_wasserstein(free, fixed, directions.to(dtype), backend=backend).backward()
        expected = weight_slopes(*arrays(free.points.double(), weights.detach().double(), y.points, y.weights),
                                 directions.numpy(), 2)
        tolerance = (SINGLE if dtype == torch.float32 else LIMIT) * (1 + abs(expected).max())
        assert weights.grad.tolist() == pytest.approx(expected.tolist(), abs=tolerance)
        optimiser.step()
        with torch.no_grad():
            weights.clamp_(min=0)
        massless = max(massless, int((weights == 0).sum()))
    assert massless and abs(weights.detach().sum() - 1) > 0.05


@both_backends
@pytest.mark.parametrize("side", ["x", "y"])
def test_an_optimiser_that_makes_weights_negative_is_told_so(backend, side, generator):
    measures = {name: random_measure(generator, 400) for name in "xy"}
    weights = torch.full((400,), 1 / 400, dtype=torch.float64, requires_grad=True)
    measures[side] = Measure(measures[side].points, weights)
    directions = random_directions(generator)
    optimiser = torch.optim.Adam([weights], 0.01)
    sliced_wasserstein(*measures.values(), directions, backend=backend).backward()
    optimiser.step()
    with pytest.raises(ValueError, match=rf"{side}.weights must not be negative, found -0.00\d+ at index \(\d+,\)"):
        sliced_wasserstein(*measures.values(), directions, backend=backend)


def two_frames(generator):
    pair = [random_measure(generator) for _ in range(2)]
    return Measure(*(torch.stack([getattr(measure, part) for measure in pair]) for part in ("points", "weights")))


@both_backends
@pytest.mark.parametrize(("spoil", "culprit"), [
    (lambda m: m.weights[1].zero_(), r"y.weights are all zero in measure \(1,\)"),
    (lambda m: m.weights[1, 3].neg_(), r"y.weights must not be negative, found -0.\d+ at index \(1, 3\)"),
    (lambda m: m.weights[1, 3].mul_(float("nan")), "y.weights must be finite"),
    (lambda m: setattr(m.points, "data", m.points[:, :8]), r"y.points have shape \(2, 8, 3\), y.weights \(2, 9\)"),
])
def test_a_measure_spoilt_after_it_was_made_is_refused(backend, spoil, culprit, generator):
    x, y = two_frames(generator), two_frames(generator)
    spoil(y)
    with pytest.raises(ValueError, match=culprit):
        sliced_wasserstein(x, y, random_directions(generator), backend=backend)


@pytest.mark.parametrize("call", [
    lambda x, y, d: exact_plan(x, y), lambda x, y, d: sliced_matching(x, y, d[0]), lambda x, y, d: atom_transport(x, y, d),
])
def test_plans_refuse_weights_that_became_negative(call, generator):
    x, y = random_measure(generator), random_measure(generator)
    y.weights[4].neg_()
    with pytest.raises(ValueError, match=r"y.weights must not be negative, found -0.\d+ at index \(4,\)"):
        call(x, y, random_directions(generator))


@pytest.mark.parametrize("where", ["before", "after", "between"])
def test_padding_changes_no_transport(where, generator):
    x, y = random_measure(generator), random_measure(generator)
    directions = random_directions(generator)
    expected = atom_transport(x, y, directions)
    wide = [padded(measure, torch.randn(5, 3, generator=generator, dtype=torch.float64), where) for measure in (x, y)]
    found, own = atom_transport(wide[0][0], wide[1][0], directions), wide[0][1]
    for name in ("displacement", "descent", "cost"):
        torch.testing.assert_close(getattr(found, name)[own], getattr(expected, name), rtol=EXACT, atol=EXACT)
    assert found.cost.sum().item() == pytest.approx(expected.cost.sum().item(), rel=EXACT)
