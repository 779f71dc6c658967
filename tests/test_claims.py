"""What the claims' command computes of its measurements: closures, what is carried to a remesh, kills, joins and goals."""

import importlib
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from otlib.errors import InputError
from otlib.metrics import aggregate
from otlib.phonemes import Phoneme
from otlib.speech.recording import Recording

LINEAR = {"rtol": 0.0, "atol": 1e-6}  # float32 positions of size one
RATE = 10.0
TRAINING = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
time.sleep(float(sys.argv[2]))
pathlib.Path(sys.argv[1]).write_text("whole")
"""


@pytest.fixture(scope="module")
def claims():
    """The command's modules: a function imports one by name."""
    def module(name):
        return importlib.import_module(f"tests.benchmarks.{'bench_claims' if name == 'bench' else f'claims_{name}'}")
    return module


def grid(count):
    """A flat square of side one with (count + 1)^2 vertices, (V, 3) and its faces."""
    y, x = np.mgrid[: count + 1, : count + 1].reshape(2, -1) / count
    corner = np.array([row * (count + 1) + column for row in range(count) for column in range(count)])
    faces = np.concatenate([np.stack([corner, corner + 1, corner + count + 1], 1),
                            np.stack([corner + 1, corner + count + 2, corner + count + 1], 1)])
    return np.stack([x, y, np.zeros_like(x)], 1), faces


def closure_rows(claims, gap, *spans):
    return claims("closures").closure_rows(np.array(gap, float), [Phoneme(*span) for span in spans], RATE)


@pytest.mark.parametrize(("span", "smallest"), [
    (("p", 0.3, 0.4), 3.0),  # frames 3 and 4, and with a frame to each side 2 to 5
    (("b", 0.31, 0.39), 4.0),  # no frame of its own: what is within one of it, 3 and 4, counted from its inner ends
    (("m", 0.0, 0.1), 9.0),  # nothing before the first frame
    (("p", 0.5, 0.7), 0.0),
    (("p", 0.8, 3.0), 0.5),  # to the end
])
def test_the_smallest_gap_is_that_within_a_closure_and_a_frame_beside_it(claims, span, smallest):
    [row] = closure_rows(claims, [10, 9, 9.5, 8, 4, 3, 0, 0.5, 2, 6], span)
    assert row["smallest_gap_mm"] == smallest


def test_only_p_b_and_m_within_the_clip_are_closures(claims):
    spans = ("", 0.0, 0.1), ("p", 0.1, 0.2), ("f", 0.1, 0.2), ("m", 0.2, 0.3), ("b", 5.0, 5.1)
    assert [row["phoneme"] for row in closure_rows(claims, [4, 0, 1, 4], *spans)] == ["p", "m"]


def speaking_heads(heads, moves):
    """A model that moves the heads' lips as ``moves`` says for a recording's length, on a corpus of these test speakers."""
    corpus = SimpleNamespace(select=lambda split: [SimpleNamespace(subject=head, template=head) for head in heads],
                             frame_rate=RATE)
    return SimpleNamespace(corpus=corpus, gap_mm=lambda recording, head: moves[len(recording.samples) // 100, head])


def test_closures_of_people_stand_beside_those_of_another_recording(claims):
    """Two recordings with m at different places: lips that are right on both are right by chance on neither."""
    sounds = {"one.wav": [Phoneme("m", 0.4, 0.5), Phoneme("a", 0.5, 2.0)],
              "two.wav": [Phoneme("a", 0.0, 1.4), Phoneme("b", 1.5, 1.6)]}
    speech = {name: (Recording(np.ones(100 * frames, np.float32), 1000), phonemes)
              for (name, phonemes), frames in zip(sounds.items(), (20, 21), strict=True)}
    gaps = {20: np.where(np.isin(np.arange(20), (4, 5)), 0.0, 9.0), 21: np.where(np.isin(np.arange(21), (15, 16)), 0.0, 9.0)}
    setting = speaking_heads("ab", {(length, head): gap for length, gap in gaps.items() for head in "ab"})
    own, chance = claims("closures").scores_of(setting, speech)
    assert own.mean["found_shut"] == 1.0 and own.mean["bilabials"] == 4 and own.mean["false_share"] == 0.0
    assert chance.mean["found_shut"] == 0.0 and chance.mean["closures_false"] == 4
    assert set(own.speakers) == set(sounds)
    alone, nothing = claims("closures").scores_of(setting, {"one.wav": speech["one.wav"]})
    assert alone.mean["found_shut"] == 1.0 and nothing is None


def test_a_summary_has_intervals_over_recordings_where_there_are_enough(claims):
    scores = [{"bilabials": 2.0, "bilabials_shut": float(shut), "bilabials_near": 2.0, "closures_false": 1.0,
               "closures_made": 1.0 + shut, "loud_s": 2.0, "pause_frames": 0.0, "pause_frames_near": 0.0,
               "found_shut": shut / 2, "found_near": 1.0, "false_share": 1.0, "false_per_s": 0.5,
               "shut_in_pauses": float("nan"), "open_vowel_mm": 5.0 + shut, "close_vowel_mm": 3.0,
               "closure_lag_frames": 0.0} for shut in (0, 1, 2, 2, 2)]
    row = claims("closures").summary(aggregate(scores, list("abcde")))
    assert row["found_shut"]["mean"] == 0.7 and row["found_shut"]["interval"][0] < 0.7 < row["found_shut"]["interval"][1]
    assert row["false_per_s"] == {"mean": 0.5, "interval": [0.5, 0.5], "recordings": 5}
    assert row["shut_in_pauses"]["interval"] is None and row["shut_in_pauses"]["recordings"] == 0
    assert claims("closures").summary(aggregate(scores[:2], list("ab")))["found_shut"]["interval"] is None


def test_a_linear_field_is_carried_exactly(claims, gl):
    """Over a flat square, to points in faces, on edges and on corners; over time, too."""
    vertices, faces = grid(3)
    points = np.concatenate([np.random.default_rng(0).uniform(0, 1, (50, 3)) * [1, 1, 0], vertices, [[0.5, 0.0, 0.0]]])
    carry = claims("remesh").carrier(vertices, faces, points)
    np.testing.assert_allclose(carry(vertices), points, **LINEAR)
    field = np.array([[0.3, -1.0, 2.0], [0.5, 0.25, 0.0], [0.0, 0.0, 1.0]])
    moved = np.stack([vertices @ field + frame for frame in range(3)])
    np.testing.assert_allclose(carry(moved), np.stack([points @ field + frame for frame in range(3)]), **LINEAR)


def test_a_point_off_the_surface_is_carried_from_the_closest_point(claims, gl):
    vertices, faces = grid(2)
    carry = claims("remesh").carrier(vertices, faces, np.array([[0.3, 0.6, 0.2], [1.5, 0.25, 0.0], [-1.0, -1.0, 1.0]]))
    np.testing.assert_allclose(carry(vertices), [[0.3, 0.6, 0], [1, 0.25, 0], [0, 0, 0]], **LINEAR)


def test_a_region_is_carried_to_the_points_that_are_mostly_its_own(claims, gl):
    vertices, faces = grid(2)
    left = np.flatnonzero(vertices[:, 0] == 0)
    points = np.array([[0.0, 0.3, 0.0], [0.24, 0.0, 0.0], [0.26, 0.0, 0.0], [0.9, 0.5, 0.0]])
    assert claims("remesh").carrier(vertices, faces, points).region(left).tolist() == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.6, 1.5])
def test_a_remesh_has_another_topology_and_lies_on_the_native_surface(claims, gl, share):
    vertices, faces = grid(12)
    opened = vertices + [0, 0, 1] * np.sin(3 * vertices[:, :1])  # bent, so that no vertex is superfluous
    left = np.flatnonzero(vertices[:, 0] < 0.3)
    made = claims("remesh").remesh(vertices, opened, faces, left, share)
    assert len(made.faces) == pytest.approx(share * len(faces), rel=0.05) and len(made.template) != len(vertices)
    assert made.faces.max() < len(made.template) == len(made.carry.corners)
    np.testing.assert_allclose(made.template[:, 2], 0, **LINEAR)
    assert 0 <= made.template[:, :2].min() and made.template[:, :2].max() <= 1
    assert len(made.lips) > 0 and made.template[made.lips, 0].max() < 0.4
    assert not set(map(tuple, np.sort(faces, 1))) >= set(map(tuple, np.sort(made.faces, 1)))


def test_a_ratio_is_of_mean_errors_of_its_own_mesh(claims):
    rows = [{"mesh": mesh, "speaker": speaker, "native": {"e": native}, "remesh": {"e": other}}
            for mesh, speaker, native, other in [("fine", "a", 1, 2), ("fine", "b", 3, 4), ("coarse", "a", 1, 9)]]
    assert claims("remesh").ratio(rows, "e", "fine") == 1.5
    assert claims("remesh").ratio(rows, "e", "fine", "a") == 2.0


def test_joins_and_what_they_change(claims):
    long = claims("long")
    assert long.joins(10, 3).tolist() == [3, 6, 9] and long.joins(9, 3).tolist() == [3, 6] and long.joins(3, 3).size == 0
    assert long.joins(10, 4, lead=1).tolist() == [3, 7]
    motion = np.zeros((6, 2, 3))
    motion[:, 1, 0] = 0.001 * np.arange(6)  # a vertex that goes a millimetre a frame
    np.testing.assert_allclose(long.steps_mm(motion), 1.0)
    cut = motion.copy()
    cut[3:, 0, 1] += 0.004  # the other one jumps at frame 3
    np.testing.assert_allclose(long.jumps_mm(cut, motion, np.array([2, 3, 4])), [0, 4, 0], atol=1e-12)
    np.testing.assert_allclose(long.steps_mm(cut, np.array([2, 3])), [1, 4])


def test_folders_are_the_same_in_whatever_order_their_ledgers_were_written(claims, tmp_path):
    for name, lines in (("one", "head\na\nb"), ("two", "head\nb\na\nb"), ("other", "head\na")):  # no line ends the last
        (tmp_path / name / "features").mkdir(parents=True)
        (tmp_path / name / "features" / ".otlib-files.jsonl").write_text(lines)
        (tmp_path / name / "features" / "x.npy").write_text("x")
    one, two, other = (claims("kills").content(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two != other and one["features/x.npy"] == b"x"


def test_kills_are_the_same_for_the_same_seed_and_come_while_the_program_is_at_work(claims):
    kills = claims("kills")
    moments = kills.kill_moments(10, 40.0, seed=0)
    assert moments == kills.kill_moments(10, 40.0, seed=0) != kills.kill_moments(10, 40.0, seed=1)
    assert len(set(moments)) == 10 and all(4 <= moment <= 24 for moment in moments)
    np.testing.assert_allclose(kills.kill_moments(3, 1.0, seed=5), np.array(kills.kill_moments(3, 40.0, seed=5)) / 40)


@pytest.fixture
def program(tmp_path):
    """A program that works for some seconds and then leaves a file: one after the other, those given, then the last."""
    def make(*seconds):
        left = list(seconds)
        return lambda: subprocess.Popen([sys.executable, "-c", TRAINING, str(tmp_path / "result"),
                                         str(left.pop(0) if left[1:] else left[0])])
    return make


def test_every_kill_meets_the_program_at_work(claims, program, tmp_path, capsys):
    """The second life ends before its kill, so that it is looked at, cleared away, and the kill is for the third."""
    found = []

    def ended():
        found.append((tmp_path / "result").read_text())
        (tmp_path / "result").unlink()

    counts = claims("kills").kill_again_and_again(program(60, 0, 60, 0), [0.05, 3.0], ended)
    assert counts == {"kills": 2, "ended": 2, "left": 0} and found == ["whole", "whole"]
    assert capsys.readouterr().out.count("killed") == 2


@pytest.mark.slow
def test_a_process_that_outlives_its_program_is_counted_and_ended(claims, tmp_path, monkeypatch):
    kills, once = claims("kills"), tmp_path / "once"
    program = ("import subprocess, sys, time, pathlib\nonce = pathlib.Path(sys.argv[1])\nif once.exists(): sys.exit()\n"
               "child = subprocess.Popen(['sleep', '60'])\nonce.write_text(str(child.pid))\ntime.sleep(60)\n")
    monkeypatch.setattr(kills, "MOMENT_S", 0.2)
    counts = kills.kill_again_and_again(lambda: subprocess.Popen([sys.executable, "-c", program, once]), [3.0], list)
    assert counts == {"kills": 1, "ended": 1, "left": 1}
    child = int(once.read_text())
    end = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
        time.sleep(0.05)
    assert time.monotonic() < end


@pytest.mark.slow
@pytest.mark.parametrize("program", ["corpus", "conversion"])
def test_what_is_killed_once_ends_as_what_was_not(claims, tmp_path, program):
    """The short part of the claim; driver and sweep have tests of their own."""
    counts = getattr(claims("kills"), f"kill_{program}")(tmp_path, 1)
    assert counts["kills"] == 1 and counts["same"] == counts["ended"] >= 1 and counts["left"] == 0


def test_a_program_that_fails_or_is_too_short_is_refused(claims, program):
    kills = claims("kills")
    with pytest.raises(InputError, match="ended with status 3; run it by itself"):
        kills.kill_again_and_again(lambda: subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]), [30.0], list)
    with pytest.raises(InputError, match="ends before each kill, even before 0.59 s; take more steps"):
        kills.kill_again_and_again(lambda: subprocess.Popen(["true"]), [300.0], list)


@pytest.mark.parametrize(("measured", "wanted", "least", "reached"), [
    (0.8, 0.8, True, True), (0.79, 0.8, True, False), (1.3, 1.3, False, True), (1.31, 1.3, False, False),
])
def test_a_goal_is_reached_or_said_to_be_missed(claims, measured, wanted, least, reached):
    one = claims("common").goal("a claim", measured, wanted, least=least)
    assert one["reached"] is reached
    line = claims("common").report([one])
    assert line.startswith("reached" if reached else "NOT REACHED") and f"{wanted:g}" in line


@pytest.mark.parametrize(("arguments", "sentence"), [
    ([], "manifest.json: is not there; run `make demo` first, which makes the corpus and trains the models"),
    (["--recording", "no.wav", "words"], "no.wav: is not there; name a sound file and what is said in it"),
])
def test_what_is_not_there_is_named_in_one_sentence(claims, tmp_path, capsys, arguments, sentence):
    status = claims("bench").main(["--root", str(tmp_path), "--target", str(tmp_path / "claims.json"), *arguments])
    said = capsys.readouterr().err
    assert status == 2 and said.startswith("error: ") and said.count("\n") == 1
    assert sentence in said and not list(tmp_path.iterdir())
