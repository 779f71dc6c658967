"""`otlib head`: what is found of a head, in words and in a picture that shows it."""

import numpy as np
import pytest
import trimesh
from PIL import Image

from data_prep.head import make_head
from data_prep.talk import look
from data_prep.talk.look import main
from otlib.__main__ import main as otlib_main
from otlib.viz.can_render import RenderingUnavailable

HEAD = make_head()


@pytest.fixture
def face(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trimesh.Trimesh(100 * HEAD.vertices, HEAD.topology.faces, process=False).export(tmp_path / "face.obj")
    return tmp_path / "face.obj"


def is_red(picture):
    """Where a picture has the colour of lips: skin has nearly as much green as half of its red and blue together."""
    red, green, blue = (picture[..., channel].astype(float) for channel in range(3))
    return (red > 80) & (green < 0.62 * red) & (blue > 0.9 * green)


def test_the_picture_shows_the_lips_that_were_found(face, capsys):
    assert otlib_main(["head", "face.obj"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "face.obj:" and said[1].strip().startswith("in centimetres; upper teeth, lower teeth")
    assert said[2].strip().startswith(f"{len(HEAD.vertices):,} vertices, {len(HEAD.topology.faces):,} triangles, ")
    picture = np.asarray(Image.open("face_head.png"))
    assert picture.shape == (480, 3 * 480, 3)
    front, mouth = is_red(picture[:, :480]), is_red(picture[:, 960:])
    assert 200 < front.sum() < 0.02 * front.size < 0.05 * mouth.size < mouth.sum()  # small on the face, large close up
    rows, columns = np.nonzero(front)
    assert abs(columns.mean() - 240) < 12 and 240 < rows.mean() < 400  # in the middle of the lower half


def test_named_lips_are_shown(face, capsys, tmp_path):
    chosen = HEAD.topology.lips
    (tmp_path / "lips.txt").write_text("\n".join(map(str, chosen + 1)))
    assert main(["face.obj", "--lips", "lips.txt", "--counted-from", "1", "--out", "seen.png"]) == 0
    assert f"lips: {len(chosen)} vertices" in capsys.readouterr().out and (tmp_path / "seen.png").is_file()


def test_what_cannot_be_used_leaves_no_picture(face, capsys, tmp_path, monkeypatch):
    ball = trimesh.creation.icosphere(3, 0.1)
    ball.export(tmp_path / "ball.obj")
    assert main(["ball.obj"]) == 2
    assert capsys.readouterr().err.startswith("error: ball.obj: no mouth is found")
    (tmp_path / "notes.png").write_text("not a picture")
    assert main(["face.obj", "--out", "notes.png"]) == 2
    assert (tmp_path / "notes.png").read_text() == "not a picture"
    assert main(["face.obj", "--out", "face.obj"]) == 2
    monkeypatch.setattr(look, "picture_of", lambda head: (_ for _ in ()).throw(RenderingUnavailable("no GL")))
    assert main(["face.obj"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ball.obj", "face.obj", "notes.png"]
