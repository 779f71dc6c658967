"""The inspector in a real Chromium: live in JupyterLab, and as a page without a kernel."""

import io
import time

import numpy as np
import PIL.Image
import pytest

from otlib.inspector import Comparison, Controls, MovingMesh, write_page
from otlib.topology import Topology
from otlib.viz.can_render import RenderingUnavailable, ensure_rendering
from tests.browser.jupyter_lab import jupyter_lab, open_page, run_all_cells, write_notebook
from tests.fixtures.talking_ball import FRAME_RATE, MOUTH, RADIUS, ball, talk

pytestmark = pytest.mark.slow

PACKED = 2e-3  # relative: the page's points are integers of 0.003 mm, and distances here are of 1 mm and more
CHANGED = 0.003  # of a picture's pixels: a turned direction alone moves a line and its shadow
ANSWER_SECONDS = 60  # of patience, not of quality: the machine may do other things (see benchmarks/bench_inspector.py)

NOTEBOOK = """
import numpy as np
from otlib.inspector import Comparison, Controls, Inspector, MovingMesh
from otlib.topology import Topology
data = np.load("balls.npz")
true, predicted = (MovingMesh(data[name], Topology(data["faces"], {"lips": data["lips"]})) for name in ("true", "predicted"))
Inspector(Comparison(true, predicted), Controls(frame=4, region="face", count=24))
"""


def sequences():
    """A ball that talks and one that mumbles, its faces and the vertices of its lips."""
    vertices, faces, _ = ball(2)
    lips = np.flatnonzero(np.linalg.norm(vertices / RADIUS - MOUTH, axis=1) < 0.35)
    frames = talk(vertices, 9)
    return frames, vertices + 0.4 * (frames - vertices), faces, lips


def pixels(shot: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def share_changed(before: np.ndarray, after: np.ndarray) -> float:
    return float((np.abs(after - before).max(-1) > 12).mean())


def wait_for_picture(page) -> None:
    """Wait until the views, which come from a server of their own, show a coloured atom."""
    end = time.monotonic() + ANSWER_SECONDS
    while (np.ptp(pixels(page.locator("iframe.pyvista").screenshot()), axis=-1) > 30).mean() < 0.01:
        assert time.monotonic() < end, f"no picture in {ANSWER_SECONDS} s"
        page.wait_for_timeout(500)


def test_the_page_works_without_a_kernel(chromium_path, tmp_path):
    true, predicted, faces, lips = sequences()
    topology = Topology(faces, {"lips": lips})
    comparison = Comparison(MovingMesh(true, topology), MovingMesh(predicted, topology))
    write_page(tmp_path / "page.html", comparison, Controls(frame=4, region="mouth"), range(0, 9, 2), FRAME_RATE,
               turned=20.0)
    problems, requests = [], []
    with open_page(chromium_path, 1000, 1000) as page:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())

        def turn(**values):
            for name, value in values.items():
                page.evaluate("([name, value]) => { const input = document.getElementById(name); input.value = value;"
                              " input.dispatchEvent(new Event('input')); }", [name, value])
            return page.evaluate("window.distance"), *(pixels(page.locator(f"#{name}").screenshot())
                                                       for name in ("views", "plots"))

        shown = {state: turn(time=time, azimuth=azimuth, elevation=elevation)
                 for state, (time, azimuth, elevation) in {"first": (2, 0, 90), "turned": (2, 40, 10), "later": (4, 40, 10),
                                                           "first again": (2, 0, 90)}.items()}
        box = page.locator("#views").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 150)
        page.mouse.down()
        page.mouse.move(box["x"] + 320, box["y"] + 190, steps=4)
        page.mouse.up()
        dragged = pixels(page.locator("#views").screenshot())
        page.screenshot(path=tmp_path / "page.png")
    assert problems == [] and all(url.startswith(("file:", "data:")) for url in requests)
    for state, controls in {"first": Controls(4, "mouth"), "turned": Controls(4, "mouth", 40.0, 10.0),
                            "later": Controls(8, "mouth", 40.0, 10.0)}.items():
        expected = 1e3 * comparison.align(controls).matching.cost ** 0.5
        assert shown[state][0] == pytest.approx(expected, rel=PACKED), state
    for part in (1, 2):
        assert np.ptp(shown["first"][part]) > 150
        assert share_changed(shown["first"][part], shown["turned"][part]) > CHANGED
        assert share_changed(shown["turned"][part], shown["later"][part]) > CHANGED
        assert (shown["first"][part] == shown["first again"][part]).all()
    for half in (slice(0, dragged.shape[1] // 2), slice(dragged.shape[1] // 2, None)):  # linked: one hand turns both
        assert share_changed(shown["first"][1][:, half], dragged[:, half]) > 0.02


def test_controls_change_the_pictures_in_jupyterlab(chromium_path, tmp_path):
    try:
        ensure_rendering()
    except RenderingUnavailable as reason:
        pytest.skip(str(reason))
    true, predicted, faces, lips = sequences()
    np.savez(tmp_path / "balls.npz", true=true, predicted=predicted, faces=faces, lips=lips)
    write_notebook(tmp_path / "inspect.ipynb", NOTEBOOK)
    with jupyter_lab(tmp_path) as address, open_page(chromium_path) as page:
        run_all_cells(page, address, "inspect.ipynb")
        wait_for_picture(page)
        status = page.locator(".widget-html", has_text="SW_2").last

        def settle(expected: str) -> dict[str, np.ndarray | str]:
            """Wait until the answer is whole; return its words and pictures."""
            page.wait_for_function(
                "expected => [...document.querySelectorAll('.widget-html')].some(one => one.innerText.includes(expected)"
                " && one.innerText.includes('exact W') && !one.innerText.includes('working'))",
                arg=expected, timeout=1000 * ANSWER_SECONDS)
            page.wait_for_timeout(1500)  # the last picture is on its way
            panels = page.locator("img.widget-image")
            return {"words": status.inner_text(), "views": pixels(page.locator("iframe.pyvista").screenshot()),
                    "matching": pixels(panels.first.screenshot()), "estimate": pixels(panels.last.screenshot())}

        def press(handle: str, key: str, times: int) -> None:
            page.locator(".widget-hslider", has_text=handle).locator(".noUi-handle").focus()
            for _ in range(times):
                page.keyboard.press(key)

        shown = {"first": settle("whole face, frame 4")}
        page.screenshot(path=tmp_path / "first.png")
        press("frame", "ArrowRight", 3)
        shown["later"] = settle("whole face, frame 7")
        page.locator("button", has_text="sideways").click()
        shown["sideways"] = settle("sideways")
        page.locator(".widget-dropdown", has_text="region").locator("select").select_option(label="lips")
        shown["lips"] = settle("lips, frame 7")
        page.screenshot(path=tmp_path / "last.png")
    for before, after, parts in (("first", "later", ("views", "matching", "estimate")),
                                 ("later", "sideways", ("views", "matching")),
                                 ("sideways", "lips", ("views", "matching"))):
        assert shown[before]["words"] != shown[after]["words"]
        for part in parts:
            assert share_changed(shown[before][part], shown[after][part]) > CHANGED, (before, after, part)
    for state, found in shown.items():
        views = found["views"]
        assert (views.min(-1) > 240).mean() > 0.2, f"{state}: the views have no white ground"  # black: VTK off its thread
        assert (np.ptp(views, axis=-1) > 30).mean() > 0.01, f"{state}: no coloured atom"
