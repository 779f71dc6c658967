"""Own recordings: every form is read exactly, everything that is wrong is said at once, and then nothing is written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import trimesh

from data_prep.__main__ import main
from data_prep.head import CONTROLS, IDENTITY_DIRECTIONS, make_head, pose
from data_prep.sources.clip_table import ClipRow, read_rows, row_by_name, with_splits
from data_prep.sources.recorded_faces_folder import look_through
from otlib.data.dataset import Dataset, validate
from tests.fixtures.processed_folder import write_processed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
RATE, FRAMES, FRAME_RATE = 16_000, 6, 25.0
SINGLE = 1e-6  # metres; meshes hold six decimals or float32
ANNA, BEN = (make_head(direction) for direction in np.eye(len(IDENTITY_DIRECTIONS))[:2])
FACES = ANNA.topology.faces
TAKES = {"anna_01": ANNA, "anna_02": ANNA, "ben_01": BEN, "ben_03": BEN}


def motion(head, seed):
    controls = np.zeros((FRAMES, len(CONTROLS)))
    controls[:, CONTROLS.index("aperture")] = np.linspace(0, 1, FRAMES)
    controls[:, CONTROLS.index("jaw")] = np.random.default_rng(seed).uniform(0, 0.5)
    return pose(head, controls)


MOTION = {name: motion(head, seed) for seed, (name, head) in enumerate(TAKES.items())}


def samples(seed, frames=FRAMES):
    return np.random.default_rng(seed).integers(-3000, 3000, round(frames / FRAME_RATE * RATE)).astype(np.int16)


def write_mesh(path: Path, vertices, faces=FACES):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".obj":
        lines = ["v {:.6f} {:.6f} {:.6f}\n".format(*vertex) for vertex in vertices]
        path.write_text("".join(lines + ["f {} {} {}\n".format(*face) for face in faces + 1]))
    elif path.suffix == ".gltf":
        files = trimesh.exchange.gltf.export_gltf(trimesh.Scene(trimesh.Trimesh(vertices, faces, process=False)))
        document = files.pop("model.gltf").decode()
        for name, content in files.items():
            document = document.replace(name, f"{path.stem}_{name}")
            (path.parent / f"{path.stem}_{name}").write_bytes(content)
        path.write_text(document)
    else:
        trimesh.Trimesh(vertices, faces, process=False).export(path)


def write_meshes(folder: Path, name: str, suffix: str = ".obj"):
    """One mesh a frame, numbered from 8 without leading zeros, so that the order of names is not that of frames."""
    for number, frame in enumerate(MOTION[name], start=8):
        write_mesh(folder / name / f"frame {number}{suffix}", frame)


@pytest.fixture
def folder(tmp_path):
    """Four takes of two subjects, motion as arrays."""
    made = tmp_path / "mine"
    write_mesh(made / "templates/anna.obj", ANNA.vertices)
    write_mesh(made / "templates/ben.obj", BEN.vertices)
    for seed, name in enumerate(TAKES):
        soundfile.write(made / f"{name}.wav", samples(seed), RATE, subtype="PCM_16")
        np.save(made / f"{name}.npy", MOTION[name])
    return made


@pytest.fixture
def named(tmp_path):
    """The options that name the regions of the built-in head."""
    options = ["--lip-gap", *(str(index) for index in ANNA.topology.lip_gap)]
    for name in ("lips", "upper_face"):
        (tmp_path / f"{name}.txt").write_text(" ".join(str(index) for index in ANNA.topology.regions[name]))
        options += [f"--{name.replace('_', '-')}", str(tmp_path / f"{name}.txt")]
    return options


def convert(folder, *options, rate="25"):
    return main(["recordings", "--raw", str(folder), "--out", str(folder.parent / "out"),
                 *(("--frame-rate", rate) if rate else ()), *options])


def refused(folder, capsys, *options, rate="25"):
    """Return the lines of the message, and see that nothing was written."""
    before = sorted(folder.parent.iterdir())
    assert convert(folder, *options, rate=rate) == 2
    assert sorted(folder.parent.iterdir()) == before
    return capsys.readouterr().err.splitlines()


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", ["(T, 3V)", ".obj", ".ply", ".glb", ".gltf"])
def test_every_form_of_motion_is_read_exactly(folder, named, form):
    (folder / "anna_02.npy").unlink()
    if form == "(T, 3V)":
        np.save(folder / "anna_02.npy", MOTION["anna_02"].reshape(FRAMES, -1).astype(np.float64))
    else:
        write_meshes(folder, "anna_02", form)
    assert convert(folder, *named) == 0
    made = Dataset.open(folder.parent / "out")
    assert validate(made.path) == []
    np.testing.assert_array_equal(made.topology.faces, FACES)
    assert made.frame_rate == FRAME_RATE and made.topology.parts["lips"].size
    for seed, sequence in enumerate(made.sequences):
        np.testing.assert_allclose(sequence.vertices, MOTION[sequence.id], atol=SINGLE)
        np.testing.assert_array_equal(np.rint(sequence.audio[0] * 2**15), samples(seed))
        np.testing.assert_allclose(sequence.template, TAKES[sequence.id].vertices, atol=SINGLE)
    assert [(s.id, s.subject, s.sentence, s.split) for s in made.sequences] == [
        ("anna_01", "anna", "01", "train"), ("anna_02", "anna", "02", "val"), ("ben_01", "ben", "01", "train"),
        ("ben_03", "ben", "03", "test")]
    for name in ("lips", "upper_face", "lip_gap"):
        own = ANNA.topology.regions[name].tolist()
        assert made.topology.regions[name].tolist() == (own if name == "lip_gap" else sorted(own))


def test_one_template_serves_everyone(folder, named):
    shutil.rmtree(folder / "templates")
    write_mesh(folder / "template.ply", ANNA.vertices)
    assert convert(folder, *named) == 0
    made = Dataset.open(folder.parent / "out")
    np.testing.assert_allclose(made.template("ben"), ANNA.vertices, atol=SINGLE)


@pytest.mark.parametrize(("unit", "metres"), [("cm", 0.01), ("mm", 0.001), ("0.0254", 0.0254)])
def test_units_become_metres(folder, named, unit, metres):
    for name, frames in MOTION.items():
        np.save(folder / f"{name}.npy", frames.astype(float) / metres)
    for subject, head in (("anna", ANNA), ("ben", BEN)):
        write_mesh(folder / f"templates/{subject}.obj", head.vertices / metres)
    assert convert(folder, *named, "--unit", unit) == 0
    np.testing.assert_allclose(Dataset.open(folder.parent / "out").sequences[0].vertices, MOTION["anna_01"], atol=SINGLE)


def test_the_processed_layout_is_read(tmp_path, named):
    folder = write_processed(tmp_path / "peers", {"anna": ANNA.vertices, "ben": BEN.vertices}, MOTION, FRAME_RATE, FACES)
    assert convert(folder, *named) == 0
    made = Dataset.open(tmp_path / "out")
    assert validate(made.path) == [] and [s.id for s in made.sequences] == list(TAKES)
    np.testing.assert_array_equal(made.sequences[2].vertices, MOTION["ben_01"])


def test_a_table_says_more_than_names(folder, named):
    (folder / "clips.csv").write_text("\ufeffname;subject;split;text\nanna_01;anna;test;Please call Stella.\n"
                                      "anna_02;;train;\nben_01;anna;train;\nben_03;ben;val;\n", encoding="utf-8")
    assert convert(folder, *named) == 0
    made = Dataset.open(folder.parent / "out")
    assert [(s.subject, s.sentence, s.split, s.text) for s in made.sequences] == [
        ("anna", "01", "test", "Please call Stella."), ("anna", "02", "train", None), ("anna", "01", "train", None),
        ("ben", "03", "val", None)]


def test_names_without_a_table():
    assert row_by_name("a_b_03") == ClipRow("a_b", "03")
    assert row_by_name("hello") == ClipRow("speaker", "hello") and row_by_name("_03") == ClipRow("speaker", "_03")


def test_splits_by_sentence_leak_none():
    rows = {f"{subject}_{number:02d}": ClipRow(subject, f"{number:02d}") for subject in "ab" for number in range(20)}
    split = with_splits(rows)
    by_sentence = {row.sentence: row.split for row in split.values()}
    assert all(by_sentence[row.sentence] == row.split for row in split.values())
    assert [list(by_sentence.values()).count(name) for name in ("train", "val", "test")] == [16, 2, 2]
    few = [[row.split for row in with_splits({str(n): ClipRow("a", str(n)) for n in range(count)}).values()]
           for count in (1, 2, 3)]
    assert few == [["train"], ["train", "test"], ["train", "val", "test"]]


@pytest.mark.parametrize(("text", "told"), [
    ("subject\na\n", "has no column name"), ("", "has no column name"),
    ("name,speaker\nx,a\n", "has the column 'speaker'"),
    ("name,split\nx,dev\n", "line 2 has the split 'dev'"),
    ("name,subject\nx,../a\n", "line 2 has the subject '../a'"),
    ("name,subject\ny,a\n", "line 2 names the recording 'y', of which there is neither"),
    ("name,subject\nx,a\nx,b\n", "line 3 names the recording x again"),
    ("name,subject\nx,a,b\n", "line 2 has more cells"),
    ("name,text\nx,\"never closed\n", "line 2 cannot be read"), ("name,text\nx,\"a\"b\n", "line 2 cannot be read"),
    ("name,split\nx,train\nz,\n", "gives a split to some recordings and none to z"),
    ("name,text\nx,\"" + "a" * 200_000 + "\"\n", "cannot be read"), ("a" * 200_000 + "\n", "first line cannot be read"),
    (b"\xff\xfe\x00", "not UTF-8 text"),
])
def test_what_is_wrong_with_a_table(tmp_path, text, told):
    (tmp_path / "clips.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    problems: list[str] = []
    read_rows(tmp_path / "clips.csv", ["x", "z"], problems)
    assert any(told in problem for problem in problems) and all(str(tmp_path) in problem for problem in problems)


def test_regions_are_found_from_motion_and_this_is_said(folder, capsys):
    assert convert(folder) == 0
    assert "found from the motion, so look at them in a picture or name your own: lips (" in capsys.readouterr().out
    made = Dataset.open(folder.parent / "out")
    assert made.topology.lip_gap.tolist() == ANNA.topology.lip_gap.tolist()
    assert made.provenance["regions_found_from_motion"] == ["lips", "upper_face", "lip_gap"]
    assert convert(folder, "--lip-gap", "3", "4") == 0
    made = Dataset.open(folder.parent / "out")
    assert made.topology.lip_gap.tolist() == [3, 4]
    assert made.provenance["regions_found_from_motion"] == ["lips", "upper_face"]


def replaced(name):
    """What puts a named pipe in place of a file of the folder."""
    def replace(folder):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    return replace


def frame_replaced(folder):
    (folder / "anna_02.npy").unlink()
    write_meshes(folder, "anna_02")
    replaced("anna_02/frame 10.obj")(folder)


def large(folder):
    frames = MOTION["anna_01"].astype(float)
    frames[4, 7] = 1e300  # infinite in float32
    np.save(folder / "anna_01.npy", frames)


def far_away(folder):
    for name, head in TAKES.items():
        np.save(folder / f"{name}.npy", MOTION[name] + 2e4)
        write_mesh(folder / f"templates/{name[:-3]}.obj", head.vertices + 2e4)


PIPES = {name: (replaced(name), f"{name}: is a pipe or a device; give a file")
         for name in ("anna_01.npy", "anna_01.wav", "clips.csv", "templates/anna.obj", "lips")}
PIPES["frame"] = frame_replaced, "frame 10.obj: is a pipe or a device; give a file"
DAMAGES = (PIPES if hasattr(os, "mkfifo") else {}) | {
    "large": (large, "frame 4 holds a value that is not finite, or beyond 10000 m"),
    "far away": (far_away, "holds a value that is not finite, or beyond 10000 m"),
    "slow sound": (lambda folder: soundfile.write(folder / "anna_01.wav", samples(0), 1, subtype="PCM_16"),
                   "anna_01.wav: has 1 samples a second, which must be at least 1000 and at most 1000000"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_validate_or_training_would_stumble_on_is_refused_at_once(folder, capsys, damage):
    """Pipes that nobody writes to, positions that float32 cannot hold, and sound that resampling would make endless."""
    make, told = DAMAGES[damage]
    make(folder)
    options = ["--lips", str(folder / "lips")] if damage == "lips" else []
    assert any(told in line for line in refused(folder, capsys, *options))


def test_everything_that_is_wrong_is_in_one_message(folder, capsys):
    """Of the folder, of the options, of what lacks, and of what only reading shows."""
    (folder / "anna_01.wav").unlink()
    frames = MOTION["ben_01"].copy()
    frames[4, 7] = np.nan
    np.save(folder / "ben_01.npy", frames)
    np.save(folder / "ben_03.npy", MOTION["ben_03"][:, :-1])
    (folder / "anna_02.npy").unlink()
    write_meshes(folder, "anna_02")
    (folder / "anna_02/frame 10.obj").unlink()
    (folder / "carl_01.wav").write_bytes((folder / "anna_02.wav").read_bytes())
    (folder / "clips.csv").write_text("name,split\nben_01,dev\n")
    lines = refused(folder, capsys, "--lip-gap", "0", "99999", rate=None)
    told = ["line 2 has the split 'dev'", "the frame rate is not known; say it with --frame-rate", "--lip-gap is 0 99999",
            "anna_01: has motion and no sound", "frame 4 holds a value that is not finite", "ben_03.npy: has shape",
            "lacks number 10 between frame 9.obj and frame 11.obj", "carl_01: has sound and no motion",
            "has no template of its subject 'carl'"]
    assert "mine: 9 problems, so nothing was written" in lines[0] and len(lines) == 10
    assert [sum(sentence in line for line in lines) for sentence in told] == [1] * len(told), lines


def test_the_frame_rate_that_fits_is_told(folder, capsys):
    line, = refused(folder, capsys, rate=None)
    assert "say it with --frame-rate (motion and sound are equally long at 25)" in line
    with pytest.raises(SystemExit):
        refused(folder, capsys, rate="-3")
    assert "argument --frame-rate: must be a number, at least 1 and at most 1000, but is '-3'" in capsys.readouterr().err
    assert any("0.24 s of sound, so a rate is wrong" in line for line in refused(folder, capsys, rate="50"))


def test_a_wrong_unit_and_offsets_are_noticed(folder, capsys, named):
    line, = refused(folder, capsys, *named, "--unit", "mm")
    assert "the template measures 0.0003 m, which no face does; say the unit with --unit" in line
    for name, head in TAKES.items():
        np.save(folder / f"{name}.npy", MOTION[name] - head.vertices)
    lines = refused(folder, capsys, *named)
    assert len(lines) == 5 and all("offsets and not positions" in line for line in lines[1:])
    with pytest.raises(SystemExit):
        convert(folder, "--unit", "miles")


def spoil_text(suffix):
    def spoil(folder):
        (folder / "anna_02.npy").unlink()
        write_meshes(folder, "anna_02", suffix)
        path = folder / f"anna_02/frame 11{suffix}"
        path.write_bytes(path.read_bytes()[:path.stat().st_size * 2 // 3])
    return spoil


def spoil_bytes(name, share=0.7):
    def spoil(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[:int(path.stat().st_size * share)])
    return spoil


def spoil_mesh(frame=11, **changes):
    def spoil(folder):
        (folder / "anna_02.npy").unlink()
        write_meshes(folder, "anna_02")
        write_mesh(folder / f"anna_02/frame {frame}.obj", changes.get("vertices", MOTION["anna_02"][3]),
                   changes.get("faces", FACES))
    return spoil


def spoil_copy(source, target):
    def spoil(folder):
        if source.startswith("anna_02/"):
            (folder / "anna_02.npy").unlink()
            write_meshes(folder, "anna_02")
        (folder / target).write_bytes((folder / source).read_bytes())
    return spoil


def spoil_link(folder):
    outside = folder.parent / "outside.npy"
    (folder / "anna_02.npy").rename(outside)
    (folder / "anna_02.npy").symlink_to(outside)


def spoil_buffer(folder):
    (folder / "anna_02.npy").unlink()
    write_meshes(folder, "anna_02", ".gltf")
    path = folder / "anna_02/frame 9.gltf"
    document = json.loads(path.read_text())
    document["buffers"][0]["uri"] = "../../secret.bin"
    path.write_text(json.dumps(document))


def spoil_pickle(folder):
    np.save(folder / "anna_02.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def spoil_nan(folder):
    frames = MOTION["anna_02"].copy()
    frames[2, 5, 1] = np.inf
    np.save(folder / "anna_02.npy", frames)


def spoil_name(folder):
    (folder / "anna_02.npy").rename(folder / "anna $(02).npy")


def spoil_topology(folder):
    write_mesh(folder / "templates/ben.obj", BEN.vertices, FACES[::-1])


def spoil_no_templates(folder):
    shutil.rmtree(folder / "templates")


def spoil_everything(folder):
    for path in folder.glob("*.*"):
        path.unlink()


@pytest.mark.parametrize(("spoil", "told"), [
    (spoil_text(".obj"), "frame 11.obj: "), (spoil_text(".ply"), "frame 11.ply: is damaged, cut short"),
    (spoil_text(".glb"), "frame 11.glb: is damaged, cut short"), (spoil_bytes("anna_02.npy"), "is not a whole .npy array"),
    (spoil_bytes("anna_02.npy", 0), "is not a whole .npy array"), (spoil_bytes("anna_02.wav"), "anna_02.wav: is cut short"),
    (spoil_bytes("templates/ben.obj", 0.3), "templates/ben.obj: "),
    (spoil_mesh(vertices=np.vstack([MOTION["anna_02"][3], [[0, 0, 0]]])),
     f"has {len(ANNA.vertices) + 1} vertices, the template has"),
    (spoil_mesh(faces=FACES + 500), "frame 11.obj: is damaged, cut short or not one mesh (a face names vertex"),
    (spoil_mesh(faces=FACES[:-1]), "frame 11.obj: has other faces than the template"),
    (spoil_mesh(vertices=np.where(np.arange(3) > 1, np.nan, MOTION["anna_02"][3])), "vertex 0 is not a finite position"),
    (spoil_copy("anna_02/frame 9.obj", "anna_02/frame 09.obj"), "has the number of frame 09.obj; keep one"),
    (spoil_copy("anna_02/frame 9.obj", "anna_02/frame 9.ply"), "has the number of frame 9.obj; keep one"),
    (spoil_copy("anna_02/frame 9.obj", "anna_02/mean.obj"), "mean.obj: has no number at the end of its name"),
    (spoil_mesh(frame=20), "lacks numbers 14 to 19 between frame 13.obj and frame 20.obj"),
    (spoil_copy("anna_02.wav", "ANNA_02.wav"), "has the name of ANNA_02.wav; keep one of the two"),
    (spoil_copy("anna_02.wav", "anna_02.WAV"), "has the name of anna_02.WAV; keep one of the two"),
    (spoil_link, "leads out of"), (spoil_buffer, "names the file '../../secret.bin', which does not lie beside it"),
    (spoil_pickle, "is not a"), (spoil_nan, "frame 2 holds a value that is not finite"),
    (spoil_name, "gives the name 'anna $(02)'"), (spoil_topology, "ben.obj: has other faces than anna.obj"),
    (spoil_no_templates, "holds no template; put the face at rest there"), (spoil_everything, "holds no recordings"),
])
def test_hostile_input_gets_sentences_and_nothing_is_written(folder, capsys, named, spoil, told):
    spoil(folder)
    lines = refused(folder, capsys, *named)
    assert sum(told in line for line in lines) == 1 and all(str(folder) in line or "_0" in line for line in lines), lines


def test_two_motions_of_one_name(folder, capsys, named):
    write_meshes(folder, "anna_02")
    line, = refused(folder, capsys, *named)
    assert "anna_02.npy: has the name of anna_02; keep one of the two" in line


def test_no_such_folder(tmp_path, capsys):
    line, = refused(tmp_path / "none", capsys)
    assert "no such folder; give --raw the folder that holds the files" in line


def test_what_is_wrong_can_be_left_out(folder, capsys, named):
    spoil_nan(folder)
    (folder / "ben_01.wav").unlink()
    assert convert(folder, *named, "--leave-out") == 0
    said = capsys.readouterr().out
    assert "left out for has motion and no sound (a wav file of that name): ben_01" in said
    assert "frame 2 holds a value that is not finite" in said
    made = Dataset.open(folder.parent / "out")
    assert [sequence.id for sequence in made.sequences] == ["anna_01", "ben_03"]
    assert sorted(made.provenance["left_out"]) == ["anna_02", "ben_01"]


def test_a_run_can_be_interrupted_and_repeated(folder, named, monkeypatch):
    """The second time through after the first clip is written; what stood there stays."""
    assert convert(folder, *named) == 0
    out = folder.parent / "out"
    before = content(out)
    import data_prep.sources.conversion as conversion
    whole, calls = conversion.write_sequence, []

    def interrupted(*arguments, **options):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return whole(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(conversion, "write_sequence", interrupted)
        assert convert(folder, *named) == 130
    assert content(out) == before and not list(folder.parent.glob(".out*"))
    assert convert(folder, *named) == 0 and content(out) == before


def test_a_folder_of_a_persons_own_is_never_replaced(folder, named):
    """By the command itself: a browser extension, whose manifest.json is not ours."""
    out = folder.parent / "out"
    out.mkdir()
    (out / "manifest.json").write_text('{"manifest_version": 3, "name": "mine", "version": "1"}')
    (out / "background.js").write_text("mine")
    before = content(folder.parent)
    run = subprocess.run([sys.executable, "-m", "data_prep", "recordings", "--raw", str(folder), "--out", str(out),
                          "--frame-rate", "25", *named], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2 and content(folder.parent) == before
    assert (f"{out}: exists and is not a data set (its manifest.json is not of the format otlib-dataset, version 2 or "
            "older), so it is not replaced; choose another folder") in run.stderr.splitlines()[-1]


def test_a_file_of_a_persons_own_in_a_data_set_is_kept(folder, named, capsys):
    assert convert(folder, *named) == 0
    out = folder.parent / "out"
    for name, message in (("templates/notes.txt", "is not listed in"), ("regions.json", "differs from what")):
        kept = (out / name).read_bytes() if (out / name).exists() else None
        (out / name).write_text('{"lips": [1]}')
        before = content(folder.parent)
        assert convert(folder, *named) == 2 and content(folder.parent) == before
        assert f"{out / name}: {message} manifest.json" in capsys.readouterr().err
        (out / name).unlink() if kept is None else (out / name).write_bytes(kept)
    assert convert(folder, *named) == 0


def test_recordings_kept_in_an_earlier_data_set_stay(folder, named, capsys):
    assert convert(folder, *named) == 0
    out = folder.parent / "out"
    shutil.copytree(folder, out / "raw")
    before = content(folder.parent)
    for raw, place in ((out / "raw", out), (out / "raw", out / "raw"), (folder, folder / "out"), (folder, folder.parent)):
        assert main(["recordings", "--raw", str(raw), "--out", str(place), "--frame-rate", "25", *named]) == 2
        assert f"{place}: is, holds or lies in {raw}, which is read" in capsys.readouterr().err
    link = folder.parent / "link"
    link.symlink_to(out / "raw")
    for raw, message in ((folder, "exists and is not a data set (it is a link"), (out / "raw", "is, holds or lies")):
        assert main(["recordings", "--raw", str(raw), "--out", str(link), "--frame-rate", "25", *named]) == 2
        assert f"{link}: {message}" in capsys.readouterr().err
    link.unlink()
    assert content(folder.parent) == before


def test_looking_through_reads_no_motion(folder, monkeypatch):
    monkeypatch.setattr("data_prep.sources.recorded_faces_folder.read_mesh", lambda path: make_mesh(path))

    def make_mesh(path):
        assert path.parent.name == "templates"
        from data_prep.raw.mesh_files import read_mesh
        return read_mesh(path)

    write_meshes(folder, "anna_02")
    (folder / "anna_02.npy").unlink()
    found = look_through(folder)
    assert [take.frames for take in found.takes] == [FRAMES] * 4 and not found.problems and not found.incomplete
