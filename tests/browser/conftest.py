"""What the browser tests need from outside Python: npm packages and Chromium; they skip without, and say why."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from otlib.export.glb import write_glb
from otlib.topology import Topology
from tests.fixtures.talking_ball import FRAME_RATE, ball, talk

_HERE = Path(__file__).parent
_CACHE = _HERE.parent.parent / ".cache"
_INSTALL_SECONDS = 120


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Return a folder with the packages of package.json, installed once for each version of the lock file."""
    lock = (_HERE / "package-lock.json").read_bytes()
    installed = _CACHE / f"browser-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not installed.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed")
        _CACHE.mkdir(exist_ok=True)
        # Under a name of its own until it is whole: test processes run side by side, and an install may die.
        with tempfile.TemporaryDirectory(dir=_CACHE) as temporary:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_HERE / name, temporary)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            try:
                run = subprocess.run(
                    command, cwd=temporary, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
                )
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm ci did not end in {_INSTALL_SECONDS} s: no network?")
            if run.returncode != 0:
                reason = next((line for line in run.stderr.splitlines() if line.startswith("npm error")), "no message")
                pytest.skip(f"npm ci failed, no network? ({reason})")
            try:
                os.rename(temporary, installed)
                os.mkdir(temporary)  # what TemporaryDirectory removes
            except OSError:
                assert installed.exists()  # another test process was faster
    return installed / "node_modules"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return the path of a Chromium that this machine has; playwright's own download is not used."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip("no Chromium: on Debian or Ubuntu run `apt-get install chromium`")


@pytest.fixture(scope="session")
def talking_glb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a second of a talking ball with three parts."""
    vertices, faces, parts = ball()
    path = tmp_path_factory.mktemp("glb") / "talking.glb"
    write_glb(path, talk(vertices), Topology(faces, parts=parts), FRAME_RATE, template=vertices)
    return path
