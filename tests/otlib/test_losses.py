"""The terms of the loss: closed forms, gradients against central differences, and independence of clips."""

import math

import numpy as np
import pytest
import torch

from otlib.checks import NotFiniteError
from otlib.losses import (
    LossSettings,
    losses,
    opening,
    reconstruction,
    transport,
    transport_faces,
    velocity,
    vertex_weights,
)
from otlib.measures.directions import draw_directions
from otlib.topology import Topology
from tests.fixtures.talking_ball import ball, talk

DOUBLE = {"rtol": 1e-10, "atol": 1e-10}  # mm^2; sums of thousands of float64 products
STORED = {"rtol": 1e-6, "atol": 0.0}  # the evenly spread lines are stored in float32
STEP = 1e-6  # metres, of a central difference: the terms are quadratic, so only rounding limits it
CENTRAL = 1e-5  # relative error that rounding leaves with that step
SHIFT = torch.tensor([1e-3, -2e-3, 2e-3], dtype=torch.float64)  # 3 mm long
SHIFT_MM2 = 9.0

VERTICES, FACES = ball(1)[:2]
UPPER, LOWER = 3, 20  # stand for the middle of the upper and the lower lip
TOPOLOGY = Topology(FACES, {"lips": [0, UPPER, LOWER], "lip_gap": [UPPER, LOWER]})
FACES = torch.from_numpy(FACES)


def clips(count=2, frames=5):
    """Different moments of the talking ball, (B, T, V, 3) float64."""
    motion = torch.from_numpy(talk(VERTICES, frames * count)).double()
    return motion.view(count, frames, *motion.shape[1:])


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def even_weights(truth):
    return torch.ones(truth.shape[2], dtype=truth.dtype)


def test_weights_favour_lips_and_have_mean_one():
    weights = vertex_weights(5, Topology(np.array([[0, 1, 2]]), {"lips": [1, 3]}), 10.0)
    torch.testing.assert_close(weights, torch.tensor([1.0, 11.0, 1.0, 11.0, 1.0]) / 5)


def test_a_constant_displacement_costs_its_square():
    truth = clips()
    torch.testing.assert_close(reconstruction(truth + SHIFT, truth, even_weights(truth)).item(), SHIFT_MM2, **DOUBLE)


def test_a_displacement_of_one_vertex_costs_its_share_and_weight():
    truth = clips()
    prediction, weights = truth.clone(), even_weights(truth)
    prediction[1, 2, 7] += SHIFT
    weights[7] = 4.0
    expected = 4.0 * SHIFT_MM2 / truth[..., 0].numel()
    torch.testing.assert_close(reconstruction(prediction, truth, weights).item(), expected, **DOUBLE)


def test_velocity_ignores_a_constant_displacement_and_sees_a_drift():
    truth = clips()
    drift = torch.arange(truth.shape[1], dtype=truth.dtype)[:, None, None] * SHIFT
    assert velocity(truth + SHIFT, truth, even_weights(truth)).item() < DOUBLE["atol"]
    torch.testing.assert_close(velocity(truth + drift, truth, even_weights(truth)).item(), SHIFT_MM2, **DOUBLE)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e25])  # the last one's square leaves float32
@pytest.mark.parametrize("spoilt", ["prediction", "truth"])
def test_a_loss_that_is_not_finite_is_refused_by_the_terms_name(value, spoilt):
    """A vertex that is no lip: the opening is fine, and transport alone would be refused by its measures."""
    motions = {name: clips(1).float() for name in ("prediction", "truth")}
    motions[spoilt][0, 2, 11, 1] = value
    with pytest.raises(NotFiniteError, match="^the loss has no finite value in the terms reconstruction, velocity, total$"):
        losses(**motions, rest=motions["prediction"][:, 0], topology=TOPOLOGY, settings=LossSettings(transport=0.0),
               generators=generators(0))


def test_velocity_needs_two_frames():
    truth = clips(frames=1)
    with pytest.raises(ValueError, match="velocity needs at least two frames, not 1"):
        velocity(truth, truth, even_weights(truth))


@pytest.mark.parametrize("term", [reconstruction, velocity])
def test_gradient_is_the_central_difference(term):
    truth = clips()
    generator = torch.Generator().manual_seed(3)
    noise, direction = (1e-3 * torch.randn(truth.shape, dtype=truth.dtype, generator=generator) for _ in range(2))
    weights = vertex_weights(truth.shape[2], TOPOLOGY, 10.0).double()
    prediction = (truth + noise).requires_grad_()
    (gradient,) = torch.autograd.grad(term(prediction, truth, weights), prediction)
    direction = direction / direction.norm()
    ahead, behind = (term(truth + noise + sign * STEP * direction, truth, weights) for sign in (1, -1))
    assert ((gradient * direction).sum() / ((ahead - behind) / (2 * STEP)) - 1).abs() < CENTRAL


@pytest.mark.parametrize("measure, dimension", [("varifold", 6), ("barycentres", 3)])
@pytest.mark.parametrize("sampler", ["gaussian", "design"])
def test_transport_of_a_translation_is_the_mean_square_along_the_directions(measure, dimension, sampler):
    """One-dimensional transport of a translation moves every atom alike, by the shift's part along the direction."""
    truth, settings = clips(), LossSettings(measure=measure, sampler=sampler, directions=10, frames=3)
    costs = []
    for generator in generators(8, 9):  # the same draws as the loss makes
        torch.randperm(truth.shape[1], generator=generator)
        directions = draw_directions(10, dimension, sampler=sampler, generator=generator, batch=3, dtype=truth.dtype)
        costs.append((directions[..., :3] @ (1000 * SHIFT)).square().mean())
    found = transport(truth + SHIFT, truth, FACES, settings, generators(8, 9))
    torch.testing.assert_close(found, torch.stack(costs).mean(), **DOUBLE)


def test_a_design_of_six_dimensions_gives_a_translation_its_expected_cost():
    """|t|^2 / 6 of the varifold: the design's lines are so even that the mean of squares does not deviate at all."""
    truth = clips()
    found = transport(truth + SHIFT, truth, FACES, LossSettings(), generators(1, 2))
    torch.testing.assert_close(found.item(), SHIFT_MM2 / 6, **STORED)


def test_transport_does_not_depend_on_the_order_of_vertices_and_faces():
    truth = clips()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(VERTICES), generator=generator)
    renamed = torch.argsort(order)[FACES][torch.randperm(len(FACES), generator=generator)]
    prediction = truth + 1e-3 * torch.sin(1e3 * truth)
    torch.testing.assert_close(
        transport(prediction[:, :, order], truth[:, :, order], renamed, LossSettings(), generators(1, 2)),
        transport(prediction, truth, FACES, LossSettings(), generators(1, 2)), **DOUBLE)


def test_transport_of_a_batch_is_the_mean_of_its_halves():
    """What makes two processes with half the batch each follow the gradient of one."""
    truth = clips(4)
    prediction = truth + 1e-3 * torch.sin(1e3 * truth)
    whole = transport(prediction, truth, FACES, LossSettings(), generators(1, 2, 3, 4))
    halves = [transport(prediction[part], truth[part], FACES, LossSettings(), generators(*seeds))
              for part, seeds in ((slice(2), (1, 2)), (slice(2, 4), (3, 4)))]
    torch.testing.assert_close(sum(halves) / 2, whole, **DOUBLE)


def test_transport_looks_at_the_frames_of_a_short_clip():
    truth = clips(frames=2)
    found = transport(truth + SHIFT, truth, FACES, LossSettings(frames=10), generators(1, 2))
    torch.testing.assert_close(found.item(), SHIFT_MM2 / 6, **STORED)


def test_the_mouth_is_the_faces_within_two_edges_of_the_lips():
    """On a strip of triangles with vertices 0, 1, 2, ... in zigzag, an edge joins those at most two apart."""
    strip = np.arange(20)[:, None] + np.arange(3)
    topology = Topology(strip, {"lips": [10]})
    within_one = set(range(8, 13))  # vertices of the faces that hold a lip
    within_two = {v for face in strip.tolist() if within_one & set(face) for v in face}
    assert transport_faces(topology, "mouth").tolist() == [face for face in strip.tolist() if within_two & set(face)]
    assert np.array_equal(transport_faces(topology, "face"), strip)
    with pytest.raises(ValueError, match="no region 'lips'"):
        transport_faces(Topology(strip), "mouth")


def across(vertices):
    return 1000 * (vertices[..., UPPER, :] - vertices[..., LOWER, :])


def test_opening_is_the_weighted_square_of_the_difference_across_the_mouth():
    truth, rest = clips(), torch.from_numpy(VERTICES).double().expand(2, -1, -1)
    prediction = truth.clone()
    prediction[..., UPPER, :] += SHIFT
    expected = 0.0
    for clip in range(truth.shape[0]):
        for frame in range(truth.shape[1]):
            opened = max(0.0, (across(truth[clip, frame]).norm() - across(rest[clip]).norm()).item())
            expected += SHIFT_MM2 * (1 + 4.0 * math.exp(-opened)) / (truth.shape[0] * truth.shape[1])
    torch.testing.assert_close(opening(prediction, truth, rest, TOPOLOGY, 4.0).item(), expected, **DOUBLE)


def test_opening_ignores_the_head_and_counts_a_closed_mouth_in_full():
    truth = torch.from_numpy(VERTICES).double().expand(2, 3, -1, -1)
    prediction = truth + 1e-3
    assert opening(prediction, truth, truth[:, 0], TOPOLOGY, 4.0).item() < DOUBLE["atol"]
    prediction = truth.clone()
    prediction[:, :, LOWER] -= SHIFT
    torch.testing.assert_close(opening(prediction, truth, truth[:, 0], TOPOLOGY, 4.0).item(), 5 * SHIFT_MM2, **DOUBLE)


def all_losses(prediction, truth, settings):
    rest = truth[:, 0]
    return losses(prediction, truth, rest, TOPOLOGY, settings, generators(1, 2))


def test_the_total_is_the_weighted_sum_of_the_terms():
    truth = clips()
    prediction = truth + 1e-3 * torch.sin(1e3 * truth)
    terms = all_losses(prediction, truth, LossSettings(reconstruction=2.0, velocity=3.0, transport=0.5, opening=0.7))
    expected = (2.0 * terms["reconstruction"] + 3.0 * terms["velocity"] + 0.5 * terms["transport"] + 0.7 * terms["opening"])
    torch.testing.assert_close(terms["total"], expected, **DOUBLE)
    assert all(term > 0 for term in terms.values())
    assert set(all_losses(prediction, truth, LossSettings(transport=0.0, opening=0.0))) == {
        "reconstruction", "velocity", "total"}


@pytest.mark.parametrize("region", ["mouth", "face"])
def test_the_terms_follow_the_regions_of_the_topology(region):
    truth = clips()
    prediction, settings = truth + 1e-3 * torch.sin(1e3 * truth), LossSettings(lips=4.0, region=region)
    weights = vertex_weights(len(VERTICES), TOPOLOGY, 4.0).double()
    faces = torch.from_numpy(transport_faces(TOPOLOGY, region))
    terms = all_losses(prediction, truth, settings)
    torch.testing.assert_close(terms["reconstruction"], reconstruction(prediction, truth, weights), **DOUBLE)
    torch.testing.assert_close(terms["velocity"], velocity(prediction, truth, weights), **DOUBLE)
    torch.testing.assert_close(terms["opening"], opening(prediction, truth, truth[:, 0], TOPOLOGY, 30.0), **DOUBLE)
    torch.testing.assert_close(terms["transport"], transport(prediction, truth, faces, settings, generators(1, 2)), **DOUBLE)


@pytest.mark.parametrize("regions, message", [({}, "no region 'lips'; it has none"),
                                              ({"lips": [0]}, "no region 'lip_gap'; it has lips"),
                                              ({"lips": [99]}, "truth: shape")])
def test_a_topology_that_does_not_fit_is_refused(regions, message):
    truth = clips()
    with pytest.raises(ValueError, match=message):
        losses(truth, truth, truth[:, 0], Topology(FACES.numpy(), regions), LossSettings(), generators(1, 2))


def test_a_perfect_prediction_costs_nothing():
    truth = clips()
    for name, term in all_losses(truth, truth, LossSettings()).items():
        assert term.item() == 0.0, name


@pytest.mark.parametrize("setting, message", [
    ({"measure": "vertices"}, "measure must be one of 'varifold', 'barycentres', but is 'vertices'"),
    ({"region": "nose"}, "region must be one of 'mouth', 'face', but is 'nose'"),
    ({"sampler": "random"}, "sampler must be one of 'gaussian', 'orthogonal', 'design', but is 'random'"),
    ({"transport": -1.0}, "transport must be at least 0 and at most 1000000, but is -1.0"),
    ({"closure": -1.0}, "closure must be at least 0 and at most 1000000, but is -1.0"),
    ({"velocity": float("nan")}, "velocity must be at least 0 and at most 1000000, but is nan"),
    ({"directions": 0}, "directions must be at least 1 and at most 10000, but is 0"),
    ({"frames": 0}, "frames must be at least 1 and at most 1000, but is 0"),
])
def test_impossible_settings_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        LossSettings(**setting)
