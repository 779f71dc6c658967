"""VOCASET: both of its forms are read exactly, with the published splits; what is not whole is refused in one sentence."""

import functools
import itertools
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.__main__ import main
from data_prep.sources import vocaset
from data_prep.sources.vocaset import published_clips
from otlib.data.dataset import Dataset, validate
from tests.fixtures.processed_folder import RATE, sound, strip, write_faces
from tests.fixtures.vocaset_folder import (
    CONVERTED,
    FRAMES,
    MOTION,
    NEUTRAL,
    NO_MOTION,
    NO_SOUND,
    SOUND,
    TEMPLATES,
    TRAIN,
    VAL,
    VERTICES,
    write_layout,
    write_raw,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_raw(tmp_path_factory.mktemp("raw") / "voca")


@pytest.fixture(scope="module")
def layout(tmp_path_factory, raw):
    folder = write_layout(tmp_path_factory.mktemp("layout") / "vocaset")
    (folder / "FLAME_masks.pkl").write_bytes((raw / "FLAME_masks.pkl").read_bytes())
    return folder


@pytest.fixture(params=["raw", "layout"])
def source(request):
    return request.getfixturevalue(request.param)


def test_help_names_files_and_options(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["vocaset", "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    for word in ("data_verts.npy", "raw_audio_fixed.pkl", "vertices_npy", "FLAME_masks.pkl", "--raw", "--out", "--masks",
                 "--lips", "--upper-face", "--lip-gap", "--frame-rate", "register"):
        assert word in said


def convert(source, out, *options):
    return main(["vocaset", "--raw", str(source), "--out", str(out), *options])


def test_clips_are_those_of_the_published_splits(tmp_path, source, capsys):
    assert convert(source, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "VOCASET: 5 clips at 30 frames a second, 3 to train, 1 to validate, 1 to test" in said
    assert validate(tmp_path / "out") == []
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.frame_rate == 30.0
    assert {(sequence.subject, sequence.sentence): sequence.split for sequence in dataset.sequences} == CONVERTED
    left_out = dataset.provenance["left_out"]
    assert left_out["_".join(NO_MOTION)] == "no motion" and left_out["_".join(NO_SOUND)] == "no sound"
    assert f"left out for no sound: {'_'.join(NO_SOUND)}\n" in said and " more, which the manifest names" in said
    assert f"{VAL[0]}_sentence20" not in left_out  # not of a split, so nothing is missing
    assert len(left_out) == len(published_clips()) - len(CONVERTED) == 395
    assert [dataset.subjects[subject].get("one_hot") for subject in (TRAIN[0], TRAIN[3], VAL[0])] == [0, 3, None]


def test_every_second_frame_is_taken_and_nothing_else_is_changed(tmp_path, source):
    assert convert(source, tmp_path / "out") == 0
    for sequence in Dataset.open(tmp_path / "out").sequences:
        clip = (sequence.subject, sequence.sentence)
        assert sequence.frames == -(-FRAMES[clip] // 2)
        np.testing.assert_array_equal(sequence.vertices, MOTION[clip][::2].astype(np.float32))
        np.testing.assert_array_equal(sequence.template, TEMPLATES[clip[0]].astype(np.float32))
        samples, rate = soundfile.read(sequence.audio_path, dtype="int16")
        assert rate == RATE
        np.testing.assert_array_equal(samples, SOUND[clip])


def test_all_frames_on_demand(tmp_path, source):
    assert convert(source, tmp_path / "out", "--frame-rate", "60") == 0
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.frame_rate == 60.0
    for sequence in dataset.sequences:
        np.testing.assert_array_equal(sequence.vertices, MOTION[sequence.subject, sequence.sentence].astype(np.float32))


def test_both_forms_and_both_pythons_give_the_same_data_set(tmp_path, raw, layout):
    write_raw(tmp_path / "raw3", pickle.dumps)
    checksums = set()
    for number, source in enumerate((raw, layout, tmp_path / "raw3")):
        assert convert(source, tmp_path / f"out{number}") == 0
        checksums.add(Dataset.open(tmp_path / f"out{number}").checksum)
    assert len(checksums) == 1


def test_regions_from_flames_masks(tmp_path, raw):
    assert convert(raw, tmp_path / "out") == 0
    regions = Dataset.open(tmp_path / "out").topology.regions
    assert {name: list(indices) for name, indices in regions.items()} == {
        "lips": [7, 12, 3504, 3531], "upper_face": [2, 4, 9], "lip_gap": [3531, 3504]}


def test_regions_from_lists_of_the_users_own(tmp_path, raw):
    (tmp_path / "lips.txt").write_text("5023\n1\n17\n17\n")  # one a line, from 1
    np.save(tmp_path / "upper.npy", np.array([9, 8, 9]))
    assert convert(raw, tmp_path / "out", "--lips", str(tmp_path / "lips.txt"), "--upper-face", str(tmp_path / "upper.npy"),
                   "--counted-from", "1", "--lip-gap", "5", "6") == 0
    regions = Dataset.open(tmp_path / "out").topology.regions
    assert {name: list(indices) for name, indices in regions.items()} == {
        "lips": [0, 16, 5022], "upper_face": [7, 8], "lip_gap": [5, 6]}
    (tmp_path / "lve.txt").write_text("3,1, 2")  # between commas, from 0; the rest from FLAME's masks
    assert convert(raw, tmp_path / "out", "--lips", str(tmp_path / "lve.txt")) == 0
    regions = Dataset.open(tmp_path / "out").topology.regions
    assert list(regions["lips"]) == [1, 2, 3] and list(regions["upper_face"]) == [2, 4, 9]


def test_sound_and_motion_of_different_lengths_are_cut_and_told(tmp_path, raw, capsys):
    folder = copy(raw, tmp_path / "raw")
    array(folder / "data_verts.npy", np.tile(NEUTRAL, (120, 1, 1)))
    rows = {TRAIN[0]: {"sentence01": {frame: frame for frame in range(120)}, "sentence02": {0: 0, 1: 1, 3: 2, 4: 3}}}
    replaced(folder / "subj_seq_to_idx.pkl", pickle.dumps(rows))
    sounds = {TRAIN[0]: {"sentence01": {"audio": sound(2.25), "sample_rate": RATE},
                         "sentence02": {"audio": sound(4 / 60), "sample_rate": RATE}}}
    replaced(folder / "raw_audio_fixed.pkl", pickle.dumps(sounds))
    assert convert(folder, tmp_path / "out") == 0
    first, second = Dataset.open(tmp_path / "out").sequences
    assert first.frames == 60 and len(first.audio[0]) == 2 * RATE
    said = capsys.readouterr().out
    assert "in 1 clips sound and motion were of different lengths and were cut to the shorter, by 0.25 s at most" in said
    assert f"frames' numbers have gaps, and the frames were taken as if they had none: {second.id}" in said
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["sequences"][0]["cut_seconds"] == 0.25 and manifest["sequences"][1]["missing_frames"] == 1
    sounds[TRAIN[0]]["sentence01"]["audio"] = sound(1.5)
    replaced(folder / "raw_audio_fixed.pkl", pickle.dumps(sounds))
    assert convert(folder, tmp_path / "out") == 0
    assert Dataset.open(tmp_path / "out").sequences[0].frames == 45
    sounds[TRAIN[0]]["sentence01"]["audio"] = sound(1.0)
    replaced(folder / "raw_audio_fixed.pkl", pickle.dumps(sounds))
    assert convert(folder, tmp_path / "out") == 2
    assert "has 2.00 s of motion at 30 frames a second and 1.00 s of sound, so a rate is wrong" in capsys.readouterr().err


def copy(source, folder):
    """A copy whose files share their content with the source's; they are to be replaced, not written over."""
    for path in source.rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(path)
    return folder


def replaced(path, content):
    path.unlink()
    path.write_bytes(content)


def cut(path):
    replaced(path, path.read_bytes()[:-100])


def edited(path, change):
    value = pickle.loads(path.read_bytes(), encoding="latin1")
    change(value)
    replaced(path, pickle.dumps(value))


def array(path, value):
    path.unlink()
    np.save(path, value)


FIRST = TRAIN[0]
RAW_FAULTS = {
    "cut vertices": ("data_verts.npy", cut, "is not a whole .npy array"),
    "vertices of another face": ("data_verts.npy", lambda p: array(p, np.zeros((80, 5022, 3))), "expected floating-point"),
    "whole numbers": ("data_verts.npy", lambda p: array(p, np.zeros((80, 5023, 3), "i2")), "has int16 of shape"),
    "NaN": ("data_verts.npy", lambda p: array(p, np.full((120, 5023, 3), np.nan)), f"({FIRST}_sentence01): frame 0 holds"),
    "rows": ("data_verts.npy", lambda p: array(p, np.zeros((10, 5023, 3))), "data_verts.npy has 10"),
    "cut rows": ("subj_seq_to_idx.pkl", cut, "is cut short or damaged"),
    "negative row": ("subj_seq_to_idx.pkl", lambda p: edited(p, lambda v: v[FIRST]["sentence01"].update({3: -1})), "row -1"),
    "row as text": ("subj_seq_to_idx.pkl", lambda p: edited(p, lambda v: v[FIRST]["sentence01"].update({3: "1"})),
                    "is not a dictionary from frames to rows"),
    "no frames": ("subj_seq_to_idx.pkl", lambda p: edited(p, lambda v: v[FIRST]["sentence01"].clear()), "or is empty"),
    "list of rows": ("subj_seq_to_idx.pkl", lambda p: replaced(p, pickle.dumps([1])), "from subjects to sentences"),
    "other subjects": ("subj_seq_to_idx.pkl", lambda p: replaced(p, pickle.dumps({"F1": {}})), "no clip of VOCASET's"),
    "command": ("raw_audio_fixed.pkl", lambda p: replaced(p, b"cposix\nsystem\n(S'exit 1'\ntR."), "asks for posix.system"),
    "cut sound": ("raw_audio_fixed.pkl", cut, "is cut short or damaged"),
    "no audio": ("raw_audio_fixed.pkl", lambda p: edited(p, lambda v: v[FIRST]["sentence01"].clear()), "has no audio of 16"),
    "float audio": ("raw_audio_fixed.pkl", lambda p: edited(p, lambda v: v[FIRST]["sentence01"].update(audio=np.zeros(9))),
                    "has no audio of 16-bit"),
    "rate": ("raw_audio_fixed.pkl", lambda p: edited(p, lambda v: v[FIRST]["sentence01"].update(sample_rate=0)),
             "has the sample_rate 0"),
    "templates": ("templates.pkl", lambda p: edited(p, lambda v: v.update({FIRST: np.zeros((5022, 3))})), "shape (5022, 3)"),
    "template name": ("templates.pkl", lambda p: edited(p, lambda v: v.update({"../x": NEUTRAL})), "gives the name '../x'"),
    "faces": ("templates/FLAME_sample.ply", lambda p: write_faces(p, NEUTRAL[:9], strip(9)), "has 9 vertices where FLAME"),
    "cut faces": ("templates/FLAME_sample.ply", cut, "cut short"),
    "no faces": ("templates/FLAME_sample.ply", lambda p: p.unlink(), "holds no .ply file"),
    "no masks": ("FLAME_masks.pkl", lambda p: p.unlink(), "holds no FLAME_masks.pkl; put FLAME's vertex masks there"),
    "masks": ("FLAME_masks.pkl", lambda p: edited(p, lambda v: v.pop("forehead")), "lacks the mask forehead"),
    "mask": ("FLAME_masks.pkl", lambda p: edited(p, lambda v: v.update(lips=np.array([5023]))), "lips: names vertex 5023"),
    "a mask without end": ("FLAME_masks.pkl", lambda p: edited(p, lambda v: v.update(
        lips=functools.reduce(lambda part, _: [part, part], range(60), []))), "lips: is empty or not a list of whole"),
    "a mask of a list": ("FLAME_masks.pkl", lambda p: edited(p, lambda v: v.update(lips=[5023])), "lips: names vertex 5023"),
    "half a mask": ("FLAME_masks.pkl", lambda p: edited(p, lambda v: v.update(lips=np.array([1.5]))), "that is not whole"),
    "no release": ("data_verts.npy", lambda p: p.unlink(), "holds neither data_verts.npy (raw release) nor vertices_npy/"),
    "two forms": ("vertices_npy", lambda p: p.mkdir(), "holds both data_verts.npy and vertices_npy/"),
    "link": ("data_verts.npy", lambda p: p.symlink_to(p.rename(p.parents[1] / "x.npy")), "leads out of"),
}


@pytest.mark.parametrize("name", RAW_FAULTS)
def test_a_raw_release_that_is_not_whole_is_refused(tmp_path, raw, capsys, name):
    relative, damage, message = RAW_FAULTS[name]
    folder = copy(raw, tmp_path / "raw")
    if name == "faces":
        (folder / relative).unlink()
    damage(folder / relative)
    assert convert(folder, tmp_path / "out") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in said and str(folder) in said, said
    assert not [path for path in tmp_path.iterdir() if path.name not in ("raw", "x.npy")]


def nan(path):
    motion = np.load(path)
    motion[4, 7] = np.nan
    array(path, motion)


NAME = "_".join((TRAIN[3], "sentence02"))
LAYOUT_FAULTS = {
    "NaN": (f"vertices_npy/{NAME}.npy", nan, f"{NAME}.npy ({NAME}): frame 2 holds a value that is not finite"),  # 4 of 60 Hz
    "cut motion": (f"vertices_npy/{NAME}.npy", cut, f"{NAME}.npy: is not a whole .npy array"),
    "vertices": (f"vertices_npy/{NAME}.npy", lambda p: array(p, np.zeros((12, 9))), "has shape (12, 9), expected (T, 15"),
    "cut sound": (f"wav/{NAME}.wav", cut, f"{NAME}.wav: is cut short"),
    "two names": (f"wav/{NAME.lower()}.wav", lambda p: p.write_bytes(b""), f"has the name of {NAME}.wav; keep one"),
    "command": ("templates.pkl", lambda p: replaced(p, b"cposix\nsystem\n(S'exit 1'\ntR."), "asks for posix.system"),
    "faces": ("topology.ply", cut, "cut short"),
    "outside": (f"wav/{NAME}.wav", lambda p: p.symlink_to(p.rename(p.parents[2] / "x.wav")), f"{NAME}.wav: leads out of"),
    "no template": ("templates.pkl", lambda p: edited(p, lambda v: [v.pop(s) for s in list(v)[1:]] and v.update(
        {"x": v.pop(next(iter(v)))})), "no clip has motion, sound and a template"),
}


@pytest.mark.parametrize("name", LAYOUT_FAULTS)
def test_a_processed_layout_that_is_not_whole_is_refused(tmp_path, layout, capsys, name):
    relative, damage, message = LAYOUT_FAULTS[name]
    folder = copy(layout, tmp_path / "layout")
    damage(folder / relative)
    assert convert(folder, tmp_path / "out") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in said and str(folder) in said, said
    assert {path.name for path in tmp_path.iterdir()} <= {"layout", "x.wav"}
    assert convert(tmp_path / "none", tmp_path / "out") == 2
    assert "none: no such folder; give --raw" in capsys.readouterr().err


LISTS = {"from 1": ("5023", "names vertex 5023 (counted from 0), there are 5023; does it count from 1? Then say --counted"),
         "words": ("1 two", "cannot be read as a list of vertices"), "nothing": (" ", "is empty or not a list"),
         "infinite": ("inf", "holds a number that is not whole"), "negative": ("-1", "names vertex -1")}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_vertices_that_cannot_be_right_are_refused(tmp_path, raw, capsys, name):
    text, message = LISTS[name]
    (tmp_path / "lips.txt").write_text(text)
    assert convert(raw, tmp_path / "out", "--lips", str(tmp_path / "lips.txt")) == 2
    assert message in (said := capsys.readouterr().err) and "lips.txt" in said, said
    assert convert(raw, tmp_path / "out", "--lip-gap", "3", "5023") == 2
    assert "--lip-gap is 3 5023, it must be two of the 5023 vertices" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_leaves_nothing_and_the_next_one_is_whole(tmp_path, raw, monkeypatch):
    out = tmp_path / "out"
    assert convert(raw, out) == 0
    before = Dataset.open(out).checksum
    calls = itertools.count()

    def interrupt(*arguments):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return read(*arguments)

    read = vocaset._read_rows
    monkeypatch.setattr(vocaset, "_read_rows", interrupt)
    for target in (out, tmp_path / "new"):
        calls = itertools.count()
        assert convert(raw, target) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and Dataset.open(out).checksum == before
    monkeypatch.undo()
    assert convert(raw, tmp_path / "new") == 0 and Dataset.open(tmp_path / "new").checksum == before


MEASURE = """
import sys, threading, time
from data_prep.__main__ import main

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))

peak, done = [0], threading.Event()
def watch():
    while not done.wait(0.002):
        peak[0] = max(peak[0], anonymous())

threading.Thread(target=watch, daemon=True).start()
status = main(["vocaset", *sys.argv[1:]])
done.set()
print(status, peak[0])
"""
LIMIT = 1_000_000_000  # bytes of anonymous memory, which the issue allows; the table alone is 14.9 GB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is read from Linux's /proc")
def test_a_table_of_14_gb_is_converted_in_little_memory(tmp_path, raw):
    folder = copy(raw, tmp_path / "raw")
    (folder / "data_verts.npy").unlink()
    table = np.lib.format.open_memmap(folder / "data_verts.npy", "w+", np.float64, (123341, VERTICES, 3))  # all holes
    table[123340] = NEUTRAL
    del table
    index = pickle.loads((folder / "subj_seq_to_idx.pkl").read_bytes(), encoding="latin1")
    clips = [(subject, sentence) for subject, part in index.items() for sentence in part]
    for number, (subject, sentence) in enumerate(clips):
        frames = range(number * 15000, number * 15000 + FRAMES[subject, sentence])
        index[subject][sentence] = dict(enumerate(frames))
    index[TRAIN[0]]["sentence01"][8] = 123340
    replaced(folder / "subj_seq_to_idx.pkl", pickle.dumps(index))
    done = subprocess.run([sys.executable, "-c", MEASURE, "--raw", folder, "--out", tmp_path / "out"], check=True,
                          capture_output=True, text=True, cwd=Path(__file__).resolve().parents[3])
    status, peak = map(int, done.stdout.split()[-2:])
    assert status == 0 and 0 < peak < LIMIT
    last = Dataset.open(tmp_path / "out").sequences[0].vertices[-1]
    np.testing.assert_array_equal(last, NEUTRAL.astype(np.float32))
