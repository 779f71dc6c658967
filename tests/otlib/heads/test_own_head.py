"""Heads of a person's own: the mouth, the frame of reference, the parts, and how motion comes back to all vertices."""

import numpy as np
import pytest
import trimesh

from data_prep.head import CONTROLS, make_head, pose
from otlib.errors import InputError
from otlib.heads import AXES, Known, understand_head

HEAD = make_head(resolution="low")
VERTICES, FACES = HEAD.vertices, HEAD.topology.faces
SEAM = HEAD.vertices[HEAD.topology.lip_gap].mean(0)
MILLIMETRE = 1e-3


def understood(vertices=VERTICES, faces=FACES, **known):
    return understand_head("face.obj", vertices, faces, Known(**known))


def motion(head):
    """A jaw that falls by 10 mm, below the mouth, in what the model sees; two frames."""
    template = head.seen[0]
    fall = np.clip((head.lips.middle[1] - template[:, 1]) / 0.02, 0, 1)[:, None] * [0, -0.010, 0]
    return np.stack([template, template + fall]).astype(np.float32)


def carried(head, stretch=None):
    return next(head.carried([motion(head) if stretch is None else stretch]))


def test_a_head_in_metres_that_is_upright_needs_nothing():
    head = understood()
    template, topology, middle = head.seen
    np.testing.assert_array_equal(head.template, VERTICES.astype(np.float32))
    np.testing.assert_array_equal(template, head.template)
    np.testing.assert_array_equal(topology.faces, FACES)
    assert middle is None and head.said == "upper teeth, lower teeth, 4 pieces of other"
    skin = head._parts.of("skin")
    whole = skin[head._seen.share[skin] == 1]
    stretch = template + np.random.default_rng(0).normal(0, 1e-3, (2, *template.shape)).astype(np.float32)
    np.testing.assert_array_equal(carried(head, stretch)[:, whole], stretch[:, whole])  # to the last bit
    assert len(whole) > 0.6 * len(skin)


def test_the_lips_and_their_line_are_found():
    head = understood()
    assert np.linalg.norm(head.lips.middle - SEAM) < 1 * MILLIMETRE
    assert sorted(head.topology.lip_gap) == sorted(HEAD.topology.lip_gap)
    assert head.topology.lip_gap[0] == HEAD.topology.lip_gap[0]  # the upper one first
    assert np.isin(HEAD.topology.lips, head.topology.lips).mean() > 0.9
    assert np.ptp(head.lips.line[:, 0]) > 0.040


def test_named_lips_are_taken():
    head = understood(lips=HEAD.topology.lips)
    np.testing.assert_array_equal(head.topology.lips, np.sort(HEAD.topology.lips))
    with pytest.raises(InputError, match="the lips named are not 25 to 85 mm wide across the middle of a face"):
        understood(lips=np.array([1, 2, 3]))


FRAMES = {  # what a file does to a head, and what is said
    "centimetres with z up": (np.stack([AXES["x"], AXES["-z"], AXES["y"]]), 0.01, "in centimetres, z up, facing -y; "),
    "millimetres, looking back": (np.diag([-1.0, 1.0, -1.0]), 0.001, "in millimetres, y up, facing -z; "),
    "decimetres, lying down": (np.stack([AXES["y"], AXES["-x"], AXES["z"]]), 0.1, "in decimetres, x up, facing z; "),
    "inches": (np.eye(3), 0.0254, "in inches; "),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "inches")) for name in FRAMES])
def test_unit_and_axes_are_found_and_motion_comes_back_in_them(name):
    rows, unit, said = FRAMES[name]
    head = understood(VERTICES @ rows.T / unit)
    assert head.said.startswith(said)
    np.testing.assert_allclose(head.template, VERTICES, atol=1e-7)
    np.testing.assert_allclose(head.frame.rotation, rows.T)
    assert head.frame.metres_per_unit == unit
    np.testing.assert_allclose(carried(head), carried(understood()), atol=1e-6)


def test_a_head_that_is_turned_is_turned_back():
    turn = trimesh.transformations.rotation_matrix(np.radians(40), [0, 1, 0])[:3, :3]
    head = understood(VERTICES @ turn.T)
    assert head.said.startswith("y up, facing z turned by 40 degrees; ")
    assert np.abs(head.template - VERTICES).max() < 2 * MILLIMETRE


def test_what_is_known_is_taken_and_a_contradiction_is_not():
    rows = np.stack([AXES["x"], AXES["-z"], AXES["y"]])
    assert understood(VERTICES @ rows.T, unit=1.0, up="z", forward="-y").said.startswith("z up, facing -y; ")
    with pytest.raises(InputError, match="--up y and --forward -y are one axis; give two"):
        understood(up="y", forward="-y")
    with pytest.raises(InputError, match="no mouth is found"):
        understood(unit=0.01)


@pytest.mark.parametrize("change", ["inside out", "mirrored", "some triangles"])
def test_triangles_are_turned_outwards(change):
    vertices = VERTICES * [-1, 1, 1] if change == "mirrored" else VERTICES
    turned = np.arange(len(FACES)) % 3 == 0 if change == "some triangles" else np.ones(len(FACES), dtype=bool)
    faces = np.where(turned[:, None], FACES[:, ::-1], FACES)
    if change == "mirrored":
        faces = FACES
    head = understood(vertices, faces)
    assert ("turned outwards" in head.said) and ("triangles" in head.said) == (change == "some triangles")
    np.testing.assert_array_equal(head.faces, faces)  # the file's own stay
    mesh = trimesh.Trimesh(head.template, head.topology.faces, process=False)
    assert mesh.is_winding_consistent and mesh.volume > 0


def test_triangles_that_are_not_joined_move_as_one_surface():
    head = understood(VERTICES[FACES.ravel()], np.arange(FACES.size).reshape(-1, 3))
    assert len(head.template) == FACES.size and len(head.seen[0]) == len(VERTICES)
    np.testing.assert_allclose(carried(head)[1], carried(understood())[1][FACES.ravel()], atol=1e-6)


def box(extents, middle):
    mesh = trimesh.creation.box(extents)
    vertices, faces = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, 0.05)
    return vertices + middle, faces


def joined(*meshes):
    first = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    return (np.concatenate([vertices for vertices, _ in meshes]),
            np.concatenate([faces + start for (_, faces), start in zip(meshes, first, strict=False)]))


def test_what_is_no_head_is_not_seen_and_stands_still():
    chest, hair = box([0.45, 0.4, 0.22], [0, -0.40, -0.03]), box([0.24, 0.30, 0.05], [0, 0.02, -0.15])
    vertices, faces = joined((VERTICES, FACES), chest, hair)
    head = understood(np.concatenate([vertices, [[0, 3, 0]]]), faces)  # and a stray vertex
    template, topology, _ = head.seen
    np.testing.assert_array_equal(template, VERTICES.astype(np.float32))
    np.testing.assert_array_equal(topology.faces, FACES)
    moved = np.linalg.norm(carried(head)[1] - head.template, axis=1)
    assert moved[len(VERTICES):].max() < 0.5 * MILLIMETRE and moved.max() > 9 * MILLIMETRE


def test_a_chest_that_hangs_together_with_the_face_changes_nothing_above():
    below = np.clip((-0.15 - VERTICES[:, 1]) / 0.03, 0, 1)[:, None]
    vertices = VERTICES * (1 + below * [1.5, 0, 0.8]) - below * [0, 0.3, 0]
    head = understood(*trimesh.remesh.subdivide_to_size(vertices, FACES, 0.1))
    middle = (head.seen[0].min(0) + head.seen[0].max(0)) / 2 if head.seen[2] is None else head.seen[2]
    assert np.linalg.norm(middle - (VERTICES.min(0) + VERTICES.max(0)) / 2) < 12 * MILLIMETRE
    assert head.seen[0][:, 1].min() > head.lips.middle[1] - 0.12
    moved = np.linalg.norm(carried(head)[1] - head.template, axis=1)
    assert moved[head.template[:, 1] < head.lips.middle[1] - 0.105].max() == 0


def test_a_face_without_a_back_is_seen_where_a_whole_head_has_it():
    kept = (VERTICES[FACES][:, :, 2] > 0.02).all(1) & (VERTICES[FACES][:, :, 1] > -0.12).all(1)
    used, faces = np.unique(FACES[kept], return_inverse=True)
    head = understood(VERTICES[used], faces.reshape(-1, 3))
    assert np.linalg.norm(head.seen[2] - (VERTICES.min(0) + VERTICES.max(0)) / 2) < 5 * MILLIMETRE


def test_lips_may_be_parted_a_little_and_may_be_the_border_of_a_hole():
    controls = np.zeros((1, len(CONTROLS)))
    controls[0, [CONTROLS.index("jaw"), CONTROLS.index("aperture")]] = 0.1
    parted = pose(HEAD, controls)[0].astype(float)
    assert 1.5 < HEAD.topology.gap_mm(parted) < 4
    head = understood(parted)
    assert np.linalg.norm(head.lips.middle - SEAM) < 4 * MILLIMETRE
    assert head.said.endswith(f"; lips {HEAD.topology.gap_mm(parted):.1f} mm apart at rest, so they will not quite shut")
    inner = np.concatenate([HEAD.topology.parts["mouth"], HEAD.topology.parts["teeth"]])
    used, faces = np.unique(np.delete(FACES, inner, 0), return_inverse=True)
    head = understood(VERTICES[used], faces.reshape(-1, 3))
    assert np.linalg.norm(head.lips.middle - SEAM) < 4 * MILLIMETRE


def test_parts_move_as_what_they_are():
    """Teeth of the built-in head, with eyeballs, a tongue, a beard and a loose upper incisor put to it."""
    eye = trimesh.creation.icosphere(2, 0.012)
    eyes = [(eye.vertices + SEAM + [side * 0.032, 0.07, -0.03], eye.faces) for side in (1, -1)]
    tongue = trimesh.creation.icosphere(2, 0.015)
    tongue = (tongue.vertices * [1, 0.5, 1.2] + SEAM + [0, -0.004, -0.035], tongue.faces)
    beard = box([0.02, 0.03, 0.01], SEAM + [0, -0.06, 0.02])
    incisor = trimesh.creation.box((0.007, 0.008, 0.007))  # a tooth of its own, beside the midline as a tongue is
    incisor = (incisor.vertices + SEAM + [0.004, 0.005, -0.008], incisor.faces)
    vertices, faces = joined((VERTICES, FACES), *eyes, tongue, beard, incisor)
    head = understood(vertices, faces)
    assert head.said == "2 eyeballs, upper teeth, lower teeth, tongue, 5 pieces of other"
    frames = carried(head)
    shift = frames[1] - head.template
    start = len(VERTICES) + 2 * len(eye.vertices)
    assert (shift[len(VERTICES):start] == 0).all()
    for jaw in (np.arange(start, start + len(tongue[0])), head._parts.of("lower teeth")):
        assert -0.0105 < shift[jaw, 1].mean() < -0.006
        rest, moved = head.template[jaw], frames[1][jaw]
        np.testing.assert_allclose(np.linalg.norm(moved - moved[:1], axis=1), np.linalg.norm(rest - rest[:1], axis=1),
                                   atol=1e-6)  # rigid
    upper = head._parts.of("upper teeth")
    assert np.isin(np.arange(len(shift) - len(incisor[0]), len(shift)), upper).all() and (shift[upper] == 0).all()
    assert shift[-len(incisor[0]) - len(beard[0]):-len(incisor[0]), 1].mean() < -0.008  # the chin's beard falls with it
    assert {"eyes", "teeth", "tongue", "lips"} <= set(head.topology.parts)


def test_gums_and_a_tongue_in_one_piece_are_carried_below_and_stand_still_above():
    """As on ICT-FaceKit's head, 98 mm deep: the jaw takes what lies under the teeth, and the palate stays."""
    gums = trimesh.creation.icosphere(3, 1.0)
    gums = (gums.vertices * [0.035, 0.024, 0.049] + SEAM + [0, 0.002, -0.054], gums.faces)
    head = understood(*joined((VERTICES, FACES), gums))
    assert "tongue" in head.said
    rest, moved = head.template[-len(gums[0]):], carried(head)[1][-len(gums[0]):]
    height = gums[0][:, 1] - SEAM[1]
    assert (moved[height > 0.010] == rest[height > 0.010]).all()
    low = height < -0.003
    assert (moved - rest)[low, 1].max() < -0.001 and (moved - rest)[low, 1].min() < -0.006
    np.testing.assert_allclose(*(np.linalg.norm(place[low] - place[low][0], axis=1) for place in (rest, moved)), atol=1e-6)
    edges = trimesh.Trimesh(*gums, process=False).edges_unique
    long = [np.linalg.norm(np.subtract(*place[edges.T]), axis=1).max() for place in (rest, moved)]
    assert long[1] < 1.5 * long[0]  # no crack between


@pytest.mark.parametrize(("vertices", "faces", "message"), [
    (trimesh.creation.icosphere(3, 0.1).vertices, trimesh.creation.icosphere(3, 0.1).faces, "no mouth is found, a slit"),
    (VERTICES / 0.37, FACES, "in no usual unit is it as wide as an adult's; say how many metres a unit is with --unit"),
    (np.zeros((3, 3)), np.array([[0, 1, 2]]), "its vertices span 0 units"),
    (VERTICES * 1e200, FACES, "which is no head"),
])
def test_what_is_not_sure_is_refused_in_one_sentence(vertices, faces, message):
    with pytest.raises(InputError, match=message) as refused:
        understood(vertices, faces)
    assert str(refused.value).startswith("face.obj: ") and "\n" not in str(refused.value)


def test_a_flat_face_is_refused():
    with pytest.raises(InputError, match="face.obj: "):
        understood(VERTICES * [1, 1, 0])
