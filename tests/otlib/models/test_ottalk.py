"""The model: what it shows untrained, what it does not depend on, and recordings longer than a window."""

import numpy as np
import pytest
import torch

from otlib.models.ottalk import (
    DISPLACEMENT_UNIT,
    ModelSettings,
    OTTalk,
    animate,
    coarse_sizes,
    geometric_signal,
    prepare_geometry,
)
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
    """A dented ball, so that no two vertices are alike: (vertices float64, faces)."""
    vertices, faces, _ = ball(subdivisions)
    dents = np.random.default_rng(seed).uniform(0.9, 1.1, (len(vertices), 1))
    return torch.from_numpy(vertices * dents).double(), torch.from_numpy(faces)


def features_of(frames, seed=1):
    return torch.randn(frames, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shown(model, features, vertices, faces, **options):
    """All frames of a recording on a template, (T, V, 3)."""
    geometry = prepare_geometry(vertices, faces, model.settings)
    return torch.cat(list(animate(model, features, vertices, geometry, **options)))


def test_the_untrained_model_shows_the_template():
    vertices, faces = template_of(2)
    motion = shown(OTTalk(SETTINGS).double(), features_of(5), vertices, faces)
    assert torch.equal(motion, vertices.expand(5, -1, -1))


def test_parameters_do_not_depend_on_the_vertices_and_run_on_any_topology():
    model = model_of()
    for subdivisions, count in ((1, 42), (2, 162), (3, 642)):
        vertices, faces = template_of(subdivisions)
        assert all(count not in parameter.shape for parameter in model.parameters())
        motion = shown(model, features_of(4), vertices, faces)
        assert motion.shape == (4, count, 3)
        assert (motion - vertices).abs().max() > SENSIBLE


def test_a_template_with_its_vertices_in_another_order_moves_alike():
    """With lips given, as always in use: counted edges alone tie, and ties go to the vertex that comes first."""
    model, features = model_of(), features_of(4)
    vertices, faces = template_of(2)
    lips = torch.arange(3, 12)
    order = torch.randperm(len(vertices), generator=torch.Generator().manual_seed(2))
    renamed = torch.argsort(order)
    geometry = prepare_geometry(vertices, faces, SETTINGS, lips)
    moved = prepare_geometry(vertices[order], renamed[faces], SETTINGS, renamed[lips])
    motion, again = (torch.cat(list(animate(model, features, template, g)))
                     for template, g in ((vertices, geometry), (vertices[order], moved)))
    torch.testing.assert_close(again, motion[:, order], **DOUBLE)


@pytest.mark.parametrize("window", [1, 7, 16, 69, 70])
def test_windows_give_what_one_pass_gives(window):
    model, features = model_of(), features_of(70)
    vertices, faces = template_of(1)
    geometry = prepare_geometry(vertices, faces, SETTINGS)
    whole = vertices + model(features[None], geometry.signal[None], geometry.hierarchy)[0]
    stretches = list(animate(model, features, vertices, geometry, window=window))
    assert max(len(stretch) for stretch in stretches) == window
    assert not any(stretch.requires_grad for stretch in stretches)
    torch.testing.assert_close(torch.cat(stretches), whole, **DOUBLE)
    assert whole.std(0).max() > SENSIBLE


def test_a_frame_depends_on_no_audio_beyond_the_reach():
    model, features = model_of(), features_of(40)
    vertices, faces = template_of(1)
    frame, changed = 15, features.clone()
    changed[frame + model.reach + 1:] = features_of(40, seed=2)[frame + model.reach + 1:]
    before, after = (shown(model, x, vertices, faces) for x in (features, changed))
    assert torch.equal(before[: frame + 1], after[: frame + 1])
    assert not torch.equal(before[frame + 1], after[frame + 1])


def test_clips_of_a_batch_are_single_clips():
    model = model_of()
    vertices, faces = template_of(2)
    geometry = prepare_geometry(vertices, faces, SETTINGS)
    narrow = prepare_geometry(vertices * torch.tensor([0.9, 1.0, 1.0]), faces, SETTINGS, hierarchy=geometry.hierarchy)
    signals, features = torch.stack([geometry.signal, narrow.signal]), torch.stack([features_of(6, 1), features_of(6, 2)])
    together = model(features, signals, geometry.hierarchy)
    for index in range(2):
        alone = model(features[index, None], signals[index, None], geometry.hierarchy)[0]
        torch.testing.assert_close(together[index], alone, **DOUBLE)
    other_head = model(features[:1], signals[1:], geometry.hierarchy)[0]
    assert (other_head - together[0]).abs().max() > SENSIBLE  # geometry matters


def test_one_term_sees_each_vertex_alone():
    """With K = 1 the decoder's graph is off: moving the levels' graphs about changes nothing."""
    model = model_of(ModelSettings(**{**vars(SETTINGS), "terms": 1}))
    vertices, faces = template_of(2)
    geometry = prepare_geometry(vertices, faces, SETTINGS)
    lost = type(geometry.hierarchy)(geometry.hierarchy.chosen, geometry.hierarchy.positions,
                                    tuple(0.0 * laplacian for laplacian in geometry.hierarchy.laplacians),
                                    geometry.hierarchy.up, geometry.hierarchy.down)
    arguments = features_of(3)[None], geometry.signal[None]
    assert torch.equal(model(*arguments, geometry.hierarchy), model(*arguments, lost))


def test_every_parameter_learns():
    """Some gradient reaches each parameter once the last layer has left zero; several processes rely on it."""
    model = model_of()
    vertices, faces = template_of(2)
    geometry = prepare_geometry(vertices, faces, SETTINGS)
    model(features_of(9)[None], geometry.signal[None], geometry.hierarchy).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_signal_is_position_normal_and_waves():
    vertices, faces = template_of(1)
    vertices = vertices + torch.tensor([1.0, 2.0, 3.0])  # where the head stands does not matter
    signal = geometric_signal(vertices, faces, torch.arange(42))
    middle = (vertices.amax(0) + vertices.amin(0)) / 2
    position = (vertices - middle) / 0.1
    torch.testing.assert_close(signal[:, :3], position, **DOUBLE)
    torch.testing.assert_close(signal[:, 3:6].norm(dim=1), torch.ones(42, dtype=torch.float64), **DOUBLE)
    assert ((signal[:, 3:6] * position).sum(1) > 0).all()  # outwards
    torch.testing.assert_close(signal[:, 6:9], torch.sin(torch.pi * position), **DOUBLE)
    torch.testing.assert_close(signal[:, -3:], torch.cos(4 * torch.pi * position), **DOUBLE)
    torch.testing.assert_close(geometric_signal(vertices, faces, torch.tensor([5, 9])), signal[[5, 9]], **DOUBLE)


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
        model.out.weight.zero_()
        model.out.bias.copy_(torch.tensor([1.0, 2.0, -1.0]))
    vertices, faces = template_of(1)
    moved = shown(model, features_of(2), vertices, faces) - vertices
    expected = (torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64) * DISPLACEMENT_UNIT).expand(2, 42, 3)
    torch.testing.assert_close(moved, expected, **DOUBLE)
