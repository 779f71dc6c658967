"""Closures of the mouth, surfaces without correspondence, and all scores of a clip together."""

import math

import numpy as np
import pytest
import torch

from otlib.measures.directions import draw_directions
from otlib.metrics import Soundtrack, aggregate, evaluate_sequence
from otlib.metrics.closures import ClosureCounts, ClosureSettings, closure_counts
from otlib.metrics.shapes import chamfer_distance, mesh_sliced_wasserstein
from otlib.phonemes import Phoneme
from otlib.topology import Topology
from tests.oracles import metrics_naive

RATE = 30.0
TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)

# 30 frames: a pause, then ten sounds of 0.1 s (three frames), of which p and m need closed lips
SOUNDS = [Phoneme(symbol, tenth / 10, (tenth + 1) / 10)
          for tenth, symbol in enumerate(["", "ɐ", "p", "uː", "s", "ˈm", "a", "l", "o", ""])]
OPEN, SHUT = 10.0, 0.2  # mm


def gap(*closed_spans):
    """A lip gap of 30 frames, open but in the given frame ranges."""
    values = np.full(30, OPEN)
    for first, last in closed_spans:
        values[first:last] = SHUT
    return values


PERFECT = gap((0, 3), (6, 9), (15, 18), (27, 30))


@pytest.mark.parametrize(("prediction", "expected"), [
    (PERFECT, ClosureCounts(2, 2, 2)),
    (gap((6, 9)), ClosureCounts(2, 1, 1)),  # m missed
    (gap(), ClosureCounts(2, 0, 0)),  # parted lips close nowhere
    (gap((5, 6), (18, 19)), ClosureCounts(2, 2, 2)),  # one frame early, one late
    (gap((4, 5), (20, 21)), ClosureCounts(2, 0, 0)),  # two frames off
    (gap((6, 9), (15, 18), (21, 24)), ClosureCounts(2, 2, 3)),  # l closed, wrongly
    (gap((6, 10), (14, 18)), ClosureCounts(2, 2, 2)),  # on the way to or from a closure
    (gap((0, 30)), ClosureCounts(2, 2, 8)),  # frozen shut: finds all, claims all eight sounds
])
def test_closures_by_hand(prediction, expected):
    assert closure_counts(prediction, SOUNDS, RATE, truth_mm=PERFECT) == expected


def test_without_a_truth_all_bilabials_count():
    truth = gap((6, 9))  # this speaker leaves m open
    assert closure_counts(truth, SOUNDS, RATE) == ClosureCounts(2, 1, 1)
    assert closure_counts(truth, SOUNDS, RATE, truth_mm=truth) == ClosureCounts(1, 1, 1)


def test_a_closure_that_the_truth_has_too_is_not_false():
    truth = gap((6, 9), (15, 18), (21, 24))
    assert closure_counts(truth, SOUNDS, RATE) == ClosureCounts(2, 2, 3)
    assert closure_counts(truth, SOUNDS, RATE, truth_mm=truth) == ClosureCounts(2, 2, 2)


def test_a_closure_one_frame_late_is_excused_and_one_two_frames_late_is_not():
    brief = [Phoneme("p", 0.2, 0.3), Phoneme("ə", 0.3, 0.333)]  # frames 6 to 9, then 9 or 10: the middle of schwa is frame 9
    truth = gap((6, 9))
    assert closure_counts(gap((7, 10)), brief, RATE, truth_mm=truth) == ClosureCounts(1, 1, 1)
    assert closure_counts(gap((7, 10)), brief, RATE) == ClosureCounts(1, 1, 2)  # nothing to excuse it
    late = [Phoneme("p", 0.2, 0.3), Phoneme("ə", 0.32, 0.35)]  # its middle is frame 10
    assert closure_counts(gap((8, 11)), late, RATE, truth_mm=truth) == ClosureCounts(1, 1, 2)


def test_thresholds():
    ajar = PERFECT + 2.5  # lips come no nearer than 2.7 mm
    assert closure_counts(ajar, SOUNDS, RATE).found == 0
    assert closure_counts(ajar, SOUNDS, RATE, rest_mm=1.0).found == 2  # the neutral face is parted too
    assert closure_counts(ajar, SOUNDS, RATE, settings=ClosureSettings(threshold_mm=3.0)) == ClosureCounts(2, 2, 2)


def test_sounds_beyond_the_motion_and_shorter_than_a_frame():
    late = [Phoneme("p", 1.2, 1.3), Phoneme("a", 1.3, 1.4)]
    assert closure_counts(gap((0, 30)), late, RATE) == ClosureCounts(0, 0, 0)
    brief = [Phoneme("ə", 0.105, 0.110)]  # between frames 3 and 4, nearest to 3
    assert closure_counts(gap((3, 4)), brief, RATE) == ClosureCounts(0, 0, 1)
    assert closure_counts(gap((4, 5)), brief, RATE) == ClosureCounts(0, 0, 0)


def test_transport_and_chamfer_between_topologies():
    split = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 4], [2, 3, 4], [3, 1, 4]])  # one face cut in three
    more = np.concatenate([CORNERS, CORNERS[1:].mean(axis=0, keepdims=True)])
    directions = draw_directions(36, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    same = mesh_sliced_wasserstein(CORNERS[None], TETRAHEDRON, CORNERS[None], TETRAHEDRON, directions)
    near = mesh_sliced_wasserstein(CORNERS[None], TETRAHEDRON, more[None], split, directions)
    far = mesh_sliced_wasserstein(CORNERS[None], TETRAHEDRON, more[None] + 1.0, split, directions)
    assert same.item() == 0.0 and 0.0 < near.item() < 0.2 * far.item()
    moved = mesh_sliced_wasserstein(CORNERS[None], TETRAHEDRON, CORNERS[None] + np.array([0.3, 0.0, 0.4]),
                                    TETRAHEDRON, directions)
    assert moved.item() == pytest.approx(0.5 / math.sqrt(6), rel=0.1)  # |t| / sqrt(d) in expectation, with the root
    assert chamfer_distance(CORNERS, TETRAHEDRON, CORNERS, TETRAHEDRON) == 0.0
    assert chamfer_distance(CORNERS, TETRAHEDRON, more, split) < 0.2


def test_chamfer_is_the_naive_loop():
    other = CORNERS * np.array([1.0, 1.5, 0.7]) + 0.2
    arguments = []
    for vertices in (CORNERS, other):
        triangles = vertices[TETRAHEDRON]
        areas = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
        centres = triangles.mean(axis=1)
        arguments += [centres.tolist(), (areas / areas.sum()).tolist(), np.concatenate([centres, vertices]).tolist()]
    found = chamfer_distance(CORNERS, TETRAHEDRON, other, TETRAHEDRON)
    assert found == pytest.approx(metrics_naive.chamfer(*arguments), rel=1e-12)


def talking_face(frames=60):
    """Five vertices: a tetrahedron, and a lower lip that opens and closes under vertex 0."""
    template = np.concatenate([CORNERS, CORNERS[:1]]) * 0.1
    motion = np.tile(template, (frames, 1, 1))
    motion[:, 4, 1] -= 0.005 * (1.0 - np.cos(np.arange(frames) / 4.0))
    faces = np.concatenate([TETRAHEDRON, [[4, 1, 2]]])
    return motion, template, Topology(faces, {"lips": [0, 4], "upper_face": [3], "lip_gap": [0, 4]})


def everything(prediction):
    motion, template, topology = talking_face()
    directions = draw_directions(36, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    sound = 0.1 * np.random.default_rng(0).normal(size=2 * 8000).astype(np.float32)
    soundtrack = Soundtrack(RATE, [Phoneme("p", 0.8, 0.9), Phoneme("a", 1.2, 1.3)], (sound, 8000))
    return evaluate_sequence(motion, prediction, template, topology, soundtrack, directions)


def test_all_scores_of_the_truth_itself():
    scores = everything(talking_face()[0])
    zero = {"lip_max_mm", "lip_mean_mm", "lve_m2", "mve_mm", "fdd_m2", "fdd_absolute_m2", "mouth_opening_mm", "mtm_frames",
            "lag_frames", "correlation_lag_frames", "sliced_wasserstein_mm", "chamfer_mm"}
    assert {name for name, value in scores.items() if value == 0.0} >= zero - {"correlation_lag_frames"}
    assert scores["correlation_lag_frames"] == pytest.approx(0.0, abs=1e-9)
    assert scores["closure_recall"] == scores["closure_precision"] == 1.0
    assert scores["frames"] == 60.0 and all(isinstance(value, float) for value in scores.values())
    assert scores["speech_intensity"] == pytest.approx(0.1, rel=0.05)


def test_all_scores_of_a_mouth_held_open():
    motion, template, _ = talking_face()
    held = motion.copy()
    held[:, 4, 1] = template[4, 1] - 0.005
    scores = everything(held)
    error = 5.0 * np.abs(np.cos(np.arange(60) / 4.0))  # mm: its gap is 5 mm, the true one 5 (1 - cos)
    for name in ("lip_max_mm", "mouth_opening_mm"):
        assert scores[name] == pytest.approx(error.mean(), rel=1e-12)
    assert scores["lip_mean_mm"] == pytest.approx(error.mean() / 2, rel=1e-12)
    assert scores["mve_mm"] == pytest.approx(error.mean() / 5, rel=1e-12)
    assert scores["lve_m2"] == pytest.approx(np.square(error).mean() * 1e-6, rel=1e-12)
    assert math.isnan(scores["mtm_frames"]) and math.isnan(scores["speech_lip_correlation"])
    assert scores["closures"] == 1.0 and scores["closures_found"] == 0.0 and scores["closure_recall"] == 0.0
    assert math.isnan(scores["closure_precision"])  # it claims no closure at all
    both = aggregate([scores, everything(motion)], ["a", "a"])
    assert both.mean["closure_recall"] == 0.5 and both.mean["closure_precision"] == 1.0


def test_scores_that_need_more_are_left_out():
    motion, template, topology = talking_face()
    scores = evaluate_sequence(motion, motion, template, topology, Soundtrack(RATE))
    assert not {"closures", "speech_intensity", "chamfer_mm"} & set(scores)


def test_a_delay_damping_and_jitter_show_where_they_should():
    motion, template, _ = talking_face()
    late = everything(np.roll(motion, 2, axis=0))
    damped = everything(template + 0.5 * (motion - template))
    shaky = everything(motion + 0.001 * np.random.default_rng(0).normal(size=motion.shape))
    assert late["lag_frames"] == pytest.approx(2.0, abs=0.5) and damped["mtm_frames"] < 0.5
    assert late["correlation_lag_frames"] == pytest.approx(2.0, abs=0.3)  # the clip's end comes round to its start
    assert late["fdd_absolute_m2"] == 0.0 and shaky["fdd_absolute_m2"] > 0.0
    assert damped["lip_intensity_mm"] < late["lip_intensity_mm"] < shaky["lip_intensity_mm"]


@pytest.mark.parametrize(("call", "message"), [
    (lambda: closure_counts(np.array([np.nan]), SOUNDS, RATE), "finite"),
    (lambda: closure_counts(PERFECT, SOUNDS, RATE, rest_mm=float("nan")), "finite"),
    (lambda: closure_counts(PERFECT, SOUNDS, RATE, truth_mm=PERFECT[1:]), "30 and 29"),
    (lambda: closure_counts(PERFECT, [Phoneme("p", 0.2, 0.1)], RATE), "before it starts"),
    (lambda: ClosureSettings(threshold_mm=-1.0), "threshold_mm"),
    (lambda: ClosureSettings(margin=-1.0), "margin"),
])
def test_bad_input_is_refused(call, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_region_is_named():
    motion, template, topology = talking_face()
    bare = Topology(topology.faces, {"lips": topology.lips})
    with pytest.raises(ValueError, match="no region 'upper_face'"):
        evaluate_sequence(motion, motion, template, bare, Soundtrack(RATE))
