"""Directions: unit length, uniform each and evenly spread together, reproducible, and enough of them for training."""

import numpy as np
import pytest
import torch

from data_prep.head import CONTROLS, make_head, pose
from data_prep.make_direction_designs import harmonics, residuals, strongest_degree
from otlib.measures.directions import SAMPLERS, TRAINING_DIRECTIONS, design_sizes, draw_directions
from otlib.measures.measure import barycentres, varifold
from otlib.measures.sliced import sliced_wasserstein

ROUNDING = 1e-12  # float64 unit vectors through a QR factorisation
MEAN_SQUARES = 1e-8  # the square root of the residual that the optimiser leaves in degree 2
DESIGN_RESIDUAL = 3e-5  # of L r_k, which is 1 for independent lines: the optimiser stops there
DEVIATIONS = 5  # standard errors: a random test of a fixed seed, far from failing by chance
LEAST_COSINE = 0.95  # of the training default's gradient with that of 5,000 directions


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dimension", [3, 6])
@pytest.mark.parametrize("count", [1, 5, 17, 36, 130])
def test_every_sampler_draws_any_number_of_unit_vectors(sampler, dimension, count, generator):
    directions = draw_directions(count, dimension, sampler=sampler, generator=generator, dtype=torch.float64)
    assert directions.shape == (count, dimension)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(count, dtype=torch.float64), atol=ROUNDING, rtol=0)
    batch = draw_directions(count, dimension, sampler=sampler, generator=generator, batch=2)
    assert batch.shape == (2, count, dimension) and batch.dtype == torch.float32
    assert not torch.allclose(batch[0], batch[1])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dimension", [3, 6])
def test_each_direction_is_uniform(sampler, dimension, generator):
    """Moments of the first and the last of seven directions along one axis; without the signs of QR they are off."""
    draws = draw_directions(7, dimension, sampler=sampler, generator=generator, batch=20000, dtype=torch.float64)
    axis = torch.randn(dimension, generator=generator, dtype=torch.float64)
    for index in (0, 6):
        cosine = draws[:, index] @ axis / axis.norm()
        for power, expected in ((1, 0), (2, 1 / dimension), (4, 3 / (dimension * (dimension + 2)))):
            values = cosine**power
            assert abs(values.mean() - expected) < DEVIATIONS * values.std() / 20000**0.5


@pytest.mark.parametrize("sampler", ["orthogonal", "design"])
@pytest.mark.parametrize("dimension", [3, 6])
def test_structured_sets_average_squares_exactly(sampler, dimension, generator):
    """So the cost of a translation is exact with any of them."""
    directions = draw_directions(12, dimension, sampler=sampler, generator=generator, dtype=torch.float64)
    expected = torch.eye(dimension, dtype=torch.float64) / dimension
    torch.testing.assert_close(directions.T @ directions / 12, expected, atol=MEAN_SQUARES, rtol=0)


@pytest.mark.parametrize("dimension", [3, 6])
def test_stored_designs_integrate_what_they_should(dimension):
    for count in design_sizes(dimension):
        # The rotation does not change the residuals.
        lines = draw_directions(count, dimension, generator=torch.Generator(), dtype=torch.float64).numpy()
        degree = strongest_degree(count, dimension)
        left = count * np.abs(residuals(lines, degree)).max()
        assert left < DESIGN_RESIDUAL, f"{count} lines in dimension {dimension}: {left}"


def test_harmonics_are_counted_right():
    assert [harmonics(degree, 3) for degree in (2, 4, 6)] == [5, 9, 13]
    assert harmonics(2, 6) == 20  # traceless symmetric 6 x 6 matrices


def test_a_draw_depends_on_its_generator_alone():
    state = torch.get_rng_state()
    for sampler in SAMPLERS:
        draws = [draw_directions(16, 6, sampler=sampler, generator=torch.Generator().manual_seed(7)) for _ in range(2)]
        assert torch.equal(*draws)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("dimension", "measure"), [(3, barycentres), (6, varifold)])
def test_the_training_default_gives_the_right_gradient(dimension, measure, generator):
    """On two frames of a talking head, whatever the rotation; the half of it does not."""
    head = make_head()
    controls = np.zeros((2, len(CONTROLS)))
    controls[0, CONTROLS.index("jaw")], controls[0, CONTROLS.index("aperture")] = 0.5, 0.7
    controls[1, CONTROLS.index("jaw")], controls[1, CONTROLS.index("round")] = 0.3, 0.8
    mouth, target = torch.from_numpy(pose(head, controls)).double()
    faces = torch.from_numpy(head.topology.faces)

    def gradient(count):
        directions = draw_directions(count, dimension, generator=generator, dtype=torch.float64)
        vertices = mouth.clone().requires_grad_()
        value = sliced_wasserstein(measure(vertices, faces), measure(target, faces), directions)
        return torch.autograd.grad(value, vertices)[0].flatten()

    reference = gradient(5000)

    def worst(count):
        return min(torch.cosine_similarity(gradient(count), reference, dim=0).item() for _ in range(10))

    assert worst(TRAINING_DIRECTIONS[dimension]) >= LEAST_COSINE > worst(TRAINING_DIRECTIONS[dimension] // 2)


@pytest.mark.parametrize(("arguments", "culprit"), [
    ({"count": 0}, "at least one, got 0"),
    ({"dimension": 0}, "dimension"),
    ({"batch": 0}, "batch"),
    ({"sampler": "sobol"}, "sampler must be one of gaussian, orthogonal, design, got 'sobol'"),
    ({"dimension": 4}, r"dimensions \[3, 6\] only, got 4"),
])
def test_bad_arguments_are_refused_by_name(arguments, culprit, generator):
    with pytest.raises(ValueError, match=culprit):
        draw_directions(**{"count": 6, "dimension": 3, "generator": generator, **arguments})
