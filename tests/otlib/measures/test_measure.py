"""Meshes as measures: face by face, against trimesh, their stated errors, gradients, refusals."""

import numpy as np
import pytest
import torch
import trimesh

from otlib.measures.directions import draw_directions
from otlib.measures.measure import Measure, barycentres, surface_samples, varifold
from otlib.measures.sliced import sliced_wasserstein
from tests.oracles.mesh_naive import bumpy_grid, face_by_face

ROUNDING = 1e-13  # float64 and a handful of operations on values near 0.1
DEVIATIONS = 5  # standard errors: a random test of a fixed seed, far from failing by chance


@pytest.fixture
def grid():
    vertices, faces = bumpy_grid()
    return torch.from_numpy(vertices), torch.from_numpy(faces)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def sphere(subdivisions):
    found = trimesh.creation.icosphere(subdivisions)
    return torch.tensor(found.vertices), torch.tensor(found.faces)


def test_varifold_and_barycentres_agree_with_a_loop(grid):
    areas, normals, centres = face_by_face(*(part.numpy() for part in grid))
    found = varifold(*grid, normal_weight=0.03)
    np.testing.assert_allclose(found.points[:, :3], centres, atol=ROUNDING)
    np.testing.assert_allclose(found.points[:, 3:], 0.03 * normals, atol=ROUNDING)
    np.testing.assert_allclose(found.weights, areas / areas.sum(), atol=ROUNDING)
    plain = barycentres(*grid)
    assert torch.equal(plain.points, found.points[:, :3]) and torch.equal(plain.weights, found.weights)


@pytest.mark.parametrize("make", [varifold, barycentres, lambda v, f: surface_samples(v, f, 50, torch.Generator())])
def test_a_batch_keeps_shape_and_dtype_and_has_mass_one(make, grid):
    vertices, faces = grid
    measure = make(torch.stack([vertices, 3 * vertices])[None].float(), faces)
    assert measure.batch_shape == (1, 2) and measure.points.dtype == measure.weights.dtype == torch.float32
    torch.testing.assert_close(measure.weights.sum(-1), torch.ones(1, 2))


@pytest.mark.parametrize("make", [varifold, barycentres])
def test_gradients_of_points_and_weights_agree_with_central_differences(make, grid):
    vertices, faces = grid

    def parts(v):
        measure = make(v, faces)
        return measure.points, measure.weights

    torch.autograd.gradcheck(parts, (vertices.requires_grad_(),))


@pytest.mark.parametrize("make", [varifold, barycentres])
def test_a_face_without_area_has_no_mass_and_no_nan_in_the_gradient(make, grid):
    vertices, faces = grid
    flat = torch.cat([faces, torch.tensor([[0, 0, 1], [5, 5, 5]])])
    moved = (vertices + 0.01).requires_grad_()
    directions = draw_directions(4, make(vertices, faces).points.shape[-1], generator=torch.Generator(), dtype=torch.float64)
    with_flat = sliced_wasserstein(make(moved, flat), make(vertices, faces), directions)
    assert with_flat.item() == pytest.approx(
        sliced_wasserstein(make(moved, faces), make(vertices, faces), directions).item(), rel=1e-12)
    with_flat.backward()
    assert (make(moved, flat).weights[-2:] == 0).all() and torch.isfinite(moved.grad).all()


@pytest.mark.parametrize(("make", "dimension"), [(barycentres, 3), (varifold, 6)])
def test_moving_a_mesh_costs_its_square_over_the_dimension(make, dimension, grid, generator):
    """|t|^2 / 3 for points, |t|^2 / 6 with normals, which do not move; exactly so for one block of orthogonal directions."""
    vertices, faces = grid
    shift = torch.tensor([0.01, -0.02, 0.03], dtype=torch.float64)
    directions = draw_directions(dimension, dimension, sampler="orthogonal", generator=generator, dtype=torch.float64)
    found = sliced_wasserstein(make(vertices, faces), make(vertices + shift, faces), directions).item()
    assert found == pytest.approx((shift @ shift).item() / dimension, rel=1e-10)


def test_samples_lie_on_the_surface_and_follow_the_vertices(generator):
    vertices = torch.tensor([[0.0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], dtype=torch.float64).requires_grad_()
    samples = surface_samples(vertices, torch.tensor([[0, 1, 2], [0, 2, 3]]), 1000, generator)
    inside = (samples.points[:, :2] >= 0) & (samples.points[:, :2] <= 1)
    assert inside.all() and torch.allclose(samples.points[:, 2], torch.ones(1000, dtype=torch.float64))
    samples.points[:, 2].mean().backward()  # each point's shares of its corners sum to one
    assert vertices.grad[:, 2].sum().item() == pytest.approx(1) and (vertices.grad[:, 2] > 0).all()


def test_samples_are_as_uniform_as_those_of_trimesh(grid, generator):
    vertices, faces = grid
    count = 4000
    samples = surface_samples(vertices, faces, count, generator).points.numpy()
    theirs, _ = trimesh.sample.sample_surface(trimesh.Trimesh(vertices.numpy(), faces.numpy(), process=False), count, seed=1)
    for moment in (lambda p: p, lambda p: p**2, lambda p: p[:, [0]] * p[:, [2]]):
        error = np.sqrt((moment(samples).var(axis=0) + moment(theirs).var(axis=0)) / count)
        assert (np.abs(moment(samples).mean(axis=0) - moment(theirs).mean(axis=0)) < DEVIATIONS * error).all()


def test_samples_come_from_their_generator_alone(grid):
    state = torch.get_rng_state()
    first, second = (surface_samples(*grid, 20, torch.Generator().manual_seed(3)).points for _ in range(2))
    assert torch.equal(first, second) and torch.equal(state, torch.get_rng_state())


def test_stated_errors_fall_as_stated(generator):
    """SW_2 to the sphere itself (64 times more atoms): O(F^-1/2) for the two face measures, O(count^-1/2) for samples."""
    fine = sphere(5)
    for make, dimension in ((varifold, 6), (barycentres, 3)):
        directions = draw_directions(24, dimension, generator=generator, dtype=torch.float64)
        coarse, finer = (sliced_wasserstein(make(*sphere(level)), make(*fine), directions, root=True).item()
                         for level in (1, 2))
        assert 1.6 < coarse / finer  # four times the faces: at least about half the error
    directions = draw_directions(24, 3, generator=generator, dtype=torch.float64)
    few, many = (np.mean([sliced_wasserstein(surface_samples(*fine, count, generator), barycentres(*fine), directions,
                                             root=True).item() for _ in range(5)]) for count in (200, 3200))
    assert 2.5 < few / many < 6.5  # sixteen times the samples: about a quarter of the error


def test_restricting_keeps_a_region_with_mass_one(grid):
    measure = barycentres(*grid)
    region = measure.restrict(torch.tensor([3, 1]))
    assert torch.equal(region.points, measure.points[[3, 1]])
    torch.testing.assert_close(region.weights, measure.weights[[3, 1]] / measure.weights[[3, 1]].sum())


@pytest.mark.parametrize(("atoms", "culprit"), [([], "non-empty"), ([-1], "indices"), ([99], "indices")])
def test_bad_regions_are_refused(atoms, culprit, grid):
    with pytest.raises(ValueError, match=culprit):
        barycentres(*grid).restrict(torch.tensor(atoms, dtype=torch.long))


def good():
    return torch.rand(4, 3), torch.full((4,), 0.25)


@pytest.mark.parametrize(("change", "culprit"), [
    (lambda p, w: (p, w.index_fill(0, torch.tensor([2]), float("nan"))), r"weights .*nan at index \(2,\)"),
    (lambda p, w: (p.index_fill(0, torch.tensor([1]), float("inf")), w), r"points .*inf at index \(1, 0\)"),
    (lambda p, w: (p, torch.tensor([0.5, 0.5, 0.5, -0.5])), r"weights must not be negative.*\(3,\)"),
    (lambda p, w: (p, 0 * w), "weights must sum to one.* 0"),
    (lambda p, w: (p, 1.01 * w), "weights must sum to one.*1.01"),
    (lambda p, w: (torch.stack([p, p]), torch.stack([w, 2 * w])), r"measure \(1,\) sum to 2"),
    (lambda p, w: (p[:0], w[:0]), "empty"),
    (lambda p, w: (p, w.double()), "float32 and torch.float64"),
    (lambda p, w: (p.half(), w.half()), "float32 or both float64"),
    (lambda p, w: (p, w.to("meta")), "weights on meta"),
])
def test_bad_measures_are_refused_by_name(change, culprit):
    with pytest.raises(ValueError, match=culprit):
        Measure(*change(*good()))


@pytest.mark.parametrize(("change", "message"), [
    (lambda p, w: (p, w[:3]), "points"), (lambda p, w: (p[0], w[0]), "points"),
    (lambda p, w: (p.long(), w.long()), "must both be float32 or both float64"),
    (lambda p, w: (p.double().numpy(), w.double().numpy()), "^points must be a torch tensor, not numpy.ndarray$"),
    (lambda p, w: (p, w.tolist()), "^weights must be a torch tensor, not builtins.list$"),
])
def test_wrong_shapes_are_refused(change, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        Measure(*change(*good()))


@pytest.mark.parametrize(("call", "name"), [
    (lambda v, f: varifold(v.numpy(), f), "vertices"), (lambda v, f: barycentres(v, f.numpy()), "faces"),
    (lambda v, f: barycentres(v, f).restrict(np.array([1])), "atoms"),
    (lambda v, f: sliced_wasserstein(barycentres(v, f), barycentres(v, f), np.eye(3)), "directions"),
])
def test_numpy_arrays_are_refused_as_such(call, name, grid, without_type_checks):
    with pytest.raises(ValueError, match=f"^{name} must be a torch tensor, not numpy.ndarray$"):
        call(*grid)


def test_bad_meshes_and_settings_are_refused(grid):
    vertices, faces = grid
    for make in (varifold, barycentres, lambda v, f: surface_samples(v, f, 5, torch.Generator())):
        with pytest.raises(ValueError, match="areas of the faces are all zero"):
            make(0 * vertices, faces)
        with pytest.raises(ValueError, match="vertices must be finite"):
            make(vertices / 0, faces)
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="normal_weight"):
            varifold(vertices, faces, normal_weight=weight)
    with pytest.raises(ValueError, match="count"):
        surface_samples(vertices, faces, 0, torch.Generator())
