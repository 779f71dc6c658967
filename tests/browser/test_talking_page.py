"""The page of a talking head in a real Chromium: it loads nothing, its mouth moves with the sound, it turns and plays."""

import io

import numpy as np
import PIL.Image
import pytest

from otlib.export.html import write_html
from otlib.export.talking_head import TalkingHead
from otlib.speech.recording import Recording
from otlib.topology import Topology
from tests.browser.jupyter_lab import open_page
from tests.fixtures.talking_ball import FRAME_RATE, MOUTH, ball, talk

pytestmark = pytest.mark.slow

_SIDE = 400  # pixels
_OPEN = 10 / FRAME_RATE  # seconds: the first time the mouth is widest
_MOVED = 12  # grey levels: above what a render of the same scene varies by
_PAGES_MM, _FLOAT_MM = 0.1, 1e-3  # what the page promises, and what float32 adds to it
_LATE = 0.25  # seconds by which a picture may be behind the sound on a busy machine without a GPU
_READY = "document.getElementById('head').dataset.shown !== undefined"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    vertices, faces, parts = ball()
    sound = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000 * 4) / 16_000)
    head = TalkingHead("a ball", talk(vertices, 120), vertices, Topology(faces, parts=parts), FRAME_RATE,
                       Recording(sound.astype(np.float32), 16_000))
    path = tmp_path_factory.mktemp("page") / "ball.html"
    write_html(path, head)
    return head, path


@pytest.fixture
def page(written, chromium_path):
    problems, asked = [], []
    with open_page(chromium_path, _SIDE, _SIDE + 120) as opened:
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(written[1].as_uri())
        opened.wait_for_function(_READY, timeout=60_000)
        yield opened
        assert problems == []
        assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [written[1].as_uri()]


def seek(page, seconds):
    page.evaluate("time => new Promise(done => { sound.onseeked = done; sound.currentTime = time; })", seconds)
    page.wait_for_function("time => Math.abs(get('head').dataset.shown - time) < 0.01", arg=seconds, timeout=30_000)


def picture(page):
    return np.asarray(PIL.Image.open(io.BytesIO(page.locator("#head").screenshot())).convert("L")).astype(int)


def test_open_and_shut_mouths_differ_and_only_the_mouth_does(page):
    shots = []
    for seconds in (0.0, _OPEN, 0.0):
        seek(page, seconds)
        shots.append(picture(page))
    rest, opened, again = shots
    assert np.ptp(rest) > 80 and (rest == again).all()
    rows, columns = np.nonzero(np.abs(opened - rest) > _MOVED)
    assert len(rows) > 0.005 * rest.size
    radius = np.ptp(np.nonzero(np.abs(rest - rest[0, 0]).max(0) > _MOVED)[0]) / 2  # of the ball, pixels
    x, y = (columns - rest.shape[1] / 2) / radius, (rest.shape[0] / 2 - rows) / radius
    assert np.mean(np.hypot(x - MOUTH[0], y - MOUTH[1]) < 0.55) > 0.9


def test_its_arithmetic_is_the_heads(written, page):
    head, _ = written
    middle = (head.template.min(0) + head.template.max(0)) / 2
    for frame in (0, 7, 119):
        got = page.evaluate("async time => { const head = await readHead(); const {points, normals} = poser(head)(time);"
                            " return [[...points], [...head.copied], [...normals]]; }", frame / FRAME_RATE)
        points, copied, normals = (np.array(values) for values in got)
        error = np.linalg.norm(points.reshape(-1, 3) + middle - head.motion[frame][copied], axis=1)
        assert 1e3 * error.max() < _PAGES_MM + _FLOAT_MM
        outward = (normals.reshape(-1, 3) * head.motion[frame][copied]).sum(1)
        assert (outward > 0).all()  # a ball's normals point away from its middle


def test_it_turns_by_mouse_and_keys_and_comes_back(page):
    seek(page, 0.0)
    front = picture(page)
    page.mouse.move(200, 200)
    page.mouse.down()
    page.mouse.move(290, 220, steps=4)
    page.mouse.up()
    page.wait_for_timeout(500)
    assert (np.abs(picture(page) - front) > _MOVED).mean() > 0.01
    assert page.evaluate("sound.paused")  # a drag is no click
    page.mouse.dblclick(200, 200)
    page.evaluate("sound.pause()")
    seek(page, 0.0)
    page.wait_for_timeout(500)
    assert (picture(page) == front).all()
    page.locator("#head").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("+")
    page.wait_for_timeout(500)
    assert (np.abs(picture(page) - front) > _MOVED).mean() > 0.01


def test_it_plays_and_the_head_follows_the_sound(page):
    assert page.evaluate("sound.duration") == pytest.approx(4.0, abs=0.05)
    page.mouse.click(200, 200)
    page.wait_for_function("sound.currentTime > 1", timeout=30_000)
    said, shown = page.evaluate("new Promise(done => requestAnimationFrame(() => done([sound.currentTime,"
                                " +get('head').dataset.shown])))")
    assert 0 <= said - shown < _LATE
    page.mouse.click(200, 200)
    page.wait_for_function("sound.paused", timeout=30_000)
