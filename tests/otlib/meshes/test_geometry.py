"""Areas and normals of faces: a loop and trimesh as oracles, gradients, refusals."""

import numpy as np
import pytest
import torch
import trimesh

from otlib.meshes import geometry as mesh
from tests.oracles.mesh_naive import bumpy_grid, face_by_face

ROUNDING = 1e-13  # float64 and a handful of operations on values near 0.1


@pytest.fixture
def grid():
    vertices, faces = bumpy_grid()
    return torch.from_numpy(vertices), torch.from_numpy(faces)


def test_faces_agree_with_a_loop_and_with_trimesh(grid):
    vertices, faces = grid
    found = [f(vertices, faces).numpy() for f in (mesh.face_areas, mesh.face_normals)]
    for value, expected in zip(found, face_by_face(vertices.numpy(), faces.numpy())[:2], strict=True):
        np.testing.assert_allclose(value, expected, atol=ROUNDING)
    other = trimesh.Trimesh(vertices.numpy(), faces.numpy(), process=False)
    for value, expected in zip(found, (other.area_faces, other.face_normals), strict=True):
        np.testing.assert_allclose(value, expected, atol=ROUNDING)


def test_normals_point_out_of_a_counter_clockwise_face():
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert mesh.face_normals(vertices, torch.tensor([[0, 1, 2]])).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("function", [mesh.face_areas, mesh.face_normals, mesh.face_vectors])
def test_a_batch_is_its_singles_and_keeps_the_dtype(function, grid):
    vertices, faces = grid
    batch = torch.stack([vertices, 2 * vertices])[:, None].float()
    values = function(batch, faces.int())
    assert values.dtype == torch.float32
    for index in range(2):
        assert torch.equal(values[index, 0], function(batch[index, 0], faces))


@pytest.mark.parametrize("function", [mesh.face_areas, mesh.face_normals])
def test_gradients_agree_with_central_differences(function, grid):
    vertices, faces = grid
    torch.autograd.gradcheck(lambda v: function(v, faces), (vertices.requires_grad_(),))


def test_a_face_without_area_has_a_zero_normal_and_finite_gradients(grid):
    vertices, faces = grid
    faces = torch.cat([faces, torch.tensor([[0, 0, 1], [2, 2, 2]])])
    vertices.requires_grad_()
    normals, areas = mesh.face_normals(vertices, faces), mesh.face_areas(vertices, faces)
    assert (normals[-2:] == 0).all() and (areas[-2:] == 0).all()
    (normals.sum() + areas.sum()).backward()
    assert torch.isfinite(vertices.grad).all()


@pytest.mark.parametrize(("change", "culprit"), [
    (lambda v, f: (v, f + 1), "face"),
    (lambda v, f: (v, f - 1), "face 0 has corners"),
    (lambda v, f: (v, f[:0]), "empty"),
    (lambda v, f: (v.index_fill(0, torch.tensor([3]), float("nan")), f), r"vertices .*\(3, 0\)"),
    (lambda v, f: (v.index_fill(0, torch.tensor([4]), -float("inf")), f), r"vertices .*-inf at index \(4, 0\)"),
    (lambda v, f: (v, f.to("meta")), "faces are on meta"),
])
def test_bad_meshes_are_refused_by_name(change, culprit, grid):
    with pytest.raises(ValueError, match=culprit):
        mesh.check_mesh(*change(*grid))


@pytest.mark.parametrize(("change", "message"), [
    (lambda v, f: (v[:, :2], f), r"vertices must be floating point of shape \(\.\.\., V, 3\), got torch.float64"),
    (lambda v, f: (v.long(), f), "vertices must be floating point"),
    (lambda v, f: (v, f[:, :2]), r"faces must be integers of shape \(F, 3\), got torch.int64"),
    (lambda v, f: (v, f.double()), "faces must be integers"),
])
def test_wrong_shapes_and_dtypes_are_refused(change, message, grid, without_type_checks):
    with pytest.raises(ValueError, match=message):
        mesh.check_mesh(*change(*grid))
