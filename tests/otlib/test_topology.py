"""Topology: what it refuses, what it fills in, and how wide a mouth is open."""

import numpy as np
import pytest

from otlib.topology import Topology

FACES = np.array([[0, 1, 2], [0, 2, 3], [1, 3, 2]])
EXACT = {"rtol": 1e-12, "atol": 0.0}  # float64, one root


def test_lists_become_arrays_and_faces_stay_as_they_are():
    topology = Topology(FACES.astype(np.int32), {"lips": [0, 1], "jaw": np.array([3], np.int32)}, {"skin": (0, 2)})
    assert topology.faces.dtype == np.int32
    assert {name: (indices.dtype, indices.tolist()) for name, indices in (topology.regions | topology.parts).items()} == {
        "lips": (np.int64, [0, 1]), "jaw": (np.int64, [3]), "skin": (np.int64, [0, 2])}
    assert topology.lips is topology.region("lips")


def test_without_a_number_of_vertices_it_is_the_fewest_that_are_needed():
    assert Topology(FACES).vertex_count == 4
    assert Topology(FACES, {"lips": [6]}).vertex_count == 7
    assert Topology(FACES, {"lips": [6]}, vertex_count=9).vertex_count == 9


@pytest.mark.parametrize("frames", [(), (5,), (2, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gap_is_the_distance_of_the_pair_in_mm(frames, dtype):
    """A lower lip 3, 4 and 12 mm off the upper one is 13 mm away; float32 holds a head's metres to 1e-8."""
    vertices = np.zeros((*frames, 4, 3), dtype)
    vertices[..., 2, :] = 0.25
    vertices[..., 1, :] = np.array(0.25, dtype) - np.array([0.003, -0.004, 0.012], dtype)
    gap = Topology(FACES, {"lip_gap": [2, 1]}).gap_mm(vertices)
    assert gap.dtype == np.float64 and np.shape(gap) == frames
    np.testing.assert_allclose(gap, 13.0, rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_the_gap_of_single_precision_is_computed_in_double():
    vertices = np.random.default_rng(0).normal(size=(7, 4, 3)).astype(np.float32)
    topology = Topology(FACES, {"lip_gap": [3, 0]})
    np.testing.assert_allclose(topology.gap_mm(vertices), topology.gap_mm(vertices.astype(float)), **EXACT)


REFUSED = {
    "no face": (lambda: Topology(FACES[:0]), "faces must be integers of shape"),
    "quads": (lambda: Topology(np.zeros((2, 4), int)), "faces must be integers of shape"),
    "real faces": (lambda: Topology(FACES.astype(float)), "faces must be integers of shape"),
    "negative corner": (lambda: Topology(FACES - 1), "a face names vertex -1"),
    "corner out of range": (lambda: Topology(FACES, vertex_count=3), "a face names vertex 3, there are 3 of them"),
    "region out of range": (lambda: Topology(FACES, {"lips": [4]}, vertex_count=4), "lips names vertex 4, there are 4"),
    "negative vertex": (lambda: Topology(FACES, {"lips": [-1]}), "lips names vertex -1"),
    "empty region": (lambda: Topology(FACES, {"lips": []}), "lips is not a list of one or more whole numbers"),
    "true": (lambda: Topology(FACES, {"lips": [True]}), "lips is not a list"),
    "number": (lambda: Topology(FACES, {"lips": np.array(1)}), "lips is not a list"),
    "half a vertex": (lambda: Topology(FACES, {"lips": [0.5]}), "lips is not a list"),
    "one of a pair": (lambda: Topology(FACES, {"lip_gap": [1]}), "lip_gap must name an upper and a lower vertex, not 1"),
    "part out of range": (lambda: Topology(FACES, parts={"skin": [3]}), "skin names face 3, there are 3 of them"),
    "two parts": (lambda: Topology(FACES, parts={"skin": [0, 1], "lips": [1]}), "face 1 is in 2 parts"),
    "no lips": (lambda: Topology(FACES, {"jaw": [0]}).lips, "no region 'lips'; it has jaw"),
    "no pair": (lambda: Topology(FACES).gap_mm(np.zeros((4, 3))), "no region 'lip_gap'; it has none"),
    "few vertices": (lambda: Topology(FACES, {"lip_gap": [0, 1]}).gap_mm(np.zeros((3, 3))), r"vertices: shape \(3, 3\)"),
    "planar": (lambda: Topology(FACES).check("template", (4, 2)), r"template: shape \(4, 2\), expected \(..., 4, 3\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_named(name):
    act, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        act()


def test_a_face_named_twice_by_one_part_is_in_one_part():
    assert Topology(FACES, parts={"skin": [0, 0]}).parts["skin"].tolist() == [0, 0]
