"""An animated head in a three.js page: it loads, it is not blank, and its mouth is what moves."""

import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import sync_playwright

from tests.browser.chromium import CHROMIUM_FLAGS
from tests.fixtures.talking_ball import FRAME_RATE, MOUTH, RADIUS

_SIDE = 400  # pixels
_HALF_VIEW = 1.25 * RADIUS  # metres from the middle of the picture to its edge
_OPEN_TIME = 10 / FRAME_RATE  # the first time the mouth is widest
_MOVED = 12  # grey levels: above what a render of the same scene varies by (none was seen)
_NEAR_MOUTH = 0.5 * RADIUS  # metres

_PAGE = """
<!doctype html>
<link rel="icon" href="data:,">
<style>body {margin: 0}</style>
<script type="importmap">
{"imports": {"three": "/three/build/three.module.js", "three/addons/": "/three/examples/jsm/"}}
</script>
<script type="module">
import * as THREE from "three";
import {GLTFLoader} from "three/addons/loaders/GLTFLoader.js";

const side = SIDE, half = HALF_VIEW;
const renderer = new THREE.WebGLRenderer({antialias: true, preserveDrawingBuffer: true});
renderer.setSize(side, side);
document.body.append(renderer.domElement);
const scene = new THREE.Scene();
scene.background = new THREE.Color("#e8ebee");
const camera = new THREE.OrthographicCamera(-half, half, half, -half, 0.01, 10);
camera.position.z = 1;
const key = new THREE.DirectionalLight("white", 2.5);
key.position.set(-1, 1, 2);
scene.add(key, new THREE.HemisphereLight("white", "#998877", 1.2));
const gltf = await new GLTFLoader().loadAsync("/talking.glb");
scene.add(gltf.scene);
const mixer = new THREE.AnimationMixer(gltf.scene);
mixer.clipAction(gltf.animations[0]).play();
window.showTime = seconds => {
  mixer.setTime(seconds);
  renderer.render(scene, camera);
};
window.showTime(0);
window.loaded = true;
</script>
"""


class _Handler(SimpleHTTPRequestHandler):
    """Serves the page, the model and three.js; prints nothing."""

    def __init__(self, *arguments, glb: Path, three: Path, **options):
        self._glb, self._three = glb, three
        super().__init__(*arguments, **options)

    def translate_path(self, path):
        if path == "/talking.glb":
            return str(self._glb)
        if path.startswith("/three/"):
            return str(self._three / path.removeprefix("/three/"))
        return "/nonexistent"

    def do_GET(self):
        if self.path != "/":
            return super().do_GET()
        page = _PAGE.replace("SIDE", str(_SIDE)).replace("HALF_VIEW", str(_HALF_VIEW)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address(talking_glb, node_modules):
    handler = partial(_Handler, glb=talking_glb, three=node_modules / "three")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_mouth_moves_in_three_js(address, chromium_path, tmp_path):
    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, headless=True, args=CHROMIUM_FLAGS)
        try:
            page = browser.new_page(viewport={"width": _SIDE, "height": _SIDE})
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.goto(address)
            page.wait_for_function("window.loaded === true", timeout=60_000)
            pictures = {}
            for name, time in {"rest": 0.0, "open": _OPEN_TIME, "rest again": 0.0}.items():
                page.evaluate("time => window.showTime(time)", time)
                shot = page.screenshot(path=tmp_path / f"{name}.png")
                pictures[name] = np.asarray(PIL.Image.open(io.BytesIO(shot)).convert("L")).astype(int)
        finally:
            browser.close()
    assert problems == []

    rest, opened = pictures["rest"], pictures["open"]
    assert np.ptp(rest) > 80  # a lit ball on a light ground is not blank
    assert (rest == pictures["rest again"]).all()
    rows, columns = np.nonzero(np.abs(opened - rest) > _MOVED)
    assert len(rows) > 0.005 * _SIDE**2
    # pixel to metres in the picture's plane: x right, y up
    x = ((columns + 0.5) / _SIDE * 2 - 1) * _HALF_VIEW
    y = (1 - (rows + 0.5) / _SIDE * 2) * _HALF_VIEW
    distance = np.hypot(x - RADIUS * MOUTH[0], y - RADIUS * MOUTH[1])
    assert np.mean(distance < _NEAR_MOUTH) > 0.9
