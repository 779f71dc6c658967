"""Shapes carried from head to head, against heads whose own shapes are known."""

import numpy as np
import pytest

from data_prep.head import IDENTITY_DIRECTIONS, make_head
from data_prep.head.rig import WEIGHTS
from otlib.heads import transfer, understand_head

NAMES = ("jaw turn", "aperture", "round", "spread", "protrude", "tuck")
SIZES = np.array([0.185, 1.0, 1.0, 1.0, 1.0, 1.0])  # the weights at a control of 1
IDENTITY = np.random.default_rng(3).normal(size=len(IDENTITY_DIRECTIONS))


def shapes_of(head):
    return head.motion[[WEIGHTS.index(name) for name in NAMES]] * SIZES[:, None, None]


def understood(head):
    return understand_head("head.obj", head.vertices, head.topology.faces)


def distance_mm(one, two):
    return 1000 * np.linalg.norm(one - two, axis=-1)


SOURCE, PERSON = make_head(resolution="low"), make_head(IDENTITY, "medium")
FROM, TO = understood(SOURCE), understood(PERSON)


@pytest.fixture(autouse=True)
def _fewer_points(monkeypatch):
    monkeypatch.setattr(transfer, "_POINTS", 600)
    monkeypatch.setattr(transfer, "_SAMPLES", 20_000)


@pytest.fixture(scope="module")
def carried():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "_POINTS", 1000)
        return transfer.carry_shapes(shapes_of(SOURCE), FROM, TO)


def test_shapes_come_to_another_person_of_another_mesh_as_they_are_there(carried):
    true, lips = shapes_of(PERSON), PERSON.topology.lips
    off, still = distance_mm(carried, true)[:, lips], distance_mm(true, 0)[:, lips]
    assert carried.shape == true.shape and carried.dtype == np.float32
    assert (off.mean(1) < 0.8).all()
    assert (off.mean(1) < 0.35 * still.mean(1)).all()  # the control: shapes that move nothing


def test_each_lip_takes_the_motion_of_its_own(carried):
    upper, lower = (PERSON.topology.region(name) for name in ("lips_upper", "lips_lower"))
    apart = carried[NAMES.index("aperture"), :, 1]
    away = np.abs(PERSON.vertices[:, 0] - FROM.lips.middle[0]) < 0.010  # beside the middle
    assert (apart[np.intersect1d(upper, np.flatnonzero(away))] > -1e-4).all()
    assert (apart[np.intersect1d(lower, np.flatnonzero(away))] < 1e-4).all()


def test_without_normals_the_lips_are_taken_for_one_another(monkeypatch):
    monkeypatch.setattr(transfer, "_OPPOSITE", 0.0)
    blind = transfer.carry_shapes(shapes_of(SOURCE)[1:2], FROM, TO)
    lips = PERSON.topology.lip_gap
    assert blind[0, lips[0], 1] - blind[0, lips[1], 1] < 0.5 * np.subtract(*shapes_of(PERSON)[1][lips, 1])


def test_teeth_follow_the_jaw_and_upper_ones_stand_still(carried):
    jaw, teeth = carried[0], np.unique(PERSON.topology.faces[PERSON.topology.parts["teeth"]])
    moved = np.linalg.norm(jaw[teeth], axis=1)
    low = PERSON.vertices[teeth, 1] < TO.lips.middle[1] - 0.004
    assert (moved[low] > 0.003).all() and moved.min() == 0


def test_a_head_in_another_frame_gets_them_in_metres_upright(carried):
    turned = PERSON.vertices @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T / 0.01  # centimetres, z up
    there = transfer.carry_shapes(shapes_of(SOURCE)[:1], FROM, understand_head("z.obj", turned, PERSON.topology.faces))
    assert distance_mm(there[0], shapes_of(PERSON)[0])[PERSON.topology.lips].mean() < 1.0


def test_there_and_back_is_where_they_were(carried):
    back = transfer.carry_shapes(carried, TO, FROM)
    off = distance_mm(back, shapes_of(SOURCE))[:, SOURCE.topology.lips]
    assert (off.mean(1) < 1.0).all()


def test_a_vertex_that_tears_off_moves_as_its_neighbours_do():
    skin = transfer._skin(TO)
    smooth = np.stack([skin.vertices * 0.1, skin.vertices[:, [1, 2, 0]] * 0.2])
    spoiled, far = smooth.copy(), [200, 2000]
    spoiled[0, far] += 0.03
    mended = transfer._mended(skin, spoiled)
    off = np.linalg.norm(mended - smooth, axis=2)
    assert 0 < off[:, far].max() < 0.002 and np.delete(off, far, axis=1).max() == 0
    assert np.array_equal(transfer._mended(skin, smooth.copy()), smooth)


def test_shapes_of_another_mesh_are_refused():
    with pytest.raises(ValueError, match=r"expected \(K, \d+, 3\) as the source"):
        transfer.carry_shapes(np.zeros((2, 5, 3)), FROM, TO)
