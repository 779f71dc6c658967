"""Tables of weights: every kind is read by name and by time, and what is wrong is one sentence that says where."""

import json

import numpy as np
import pytest

from data_prep.arkit import csv_table, json_table
from data_prep.arkit.csv_table import Rates, read_csv_table
from data_prep.arkit.json_table import read_json_table
from data_prep.arkit.timecodes import timecode_seconds
from data_prep.arkit.weight_table import BEYOND
from otlib.errors import InputError
from otlib.export.arkit import ARKIT_NAMES
from otlib.export.audio2face import write_audio2face
from otlib.export.live_link import write_live_link
from tests.fixtures.weight_tables import audio2face, frames, live_link, put, timecodes

ROUNDED = 1e-8  # weights as text have eight decimals
A_THOUSANDTH = 1e-3 / 60  # seconds: a timecode's last decimal
ROWS = 5
WEIGHTS = {name: np.random.default_rng(number).uniform(0, 1, ROWS) for number, name in enumerate(ARKIT_NAMES)}


def column(table, name):
    return table.weights[:, table.names.index(name)]


def refusal(read, path, *rest):
    with pytest.raises(InputError) as error:
        read(path, *rest)
    (sentence,) = error.value.args
    assert sentence.startswith(str(path))
    return sentence.removeprefix(str(path))


@pytest.mark.parametrize("left_before_right", [False, True])
def test_live_link_is_read_by_the_names_of_its_columns(tmp_path, left_before_right):
    path = put(tmp_path / "a.csv", live_link(timecodes(ROWS, 60, first=3599.5), WEIGHTS, left_before_right))
    table = read_csv_table(path)
    assert sorted(table.names) == sorted(ARKIT_NAMES) and not table.cut and not table.supposed
    for name, weights in WEIGHTS.items():
        np.testing.assert_allclose(column(table, name), weights, atol=ROUNDED)
    np.testing.assert_allclose(table.times, np.arange(ROWS) / 60, atol=1e-9)


@pytest.mark.parametrize("change", [
    lambda text: text.replace(",", ";"), lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n"),
    lambda text: text.upper(), lambda text: text.lower(), lambda text: text.replace("\n", "\n\n"),
    lambda text: text.replace("\n", ",\n"), lambda text: text.replace("RightEyeRoll", "_neutral"),
])
def test_csv_as_programs_write_it(tmp_path, change):
    table = read_csv_table(put(tmp_path / "a.csv", change(live_link(timecodes(ROWS), WEIGHTS))))
    np.testing.assert_allclose(column(table, "mouthSmileLeft"), WEIGHTS["mouthSmileLeft"], atol=ROUNDED)


def test_what_this_project_writes_it_reads(tmp_path):
    weights = np.stack(list(WEIGHTS.values()), 1)
    write_live_link(tmp_path / "a.csv", ARKIT_NAMES, weights, 25.0)
    write_audio2face(tmp_path / "a.json", ARKIT_NAMES, weights, 25.0)
    for table in (read_csv_table(tmp_path / "a.csv"), read_json_table(tmp_path / "a.json")):
        np.testing.assert_allclose(table.times, np.arange(ROWS) / 25, atol=A_THOUSANDTH)
        for name in ARKIT_NAMES:
            np.testing.assert_allclose(column(table, name), WEIGHTS[name], atol=ROUNDED)


@pytest.mark.parametrize("table", [
    audio2face(60.0, WEIGHTS), frames(np.arange(ROWS) / 60, WEIGHTS), frames(7 + np.arange(ROWS) / 60, WEIGHTS, 60.0),
    frames(np.arange(ROWS) / 60, {"_neutral": np.full(ROWS, 0.9)} | WEIGHTS),
], ids=["Audio2Face", "BEAT", "LAM", "MediaPipe's names"])
def test_json_of_every_kind(tmp_path, table):
    read = read_json_table(put(tmp_path / "a.json", table))
    np.testing.assert_allclose(read.times, np.arange(ROWS) / 60, atol=1e-9)
    assert set(read.names) == set(ARKIT_NAMES)
    np.testing.assert_allclose(column(read, "jawOpen"), WEIGHTS["jawOpen"], atol=1e-12)


def test_beats_51_weights_have_no_tongue(tmp_path):
    table = read_json_table(put(tmp_path / "a.json", frames(np.arange(ROWS) / 60, {
        name: weights for name, weights in WEIGHTS.items() if name != "tongueOut"})))
    assert len(table.names) == 51 and "tongueOut" not in table.names


@pytest.mark.parametrize(("header", "cells", "rates"), [
    ("time", ["1.0", "1.5", "2.0"], Rates()), ("Timestamp_ms", ["40", "540", "1040"], Rates()),
    ("frame", ["8", "9", "10"], Rates(rows=2.0)), (None, ["", "", ""], Rates(rows=2.0)),
])
def test_times_of_other_tables(tmp_path, header, cells, rates):
    rows = ["" if header is None else f"{header},", *("" if header is None else f"{cell}," for cell in cells)]
    names = ["jawOpen,eyeBlinkLeft", "0,1", "0.5,0", "1,0.25"]
    table = read_csv_table(put(tmp_path / "a.csv", "\n".join(map("".join, zip(rows, names, strict=True)))), rates)
    np.testing.assert_allclose(table.times, [0, 0.5, 1.0], atol=1e-12)
    assert column(table, "eyeBlinkLeft").tolist() == [1, 0, 0.25]


def test_a_lost_face_leaves_rows_without_weights(tmp_path):
    lines = live_link(timecodes(ROWS), WEIGHTS).splitlines()
    lines[1] = "00:00:00:00.000,0"  # ends after its count
    lines[-1] = "00:00:00:04.000,0" + "," * 61  # has empty cells
    table = read_csv_table(put(tmp_path / "a.csv", "\n".join(lines)))
    np.testing.assert_allclose(table.times, np.array([1, 2, 3]) / 60, atol=1e-9)
    assert table.seconds == pytest.approx(4 / 60)


def test_weights_a_little_outside_are_cut_off(tmp_path):
    table = read_csv_table(put(tmp_path / "a.csv", "time,jawOpen,mouthClose\n0,1.05,-0.2\n1,0.5,0.5\n"))
    assert table.weights.tolist() == [[1, 0], [0.5, 0.5]] and table.cut == pytest.approx(0.2)


@pytest.mark.parametrize(("text", "told"), [
    ("", ": is empty"),
    ("time,jawOpen\n", ": holds no frame with weights"),
    ("time,jawOpen\n1,\n", ": holds no frame with weights"),
    ("time,left,right\n0,0,0\n", ": names none of ARKit's 52 shapes"),
    ("time,jawOpen,jawopen\n0,0,0\n", ": names jawOpen twice"),
    ("time,Time,jawOpen\n0,0,0\n", ": names time twice"),
    ("time,jawOpen,mood\n0,0,0\n", ": names 'mood', which is none"),
    ("time,mouthClose\n0,0\n", ": has no jawOpen"),
    ("jawOpen\n0\n", ": has no times (a column Timecode"),
    ("frame,jawOpen\n0,0\n", "say with --row-rate"),
    ("time,jawOpen\n0,0,0\n", ": line 2 has 3 cells, the first line names 2"),
    ("time,jawOpen,mouthClose\n0,0\n", ": line 2: mouthClose is missing"),
    ("time,jawOpen\n0,0\n1,open\n", ": line 3: jawOpen is 'open', which is no number"),
    ("time,jawOpen\nnow,0\n", ": line 2: time is 'now', which is no number"),
    ("time,jawOpen\n0,0\nnan,0\n", ": line 3 has a time that is not a finite number"),
    ("time,jawOpen\n0,nan\n", ": line 2: jawOpen is not a finite number"),
    ("time,jawOpen\n0,inf\n", ": line 2: jawOpen is not a finite number"),
    ("time,jawOpen\n0,0\n1,35\n", ": line 3: jawOpen is 35, but weights go from 0 to 1; divide per cents by 100"),
    (f"time,jawOpen\n0,{-BEYOND - 0.01}\n", "jawOpen is -0.26"),
    ("time,jawOpen\n1,0\n1,0\n", ": line 3 is not later than the line before it"),
    ("time,jawOpen\n0,0\n601,0\n", ": lasts 601 s, at most 600 s"),
    ('time,jawOpen\n0,"0\n', "cannot be read as CSV"),
    ("Timecode,jawOpen\n12,0\n", ": line 2 has the timecode '12', which is not HH:MM:SS:FF"),
    ("Timecode,jawOpen\n00:00:00:60,0\n", "but a second has 60 frames; say with --timecode-rate"),
    ("Timecode,jawOpen\n00:61:00:00,0\n", "which is not HH:MM:SS:FF"),
    ("Timecode,jawOpen\n00:00:01:05,0\n00:00:01:04,0\n", ": line 3 is not later"),
])
def test_a_csv_that_is_wrong_is_one_sentence(tmp_path, text, told):
    assert told in refusal(read_csv_table, put(tmp_path / "a.csv", text))


def test_more_rows_than_a_take_has_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_table, "MOST_ROWS", 4)
    path = put(tmp_path / "a.csv", "jawOpen\n" + "0\n" * 5 + "no number\n")
    assert "more than 4 frames; cut it into takes" in refusal(read_csv_table, path, Rates(rows=1000.0))


def changed(kind, **values):
    return kind | values


A2F, BEAT = audio2face(60.0, WEIGHTS), frames(np.arange(ROWS) / 60, WEIGHTS)


@pytest.mark.parametrize(("table", "told"), [
    ([], ": is no table of weights"), ({"names": []}, ": is no table of weights"), ("[", ": not a JSON file"),
    (changed(A2F, exportFps=None), "its exportFps must be a number, at least 1"),
    (changed(A2F, exportFps=0), "its exportFps must be a number, at least 1"),
    (changed(A2F, exportFps=True), "its exportFps must be a number, at least 1"),
    (changed(A2F, numFrames=9), "its numFrames says '9' where 5 are there"),
    (changed(A2F, numPoses=9), "its numPoses says '9' where 52 are there"),
    (changed(A2F, weightMat={}), "its weightMat is not a list"),
    (changed(A2F, weightMat=[], numFrames=0), ": holds no frame with weights"),
    (changed(A2F, weightMat=[[0]], numFrames=1), ": frame 0 is not a list of 52 numbers"),
    (changed(A2F, facsNames="jawOpen"), "its facsNames is not a list of names"),
    (changed(A2F, facsNames=["jawOpen"] * 52), ": names jawOpen twice"),
    (changed(BEAT, names=["jawOpen", "open"], frames=[]), ": names 'open', which is none"),
    (changed(BEAT, frames=[1]), ": frame 0 is not an object with weights and a time"),
    (changed(BEAT, frames=[{"weights": [0] * 52}]), ": frame 0 is not an object with weights and a time"),
    (changed(BEAT, frames=[{"weights": ["0"] * 52, "time": 0}]), ": frame 0 is not a list of 52 numbers"),
    (changed(BEAT, frames=BEAT["frames"] + BEAT["frames"][:1]), ": frame 5 is not later than the frame before it"),
    (changed(BEAT, metadata={"frame_count": 9}), "its frame_count says '9' where 5 are there"),
    (changed(BEAT, metadata={"blendshape_names": ["jawOpen"]}), "names and metadata.blendshape_names differ"),
    (changed(BEAT, metadata=5), "its metadata is not an object"),
])
def test_a_json_that_is_wrong_is_one_sentence(tmp_path, table, told):
    assert told in refusal(read_json_table, put(tmp_path / "a.json", table if isinstance(table, str) else json.dumps(table)))


def test_too_many_frames_of_json_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_table, "MOST_ROWS", ROWS - 1)
    for name, table in (("a.json", A2F), ("b.json", BEAT)):
        assert ": holds 5 frames, at most 4 are read; cut it" in refusal(read_json_table, put(tmp_path / name, table))


@pytest.mark.parametrize(("codes", "rate", "expected"), [
    (timecodes(70), None, np.arange(70) / 60),
    (timecodes(40, 30), None, np.arange(40) / 30),
    (["00:00:09:29.500", "00:00:10:00.000"], None, [9 + 29.5 / 30, 10.0]),  # no number above 29, and a second passes
    (["00:00:09:30", "00:00:10:00"], None, [9.5, 10.0]),
    (timecodes(50, 24), 24.0, np.arange(50) / 24),
    (["01:00:00;00", "01:00:01;00"], 59.94, [216_000 / 59.94, 216_060 / 59.94]),
    (["23:59:59:59", "00:00:00:00"], None, [86_400 - 1 / 60, 86_400]),
])
def test_timecodes(codes, rate, expected):
    seconds, supposed = timecode_seconds(codes, rate, codes)
    np.testing.assert_allclose(seconds, expected, atol=1e-9)
    assert not supposed


def test_within_one_second_the_apps_usual_rate_is_supposed_and_that_is_said():
    seconds, supposed = timecode_seconds(["00:00:00:03", "00:00:00:29"], None, ["", ""])
    np.testing.assert_allclose(seconds, [3 / 60, 29 / 60])
    assert "are taken to count 60 frames a second" in supposed
    assert timecode_seconds(["00:00:00:03", "00:00:00:29"], 30.0, ["", ""])[1] == ""
