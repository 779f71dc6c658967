"""A head of a person's own as a folder of meshes, one a shape: here the built-in head, written in other units and axes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.__main__ import main
from data_prep.arkit.heads import Wanted, read_shaped_head
from data_prep.head import make_head
from data_prep.head.named_shapes import named_shapes
from otlib.data.dataset import Dataset, validate
from otlib.errors import InputError
from otlib.heads import Known
from tests.fixtures.weight_tables import frames, put

pytestmark = pytest.mark.slow

CENTIMETRES = 100.0
Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)  # y up, z out of the face to z up, -y out of it
SINGLE_MM = 1e-3  # meshes have six decimals of centimetres, shapes are float32
KEPT = ("jawOpen", "mouthClose", "mouthPucker", "eyeBlinkLeft")


def write(path: Path, vertices, faces):
    lines = ["v {:.6f} {:.6f} {:.6f}\n".format(*vertex) for vertex in vertices]
    path.write_text("".join(lines + ["f {} {} {}\n".format(*face) for face in faces + 1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, shapes, faces = tmp_path_factory.mktemp("own"), named_shapes(), make_head().topology.faces
    write(root / "neutral.obj", CENTIMETRES * shapes.neutral @ Z_UP.T, faces)
    for name in KEPT:
        moved = shapes.neutral + shapes.displacements[shapes.names.index(name)]
        write(root / f"{name}.obj", CENTIMETRES * moved @ Z_UP.T, faces)
    return root


def test_it_is_read_in_metres_with_y_up(folder):
    head, shapes, topology = read_shaped_head(Wanted(folder)), named_shapes(), make_head().topology
    assert set(head.shapes.names) == set(KEPT)
    assert "in centimetres" in head.said and "z up, facing -y" in head.said
    np.testing.assert_allclose(1000 * head.shapes.neutral, 1000 * shapes.neutral, atol=SINGLE_MM)
    for name in KEPT:
        np.testing.assert_allclose(1000 * head.shapes.displacements[head.shapes.names.index(name)],
                                   1000 * shapes.displacements[shapes.names.index(name)], atol=2 * SINGLE_MM)
    np.testing.assert_array_equal(head.topology.faces, topology.faces)
    opened = head.shapes.pose(np.eye(len(KEPT))[[head.shapes.names.index("jawOpen")]])[0]
    assert head.topology.gap_mm(opened) > 0.8 * topology.gap_mm(opened) > 10
    assert {"lips", "lip_gap", "upper_face"} <= head.topology.regions.keys()
    assert 1000 * opened[head.topology.regions["upper_face"], 1].min() > 1000 * opened[topology.lips, 1].max()


def test_it_speaks(folder, tmp_path, capsys):
    put(tmp_path / "raw/a_1.json", frames(np.arange(6) / 30, {"jawOpen": np.linspace(0, 1, 6)}))
    soundfile.write(tmp_path / "raw/a_1.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 3200), 16_000)
    assert main(["arkit", "--raw", str(tmp_path / "raw"), "--head", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert f"{folder}: read as in centimetres, z up, facing -y" in capsys.readouterr().out
    (clip,) = Dataset.open(tmp_path / "out").sequences
    shapes = named_shapes()
    true = shapes.neutral + np.linspace(0, 1, 6)[:, None, None] * shapes.displacements[shapes.names.index("jawOpen")]
    np.testing.assert_allclose(1000 * clip.vertices, 1000 * true, atol=2 * SINGLE_MM)
    assert validate(tmp_path / "out") == []


def test_what_is_known_may_be_said(folder):
    known = make_head().topology.regions
    head = read_shaped_head(Wanted(folder, None, Known(0.01, "z", "-y"), lambda count: {
        name: known[name] for name in ("lips", "upper_face", "lip_gap")}))
    assert all(np.array_equal(head.topology.regions[name], known[name]) for name in ("lips", "upper_face", "lip_gap"))
    np.testing.assert_allclose(1000 * head.shapes.neutral, 1000 * named_shapes().neutral, atol=SINGLE_MM)


def copy(of, to):
    return lambda root: (root / to).write_bytes((root / of).read_bytes())


@pytest.mark.parametrize(("change", "told"), [
    (copy("jawOpen.obj", "jawOpne.obj"), "jawOpne.obj: is named as none of ARKit's 52 shapes"),
    (lambda root: (root / "jawOpen.obj").unlink(), "holds no jawOpen.obj, without which no mouth opens"),
    (lambda root: write(root / "mouthClose.obj", np.eye(3), np.array([[0, 1, 2]])), "mouthClose.obj: has other vertices"),
    (lambda root: (root / "neutral.obj").write_text("v"), "neutral.obj: is damaged, cut short"),
    (copy("jawOpen.obj", "JawOpen.ply"), "jawOpen.obj: has the name of JawOpen.ply; keep one of the two"),
    (copy("neutral.obj", "jawOpen.obj"), "jawOpen.obj: no two places that touch at rest part by 3 mm"),
])
def test_what_is_wrong_is_one_sentence(folder, tmp_path, change, told):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    change(tmp_path)
    with pytest.raises(InputError) as error:
        read_shaped_head(Wanted(tmp_path))
    assert len(error.value.args) == 1 and str(tmp_path) in str(error.value) and told in str(error.value)
