"""Whether what is stopped or killed again and again ends as what was not: corpus, conversion, training, driver and sweep."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import yaml

from notebooks.experiments.folders import Folders
from notebooks.experiments.sweep_results import read_sweep
from otlib.errors import InputError
from otlib.own_files import LEDGER, claim
from tests.benchmarks.claims_common import Setting, goal
from tests.fixtures.driver_copy import copy_driver
from tests.fixtures.vocaset_folder import write_raw

ROOT = Path(__file__).resolve().parents[2]
EARLIEST, LATEST = 0.1, 0.6  # when a kill comes, in shares of the time that the whole takes undisturbed
SIGNALS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}  # in turn, and the status that each should leave
_RESULTS = Folders().runs.parent.name
MOMENT_S = 10.0  # in which children notice that their parent died
SYNTHETIC = ["synthetic", "--hours", "0.02", "--workers", "2"]
DRIVEN = """from data_prep.__main__ import main
from notebooks.experiments.folders import Folders
from otlib.train.settings import TrainSettings
from otlib.train.side_by_side import train_all

folders = Folders(PROFILE)
assert main([*{synthetic}, "--out", str(folders.corpus)]) == 0
settings = {{str(seed): TrainSettings("prosody", seed=seed, steps={steps}, validate={steps}) for seed in (0, 1)}}
train_all(folders.corpus, folders.models, settings, cache=folders.features, processes=2)
"""


def kill_moments(count: int, usual: float, seed: int) -> list[float]:
    """Return when to kill each life, seconds after its start: uniform between shares of the time a whole one takes."""
    generator = random.Random(seed)
    return [usual * generator.uniform(EARLIEST, LATEST) for _ in range(count)]


def kill_again_and_again(start: Callable[[], subprocess.Popen], moments: list[float],
                         ended: Callable[[], None]) -> dict[str, int]:
    """Start a program, stop it by the next of SIGNALS, and so on; after the last time let it end.

    A life that ends before its kill is looked at by ``ended``, which also clears its result away, and the next life begins
    from nothing with a kill half as far ahead of it, so that every kill meets a program at work although the machine may
    be quicker than when the moments were chosen.

    Returns:
        How many kills met it at work, how many lives came to their end, and how many of a program's processes outlived it.

    Raises:
        InputError: the program failed, ended otherwise than a signal should end it, or is too short to be killed.
    """
    endings, left = 0, 0
    for number, moment in enumerate(moments):
        kind = list(SIGNALS)[number % len(SIGNALS)]
        for halved in range(10):
            process, family = start(), []
            try:
                process.communicate(timeout=moment / 2**halved)
            except subprocess.TimeoutExpired:
                family = psutil.Process(process.pid).children(recursive=True)
                process.send_signal(kind)
                process.communicate()
            if process.returncode == SIGNALS[kind]:
                outliving = psutil.wait_procs(family, timeout=MOMENT_S)[1]
                left += len(outliving)
                for one in outliving:
                    one.kill()
                print(f"  killed {number + 1} of {len(moments)}, {kind.name} {moment / 2**halved:.1f} s after its start",
                      flush=True)
                break
            _check(process)
            ended()
            endings += 1
        else:
            raise InputError(f"the program ends before each kill, even before {moment / 2**halved:.2g} s; take more steps")
    process = start()
    process.communicate()
    _check(process)
    ended()
    return {"kills": len(moments), "ended": endings + 1, "left": left}


def measure_kills(setting: Setting, kills: int, steps: int) -> dict[str, Any]:
    """Return how many of the endings of killed programs are those of ones that were not, and which processes were left."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        measured = {"corpus": kill_corpus(folder / "corpus", kills), "conversion": kill_conversion(folder / "raw", kills),
                    "training": _training(setting, folder / "training", kills, steps),
                    "driver": kill_driver(folder / "driver", kills, max(1, steps // 8)),
                    "sweep": _sweep(setting, folder / "sweep", kills, max(1, steps // 4))}
    return measured | {"goals": [
        goal(f"other bytes, litter or processes left by a {name} that was killed {found['kills']} times",
             found["ended"] - found["same"] + found["left"], 0) for name, found in measured.items()]}


def kill_corpus(folder: Path, kills: int) -> dict[str, Any]:
    """Return how a small corpus comes through kills."""
    return _prepared(folder, kills, SYNTHETIC)


def kill_conversion(folder: Path, kills: int) -> dict[str, Any]:
    """Return how the conversion of a small data set comes through kills."""
    return _prepared(folder, kills, ["vocaset", "--raw", str(write_raw(folder / "raw"))])


def _prepared(folder: Path, kills: int, source: list[str]) -> dict[str, Any]:
    def program(place: Path) -> Callable[[], subprocess.Popen]:
        return lambda: _start(ROOT, "-m", "data_prep", *source, "--out", str(place / "made"))

    usual = _finish(program(folder / "whole"))
    whole, killed = content(folder / "whole"), folder / "killed"
    return _compared(program(killed), kill_moments(kills, usual, seed=0), lambda: content(killed) == whole, killed)


def content(folder: Path) -> dict[str, bytes]:
    """Return all files and sockets below a folder, hidden ones too, but what tells the time: executed notebooks, and the
    ledgers that list them. Other ledgers count by their lines: two trainings add theirs in any order."""
    return {file.relative_to(folder).as_posix(): _bytes(file) for file in folder.rglob("*") if not file.is_dir()
            and not (_RESULTS in file.parts and (file.suffix == ".ipynb" or file.name == LEDGER))}


def _bytes(file: Path) -> bytes:
    if not file.is_file():
        return b""
    content = file.read_bytes()
    return b"\n".join(sorted(set(content.splitlines()))) if file.name == LEDGER else content


def _training(setting: Setting, folder: Path, kills: int, steps: int) -> dict[str, Any]:
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({"steps": steps, "validate": max(1, steps // 8)}), encoding="utf-8")
    _lend_features(setting, folder / "features")

    def program(place: Path, *more: str) -> Callable[[], subprocess.Popen]:
        return lambda: _start(ROOT, "-m", "otlib.train", "--data", str(setting.corpus.path.resolve()), "--out",
                              str(place / "run"), "--cache", str(folder / "features"), "--settings",
                              str(folder / "settings.json"), *more)

    _finish(program(folder / "one_step", "--steps", "1"))  # leaves the audio features, if any are missing
    usual = _finish(program(folder / "whole"))
    whole, killed = content(folder / "whole"), folder / "killed"
    counts = _compared(program(killed), kill_moments(kills, usual, seed=0), lambda: content(killed) == whole, killed)
    return counts | {"steps": steps, "files": sorted(whole)}


def kill_driver(folder: Path, kills: int, steps: int) -> dict[str, Any]:
    """Return how a driver comes through kills whose notebook makes a small corpus and two trainings side by side."""
    notebook = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell('PROFILE = "fast"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(DRIVEN.format(synthetic=SYNTHETIC, steps=steps))],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    step = {"name": "01_all", "outputs": ["data/fast/corpus", "{run}/models"],
            "profiles": {"fast": {"budget": 3600, "usual": 30}}}

    def repository(root: Path) -> Path:
        copy_driver(root)
        (root / "tmp").mkdir()
        nbformat.write(notebook, root / "notebooks" / "01_all.ipynb")
        (root / "notebooks" / "suite.yaml").write_text(yaml.safe_dump({"profiles": ["fast"], "notebooks": [step]}),
                                                       encoding="utf-8")
        return root

    def program(root: Path) -> Callable[[], subprocess.Popen]:
        return lambda: _start(root if root.exists() else repository(root), "-m", "notebooks.driver.run")

    usual = _finish(program(folder / "whole"))
    whole, killed = content(folder / "whole"), folder / "killed"
    counts = _compared(program(killed), kill_moments(kills, usual, seed=0), lambda: content(killed) == whole, killed)
    return counts | {"steps": steps}


def _sweep(setting: Setting, folder: Path, kills: int, steps: int) -> dict[str, Any]:
    plan = {"name": "claims", "notebook": "sweeps/train_and_score", "profile": "fast", "seeds": 1, "budget": 1800,
            "parameters": {"ENCODER": "prosody", "STEPS": steps}, "cells": {"full": {}, "no_graph": {"TERMS": 1}}}
    root = folder / "repository"
    copy_driver(root, "sweeps")
    (root / "tmp").mkdir()
    (root / "notebooks" / "suite.yaml").write_text(
        yaml.safe_dump({"profiles": ["fast"], "notebooks": [], "sweeps": [plan]}, sort_keys=False), encoding="utf-8")
    (root / "data" / "fast").mkdir(parents=True)
    (root / "data" / "fast" / "corpus").symlink_to(setting.corpus.path.resolve())
    _lend_features(setting, root / "data" / "fast" / "features")
    left = Folders(root=root).sweep("claims")

    def program() -> subprocess.Popen:
        return _start(root, "-m", "notebooks.driver.sweep", "claims", "--jobs", "2")

    def found() -> tuple[dict, dict, list[Path]]:
        scores = {(result.cell, result.seed): result.scores for result in read_sweep(left)}
        models = {file.parent.parent.name: file.read_bytes() for file in left.glob("work/*/run/model.safetensors")}
        return scores, models, [*root.rglob(".*.otlib-*"), *(root / "tmp").iterdir()]

    def clear() -> None:
        shutil.rmtree(left, ignore_errors=True)

    _finish(program)  # leaves the audio features, which the measured time is to be without
    clear()
    usual = _finish(program)
    whole = found()
    clear()
    counts = _compared(program, kill_moments(kills, usual, seed=1), lambda: found() == whole, left)
    return counts | {"steps": steps, "cells": sorted(whole[1])}


def _lend_features(setting: Setting, folder: Path) -> None:
    """Link the audio features that there are into a folder, where whatever a kill leaves does no harm."""
    claim(folder)
    for file in setting.folders.features.glob("*.npy"):
        (folder / file.name).symlink_to(file.resolve())


def _compared(start: Callable[[], subprocess.Popen], moments: list[float], same: Callable[[], bool],
              left: Path) -> dict[str, Any]:
    """Kill a program again and again; count the endings, and those that are the same as without a kill."""
    equal = []

    def ended() -> None:
        equal.append(same())
        shutil.rmtree(left)

    return kill_again_and_again(start, moments, ended) | {"same": sum(equal)}


def _start(folder: Path, *arguments: str) -> subprocess.Popen:
    ones = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TQDM_DISABLE"), "1")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), **ones}
    if (folder / "tmp").is_dir():
        environment["TMPDIR"] = str(folder / "tmp")
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def _finish(start: Callable[[], subprocess.Popen]) -> float:
    """Run a program to its end; return the seconds it took."""
    begin = time.monotonic()
    process = start()
    process.communicate()
    _check(process)
    return time.monotonic() - begin


def _check(process: subprocess.Popen) -> None:
    if process.returncode != 0:
        raise InputError(f"{' '.join(map(str, process.args[1:3]))}: ended with status {process.returncode}; run it by "
                         "itself to see why")
