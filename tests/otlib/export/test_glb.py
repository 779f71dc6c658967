"""Animated glTF read back by an independent parser, and the morph targets against a plain decomposition."""

import numpy as np
import pytest

from otlib.errors import InputError
from otlib.export.glb import write_glb
from otlib.export.morph_targets import fit_morph_targets
from otlib.topology import Topology
from otlib.viz.normals import VertexNormals
from tests.fixtures.talking_ball import FRAME_RATE, ball, talk
from tests.oracles.glb_reader import Glb

TOLERANCE_MM = 0.1  # what the project promises
ROUNDING_MM = 1e-4  # float32 of a 0.1 m ball is exact to 1e-5 mm; the sum of a few targets adds some
NORMAL_SHARE = 0.2  # of the motion of normals, which is not linear in the weights, missed at the worst vertex


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    vertices, faces, parts = ball()
    sequence = talk(vertices)
    path = tmp_path_factory.mktemp("glb") / "ball.glb"
    report = write_glb(path, sequence, Topology(faces, parts=parts), FRAME_RATE, template=vertices)
    return Glb(path.read_bytes()), report, sequence, faces, parts


def angles_degrees(a, b):
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


def test_the_animation_is_the_sequence_at_every_key(written):
    glb, report, sequence, faces, parts = written
    times = glb.key_times()
    np.testing.assert_allclose(times, np.arange(len(sequence)) / FRAME_RATE, atol=1e-6)
    skin = np.setdiff1d(np.arange(len(faces)), np.concatenate(list(parts.values())))
    largest = 0.0
    for frame, time in enumerate(times):
        weights = glb.weights_at(time)
        for primitive, members in zip(glb.primitives, [skin, parts["lips"], parts["eyes"]], strict=True):
            error = glb.triangles(primitive, weights) - sequence[frame][faces[members]]
            largest = max(largest, 1e3 * np.linalg.norm(error, axis=-1).max())
    assert largest <= TOLERANCE_MM
    assert largest == pytest.approx(report.max_error_mm, abs=ROUNDING_MM)
    assert report.within_tolerance


def test_between_keys_the_head_moves_in_a_straight_line(written):
    glb, _, _, _, _ = written
    middle = glb.weights_at(4.5 / FRAME_RATE)
    np.testing.assert_allclose(middle, (glb.weights_at(4 / FRAME_RATE) + glb.weights_at(5 / FRAME_RATE)) / 2, atol=1e-6)


def test_the_shape_at_rest_is_the_template(written):
    glb, report, sequence, _, _ = written
    at_rest = np.concatenate([glb.array(p["attributes"]["POSITION"]) for p in glb.primitives])
    assert {tuple(v) for v in at_rest} == {tuple(v) for v in sequence[0]}
    assert glb.document["meshes"][0]["weights"] == [0.0] * report.targets
    assert len(glb.document["meshes"][0]["extras"]["targetNames"]) == report.targets


def test_normals_follow_the_motion(written):
    glb, _, sequence, faces, _ = written
    normals = VertexNormals(faces, sequence.shape[1])
    frame = 10  # the mouth is widest
    truth = {tuple(v): n for v, n in zip(sequence[0], normals(sequence[frame]), strict=True)}
    moved, missed = 0.0, 0.0
    for primitive in glb.primitives:
        base = glb.array(primitive["attributes"]["NORMAL"])
        shown = glb.morphed(primitive, "NORMAL", glb.weights_at(frame / FRAME_RATE))
        shown /= np.linalg.norm(shown, axis=1, keepdims=True)
        expected = np.array([truth[tuple(v)] for v in glb.array(primitive["attributes"]["POSITION"])])
        missed = max(missed, angles_degrees(shown, expected).max())
        moved = max(moved, angles_degrees(base, expected).max())
    assert moved > 10  # degrees
    assert missed < NORMAL_SHARE * moved


def test_parts_keep_their_names_and_colours(written):
    glb, _, _, faces, parts = written
    assert [material["name"] for material in glb.document["materials"]] == ["skin", "lips", "eyes"]
    colours = {tuple(m["pbrMetallicRoughness"]["baseColorFactor"]) for m in glb.document["materials"]}
    assert len(colours) == 3
    counts = [len(glb.array(primitive["indices"])) // 3 for primitive in glb.primitives]
    assert counts == [len(faces) - len(parts["lips"]) - len(parts["eyes"]), len(parts["lips"]), len(parts["eyes"])]


def test_one_target_fewer_misses_the_tolerance(written):
    _, report, sequence, _, _ = written
    assert report.targets > 2  # the ball's motion turns, so no two displacements add up to it
    fewer = fit_morph_targets(sequence, sequence[0], report.targets - 1, TOLERANCE_MM)
    assert fewer.max_error_mm > TOLERANCE_MM


def test_the_components_are_those_of_a_plain_decomposition():
    rng = np.random.default_rng(0)
    falling = 0.01 * 0.7 ** np.arange(40)  # metres; speech falls off faster
    motion = (rng.standard_normal((60, 40)) * falling) @ rng.standard_normal((40, 90)) / 90**0.5
    sequence = motion.reshape(60, 30, 3)
    base = np.zeros((30, 3), np.float32)
    fitted = fit_morph_targets(sequence, base, 7, 0.0)
    u, s, v = np.linalg.svd(motion, full_matrices=False)
    best = (u[:, :7] * s[:7]) @ v[:7]
    found = np.einsum("tk,kvc->tvc", fitted.weights, fitted.displacements).reshape(60, 90)
    # both leave the same rest, to the rounding of float32 weights
    assert np.linalg.norm(motion - found) == pytest.approx(np.linalg.norm(motion - best), rel=1e-5)
    assert np.abs(fitted.weights).max(0) == pytest.approx(1.0)


def test_too_few_targets_are_reported_not_hidden(tmp_path):
    vertices, faces, _ = ball(2)
    report = write_glb(tmp_path / "few.glb", talk(vertices), Topology(faces), FRAME_RATE, max_targets=1)
    assert report.targets == 1
    assert report.max_error_mm > TOLERANCE_MM
    assert not report.within_tolerance


@pytest.mark.parametrize("frames", [1, 2])
def test_a_still_head_is_written_with_one_target(tmp_path, frames):
    vertices, faces, _ = ball(1)
    path = tmp_path / "still.glb"
    report = write_glb(path, np.repeat(vertices[None], frames, 0), Topology(faces), FRAME_RATE)
    assert (report.targets, report.max_error_mm) == (1, pytest.approx(0.0, abs=ROUNDING_MM))
    assert len(Glb(path.read_bytes()).key_times()) == frames


def test_the_same_sequence_gives_the_same_bytes(tmp_path):
    vertices, faces, _ = ball(1)
    for name in ("a.glb", "b.glb"):
        write_glb(tmp_path / name, talk(vertices), Topology(faces), FRAME_RATE)
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "b.glb").read_bytes()


def test_bad_input_is_named_and_leaves_no_file(tmp_path):
    vertices, faces, _ = ball(1)
    sequence = talk(vertices, 3)
    path = tmp_path / "bad.glb"
    holed = sequence.copy()
    holed[1, 4, 2] = np.nan
    with pytest.raises(ValueError, match="vertices: a value in frames"):
        write_glb(path, holed, Topology(faces), FRAME_RATE)
    with pytest.raises(ValueError, match="vertices: shape .*as the topology"):
        write_glb(path, sequence, Topology(faces + 1), FRAME_RATE)
    with pytest.raises(ValueError, match="no frames"):
        write_glb(path, sequence[:0], Topology(faces), FRAME_RATE, template=vertices)
    with pytest.raises(ValueError, match="frame_rate"):
        write_glb(path, sequence, Topology(faces), 0.0)
    with pytest.raises(ValueError, match="max_targets"):
        write_glb(path, sequence, Topology(faces), FRAME_RATE, max_targets=0)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="cannot be written"):
        write_glb(tmp_path, sequence, Topology(faces), FRAME_RATE)  # a folder
