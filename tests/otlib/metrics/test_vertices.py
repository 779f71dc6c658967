"""Vertex metrics, their conventions and averages: naive loops, torchmetrics, and cases computed by hand."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.multimodal import lip_vertex_error as torchmetrics_lip_vertex_error
from torchmetrics.multimodal.lve import LipVertexError

from otlib.metrics import CONVENTIONS, ClipPair, aggregate, convention, lip_error_mm, published_scores
from otlib.metrics.aggregate import average
from otlib.metrics.conventions import Convention
from otlib.metrics.timing import speech_lip_correlation
from otlib.metrics.vertices import (
    FRAMES_AT_ONCE,
    mean_vertex_error,
    motion_variation,
    region_distances,
    upper_face_dynamics_deviation,
)
from otlib.topology import Topology
from tests.oracles import metrics_naive

DOUBLE = {"rtol": 1e-12, "atol": 1e-15}  # sums in float64
SINGLE = 1e-6  # relative, a library that computes in float32

LIPS = np.array([3, 5, 8, 1])
UPPER = np.array([0, 2, 9])
FACE = np.array([[0, 1, 2]])
HEAD = Topology(FACE, {"lips": LIPS, "upper_face": UPPER})
lip_vertex_error = convention("codetalker").lip_error  # LVE: the largest squared distance of each frame


def motion(frames=12, vertices=10, seed=0, dtype=np.float64):
    return (0.01 * np.random.default_rng(seed).normal(size=(frames, vertices, 3))).astype(dtype)


def clip(speaker, seed, frames=6):
    return ClipPair(speaker, motion(frames, seed=seed), motion(frames, seed=seed + 100), np.zeros((10, 3)))


def test_lip_vertex_error_is_the_naive_loop():
    truth, prediction = motion(seed=1), motion(seed=2)
    expected = metrics_naive.lip_vertex_error(truth.tolist(), prediction.tolist(), LIPS.tolist())
    np.testing.assert_allclose(lip_vertex_error(truth, prediction, LIPS), expected, **DOUBLE)


def test_lip_vertex_error_agrees_with_torchmetrics():
    clips = [(motion(frames, seed=frames), motion(frames, seed=frames + 50)) for frames in (5, 9)]
    metric = LipVertexError(mouth_map=LIPS.tolist()).set_dtype(torch.float64)
    for truth, prediction in clips:
        ours = lip_vertex_error(truth, prediction, LIPS).mean()
        tensors = torch.from_numpy(prediction), torch.from_numpy(truth)
        assert ours == pytest.approx(torchmetrics_lip_vertex_error(*tensors, LIPS.tolist()).item(), rel=SINGLE)
        metric.update(*tensors)
    pairs = [ClipPair("a", truth, prediction, np.zeros((10, 3))) for truth, prediction in clips]
    corpus = published_scores(pairs, HEAD, convention("torchmetrics"))
    assert corpus["lve"] == pytest.approx(metric.compute().item(), rel=SINGLE)


def test_dynamics_deviation_is_the_naive_loop():
    truth, prediction, template = motion(seed=1), motion(seed=2), motion(1, seed=3)[0]
    expected = metrics_naive.upper_face_dynamics_deviation(
        truth.tolist(), prediction.tolist(), template.tolist(), UPPER.tolist())
    found = upper_face_dynamics_deviation(truth, prediction, template, UPPER)
    np.testing.assert_allclose(found, expected, **DOUBLE)


def test_dynamics_deviation_by_hand():
    # one vertex, at 0 and 2 along x in turn: squared displacements 0 and 4, deviation 2 with ddof 0
    truth = np.zeros((4, 1, 3))
    truth[1::2, 0, 0] = 2.0
    template, vertex = np.zeros((1, 3)), np.array([0])
    assert motion_variation(truth, template, vertex) == 2.0
    frozen = np.zeros((4, 1, 3))
    assert upper_face_dynamics_deviation(truth, frozen, template, vertex) == 2.0  # moves too little: positive
    assert upper_face_dynamics_deviation(frozen, truth, template, vertex) == -2.0
    assert upper_face_dynamics_deviation(truth, np.roll(truth, 1, axis=0), template, vertex) == 0.0  # blind to delay


def test_distances_by_hand():
    truth, prediction = np.zeros((1, 3, 3)), np.zeros((1, 3, 3))
    prediction[0, 1] = 3.0, 4.0, 0.0
    prediction[0, 2] = 0.0, 0.0, 1.0
    lips = np.array([0, 1])
    assert lip_error_mm(truth, prediction, lips) == 5000.0
    assert lip_vertex_error(truth, prediction, lips).tolist() == [25.0]
    assert mean_vertex_error(truth, prediction).tolist() == [2.0]
    assert region_distances(truth, prediction, np.array([1, 2])).tolist() == [[5.0, 1.0]]
    # lips displaced together keep their shape
    assert region_distances(truth, truth + 1.0, lips, centred=True).tolist() == [[0.0, 0.0]]


def test_long_clips_are_scored_in_parts():
    frames = 2 * FRAMES_AT_ONCE + 3
    truth, prediction = motion(frames, seed=1), motion(frames, seed=2)
    expected = np.linalg.norm(truth - prediction, axis=-1).mean(axis=1)
    np.testing.assert_allclose(mean_vertex_error(truth, prediction), expected, **DOUBLE)


def test_metrics_are_zero_on_the_truth_and_symmetric():
    truth, prediction = motion(seed=1), motion(seed=2)
    for metric in (lip_error_mm, lip_vertex_error, region_distances, lambda a, b, _: mean_vertex_error(a, b)):
        assert np.max(metric(truth, truth, LIPS)) == 0.0
        assert np.array_equal(metric(truth, prediction, LIPS), metric(prediction, truth, LIPS))


def test_half_precision_input_is_summed_in_double():
    truth, prediction = motion(seed=1, dtype=np.float32), motion(seed=2, dtype=np.float32)
    assert lip_vertex_error(truth, prediction, LIPS).dtype == np.float64
    assert np.array_equal(lip_vertex_error(truth, prediction, LIPS),
                          lip_vertex_error(truth.astype(float), prediction.astype(float), LIPS))


# the value of each convention on the same two clips, from its definition
def test_conventions_by_hand():
    zeros = np.zeros((2, 4, 3))
    near, far = zeros.copy(), np.zeros((1, 4, 3))
    near[:, 0, 0] = 0.001  # 1 mm at one of two lip vertices, in both frames
    far[:, 0, 0] = far[:, 1, 0] = 0.003  # 3 mm at both, one frame
    clips = [ClipPair("a", zeros, near, np.zeros((4, 3))), ClipPair("b", zeros[:1], far, np.zeros((4, 3)))]
    topology = Topology(FACE, {"lips": [0, 1], "upper_face": [3]})
    expected = {
        "otlib": (1 + 3) / 2,
        "codetalker": (1 + 1 + 9) / 3 * 1e-6,
        "selftalk": (1 + 1 + 9) / 3 * 1e-6,
        "torchmetrics": (1 + 1 + 9) / 3 * 1e-6,
        "facediffuser": (1 + 1 + 9) / 3 * 1e-6,
        "scantalk": (1 + 1 + 9) / 3 * 1e-6,
        "diffspeaker": (1 + 9) / 2 * 1e-6,
        "unitalker": (1 + 9) / 2 * 1e-6,
        "meshtalk": (0.5 + 0.5 + 0.0) / 3,  # centred: +-0.5 mm in the first clip, none where both move alike
        "imitator": (1 / 4 + 6 / 4) / 2,
        "imitator_lip_sync": (1 + 3) / 2,
    }
    assert set(expected) == set(CONVENTIONS)
    for name, value in expected.items():
        assert published_scores(clips, topology, convention(name))["lve"] == pytest.approx(value, rel=1e-6), name


def test_signed_deviation_cancels_between_clips_and_the_absolute_one_does_not():
    still, moving = np.zeros((4, 1, 3)), np.zeros((4, 1, 3))
    moving[1::2, 0, 0] = 2.0
    clips = [ClipPair("a", moving, still, np.zeros((1, 3))), ClipPair("a", still, moving, np.zeros((1, 3)))]
    topology = Topology(FACE, {"lips": [0], "upper_face": [0]})
    assert published_scores(clips, topology, convention("codetalker"))["fdd"] == 0.0
    assert published_scores(clips, topology, convention("facediffuser"))["fdd"] == 2.0


def test_mean_vertex_error_of_a_corpus_follows_its_convention():
    clips = [clip("a", 1, 3), clip("a", 2, 9), clip("b", 3, 5)]
    means = [mean_vertex_error(c.truth, c.prediction) for c in clips]
    pooled = np.concatenate(means).mean()
    by_clip = sum(m.mean() for m in means) / 3
    by_speaker = ((means[0].mean() + means[1].mean()) / 2 + means[2].mean()) / 2
    for name, value in {"codetalker": pooled, "diffspeaker": by_clip, "otlib": 1000 * by_speaker}.items():
        assert published_scores(clips, HEAD, convention(name))["mve"] == pytest.approx(value, rel=1e-12)


def test_averages_differ():
    values = [np.array([1.0]), np.array([2.0, 2.0, 2.0]), np.array([6.0, 6.0])]
    speakers = ["a", "a", "b"]
    assert average(values, speakers, "frames") == pytest.approx(19 / 6)
    assert average(values, speakers, "clips") == pytest.approx(3.0)
    assert average(values, speakers, "speakers") == pytest.approx(3.75)


def test_aggregate_averages_speakers_and_sums_closures():
    rows = [
        {"frames": 10.0, "mve_mm": 1.0, "mtm_frames": math.nan, "closures": 2.0, "closures_found": 1.0,
         "closures_claimed": 1.0, "closure_recall": 0.5, "closure_precision": 1.0},
        {"frames": 30.0, "mve_mm": 3.0, "mtm_frames": 0.5, "closures": 6.0, "closures_found": 6.0,
         "closures_claimed": 8.0, "closure_recall": 1.0, "closure_precision": 0.75},
        {"frames": 20.0, "mve_mm": 6.0, "mtm_frames": math.nan, "closures": 0.0, "closures_found": 0.0,
         "closures_claimed": 1.0, "closure_recall": math.nan, "closure_precision": 0.0},
    ]
    scores = aggregate(rows, ["a", "a", "b"])
    assert scores.by_speaker("mve_mm") == {"a": 2.0, "b": 6.0} and scores.mean["mve_mm"] == 4.0
    assert scores.speakers["a"]["mtm_frames"] == 0.5 and math.isnan(scores.speakers["b"]["mtm_frames"])
    assert scores.mean["mtm_frames"] == 0.5
    assert scores.speakers["a"]["closure_recall"] == 7 / 8 and scores.speakers["a"]["closure_precision"] == 7 / 9
    assert scores.mean["closure_recall"] == 7 / 8 and scores.mean["closure_precision"] == (7 / 9 + 0) / 2
    assert scores.mean["frames"] == 60.0 and scores.mean["closures"] == 8.0
    with pytest.raises(ValueError, match="no metric 'nonsense'"):
        scores.by_speaker("nonsense")


def test_aggregate_correlates_loudness_and_lips_within_speakers():
    """The mean over speakers is what SLCC's authors pool, where speakers have equally many clips."""
    speech, lips = np.random.default_rng(0).normal(size=(2, 12)).tolist()
    speakers = ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    rows = [{"speech_intensity": one, "lip_intensity_mm": two} for one, two in zip(speech, lips, strict=True)]
    scores = aggregate(rows, speakers)
    assert scores.speakers["b"]["slcc"] == pytest.approx(np.corrcoef(speech[4:8], lips[4:8])[0, 1], rel=1e-12)
    assert scores.mean["slcc"] == pytest.approx(speech_lip_correlation(speech, lips, speakers), rel=1e-12)


def test_a_correlation_that_is_not_defined_is_left_out():
    still = [{"speech_intensity": loud, "lip_intensity_mm": 0.0} for loud in (0.1, 0.2)]
    lively = [{"speech_intensity": loud, "lip_intensity_mm": 3.0 * loud} for loud in (0.1, 0.2)]
    too_short = {"speech_intensity": 0.9, "lip_intensity_mm": math.nan}  # one frame has no motion
    scores = aggregate([*still, *lively, too_short, too_short], ["still"] * 2 + ["lively"] * 3 + ["short"])
    assert math.isnan(scores.speakers["still"]["slcc"]) and math.isnan(scores.speakers["short"]["slcc"])
    assert scores.speakers["lively"]["slcc"] == pytest.approx(1.0) == scores.mean["slcc"]
    assert "slcc" not in aggregate([{"lip_intensity_mm": 1.0}], ["deaf"]).mean


@pytest.mark.parametrize(("call", "message"), [
    (lambda: lip_vertex_error(motion(3), motion(4), LIPS), "prediction has shape"),
    (lambda: lip_vertex_error(motion(3)[0], motion(3)[0], LIPS), r"\(T, V, 3\)"),
    (lambda: mean_vertex_error(motion(0), motion(0)), r"T, V > 0"),
    (lambda: mean_vertex_error(motion(3), motion(3) * math.nan), "prediction must be finite"),
    (lambda: mean_vertex_error(motion(3) * math.inf, motion(3)), "truth must be finite"),
    (lambda: lip_vertex_error(motion(3), motion(3), np.array([10])), "there are 10"),
    (lambda: lip_vertex_error(motion(3), motion(3), np.array([-1])), "names vertices -1"),
    (lambda: lip_vertex_error(motion(3), motion(3), LIPS[:0]), "list of vertices"),
    (lambda: motion_variation(motion(3), motion(1)[0][:5], UPPER), "does not fit a template"),
    (lambda: motion_variation(motion(3), np.nan * motion(1)[0], UPPER), "displacement must be finite, and is nan"),
    (lambda: convention("mine"), "codetalker"),
    (lambda: published_scores([], HEAD, convention("otlib")), "no clip"),
    (lambda: Convention("sum", False, 1.0, ""), "reduction"),
    (lambda: Convention("max", False, 1.0, "", lip_average="words"), "lip_average"),
    (lambda: average([np.ones(2)], ["a"], "words"), "words"),
    (lambda: average([np.ones(2)], [], "clips"), "1 clips of 0 speakers"),
    (lambda: average([np.ones(0)], ["a"], "clips"), "each with a frame"),
    (lambda: aggregate([], []), "0 clips"),
    (lambda: aggregate([{"a": 1.0}, {"b": 1.0}], ["x", "y"]), "different metrics: a, b"),
])
def test_bad_input_is_refused(call, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        call()
