"""What a driver leaves that is stopped or killed at work: one line, no process, no litter, and the same bytes at the end."""

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT
from tests.fixtures.driver_copy import copy_driver
from tests.notebooks.driver.test_run import write_notebook
from tests.otlib.test_command_ends import SIGNALS, SOON_S, STOPPED, processes, wait_for

pytestmark = pytest.mark.slow

WORK = """
import sys
import time
import warnings
from pathlib import Path
from otlib.commands import Workers
from otlib.files import atomic_write

warnings.warn("the voice is quiet")
print("warning: the voice is silent\\nall is well")
folder = Path("results/runs") / PROFILE
with atomic_write(folder / "made.txt") as file:
    file.write_text(sys.executable)
    with Workers(2) as pool:
        for _ in pool.map(time.sleep, [0.1] * (100_000 if Path("slow").exists() else 1)):
            Path("ready").touch()
"""
SUITE = {"profiles": ["fast"], "notebooks": [{"name": "01_work", "outputs": ["{run}/made.txt"],
                                              "profiles": {"fast": {"budget": 300, "usual": 3}}}]}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "repository"
    copy_driver(root)
    write_notebook(root / "notebooks" / "01_work.ipynb", ('PROFILE = "fast"', WORK))
    (root / "notebooks" / "suite.yaml").write_text(yaml.safe_dump(SUITE))
    (root / "tmp").mkdir()
    other = root / "jupyter" / "kernels" / "python3" / "kernel.json"  # of the same name, and not to be taken
    other.parent.mkdir(parents=True)
    other.write_text(json.dumps({"argv": ["false"], "display_name": "another", "language": "python"}))
    return root


def start(root):
    paths = {"JUPYTER_PATH": str(root / "jupyter"), "PYTHONPATH": f"{root}{os.pathsep}{ROOT}", "TMPDIR": str(root / "tmp"),
             "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen([sys.executable, "-m", "notebooks.driver.run"], env=os.environ | paths, cwd=root,
                            start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def files(root):
    """All files, but for the ledgers of folders that were claimed."""
    return sorted(file.relative_to(root).as_posix() for file in root.rglob("*")
                  if not file.is_dir() and file.name != ".otlib-files.jsonl")


def test_a_driver_stopped_or_killed_ends_as_one_that_was_not(root):
    (root / "slow").touch()
    before = files(root)
    for number in (*SIGNALS, signal.SIGKILL):
        process = start(root)
        wait_for((root / "ready").exists)
        process.send_signal(number)
        said = process.communicate(timeout=SOON_S)
        wait_for(lambda: processes(root) == [])
        (root / "ready").unlink()
        if number != signal.SIGKILL:
            name = "Ctrl-C" if number == signal.SIGINT else number.name
            assert process.returncode == SIGNALS[number] and said[1].endswith(STOPPED.format(name)), said
            assert said[1].count("\n") == 3 and files(root) == before and list((root / "tmp").iterdir()) == []
    (root / "slow").unlink()
    process = start(root)
    said = process.communicate()
    assert process.returncode == 0, said
    assert sorted(said[1].splitlines()) == ["01_work: warning: the voice is quiet", "01_work: warning: the voice is silent"]
    assert (root / "results/runs/fast/made.txt").read_text() == sys.executable
    left = {"ready", "results/runs/fast/made.txt", *(f"results/runs/fast/notebooks/01_work{kind}"
                                                     for kind in (".ipynb", ".done.json"))}
    assert set(files(root)) == {*before, *left} - {"slow"}


def test_a_second_driver_on_the_same_run_says_that_the_first_is_at_work(root):
    (root / "slow").touch()
    first = start(root)
    wait_for((root / "ready").exists)
    second = start(root)
    said = second.communicate()[1]
    assert second.returncode == 2 and said.count("\n") == 1 and "results/runs/fast: another run is writing it" in said
    first.send_signal(signal.SIGTERM)
    first.communicate()
    assert first.returncode == 143

