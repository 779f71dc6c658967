"""Whether a training and a sweep that are killed again and again end as ones that were not."""

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

import yaml

from notebooks.experiments.folders import Folders
from notebooks.experiments.sweep_results import read_sweep
from otlib.errors import InputError
from tests.benchmarks.claims_common import Setting, goal
from tests.fixtures.driver_copy import copy_driver

ROOT = Path(__file__).resolve().parents[2]
EARLIEST, LATEST = 0.1, 0.6  # when a kill comes, in shares of the time that the whole takes undisturbed


def kill_moments(count: int, usual: float, seed: int) -> list[float]:
    """Return when to kill each life, seconds after its start: uniform between shares of the time a whole one takes."""
    generator = random.Random(seed)
    return [usual * generator.uniform(EARLIEST, LATEST) for _ in range(count)]


def kill_again_and_again(start: Callable[[], subprocess.Popen], moments: list[float],
                         ended: Callable[[], None]) -> dict[str, int]:
    """Start a program, kill it, and so on; after the last kill let it end.

    A life that ends before its kill is looked at by ``ended``, which also clears its result away, and the next life begins
    from nothing with a kill half as far ahead of it, so that every kill meets a program at work although the machine may
    be quicker than when the moments were chosen.

    Returns:
        How many kills met it at work, and how many lives came to their end.

    Raises:
        InputError: the program failed, or is too short to be killed.
    """
    endings, kills = 0, 0
    for moment in moments:
        for halved in range(10):
            process = start()
            try:
                process.communicate(timeout=moment / 2**halved)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
            if process.returncode == -signal.SIGKILL:
                kills += 1
                print(f"  killed {kills} of {len(moments)}, {moment / 2**halved:.1f} s after its start", flush=True)
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
    return {"kills": kills, "ended": endings + 1}


def measure_kills(setting: Setting, kills: int, steps: int) -> dict[str, Any]:
    """Return how many of the endings of a killed training and of a killed sweep are those of ones that were not."""
    with tempfile.TemporaryDirectory() as folder:
        training = _training(setting, Path(folder), kills, steps)
        sweep = _sweep(setting, Path(folder), kills, max(1, steps // 4))
    return {"training": training, "sweep": sweep, "goals": [
        goal(f"other bytes at the end of a training of {steps} steps, killed {training['kills']} times",
             training["ended"] - training["same"], 0),
        goal(f"other models or scores at the end of a sweep of 2 cells, killed {sweep['kills']} times",
             sweep["ended"] - sweep["same"], 0)]}


def _training(setting: Setting, folder: Path, kills: int, steps: int) -> dict[str, Any]:
    (folder / "settings.json").write_text(json.dumps({"steps": steps, "validate": max(1, steps // 8)}), encoding="utf-8")

    _lend_features(setting, folder / "features")

    def program(out: Path, *more: str) -> Callable[[], subprocess.Popen]:
        return lambda: _start(ROOT, "-m", "otlib.train", "--data", str(setting.corpus.path.resolve()), "--out", str(out),
                              "--cache", str(folder / "features"), "--settings", str(folder / "settings.json"), *more)

    def content(out: Path) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in out.iterdir()}

    _finish(program(folder / "one_step", "--steps", "1"))  # leaves the audio features, if any are missing
    usual = _finish(program(folder / "whole"))
    whole = content(folder / "whole")
    killed = folder / "killed"
    counts = _compared(program(killed), kill_moments(kills, usual, seed=0), lambda: content(killed) == whole, killed)
    return counts | {"steps": steps, "files": sorted(whole)}


def _sweep(setting: Setting, folder: Path, kills: int, steps: int) -> dict[str, Any]:
    plan = {"name": "claims", "notebook": "sweeps/train_and_score", "profile": "fast", "seeds": 1, "budget": 1800,
            "parameters": {"ENCODER": "prosody", "STEPS": steps}, "cells": {"full": {}, "no_graph": {"TERMS": 1}}}
    root = folder / "repository"
    copy_driver(root, "sweeps")
    (root / "notebooks" / "suite.yaml").write_text(
        yaml.safe_dump({"profiles": ["fast"], "notebooks": [], "sweeps": [plan]}, sort_keys=False), encoding="utf-8")
    (root / "data" / "fast").mkdir(parents=True)
    (root / "data" / "fast" / "corpus").symlink_to(setting.corpus.path.resolve())
    _lend_features(setting, root / "data" / "fast" / "features")
    left = Folders(root=root).sweep("claims")

    def program() -> subprocess.Popen:
        return _start(root, "-m", "notebooks.driver.sweep", "claims", "--jobs", "2")

    def content() -> tuple[dict, dict]:
        scores = {(result.cell, result.seed): result.scores for result in read_sweep(left)}
        return scores, {file.parent.parent.name: file.read_bytes() for file in left.glob("work/*/run/model.safetensors")}

    def clear() -> None:
        shutil.rmtree(left, ignore_errors=True)

    _finish(program)  # leaves the audio features, which the measured time is to be without
    clear()
    usual = _finish(program)
    whole = content()
    clear()
    counts = _compared(program, kill_moments(kills, usual, seed=1), lambda: content() == whole, left)
    return counts | {"steps": steps, "cells": sorted(whole[1])}


def _lend_features(setting: Setting, folder: Path) -> None:
    """Link the audio features that there are into a folder, where whatever a kill leaves does no harm."""
    folder.mkdir(parents=True)
    for file in setting.folders.features.glob("*.npy"):
        (folder / file.name).symlink_to(file.resolve())


def _compared(start: Callable[[], subprocess.Popen], moments: list[float], same: Callable[[], bool],
              left: Path) -> dict[str, int]:
    """Kill a program again and again; count the endings, and those that are the same as without a kill."""
    equal = []

    def ended() -> None:
        equal.append(same())
        shutil.rmtree(left)

    return kill_again_and_again(start, moments, ended) | {"same": sum(equal)}


def _start(folder: Path, *arguments: str) -> subprocess.Popen:
    ones = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TQDM_DISABLE"), "1")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), **ones}
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
