"""Openings and closures of the mouth, surfaces without correspondence, and all scores of a clip together."""

import math

import jaxtyping
import numpy as np
import pytest
import torch

from otlib.measures.directions import draw_directions
from otlib.metrics import (
    ClosureCounts,
    ClosureSettings,
    aggregate,
    chamfer_distance,
    closure_counts,
    evaluate_sequence,
    is_bilabial,
    lip_gap,
    mesh_sliced_wasserstein,
    mouth_opening_error,
)
from tests.oracles import metrics_naive

RATE = 30.0
TETRAHEDRON = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
CORNERS = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)

# 30 frames: a pause, then ten sounds of 0.1 s (three frames), of which p and m need closed lips
SOUNDS = [("", 0.0, 0.1), ("ɐ", 0.1, 0.2), ("p", 0.2, 0.3), ("uː", 0.3, 0.4), ("s", 0.4, 0.5), ("ˈm", 0.5, 0.6),
          ("a", 0.6, 0.7), ("l", 0.7, 0.8), ("o", 0.8, 0.9), ("", 0.9, 1.0)]
OPEN, SHUT = 0.010, 0.0002  # metres


def gap(*closed_spans):
    """A lip gap of 30 frames, open but in the given frame ranges."""
    values = np.full(30, OPEN)
    for first, last in closed_spans:
        values[first:last] = SHUT
    return values


PERFECT = gap((0, 3), (6, 9), (15, 18), (27, 30))


@pytest.mark.parametrize(("phoneme", "expected"), [
    ("p", True), ("b", True), ("m", True), ("pʰ", True), ("mː", True), ("ˈb", True), ("m̩", True), ("pʲ", True),
    ("n", False), ("f", False), ("w", False), ("", False), ("ˈ", False), ("aɪ", False), ("ɐ", False), ("β", False)])
def test_bilabials(phoneme, expected):
    assert is_bilabial(phoneme) is expected


def test_lip_gap_and_opening_error_by_hand():
    vertices = torch.zeros(2, 3, 3)
    vertices[0, 0] = torch.tensor([0.0, 3.0, 4.0])
    pair = torch.tensor([0, 2])
    assert lip_gap(vertices, pair).tolist() == [5.0, 0.0]
    assert lip_gap(vertices[0], pair).item() == 5.0
    assert mouth_opening_error(vertices, torch.zeros(2, 3, 3), pair).tolist() == [5.0, 0.0]


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
    assert closure_counts(prediction, SOUNDS, RATE, truth_gap=PERFECT) == expected


def test_without_a_truth_all_bilabials_count():
    truth = gap((6, 9))  # this speaker leaves m open
    assert closure_counts(truth, SOUNDS, RATE) == ClosureCounts(2, 1, 1)
    assert closure_counts(truth, SOUNDS, RATE, truth_gap=truth) == ClosureCounts(1, 1, 1)


def test_a_closure_that_the_truth_has_too_is_not_false():
    truth = gap((6, 9), (15, 18), (21, 24))
    assert closure_counts(truth, SOUNDS, RATE) == ClosureCounts(2, 2, 3)
    assert closure_counts(truth, SOUNDS, RATE, truth_gap=truth) == ClosureCounts(2, 2, 2)


def test_a_closure_one_frame_late_is_excused_and_one_two_frames_late_is_not():
    brief = [("p", 0.2, 0.3), ("ə", 0.3, 0.333)]  # frames 6 to 9, then 9 or 10: the middle of schwa is frame 9
    truth = gap((6, 9))
    assert closure_counts(gap((7, 10)), brief, RATE, truth_gap=truth) == ClosureCounts(1, 1, 1)
    assert closure_counts(gap((7, 10)), brief, RATE) == ClosureCounts(1, 1, 2)  # nothing to excuse it
    late = [("p", 0.2, 0.3), ("ə", 0.32, 0.35)]  # its middle is frame 10
    assert closure_counts(gap((8, 11)), late, RATE, truth_gap=truth) == ClosureCounts(1, 1, 2)


def test_thresholds():
    ajar = PERFECT + 0.0025  # lips come no nearer than 2.7 mm
    assert closure_counts(ajar, SOUNDS, RATE).found == 0
    assert closure_counts(ajar, SOUNDS, RATE, rest_gap=0.001).found == 2  # the neutral face is parted too
    quarter = ClosureSettings(threshold_mm=None, threshold_share=0.25)
    assert closure_counts(ajar, SOUNDS, RATE, settings=quarter) == ClosureCounts(2, 2, 2)
    damped = 0.006 + 0.01 * PERFECT  # hardly moves, but where it should
    assert closure_counts(damped, SOUNDS, RATE, settings=quarter).found == 2
    assert closure_counts(damped, SOUNDS, RATE).found == 0


def test_sounds_beyond_the_motion_and_shorter_than_a_frame():
    late = [("p", 1.2, 1.3), ("a", 1.3, 1.4)]
    assert closure_counts(gap((0, 30)), late, RATE) == ClosureCounts(0, 0, 0)
    brief = [("ə", 0.105, 0.110)]  # between frames 3 and 4, nearest to 3
    assert closure_counts(gap((3, 4)), brief, RATE) == ClosureCounts(0, 0, 1)
    assert closure_counts(gap((4, 5)), brief, RATE) == ClosureCounts(0, 0, 0)


def test_transport_and_chamfer_between_topologies():
    split = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 4], [2, 3, 4], [3, 1, 4]])  # one face cut in three
    more = torch.cat([CORNERS, CORNERS[1:].mean(dim=0, keepdim=True)])
    directions = draw_directions(36, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    same = mesh_sliced_wasserstein(CORNERS[None], TETRAHEDRON, CORNERS[None], TETRAHEDRON, directions)
    near = mesh_sliced_wasserstein(CORNERS[None], TETRAHEDRON, more[None], split, directions)
    far = mesh_sliced_wasserstein(CORNERS[None], TETRAHEDRON, more[None] + 1.0, split, directions)
    assert same.item() == 0.0 and 0.0 < near.item() < 0.2 * far.item()
    moved = mesh_sliced_wasserstein(CORNERS[None], TETRAHEDRON, CORNERS[None] + torch.tensor([0.3, 0.0, 0.4]),
                                    TETRAHEDRON, directions)
    assert moved.item() == pytest.approx(0.5 / math.sqrt(6), rel=0.1)  # |t| / sqrt(d) in expectation, with the root
    assert chamfer_distance(CORNERS, TETRAHEDRON, CORNERS, TETRAHEDRON) == 0.0
    assert chamfer_distance(CORNERS, TETRAHEDRON, more, split) < 0.2


def test_chamfer_is_the_naive_loop():
    other = CORNERS * torch.tensor([1.0, 1.5, 0.7]) + 0.2
    arguments = []
    for vertices in (CORNERS, other):
        triangles = vertices[TETRAHEDRON]
        areas = torch.linalg.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]).norm(dim=1)
        centres = triangles.mean(dim=1)
        arguments += [centres.tolist(), (areas / areas.sum()).tolist(), torch.cat([centres, vertices]).tolist()]
    found = chamfer_distance(CORNERS, TETRAHEDRON, other, TETRAHEDRON)
    assert found == pytest.approx(metrics_naive.chamfer(*arguments), rel=1e-12)


def talking_face(frames=60):
    """Five vertices: a tetrahedron, and a lower lip that opens and closes under vertex 0."""
    template = torch.cat([CORNERS, CORNERS[:1]]) * 0.1
    motion = template.repeat(frames, 1, 1)
    motion[:, 4, 1] -= 0.005 * (1.0 - torch.cos(torch.arange(frames).double() / 4.0))
    faces = torch.cat([TETRAHEDRON, torch.tensor([[4, 1, 2]])])
    regions = {"lips": np.array([0, 4]), "upper_face": np.array([3]), "lip_gap": [0, 4]}
    return motion, template, faces, regions


def everything(prediction):
    motion, template, faces, regions = talking_face()
    directions = draw_directions(36, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sound = 0.1 * np.random.default_rng(0).normal(size=2 * 8000).astype(np.float32)
    return evaluate_sequence(motion, prediction, template, faces, regions, frame_rate=RATE,
                             phonemes=[("p", 0.8, 0.9), ("a", 1.2, 1.3)], audio=(sound, 8000), directions=directions)


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
    motion, template, _, _ = talking_face()
    held = motion.clone()
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
    motion, template, faces, regions = talking_face()
    scores = evaluate_sequence(motion, motion, template, faces, regions, frame_rate=RATE)
    assert not {"closures", "speech_intensity", "chamfer_mm"} & set(scores)


def test_a_delay_damping_and_jitter_show_where_they_should():
    motion, template, _, _ = talking_face()
    generator = torch.Generator().manual_seed(0)
    late = everything(motion.roll(2, dims=0))
    damped = everything(template + 0.5 * (motion - template))
    shaky = everything(motion + 0.001 * torch.randn(motion.shape, generator=generator, dtype=torch.float64))
    assert late["lag_frames"] == pytest.approx(2.0, abs=0.5) and damped["mtm_frames"] < 0.5
    assert late["correlation_lag_frames"] == pytest.approx(2.0, abs=0.3)  # the clip's end comes round to its start
    assert late["fdd_absolute_m2"] == 0.0 and shaky["fdd_absolute_m2"] > 0.0
    assert damped["lip_intensity_mm"] < late["lip_intensity_mm"] < shaky["lip_intensity_mm"]


@pytest.fixture
def without_type_checks(monkeypatch):
    """Annotations are enforced in the test run only; here the function's own messages are wanted, as users get them."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: lip_gap(torch.zeros(2, 3, 3), torch.tensor([0])), "upper and a lower"),
    (lambda: lip_gap(torch.zeros(2, 3, 3), torch.tensor([0, 3])), "there are 3"),
    (lambda: mouth_opening_error(torch.zeros(2, 3, 3), torch.zeros(1, 3, 3), torch.tensor([0, 1])), "prediction has"),
    (lambda: closure_counts(np.array([np.nan]), SOUNDS, RATE), "finite"),
    (lambda: closure_counts(PERFECT, SOUNDS, RATE, truth_gap=PERFECT[1:]), "30 and 29"),
    (lambda: closure_counts(PERFECT, [("p", 0.2, 0.1)], RATE), "before it starts"),
    (lambda: ClosureSettings(threshold_mm=None), "one of"),
    (lambda: ClosureSettings(threshold_share=0.2), "one of"),
    (lambda: ClosureSettings(margin=-1.0), "margin"),
])
def test_bad_input_is_refused(call, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_region_is_named():
    motion, template, faces, regions = talking_face()
    with pytest.raises(ValueError, match="lack 'upper_face'"):
        evaluate_sequence(motion, motion, template, faces, {"lips": regions["lips"]}, frame_rate=RATE)
