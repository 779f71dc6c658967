"""Plans, matchings and what each atom is moved by: permutations, marginals, translations, sums, refusals."""

import itertools

import pytest
import torch

from otlib.measures.directions import draw_directions
from otlib.measures.matching import EXACT_ATOMS, atom_transport, exact_plan, sliced_bound, sliced_matching
from otlib.measures.measure import Measure
from otlib.measures.sliced import sliced_wasserstein

EXACT = 1e-12  # relative, float64: sums of some hundred terms
DESIGN = 1e-3  # relative: 500 directions of a design integrate abs(u)^p, which has a kink for p = 1, that well
SOLVER = 1e-9  # absolute: marginals as the network simplex leaves them


def random_measure(generator, atoms, dimension=3, dtype=torch.float64):
    points = torch.randn(atoms, dimension, generator=generator, dtype=torch.float64)
    weights = torch.rand(atoms, generator=generator, dtype=torch.float64) + 0.1
    return Measure(points.to(dtype), (weights / weights.sum()).to(dtype))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def pair(generator):
    return random_measure(generator, 30), random_measure(generator, 23)


def directions_for(generator, count=12, dimension=3, dtype=torch.float64, **keywords):
    return draw_directions(count, dimension, generator=generator, dtype=dtype, **keywords)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_the_exact_plan_is_the_best_permutation_of_equal_masses(p, generator):
    weights = torch.full((5,), 0.2, dtype=torch.float64)
    x, y = (Measure(torch.randn(5, 3, generator=generator, dtype=torch.float64), weights) for _ in range(2))
    costs = torch.cdist(x.points, y.points) ** p / 5
    expected = min(sum(costs[i, j].item() for i, j in enumerate(order)) for order in itertools.permutations(range(5)))
    assert exact_plan(x, y, p).cost == pytest.approx(expected, rel=EXACT)


def test_the_exact_plan_has_both_marginals_and_costs_no_less_than_the_slices(pair, generator):
    x, y = pair
    plan = exact_plan(x, y)
    torch.testing.assert_close(plan.mass.sum(1), x.weights, atol=SOLVER, rtol=0)
    torch.testing.assert_close(plan.mass.sum(0), y.weights, atol=SOLVER, rtol=0)
    assert plan.cost >= sliced_wasserstein(x, y, directions_for(generator)).item()


def test_the_exact_plan_is_for_small_regions_only(generator):
    large = random_measure(generator, EXACT_ATOMS + 1)
    with pytest.raises(ValueError, match=f"at most {EXACT_ATOMS} atoms, got {EXACT_ATOMS + 1}"):
        exact_plan(large, large)
    region = large.restrict(torch.arange(EXACT_ATOMS // 10))
    assert exact_plan(region, region).cost == pytest.approx(0, abs=SOLVER)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_a_matching_pairs_both_quantile_functions(p, pair, generator):
    x, y = pair
    direction = directions_for(generator)[0]
    found = sliced_matching(x, y, direction, p)
    assert found.cost == pytest.approx(sliced_wasserstein(x, y, direction[None], p=p).item(), rel=EXACT)
    gap = (x.points @ direction)[found.x_atom] - (y.points @ direction)[found.y_atom]
    assert found.cost == pytest.approx((found.mass * gap.abs() ** p).sum().item(), rel=EXACT)
    assert (found.mass > 0).all()
    for atoms, measure in ((found.x_atom, x), (found.y_atom, y)):
        torch.testing.assert_close(torch.zeros_like(measure.weights).index_add_(0, atoms, found.mass), measure.weights)
        assert ((measure.points @ direction)[atoms].diff() >= 0).all()
    for values, order, levels, measure in ((found.x_values, found.x_order, found.x_levels, x),
                                           (found.y_values, found.y_order, found.y_levels, y)):
        torch.testing.assert_close(values, (measure.points @ direction).sort().values)
        torch.testing.assert_close(levels, measure.weights[order].cumsum(0))


@pytest.mark.parametrize("atoms, count", [(40, 12), (3, 600)])  # heavy atoms times many directions leave 64 bits
def test_a_translation_moves_every_atom_by_itself(atoms, count, generator):
    x = random_measure(generator, atoms)
    shift = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    directions = directions_for(generator, count, sampler="orthogonal")  # whose mean of squares is exact
    found = atom_transport(x, Measure(x.points + shift, x.weights), directions)
    torch.testing.assert_close(found.displacement, shift.expand(atoms, 3))
    torch.testing.assert_close(found.descent, shift.expand(atoms, 3))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_the_costs_of_the_atoms_sum_to_the_distance(p, pair, generator):
    directions = directions_for(generator)
    found = atom_transport(*pair, directions, p)
    assert found.cost.sum().item() == pytest.approx(sliced_wasserstein(*pair, directions, p=p).item(), rel=EXACT)
    assert (found.cost >= 0).all()


def test_the_descent_is_the_gradient_per_mass(pair, generator):
    x, y = pair
    directions = directions_for(generator)
    points = x.points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(sliced_wasserstein(Measure(points, x.weights), y, directions), points)
    expected = -3 * gradient / (2 * x.weights[:, None])
    torch.testing.assert_close(atom_transport(x, y, directions).descent, expected)


def test_the_displacement_is_that_of_the_averaged_matchings(pair, generator):
    x, y = pair
    directions = directions_for(generator)
    plan = torch.zeros(30, 23, dtype=torch.float64)
    for direction in directions:
        matching = sliced_matching(x, y, direction)
        plan.index_put_((matching.x_atom, matching.y_atom), matching.mass / len(directions), accumulate=True)
    expected = plan @ y.points / x.weights[:, None] - x.points
    torch.testing.assert_close(atom_transport(x, y, directions).displacement, expected)


def test_an_atom_without_mass_neither_moves_nor_pays(pair, generator):
    x, y = pair
    weights = torch.cat([torch.zeros(1, dtype=torch.float64), x.weights[1:] / x.weights[1:].sum()])
    found = atom_transport(Measure(x.points, weights), y, directions_for(generator))
    assert (found.displacement[0] == 0).all() and (found.descent[0] == 0).all() and found.cost[0] == 0


def test_single_precision_is_kept_and_near(pair, generator):
    directions = directions_for(generator)
    double = atom_transport(*pair, directions)
    single = atom_transport(*(Measure(m.points.float(), m.weights.float()) for m in pair), directions.float())
    for name in ("displacement", "descent", "cost"):
        value = getattr(single, name)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), getattr(double, name), rtol=1e-3, atol=1e-4)  # mass moves at near ties


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("dimension", [1, 2, 3, 6])
def test_the_bound_is_the_mean_share_of_a_unit_vector(dimension, p, generator):
    """Two closed forms, the line, and else a mean over a million directions."""
    found = sliced_bound(dimension, p)
    if p == 2.0:
        assert found == pytest.approx(1 / dimension, rel=EXACT)
    if dimension == 3:
        assert found == pytest.approx(1 / (p + 1), rel=EXACT)
    if dimension == 1:
        assert found == pytest.approx(1, rel=EXACT)
    shares = directions_for(generator, 1_000_000, dimension, sampler="gaussian")[:, 0].abs() ** p
    assert found == pytest.approx(shares.mean().item(), abs=5 * shares.std().item() / 1000 + EXACT)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_no_sliced_distance_is_above_the_bound_and_a_translation_is_at_it(p, pair, generator):
    x, y = pair
    directions = directions_for(generator, 500)
    assert sliced_wasserstein(x, y, directions, p=p).item() < sliced_bound(3, p) * exact_plan(x, y, p).cost
    moved = Measure(x.points + torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64), x.weights)
    sliced = sliced_wasserstein(x, moved, directions, p=p).item()
    assert sliced == pytest.approx(sliced_bound(3, p) * exact_plan(x, moved, p).cost, rel=DESIGN)


@pytest.mark.parametrize("call", [
    lambda x, y, d: exact_plan(x, y), lambda x, y, d: sliced_matching(x, y, d[0]), lambda x, y, d: atom_transport(x, y, d),
])
def test_bad_input_is_refused_by_name(call, pair, generator):
    x, y = pair
    directions = directions_for(generator)
    for other, culprit in (
        (Measure(y.points[None], y.weights[None]), "y must be one measure"),
        (Measure(y.points[:, :2], y.weights), "y in 2"),
        (Measure(y.points.float(), y.weights.float()), "dtype"),
    ):
        with pytest.raises(ValueError, match=culprit):
            call(x, other, directions)
    x.points[0, 0] = float("nan")
    with pytest.raises(ValueError, match="x.points must be finite"):
        call(x, y, directions)


def test_bad_options_are_refused_by_name(pair, generator):
    directions = directions_for(generator)
    for call in (lambda: exact_plan(*pair, p=0.5), lambda: sliced_matching(*pair, directions[0], 0.5),
                 lambda: atom_transport(*pair, directions, 0.5), lambda: sliced_bound(3, 0.5)):
        with pytest.raises(ValueError, match="p must be"):
            call()
    for call in (lambda: sliced_matching(*pair, 2 * directions[0]), lambda: atom_transport(*pair, 2 * directions)):
        with pytest.raises(ValueError, match="unit length"):
            call()
    with pytest.raises(ValueError, match="dimension must be"):
        sliced_bound(0)
