"""A JupyterLab of its own for one test session, and a Chromium that looks at it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import CHROMIUM_FLAGS

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90
RUN_SECONDS = 300  # for imports, compiling and the first picture, on a machine that does other things too
SETTINGS = {  # no question whether news are wanted, no look for a newer version, and every cell in the page
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False,
                                                    "doNotDisturbMode": True},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}
ERROR = "[data-mime-type='application/vnd.jupyter.error']"  # an exception in a cell's output


def write_notebook(path: Path, *cells: str) -> None:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Serve a folder with JupyterLab on a free port of this machine; yield its address.

    Raises:
        RuntimeError: it does not answer; the message has the end of what it wrote.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            environment[name] = str(Path(scratch) / name)
        log, settings = Path(scratch) / "log", Path(scratch) / "settings"
        settings.mkdir()
        (settings / "overrides.json").write_text(json.dumps(SETTINGS))
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
                   f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password=",
                   f"--LabApp.app_settings_dir={settings}", f"--ServerApp.root_dir={folder}"]
        with log.open("w") as output:
            lab = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            _wait_for(port, lab, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            lab.terminate()
            lab.wait(30)


def _wait_for(port: int, lab: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and lab.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def open_page(chromium_path: str, width: int = 1400, height: int = 1300) -> Iterator[Page]:
    """Yield a page of a headless Chromium that can draw in 3-D."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, headless=True, args=CHROMIUM_FLAGS)
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()


def run_all_cells(page: Page, address: str, name: str) -> None:
    """Open a notebook, run all its cells, and wait until each has ended.

    Raises:
        AssertionError: a cell failed; the message is what it wrote.
    """
    page.goto(f"{address}/lab/tree/{name}?reset", wait_until="domcontentloaded")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)  # asked to run before, it asks which kernel
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
    page.wait_for_function(
        "() => { const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];"
        f" return document.querySelector(\"{ERROR}\") || "
        " prompts.length && prompts.every(prompt => /\\[\\d+\\]/.test(prompt.textContent)); }",
        timeout=1000 * RUN_SECONDS)
    assert not page.locator(ERROR).count(), page.locator(ERROR).first.inner_text()
