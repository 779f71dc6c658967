"""Smooth normals against a ball and a box, where they are known."""

import numpy as np
import pytest
import trimesh

from otlib.viz.normals import VertexNormals, split_creases
from tests.fixtures.talking_ball import RADIUS, ball

FACET_DEGREES = 1.0  # facets of 8 degrees, averaged over six neighbours
EXACT = 1e-6  # float32


def test_normals_of_a_ball_point_outwards():
    vertices, faces, _ = ball()
    normals = VertexNormals(faces, len(vertices))(vertices)
    assert normals.dtype == vertices.dtype
    cosine = (normals * vertices).sum(1) / RADIUS
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < FACET_DEGREES


def test_a_vertex_without_area_still_has_a_unit_normal():
    vertices = np.zeros((4, 3), np.float32)
    vertices[1, 0] = vertices[2, 1] = 1.0
    normals = VertexNormals(np.array([[0, 1, 2]]), 4)(vertices)
    np.testing.assert_array_equal(normals, np.tile([0.0, 0.0, 1.0], (4, 1)))


def test_a_ball_has_no_creases():
    vertices, faces, _ = ball()
    split, copied = split_creases(vertices, faces)
    assert len(copied) == len(vertices)
    np.testing.assert_array_equal(copied[split], faces)


def wedge(degrees):
    """Two triangles that meet in an edge and bend by an angle."""
    turn = np.radians(degrees)
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -np.cos(turn), -np.sin(turn)]], dtype=float)
    return vertices, np.array([[0, 1, 2], [1, 0, 3]])


@pytest.mark.parametrize(("degrees", "count"), [(0, 4), (90, 4), (100, 6), (-90, 4), (-100, 6)])
def test_only_sharp_edges_are_split(degrees, count):
    vertices, faces = wedge(degrees)
    split, copied = split_creases(vertices, faces)
    assert len(copied) == count
    np.testing.assert_array_equal(copied[split], faces)


def test_a_sharp_rim_keeps_both_normals():
    # A cone with a flat bottom: its side leans by 20 degrees, so rim edges bend by 110.
    cone = trimesh.creation.cone(radius=np.tan(np.radians(20)), height=1.0, sections=48)
    vertices, faces = np.asarray(cone.vertices), np.asarray(cone.faces)
    split, copied = split_creases(vertices, faces)
    normals = VertexNormals(split, len(copied))(vertices[copied])
    bottom = (vertices[faces][:, :, 2] == vertices[:, 2].min()).all(1)
    np.testing.assert_allclose(
        normals[np.unique(split[bottom])], [[0, 0, -1]] * len(np.unique(split[bottom])), atol=EXACT
    )
    assert not set(split[bottom].ravel()) & set(split[~bottom].ravel())
