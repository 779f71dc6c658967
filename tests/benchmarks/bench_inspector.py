"""How fast a control of the inspector answers on 9,976 faces: in JupyterLab under a real Chromium, from key to picture.

    python -m tests.benchmarks.bench_inspector

Run it on a machine that does nothing else. A key is pressed on a control; the answer is there when the line above the
panels names the new state, which is written after the views have been drawn. Each control is pressed several times; the
median, the slowest, and beside them the parts of an answer alone (in this process) go to the run's bench/inspector.json.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from playwright.sync_api import Page

from data_prep.head import CONTROLS, make_head, pose
from otlib.files import write_json
from otlib.inspector import Comparison, Controls, MovingMesh
from otlib.inspector.figures import alignment_png
from otlib.inspector.measure_views import AlignmentScene
from otlib.topology import Topology
from tests.benchmarks.bench_sliced import machine
from tests.benchmarks.targets import add_target, target_of
from tests.browser.jupyter_lab import jupyter_lab, open_page, run_all_cells, write_notebook

GOAL_SECONDS = 0.5
PRESSES = 8
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
NOTEBOOK = """
import numpy as np
from otlib.inspector import Comparison, Controls, Inspector, MovingMesh
from otlib.topology import Topology
data = np.load("heads.npz")
true, predicted = (MovingMesh(data[name], Topology(data["faces"], {"lips": data["lips"]})) for name in ("true", "predicted"))
Inspector(Comparison(true, predicted), Controls(region="face", count=100))
"""
# The moment a key goes down, and the moment the words change to other ones that are an answer.
WATCH = """
() => new Promise(resolve => {
  const words = () => [...document.querySelectorAll('.widget-html')].map(one => one.innerText).find(
    text => text.includes('SW_') && !text.startsWith('working')) ?? '';
  const before = words();
  let pressed = null;
  document.addEventListener('keydown', () => { pressed ??= performance.now(); }, {capture: true, once: true});
  const look = () => {
    if (pressed !== null && words() && words() !== before) resolve((performance.now() - pressed) / 1000);
    else requestAnimationFrame(look);
  };
  window.watching = true;
  look();
})
"""


def talking_heads() -> dict[str, np.ndarray]:
    """A head of 9,976 faces that opens its mouth, and one that opens it less."""
    head = make_head(resolution="medium")
    controls = np.zeros((20, len(CONTROLS)))
    controls[:, 0] = np.linspace(0.1, 0.8, len(controls))
    return {"true": pose(head, controls), "predicted": pose(head, 0.6 * controls), "faces": head.topology.faces,
            "lips": head.topology.lips}


def parts(data: dict[str, np.ndarray]) -> dict[str, float]:
    """Seconds of each part of one answer on the whole face, alone: median of several."""
    topology = Topology(data["faces"], {"lips": data["lips"]})
    comparison = Comparison(*(MovingMesh(data[name], topology) for name in ("true", "predicted")))
    scene = AlignmentScene()
    alignment = comparison.align(Controls(region="face"))
    jobs = {"alignment": lambda: comparison.align(Controls(region="face")), "panel": lambda: alignment_png(alignment),
            "scene": lambda: scene.show(alignment), "rendering": scene.pictures}
    return {name: round(median_seconds(job), 3) for name, job in jobs.items()}


def median_seconds(job: Callable[[], object]) -> float:
    """Median wall time of a job that has been done once before."""
    job()
    times = []
    for _ in range(PRESSES):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def press(page: Page, control: str) -> float:
    """Press an arrow key on a slider; return the seconds to the answer."""
    page.locator(".widget-hslider", has_text=control).locator(".noUi-handle").focus()
    page.evaluate(f"window.answer = ({WATCH})(); undefined")
    page.keyboard.press("ArrowLeft" if control == "elevation" else "ArrowRight")
    seconds = float(page.evaluate("window.answer"))
    page.wait_for_function(  # so that one answer does not wait for another's estimate
        "() => ![...document.querySelectorAll('.widget-html')].some(one => /working/.test(one.innerText))", timeout=60_000)
    page.wait_for_timeout(300)
    return seconds


def main() -> int:
    """Measure, print and write; return 1 where a median is above half a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_target(parser)
    target = target_of(parser, parser.parse_args(), "inspector")
    chromium = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if chromium is None:
        print("no Chromium: on Debian or Ubuntu run `apt-get install chromium`", file=sys.stderr)
        return 2
    data = talking_heads()
    with tempfile.TemporaryDirectory() as scratch:
        np.savez(Path(scratch) / "heads.npz", **data)
        write_notebook(Path(scratch) / "inspect.ipynb", NOTEBOOK)
        with jupyter_lab(Path(scratch)) as address, open_page(chromium) as page:
            run_all_cells(page, address, "inspect.ipynb")
            page.wait_for_timeout(5000)
            answers = {}
            for control in ("frame", "elevation", "directions"):
                presses = 3 if control == "directions" else PRESSES
                times = [press(page, control) for _ in range(presses)]
                answers[control] = {"median_s": round(statistics.median(times), 3), "slowest_s": round(max(times), 3)}
    torch.set_num_threads(1)
    result = {"faces": len(data["faces"]), "goal_s": GOAL_SECONDS, "answers": answers, "parts_s": parts(data),
              "machine": machine()}
    for name, answer in answers.items():
        print(f"{name:12} {answer['median_s']:.3f} s, slowest {answer['slowest_s']:.3f} s")
    print("parts:", ", ".join(f"{name} {seconds:.3f} s" for name, seconds in result["parts_s"].items()))
    write_json(target, result)
    return 0 if all(answer["median_s"] < GOAL_SECONDS for answer in answers.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
