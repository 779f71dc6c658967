"""The model: what it shows untrained, what it does not depend on, and recordings longer than a window."""

import numpy as np
import pytest
import torch

from otlib.models.decoder import DISPLACEMENT_UNIT
from otlib.models.ottalk import (
    Geometry,
    ModelSettings,
    OTTalk,
    coarse_sizes,
    geometric_signal,
    prepare_geometry,
)
from otlib.predict import animate
from otlib.speech.overlapping_windows import Windows
from otlib.topology import Topology
from tests.fixtures.talking_ball import ball

DOUBLE = {"rtol": 1e-9, "atol": 1e-12}  # metres; some layers of float64 products
SETTINGS = ModelSettings(feature_layers=2, feature_channels=3, width=8, layers=2, heads=2, radius=3, channels=4, terms=3,
                         levels=(30, 8))
SENSIBLE = 1e-3  # metres: a model with random parameters moves at least this much, so that comparisons compare something


def model_of(settings=SETTINGS, seed=0):
    """A model in float64 whose last layer is random too, so that it moves."""
    generator = torch.Generator().manual_seed(seed)
    model = OTTalk(settings).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return model.eval()


def template_of(subdivisions, seed=0):
    """A dented ball, so that no two vertices are alike: (vertices float64, topology)."""
    vertices, faces, _ = ball(subdivisions)
    dents = np.random.default_rng(seed).uniform(0.9, 1.1, (len(vertices), 1))
    return torch.from_numpy(vertices * dents).double(), Topology(faces)


def features_of(frames, seed=1):
    return torch.randn(frames, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shown(model, features, vertices, topology, **options):
    """All frames of a recording on a template, (T, V, 3)."""
    return animate(model, features, vertices, prepare_geometry(vertices, topology, model.settings), **options)


def test_the_untrained_model_shows_the_template():
    vertices, topology = template_of(2)
    motion = shown(OTTalk(SETTINGS).double(), features_of(5), vertices, topology)
    assert torch.equal(motion, vertices.expand(5, -1, -1))


def test_parameters_do_not_depend_on_the_vertices_and_run_on_any_topology():
    model = model_of()
    for subdivisions, count in ((1, 42), (2, 162), (3, 642)):
        vertices, topology = template_of(subdivisions)
        assert all(count not in parameter.shape for parameter in model.parameters())
        motion = shown(model, features_of(4), vertices, topology)
        assert motion.shape == (4, count, 3)
        assert (motion - vertices).abs().max() > SENSIBLE


def test_a_template_with_its_vertices_in_another_order_moves_alike():
    """With lips given, as always in use: counted edges alone tie, and ties go to the vertex that comes first."""
    model, features = model_of(), features_of(4)
    vertices, topology = template_of(2)
    lips = np.arange(3, 12)
    order = torch.randperm(len(vertices), generator=torch.Generator().manual_seed(2))
    renamed = torch.argsort(order).numpy()
    plain, moved = (Topology(faces, {"lips": some}) for faces, some in (
        (topology.faces, lips), (renamed[topology.faces], renamed[lips])))
    motion, again = shown(model, features, vertices, plain), shown(model, features, vertices[order], moved)
    torch.testing.assert_close(again, motion[:, order], **DOUBLE)


@pytest.mark.parametrize("window", [1, 7, 16, 69, 70])
def test_windows_give_what_one_pass_gives(window):
    model, features = model_of(), features_of(70)
    vertices, topology = template_of(1)
    geometry = prepare_geometry(vertices, topology, SETTINGS)
    whole = vertices + model(features[None], geometry)[0]
    motion = animate(model, features, vertices, geometry, window=window)
    assert not motion.requires_grad
    torch.testing.assert_close(motion, whole, **DOUBLE)
    too_near = Windows(window, model.reach - 1).over(70, lambda first, last: model(features[None, first: last], geometry)[0])
    assert window > 60 or (vertices + torch.cat(list(too_near)) - whole).abs().max() > 1e-9  # the test would notice
    assert whole.std(0).max() > SENSIBLE


def test_a_frame_depends_on_no_audio_beyond_the_reach():
    model, features = model_of(), features_of(40)
    vertices, topology = template_of(1)
    frame, changed = 15, features.clone()
    changed[frame + model.reach + 1:] = features_of(40, seed=2)[frame + model.reach + 1:]
    before, after = (shown(model, x, vertices, topology) for x in (features, changed))
    assert torch.equal(before[: frame + 1], after[: frame + 1])
    assert not torch.equal(before[frame + 1], after[frame + 1])


def test_clips_of_a_batch_are_single_clips():
    model = model_of()
    vertices, topology = template_of(2)
    geometry = prepare_geometry(vertices, topology, SETTINGS)
    narrow = prepare_geometry(vertices * torch.tensor([0.9, 1.0, 1.0]), topology, SETTINGS, hierarchy=geometry.hierarchy)
    both = Geometry(geometry.hierarchy, torch.cat([geometry.signal, narrow.signal]))
    features = torch.stack([features_of(6, 1), features_of(6, 2)])
    together = model(features, both)
    for index in range(2):
        alone = model(features[index, None], both.of([index]))[0]
        torch.testing.assert_close(together[index], alone, **DOUBLE)
    other_head = model(features[:1], narrow)[0]
    assert (other_head - together[0]).abs().max() > SENSIBLE  # geometry matters


def test_one_term_sees_each_vertex_alone():
    """With K = 1 the decoder's graph is off: moving the levels' graphs about changes nothing."""
    model = model_of(ModelSettings(**{**vars(SETTINGS), "terms": 1}))
    vertices, topology = template_of(2)
    geometry = prepare_geometry(vertices, topology, SETTINGS)
    lost = type(geometry.hierarchy)(geometry.hierarchy.chosen, geometry.hierarchy.positions,
                                    tuple(0.0 * laplacian for laplacian in geometry.hierarchy.laplacians),
                                    geometry.hierarchy.up, geometry.hierarchy.down)
    assert torch.equal(model(features_of(3)[None], geometry), model(features_of(3)[None], Geometry(lost, geometry.signal)))


def test_every_parameter_learns():
    """Some gradient reaches each parameter once the last layer has left zero; several processes rely on it."""
    model = model_of()
    vertices, topology = template_of(2)
    geometry = prepare_geometry(vertices, topology, SETTINGS)
    model(features_of(9)[None], geometry).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_signal_is_position_normal_and_waves():
    vertices, topology = template_of(1)
    vertices = vertices + torch.tensor([1.0, 2.0, 3.0])  # where the head stands does not matter
    faces = torch.from_numpy(topology.faces)
    signal = geometric_signal(vertices, faces, torch.arange(42))
    middle = (vertices.amax(0) + vertices.amin(0)) / 2
    position = (vertices - middle) / 0.1
    torch.testing.assert_close(signal[:, :3], position, **DOUBLE)
    torch.testing.assert_close(signal[:, 3:6].norm(dim=1), torch.ones(42, dtype=torch.float64), **DOUBLE)
    assert ((signal[:, 3:6] * position).sum(1) > 0).all()  # outwards
    torch.testing.assert_close(signal[:, 6:9], torch.sin(torch.pi * position), **DOUBLE)
    torch.testing.assert_close(signal[:, -3:], torch.cos(4 * torch.pi * position), **DOUBLE)
    torch.testing.assert_close(geometric_signal(vertices, faces, torch.tensor([5, 9])), signal[[5, 9]], **DOUBLE)
    shifted = geometric_signal(vertices, faces, torch.arange(42), middle + 0.01)
    torch.testing.assert_close(shifted[:, :3], position - 0.1, **DOUBLE)
    torch.testing.assert_close(shifted[:, 3:6], signal[:, 3:6], **DOUBLE)


@pytest.mark.parametrize("levels, vertices, sizes", [
    ((400, 100), 5023, (400, 100)),
    ((400, 100), 400, (400, 100)),
    ((400, 100), 150, (150, 75)),
    ((400, 300, 200), 500, (400, 200, 100)),
    ((400,), 42, (42,)),
])
def test_coarse_sizes_fit_the_mesh_and_fall(levels, vertices, sizes):
    assert coarse_sizes(levels, vertices) == sizes


def test_displacements_come_in_centimetres():
    model = model_of()
    with torch.no_grad():
        model.decoder.out.weight.zero_()
        model.decoder.out.bias.copy_(torch.tensor([1.0, 2.0, -1.0]))
    vertices, topology = template_of(1)
    moved = shown(model, features_of(2), vertices, topology) - vertices
    expected = (torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64) * DISPLACEMENT_UNIT).expand(2, 42, 3)
    torch.testing.assert_close(moved, expected, **DOUBLE)


def test_features_in_half_precision_become_the_networks_own_at_its_first_step():
    """As they come from the cache; to the same numbers as from features that were float32 before."""
    model, seen = OTTalk(SETTINGS), []
    torch.nn.init.normal_(model.decoder.out.weight, generator=torch.Generator().manual_seed(0))
    vertices, topology = template_of(1)
    geometry = prepare_geometry(vertices.float(), topology, SETTINGS)
    model.feature_norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    half = features_of(9)[None].half()
    motion = model(half, geometry)
    assert seen == [torch.float32] and motion.dtype == torch.float32
    assert torch.equal(motion, model(half.float(), geometry)) and motion.abs().max() > 0
