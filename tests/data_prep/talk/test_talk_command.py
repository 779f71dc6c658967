"""`otlib talk`: each format of a recording and a head, what is refused, and that nothing of anybody's is lost."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import trimesh

import otlib.talkers
from data_prep.head import make_head
from data_prep.raw.mesh_files import read_mesh
from data_prep.talk.__main__ import main, outputs_of
from otlib.__main__ import main as otlib_main
from otlib.errors import InputError
from otlib.export.formats import FORMATS
from otlib.predict import load_trained, talk
from otlib.speech.recording import read_recording
from otlib.topology import Topology
from tests.fixtures.small_talker import FRAME_RATE, write_talker
from tests.fixtures.talking_ball import ball

SECONDS = 0.7
FRAMES = int(SECONDS * FRAME_RATE)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A recording, a talker, and a head of one's own in centimetres, with the list of its lips."""
    folder = tmp_path_factory.mktemp("inputs")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, int(16_000 * SECONDS))
    soundfile.write(folder / "speech.wav", samples, 16_000)
    vertices, faces, _ = ball(2)
    trimesh.Trimesh(100 * vertices, faces, process=False).export(folder / "face.obj")
    (folder / "lips.txt").write_text("1, 2, 3\n4 5 6")
    write_talker(folder / "talker")
    return folder


@pytest.fixture
def run(inputs, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; return its status and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, recording=None, model=None):
        status = main([str(recording or inputs / "speech.wav"), "--model", str(model or inputs / "talker"),
                       *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def spoken(inputs, template, topology):
    recording = read_recording(inputs / "speech.wav")
    return np.concatenate(list(talk(load_trained(inputs / "talker"), recording, template, topology)))


def test_without_options_the_built_in_head_is_a_page_in_a_folder_of_its_own(run, tmp_path):
    status, out, _ = run()
    page = tmp_path / "speech_talking" / "speech.html"
    assert status == 0 and out.startswith("speech_talking/speech.html: 0.") and "largest error 0." in out
    assert page.read_bytes().startswith(b"<!doctype html>") and len(os.listdir(tmp_path)) == 1
    assert run()[0] == 0  # what it made, it may replace


def test_every_format_holds_the_motion(run, inputs, tmp_path):
    light = [name for name in FORMATS if name != "mp4"]
    status, out, _ = run("--format", *light, "--out", "made")
    assert status == 0 and out.count("\n") == len(light)
    head = make_head()
    frames = spoken(inputs, head.vertices, head.topology)
    assert len(frames) == FRAMES and np.abs(frames - head.vertices.astype(np.float32)).max() > 1e-3
    np.testing.assert_array_equal(np.load("made/speech.npy"), frames)
    for kind in ("obj", "ply"):
        last = read_mesh(f"made/speech_{kind}/speech_{kind}_{FRAMES - 1:06d}.{kind}")
        np.testing.assert_array_equal(last.vertices.astype(np.float32), frames[-1])
        np.testing.assert_array_equal(last.faces, head.topology.faces)
    for name in light:
        if FORMATS[name].begin:
            with open(f"made/speech.{name}", "rb") as file:
                assert file.read(4) == FORMATS[name].begin


@pytest.mark.slow
def test_a_film_begins_as_the_table_says(run, gl):
    assert run("--out", "speech.mp4")[:2] == (0, f"speech.mp4: {FRAMES} pictures\n")
    with open("speech.mp4", "rb") as file:
        assert file.read(4) == FORMATS["mp4"].begin
    assert run("--out", "speech.mp4")[0] == 0


def test_a_head_of_ones_own_comes_back_in_its_unit_and_its_order(run, inputs):
    status, out, _ = run("--head", inputs / "face.obj", "--unit", "cm", "--lips", inputs / "lips.txt", "--out", "face.npy")
    mesh = read_mesh(inputs / "face.obj")
    template = (0.01 * mesh.vertices).astype(np.float32)
    frames = spoken(inputs, template, Topology(mesh.faces, {"lips": [1, 2, 3, 4, 5, 6]}))
    assert (status, out) == (0, f"face.npy: float32 ({FRAMES}, {len(template)}, 3)\n")
    np.testing.assert_allclose(np.load("face.npy"), 100 * frames, rtol=1e-6)
    assert run("--head", inputs / "face.obj", "--unit", "cm", "--lips", inputs / "lips.txt", "--counted-from", "1", "--out",
               "other.npy")[0] == 0
    assert np.abs(np.load("other.npy") - np.load("face.npy")).max() > 0  # other lips, other graphs


def test_finer_heads_and_another_frame_rate(run, inputs):
    assert run("--head", "medium", "--out", "medium.npy")[0] == 0
    assert np.load("medium.npy").shape == (FRAMES, len(make_head(resolution="medium").vertices), 3)
    assert run("--frame-rate", "60", "--out", "fast.npy")[0] == 0
    head = make_head()
    frames, fast = spoken(inputs, head.vertices, head.topology), np.load("fast.npy")
    assert len(fast) == 2 * FRAMES
    np.testing.assert_allclose(fast[0:2 * FRAMES:2], frames, atol=1e-7)
    np.testing.assert_allclose(fast[1], (frames[0] + frames[1]) / 2, atol=1e-7)


def test_the_talker_of_the_package_is_the_default_and_a_missing_one_is_told(inputs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [str(inputs / "speech.wav"), "--out", "speech.npy"]
    monkeypatch.setattr("data_prep.talk.__main__.shipped_talker", lambda: otlib.talkers.shipped_talker("nobody"))
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "nobody: no trained talker comes with this copy of otlib; name one with --model" in said and said.count("\n") == 1
    monkeypatch.setattr(otlib.talkers.importlib.resources, "files", lambda package: inputs)
    monkeypatch.setattr("data_prep.talk.__main__.shipped_talker", lambda: otlib.talkers.shipped_talker("talker"))
    assert main(arguments) == 0 and os.listdir(tmp_path) == ["speech.npy"]


BALL_CM = "face.obj: the head measures 20 m, which no face does; say the unit with --unit"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--head", "{inputs}/face.obj"], BALL_CM),
    (["--head", "nowhere.obj"], "nowhere.obj: no such file"),
    (["--head", "{inputs}/speech.wav"], "speech.wav: is not an OBJ, PLY, glTF or GLB file"),
    (["--lips", "{inputs}/lips.txt"], "--lips and --unit are of a mesh of your own; name it with --head"),
    (["--head", "{inputs}/face.obj", "--unit", "cm", "--lips", "no.txt"], "no.txt: no such file"),
    (["--out", "a.mp4", "--format", "glb"], "a.mp4: is the name of one mp4 file, which cannot hold glb; give a folder"),
    (["--out", "a.npy", "--format", "npy", "glb"], "cannot hold npy and glb; give a folder"),
    (["--out", "a.obj"], "a.obj: obj makes a folder of files; give the name of a folder, and --format obj"),
    (["--out", "{inputs}"], "holds face.obj and was not made by this project"),
    (["--out", "{inputs}/talker/a.npy"], "is, holds or lies in"),
    (["--out", "text.npy"], "text.npy: is a file of another kind, so it is not replaced"),
])
def test_refusals_are_one_sentence_and_leave_nothing(run, inputs, tmp_path, arguments, message):
    (tmp_path / "text.npy").write_text("mine")
    before = sorted(os.listdir(inputs))
    status, out, err = run(*(text.format(inputs=inputs) for text in arguments))
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1, err
    assert os.listdir(tmp_path) == ["text.npy"] and sorted(os.listdir(inputs)) == before


def test_a_bad_recording_or_model_leaves_nothing(run, inputs, tmp_path):
    for arguments, message in (({"recording": "gone.wav"}, "gone.wav: no such file"),
                               ({"model": "gone"}, "gone: no trained model there"),
                               ({"recording": inputs / "lips.txt"}, "lips.txt: not a sound file that can be read")):
        status, out, err = run(**arguments)
        assert (status, out) == (2, "") and message in err and os.listdir(tmp_path) == []


def test_the_recording_itself_is_never_replaced(run, tmp_path, inputs):
    page = tmp_path / "speech.html"
    page.write_bytes((inputs / "speech.wav").read_bytes())  # whatever it is called
    status, _, err = run("--out", "speech.html", recording=page)
    assert status == 2 and "speech.html: is, holds or lies in" in err
    assert page.read_bytes() == (inputs / "speech.wav").read_bytes()


def test_names_of_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recording = tmp_path / "a" / "my speech.m4a"
    assert outputs_of(recording, None, None)[1] == {"html": tmp_path.__class__("my speech_talking/my speech.html")}
    folder, paths = outputs_of(recording, tmp_path / "out", ["mp4", "obj"])
    assert folder == tmp_path / "out" and paths == {"mp4": folder / "my speech.mp4", "obj": folder / "my speech_obj"}
    assert outputs_of(recording, tmp_path / "x.GLB", None) == (None, {"glb": tmp_path / "x.GLB"})
    (tmp_path / "folder.glb").mkdir()
    assert outputs_of(recording, tmp_path / "folder.glb", ["npy"])[0] == tmp_path / "folder.glb"
    with pytest.raises(InputError, match="cannot hold npy"):
        outputs_of(recording, tmp_path / "x.glb", ["npy"])


def test_help_has_examples_and_every_format(capsys):
    with pytest.raises(SystemExit) as ended:
        otlib_main(["talk", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0 and "otlib talk speech.wav --head face.obj --unit cm" in said
    assert all(f"{name}, {kind.what}" in said for name, kind in FORMATS.items())


@pytest.mark.parametrize("arguments", [[], ["a.wav", "--format", "gif"], ["a.wav", "--frame-rate", "0"],
                                       ["a.wav", "--head", "a.obj", "--unit", "inch"]])
def test_wrong_arguments_end_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.slow
def test_the_console_script_is_that_command_and_needs_no_library_of_pictures(inputs, tmp_path):
    """With the light dependencies only; the script itself is two lines that the installer writes."""
    heavy = ("pyvista", "vtkmodules", "imageio", "imageio_ffmpeg", "IPython", "sklearn", "espeakng_loader")
    words = ["otlib", "talk", str(inputs / "speech.wav"), "--model", str(inputs / "talker"), "--format", "html", "glb"]
    program = ("import sys\n"
               f"for name in {heavy}: sys.modules[name] = None\n"
               f"sys.argv = {words}\n"
               "from otlib.commands import console\nconsole()\n")
    answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert {"speech.html", "speech.glb"} <= set(os.listdir(tmp_path / "speech_talking"))


def test_a_film_where_it_cannot_be_made_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setattr("otlib.export.formats.importlib.util.find_spec", lambda name: None)
    status, out, err = run("--out", "a.mp4")
    assert (status, out) == (2, "") and "a film needs imageio-ffmpeg, which is not installed: run `pip install" in err
    assert os.listdir(tmp_path) == []
