"""`otlib talk`: each format of a recording and a head, what is refused, and that nothing of anybody's is lost."""

import csv
import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import trimesh
from imageio_ffmpeg import read_frames

import otlib.talkers
from data_prep.head import make_head
from data_prep.head.named_shapes import named_shapes
from data_prep.raw.mesh_files import read_mesh
from data_prep.talk.__main__ import main, outputs_of
from data_prep.talk.head import read_head
from data_prep.talk.named_weights import shapes_of
from otlib.__main__ import main as otlib_main
from otlib.errors import InputError
from otlib.export.blendshapes import lips_lost, solve_weights
from otlib.export.formats import FORMATS
from otlib.export.talking_head import ShapeWeights, TalkingHead
from otlib.heads import Known, understand_head
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.predict import find_keys, load_trained, talk
from otlib.speech.recording import read_recording
from otlib.viz import film_frames
from tests.fixtures.small_talker import FRAME_RATE, write_talker
from tests.fixtures.talking_ball import ball

SECONDS = 0.7
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # from y up and z forward to z up and -y forward
FRAMES = int(SECONDS * FRAME_RATE)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A recording, a talker, and a head of one's own, in centimetres, z up and inside out, with the list of its lips."""
    folder = tmp_path_factory.mktemp("inputs")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, int(16_000 * SECONDS))
    soundfile.write(folder / "speech.wav", samples, 16_000)
    head = make_head()
    trimesh.Trimesh(100 * head.vertices @ Z_UP.T, head.topology.faces[:, ::-1], process=False).export(folder / "face.obj")
    vertices, faces, _ = ball(2)
    trimesh.Trimesh(100 * vertices, faces, process=False).export(folder / "ball.obj")
    (folder / "lips.txt").write_text(", ".join(map(str, head.topology.lips)))
    np.savetxt(folder / "lips_from_1.txt", head.topology.lips + 1, fmt="%d")
    write_talker(folder / "talker")
    write_talker(folder / "keyed", method="kmtalk")
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
                begin = file.read(4)
            assert begin == FORMATS[name].begin or (begin[:1] == b"{" and FORMATS[name].begin == b"JSON")


@pytest.mark.slow
def test_a_film_begins_as_the_table_says_and_is_smaller_if_long(run, gl, monkeypatch):
    assert run("--out", "speech.mp4")[:2] == (0, f"speech.mp4: {FRAMES} pictures\n")
    with open("speech.mp4", "rb") as file:
        assert file.read(4) == FORMATS["mp4"].begin
    assert next(read_frames("speech.mp4"))["size"] == (640, 640)
    monkeypatch.setattr(film_frames, "_LONG_S", 0.5)
    assert f"{FRAMES} pictures of 480 x 480 pixels in place of 640 x 640" in run("--out", "speech.mp4")[1]
    assert next(read_frames("speech.mp4"))["size"] == (480, 480)


def held_weights(folder):
    """The weights (T, 23) of a csv and of a json in a folder, and their names."""
    names = named_shapes().names
    with open(f"{folder}/speech.csv", newline="", encoding="utf-8") as file:
        rows = np.array([[float(row[name[0].upper() + name[1:]]) for name in names] for row in csv.DictReader(file)])
    with open(f"{folder}/speech.json", encoding="utf-8") as file:
        held = json.load(file)
    return rows, np.array(held["weightMat"])[:, [held["facsNames"].index(name) for name in names]]


def test_weights_are_those_of_the_built_in_heads_shapes(run, inputs):
    status, out, _ = run("--head", "medium", "--format", "csv", "json", "--out", "made")
    head, shapes = make_head(resolution="medium"), named_shapes("medium")
    frames, gap = spoken(inputs, head.vertices, head.topology), head.topology.lip_gap
    weights = solve_weights(frames, shapes, noise_mm=0.1, gap=gap)
    lost = lips_lost(frames, shapes, weights, head.topology)
    assert status == 0 and weights.max() > 0.05
    assert out.splitlines() == [f"made/speech.{name}: {FRAMES} frames, 23 of ARKit's 52 shapes move; {lost}"
                                for name in ("csv", "json")]
    for held in held_weights("made"):
        np.testing.assert_allclose(held, weights, atol=1e-6)


def test_the_weights_depend_on_no_mesh(run, inputs, tmp_path):
    assert run("--format", "csv", "json", "--out", "built_in")[0] == 0
    status, out, _ = run("--head", inputs / "face.obj", "--format", "csv", "npy", "json", "--out", "own")
    _, told, *files = out.splitlines()
    assert status == 0 and told == "csv and json: spoken by the built-in head, since weights depend on no mesh"
    assert [line.split(":")[0] for line in files] == ["own/speech.csv", "own/speech.npy", "own/speech.json"]
    for name in ("speech.csv", "speech.json"):
        assert (tmp_path / "own" / name).read_bytes() == (tmp_path / "built_in" / name).read_bytes()
    head = own_head(inputs)
    frames = next(head.carried([spoken(inputs, *head.seen[:2])]))
    np.testing.assert_allclose(np.load("own/speech.npy"), 100 * frames @ Z_UP.T, atol=2e-5)


def test_for_weights_alone_a_head_of_ones_own_does_not_speak(run, inputs, tmp_path, monkeypatch):
    assert run("--out", "built_in.csv")[0] == 0
    monkeypatch.setattr("otlib.heads.OwnHead.carried", None)
    assert run("--head", inputs / "face.obj", "--out", "own.csv")[0] == 0
    assert (tmp_path / "own.csv").read_bytes() == (tmp_path / "built_in.csv").read_bytes()


def names_in(path):
    """The names of a glb's shapes."""
    with open(path, "rb") as file:
        content = file.read()
    length = int.from_bytes(content[12:16], "little")
    return json.loads(content[20: 20 + length])["meshes"][0].get("extras", {}).get("targetNames", [])


def test_shapes_of_a_glb_have_arkits_names_if_asked_for(run):
    status, out, _ = run("--named", "--format", "glb", "csv", "--out", "made")
    assert status == 0 and "made/speech.glb: 23 shapes with ARKit's names; lips within" in out
    assert names_in("made/speech.glb") == list(named_shapes().names)
    assert run("--out", "plain.glb")[0] == 0 and "jawOpen" not in names_in("plain.glb")
    assert run("--named", "--out", "a.npy")[0::2] == (2, "error: --named is of files with shapes; add --format glb or usd\n")


@pytest.mark.slow
def test_shapes_are_carried_to_a_head_of_ones_own(run, inputs):
    assert run("--head", inputs / "face.obj", "--named", "--out", "own.glb")[0] == 0
    assert names_in("own.glb") == list(named_shapes().names)
    head = read_head(inputs / "face.obj", Known())
    shapes = shapes_of(head)
    worn = np.eye(len(shapes.names))[[shapes.names.index("jawOpen"), shapes.names.index("mouthClose")]]
    opened, shut = head.topology.gap_mm(shapes.pose(np.stack([worn[0], worn.sum(0)])))
    assert opened > 20 and shut < 1


def test_weights_have_the_frame_rate_that_is_asked_for(run):
    assert run("--frame-rate", "60", "--format", "csv", "json", "--out", "made")[0] == 0
    with open("made/speech.json", encoding="utf-8") as file:
        held = json.load(file)
    assert (held["exportFps"], held["numFrames"]) == (60.0, 2 * FRAMES)


def test_a_head_that_nobody_solved_weights_for_has_no_file_of_them(tmp_path, inputs):
    head = make_head()
    template = head.vertices.astype(np.float32)
    talking = TalkingHead("a", template[None], template, head.topology, 30.0, read_recording(inputs / "speech.wav"))
    for name in ("csv", "json"):
        assert FORMATS[name].of_shapes
        with pytest.raises(ValueError, match=f"the head has none, which a {name} file consists of"):
            FORMATS[name].write(tmp_path / f"a.{name}", talking, iter)
    with pytest.raises(ValueError, match="shape_weights: 2 frames, expected 1 as the motion"):
        dataclasses.replace(talking, shape_weights=ShapeWeights(named_shapes(), np.zeros((2, 23)), ""))
    assert os.listdir(tmp_path) == []


def own_head(inputs, **known):
    mesh = read_mesh(inputs / "face.obj")
    return understand_head("face.obj", mesh.vertices, mesh.faces, Known(**known))


def test_a_head_of_ones_own_is_understood_and_comes_back_as_its_file_has_it(run, inputs):
    status, out, _ = run("--head", inputs / "face.obj", "--format", "npy", "obj", "--out", "made")
    said, *files = out.splitlines()
    assert status == 0 and said == (f"{inputs}/face.obj: read as in centimetres, z up, facing -y, turned outwards; upper "
                                    "teeth, lower teeth, 4 pieces of other")
    assert files[0] == f"made/speech.npy: float32 ({FRAMES}, {len(make_head().vertices)}, 3)"
    head = own_head(inputs)
    frames = next(head.carried([spoken(inputs, *head.seen[:2])]))
    np.testing.assert_allclose(np.load("made/speech.npy"), 100 * frames @ Z_UP.T, atol=2e-5)
    np.testing.assert_allclose(np.load("made/speech.npy")[0], read_mesh(inputs / "face.obj").vertices, atol=2)  # 2 cm
    first = read_mesh("made/speech_obj/speech_obj_000000.obj")
    np.testing.assert_array_equal(first.faces, make_head().topology.faces[:, ::-1])


def test_named_lips_and_a_known_frame_are_taken(run, inputs):
    known = ("--head", inputs / "face.obj", "--unit", "cm", "--up", "z", "--forward=-y", "--lips")
    assert run(*known, inputs / "lips.txt", "--out", "face.npy")[0] == 0
    head = own_head(inputs, lips=make_head().topology.lips)
    frames = next(head.carried([spoken(inputs, *head.seen[:2])]))
    np.testing.assert_allclose(np.load("face.npy"), 100 * frames @ Z_UP.T, atol=2e-5)
    assert run(*known, inputs / "lips_from_1.txt", "--counted-from", "1", "--out", "other.npy")[0] == 0
    np.testing.assert_array_equal(np.load("other.npy"), np.load("face.npy"))


def test_several_meshes_are_one_head(run, inputs, tmp_path):
    head = make_head()
    scene = trimesh.Scene()
    teeth = np.isin(np.arange(len(head.topology.faces)), head.topology.parts["teeth"])
    for name, own in (("skin", ~teeth), ("teeth", teeth)):
        used, faces = np.unique(head.topology.faces[own], return_inverse=True)
        scene.add_geometry(trimesh.Trimesh(head.vertices[used], faces.reshape(-1, 3), process=False), node_name=name)
    scene.export(tmp_path / "head.glb")
    status, out, _ = run("--head", "head.glb", "--out", "a.npy")
    assert status == 0 and out.startswith("head.glb: read as 2 meshes as one head (skin, teeth); upper teeth, lower teeth, ")
    assert np.load("a.npy").shape == (FRAMES, len(head.vertices), 3)


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


BALL_CM = "ball.obj: no mouth is found, a slit across the middle of the face whose lips lie at most 4 mm apart; see that it"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--head", "{inputs}/ball.obj"], BALL_CM),
    (["--head", "nowhere.obj"], "nowhere.obj: no such file"),
    (["--head", "{inputs}/speech.wav"], "speech.wav: is not an OBJ, PLY, glTF or GLB file"),
    (["--lips", "{inputs}/lips.txt"], "--lips, --unit, --up and --forward are of a mesh of your own; name it with --head"),
    (["--head", "{inputs}/face.obj", "--unit", "cm", "--lips", "no.txt"], "no.txt: no such file"),
    (["--out", "a.mp4", "--format", "glb"], "a.mp4: is the name of one mp4 file, which cannot hold glb; give a folder"),
    (["--out", "a.npy", "--format", "npy", "glb"], "cannot hold npy and glb; give a folder"),
    (["--out", "a.obj"], "a.obj: obj makes a folder of files; give the name of a folder, and --format obj"),
    (["--out", "{inputs}"], "holds ball.obj and was not made by this project"),
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


class Listener:
    """An aligner that finds one sound in a recording, and as many as there are words in a text."""

    fingerprint = "listener 1"

    def phonemes(self, samples, transcript=None, *, name=""):
        ends = np.linspace(0, len(samples) / 16_000, 1 + (1 if transcript is None else len(transcript.words)))
        return tuple(Phoneme("a", start, end) for start, end in zip(ends[:-1], ends[1:], strict=True))


@pytest.fixture
def listener(monkeypatch):
    """Let every aligner but pocketsphinx, which is not installed, be the one above."""
    load = otlib.phonemes.key_frames.load_aligner
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    monkeypatch.setattr("otlib.phonemes.key_frames.load_aligner",
                        lambda name: load(name) if name == "pocketsphinx" else Listener())


def keyed_motion(inputs, *sources):
    head, trained = make_head(), load_trained(inputs / "keyed")
    recording = read_recording(inputs / "speech.wav")
    keys = find_keys(trained, recording, sources)
    return np.concatenate(list(talk(trained, recording, head.vertices, head.topology, keys=keys)))


def test_a_model_with_key_frames_says_where_they_come_from(run, inputs, listener):
    status, out, err = run("--out", "a.npy", model=inputs / "keyed")
    assert (status, err) == (0, "") and out.splitlines()[0].endswith(
        "speech.wav: 5 of 21 frames are key; they come from 'frames'")
    np.testing.assert_array_equal(np.load("a.npy"), keyed_motion(inputs))
    status, out, err = run("--out", "b.npy", "--keys", "even", model=inputs / "keyed")
    assert (status, err) == (0, "") and "7 of 21 frames are key; they come from 'even', those of the model's" in out
    np.testing.assert_array_equal(np.load("b.npy"), keyed_motion(inputs, "even"))
    assert np.abs(np.load("b.npy") - np.load("a.npy")).max() > 1e-4


def test_another_source_is_asked_only_if_it_is_named(run, inputs, tmp_path, listener):
    status, out, err = run("--out", "a.npy", "--keys", "pocketsphinx", model=inputs / "keyed")
    assert (status, out, os.listdir(tmp_path)) == (2, "", []) and err.count("\n") == 1
    assert err.startswith("error: no key frames from 'pocketsphinx': pocketsphinx: is not installed; `pip install")
    status, out, err = run("--out", "a.npy", "--keys", "pocketsphinx", "ctc", "even", model=inputs / "keyed")
    assert status == 0 and err.startswith("warning: no key frames from 'pocketsphinx': pocketsphinx: is not installed; ")
    assert "they come from 'ctc', those of the model's training from 'frames'" in out and err.count("\n") == 1


def test_a_text_is_given_or_lies_in_a_file(run, inputs, tmp_path, listener):
    (tmp_path / "said.txt").write_text("\ufeffOne two three four.\n", encoding="utf-8")
    for text in ("One two three four.", "@said.txt"):
        status, out, err = run("--out", "a.npy", "--text", text, model=inputs / "keyed")
        assert (status, err) == (0, "") and "6 of 21 frames are key; they come from 'frames' and the text" in out
    assert run("--out", "a.npy", "--keys", "even", "--text", "One", model=inputs / "keyed")[0] == 2
    (tmp_path / "said.npy").write_bytes((tmp_path / "a.npy").read_bytes())
    before = sorted(os.listdir(tmp_path))
    for text, message in (("@gone.txt", "gone.txt: no such file"), ("@said.npy", "said.npy: is, holds or lies in"),
                          ("", "espeak-ng says nothing for the text")):
        status, out, err = run("--out", "said.npy", "--text", text, model=inputs / "keyed")
        assert (status, out, err.count("\n")) == (2, "", 1) and message in err and sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("arguments", [["--keys", "frames"], ["--text", "Hello."]])
def test_a_model_without_key_frames_refuses_what_is_for_them(run, tmp_path, arguments):
    status, out, err = run("--out", "a.npy", *arguments)
    assert (status, out, os.listdir(tmp_path)) == (2, "", []) and err.count("\n") == 1
    assert "the model has no key frames" in err and "choose a model of KMTalk" in err


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
    assert ended.value.code == 0 and "otlib talk speech.wav --head face.obj --unit cm --up z --forward=-y" in said
    assert all(f"{name}, {kind.what}" in said for name, kind in FORMATS.items())


@pytest.mark.parametrize("arguments", [[], ["a.wav", "--format", "gif"], ["a.wav", "--frame-rate", "0"],
                                       ["a.wav", "--head", "a.obj", "--unit", "inch"],
                                       ["a.wav", "--head", "a.obj", "--up", "w"], ["a.wav", "--keys", "true"]])
def test_wrong_arguments_end_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.slow
def test_the_console_script_is_that_command_and_needs_no_library_of_pictures(inputs, tmp_path):
    """With the light dependencies only; the script itself is two lines that the installer writes."""
    heavy = ("pyvista", "vtkmodules", "imageio", "imageio_ffmpeg", "IPython", "sklearn", "espeakng_loader", "pxr")
    words = ["otlib", "talk", str(inputs / "speech.wav"), "--model", str(inputs / "talker"), "--format", "html", "glb"]
    program = ("import sys\n"
               f"for name in {heavy}: sys.modules[name] = None\n"
               f"sys.argv = {words}\n"
               "from otlib.commands import console\nconsole()\n")
    answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert {"speech.html", "speech.glb"} <= set(os.listdir(tmp_path / "speech_talking"))


def test_a_file_that_cannot_be_made_here_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setattr("otlib.export.formats.importlib.util.find_spec", lambda name: None)
    for name, message in (("a.mp4", "a film needs imageio-ffmpeg, which is not installed: run `pip install"),
                          ("a.usd", "a usd file needs usd-core, which is not installed: run `pip install 'otlib[usd]'`")):
        status, out, err = run("--out", name)
        assert (status, out, err.count("\n")) == (2, "", 1) and message in err
    assert os.listdir(tmp_path) == []
