"""Whether this machine can draw, and what is drawn: shape, colours, sides, errors."""

import functools
import os
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import otlib.viz.heads
from otlib.errors import InputError
from otlib.topology import Topology
from otlib.viz import can_render as rendering
from otlib.viz.can_render import RenderingUnavailable, ensure_rendering
from otlib.viz.film_frames import film_processes, film_size, render_frames
from tests.fixtures.talking_ball import RADIUS, ball, talk

SIDE = 120  # pixels
MISFIT = (ValueError, TypeError)  # the test run checks annotations before the function's own check


@pytest.fixture
def fresh(monkeypatch):
    """Let the test ask anew, and put the answer of this process back afterwards."""
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "")
    monkeypatch.setattr(rendering, "ensure_rendering", functools.cache(ensure_rendering.__wrapped__))
    return rendering


def test_a_window_class_is_found_and_remembered(gl, fresh, monkeypatch):
    window = fresh.ensure_rendering()
    assert window.endswith("RenderWindow")
    if sys.platform == "linux":
        assert os.environ["VTK_DEFAULT_OPENGL_WINDOW"] == window
    monkeypatch.setattr(fresh, "_probe", None)  # a second probe would fail
    assert fresh.ensure_rendering() == window


@pytest.mark.parametrize(
    ("scene", "told"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("raise SystemExit('the picture is black')", "exit status 1, the picture is black"),
    ],
    ids=["crash", "black"],
)
def test_a_machine_that_cannot_draw_gets_one_sentence(fresh, monkeypatch, scene, told):
    monkeypatch.setattr(fresh, "_PROBE", scene)
    with pytest.raises(RenderingUnavailable, match="apt-get install libegl1 libgl1-mesa-dri") as caught:
        fresh.ensure_rendering()
    assert isinstance(caught.value, InputError)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hanging_display_does_not_hang_the_program(fresh, monkeypatch):
    monkeypatch.setattr(fresh, "_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(fresh, "_PROBE_SECONDS", 0.3)
    with pytest.raises(RenderingUnavailable, match="no answer"):
        fresh.ensure_rendering()


def test_a_fallback_of_vtk_is_taken(fresh, monkeypatch):
    """The class that drew, not the one that was asked for."""
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "noSuchWindow")
    monkeypatch.setattr(fresh, "_PROBE", "print('a warning of VTK'); print('vtkOSOpenGLRenderWindow')")
    assert fresh.ensure_rendering() == "vtkOSOpenGLRenderWindow"
    if sys.platform == "linux":
        assert os.environ["VTK_DEFAULT_OPENGL_WINDOW"] == "vtkOSOpenGLRenderWindow"


@pytest.mark.skipif(sys.platform != "linux", reason="a choice of GL libraries is Linux's")
@pytest.mark.parametrize("asked", ["", "noSuchWindow"])
@pytest.mark.parametrize("absent", ["OSMesa", "EGL", "OSMesa EGL"])
def test_with_any_gl_library_or_none_there_is_a_window_or_a_sentence(fresh, monkeypatch, tmp_path, asked, absent):
    """The machine's own libraries, some of them hidden behind empty files, which cannot be loaded."""
    for name in absent.split():
        for version in ("", ".1", ".6", ".7", ".8"):
            (tmp_path / f"lib{name}.so{version}").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}:{os.environ.get('LD_LIBRARY_PATH', '')}")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", asked)
    try:
        window = fresh.ensure_rendering()
    except RenderingUnavailable as reason:
        assert f"{asked or 'vtkEGLRenderWindow'}: " in str(reason)
    else:
        assert {"vtkEGLRenderWindow": "EGL", "vtkOSOpenGLRenderWindow": "OSMesa"}[window] not in absent
        assert os.environ["VTK_DEFAULT_OPENGL_WINDOW"] == window


def test_vtk_absent_is_said(fresh, monkeypatch):
    monkeypatch.setattr(fresh.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RenderingUnavailable, match="pip install"):
        fresh.ensure_rendering()


@pytest.fixture(scope="module")
def heads():
    """The module that draws, on a machine that can."""
    try:
        ensure_rendering()
    except RenderingUnavailable as reason:
        pytest.skip(str(reason))
    return otlib.viz.heads


def background_share(heads, picture):
    ground = np.round(255 * np.array(to_rgb(heads.palette.BACKGROUND)))
    return np.mean(np.abs(picture.astype(float) - ground).max(-1) < 3)


def test_the_picture_is_a_lit_ball_in_the_middle(heads):
    vertices, faces, _ = ball()
    with heads.HeadRenderer(vertices, Topology(faces), size=(2 * SIDE, SIDE)) as renderer:
        picture = renderer.image(vertices)
        assert picture.shape == (SIDE, 2 * SIDE, 3)
        assert picture.dtype == np.uint8
        # the ball's disc, by the scale that the renderer states
        disc = np.pi * (RADIUS / renderer.metres_per_pixel) ** 2
    assert (1 - background_share(heads, picture)) * picture[..., 0].size == pytest.approx(disc, rel=0.03)
    assert np.ptp(picture[SIDE // 2, SIDE - 30 : SIDE + 30].astype(int)) > 20  # shaded, not flat


def test_moving_points_moves_the_picture_and_nothing_else(heads):
    vertices, faces, parts = ball()
    sequence = talk(vertices, 21)
    frames = list(render_frames(sequence, Topology(faces, parts=parts), size=(SIDE, SIDE)))
    assert len(frames) == 21
    assert (frames[0] == frames[20]).all()  # the mouth is at rest in both
    changed = np.abs(frames[10].astype(int) - frames[0]).max(-1) > 12
    rows = np.nonzero(changed)[0]
    assert changed.mean() > 0.005
    assert np.mean(rows > 0.45 * SIDE) > 0.95  # the mouth is below the middle


@pytest.mark.slow
def test_a_picture_is_the_same_whichever_process_drew_it(heads):
    """Three stretches, of which the last is short, by two processes: all pictures, in order, byte for byte."""
    vertices, faces, parts = ball(2)
    sequence, topology = talk(vertices, 19), Topology(faces, parts=parts)
    error_mm = np.linspace(0.0, 2.0, 19)[:, None] * np.ones(len(vertices))
    one, two = (list(render_frames(sequence, topology, size=(32, 32), error_mm=error_mm, processes=number))
                for number in (1, 2))
    assert len(one) == len(two) == 19 and not (one[0] == one[18]).all()
    np.testing.assert_array_equal(np.stack(two), np.stack(one))
    with pytest.raises(ValueError, match="processes: 0"):
        next(render_frames(sequence, topology, processes=0))


def test_what_lies_behind_is_hidden_in_any_order_of_faces(heads):
    vertices, faces, _ = ball()
    pictures = []
    for order in (faces, faces[::-1], np.random.default_rng(0).permutation(faces)):
        with heads.HeadRenderer(vertices, Topology(order), size=(SIDE, SIDE)) as renderer:
            pictures.append(renderer.image(vertices).astype(int))
    assert max(np.abs(picture - pictures[0]).max() for picture in pictures) <= 1  # sums of normals round otherwise


def test_parts_have_colours_with_hard_borders(heads):
    vertices, faces, _ = ball()
    front = np.flatnonzero(vertices[faces].mean(1)[:, 0] > 0)
    with heads.HeadRenderer(vertices, Topology(faces, parts={"teeth": front}), size=(SIDE, SIDE)) as renderer:
        picture = renderer.image(vertices).astype(int)
    # across the middle row: skin, then at most two mixed pixels or one zigzag of triangles, then teeth
    yellowness = (picture[..., 0] - picture[..., 2])[SIDE // 2]
    left, right = yellowness[SIDE // 2 - 20], yellowness[SIDE // 2 + 20]
    assert left - right > 20


@pytest.mark.parametrize(("camera", "column"), [("front", 0.5), ("three_quarter", 0.2), ("profile", 0.03)])
def test_cameras_look_from_the_heads_left(heads, camera, column):
    # A red nose at +z wanders to the left of the picture as the camera goes to the head's left.
    vertices, faces, _ = ball(4)
    nose = np.flatnonzero(vertices[faces].mean(1)[:, 2] > 0.97 * RADIUS)
    nosed = Topology(faces, parts={"lips": nose})
    with heads.HeadRenderer(vertices, nosed, size=(SIDE, SIDE), camera=camera) as renderer:
        picture = renderer.image(vertices).astype(int)
    with heads.HeadRenderer(vertices, Topology(faces), size=(SIDE, SIDE), camera=camera) as renderer:
        plain = renderer.image(vertices).astype(int)
    columns = np.nonzero(np.abs(picture - plain).max(-1) > 20)[1]
    ball_left, ball_right = SIDE * (1 - 1 / 1.12) / 2, SIDE * (1 + 1 / 1.12) / 2
    assert (columns.mean() - ball_left) / (ball_right - ball_left) == pytest.approx(column, abs=0.05)


def test_error_colours_replace_the_parts(heads):
    vertices, faces, _ = ball()
    error_mm = np.where(vertices[:, 0] > 0, 2.0, 0.0)
    with heads.HeadRenderer(vertices, Topology(faces), size=(SIDE, SIDE)) as renderer:
        skin = renderer.image(vertices)
        picture = renderer.image(vertices, error_mm, error_limit_mm=2.0).astype(int)
        assert (renderer.image(vertices) == skin).all()  # and come back
    left, right = picture[SIDE // 2, SIDE // 2 - 25], picture[SIDE // 2, SIDE // 2 + 25]
    assert left[1] - right[1] > 60  # light yellow against dark red differ in green
    framed = next(render_frames(vertices[None], Topology(faces), size=(SIDE, SIDE), error_mm=error_mm[None]))
    assert (framed[30:90, 104:107] != picture[30:90, 104:107]).any()  # the colour bar


def test_what_cannot_be_drawn_is_named(heads):
    vertices, faces, _ = ball(1)
    with pytest.raises(MISFIT, match="camera.*'above'"):
        heads.HeadRenderer(vertices, Topology(faces), camera="above")
    with pytest.raises(ValueError, match="size"):
        heads.HeadRenderer(vertices, Topology(faces), size=(0, 10))
    with pytest.raises(ValueError, match="template: not all"):
        heads.HeadRenderer(np.full_like(vertices, np.nan), Topology(faces))
    with pytest.raises(ValueError, match="template: shape .*as the topology"):
        heads.HeadRenderer(vertices[:-1], Topology(faces))
    with pytest.raises(ValueError, match="one place"):
        heads.HeadRenderer(np.zeros_like(vertices), Topology(faces))
    with pytest.raises(ValueError, match="no frames"):
        next(render_frames(vertices[None][:0], Topology(faces)))
    with pytest.raises(MISFIT, match="error_mm"):
        next(render_frames(vertices[None], Topology(faces), error_mm=np.zeros((1, 3))))
    with heads.HeadRenderer(vertices, Topology(faces), size=(32, 32)) as renderer:
        with pytest.raises(ValueError, match="vertices: shape"):
            renderer.image(vertices[:-1])
        with pytest.raises(ValueError, match="vertices: not all"):
            renderer.image(np.where(vertices == vertices.max(), np.nan, vertices))


def test_a_long_film_is_worth_a_process_for_each_core(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert [film_processes(frames) for frames in (1, 900, 901, 108_000)] == [1, 1, 6, 6]


def test_the_pictures_of_a_film_of_over_ten_minutes_are_smaller_and_that_is_said():
    assert film_size(600.0) == ((640, 640), "")
    assert film_size(600.1) == ((480, 480), "480 x 480 pixels in place of 640 x 640, since it is over 10 minutes long")
