"""Several trainings side by side, one thread each: as fast as the cores allow, with results independent of their number."""

import dataclasses
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from otlib.commands import start_child
from otlib.errors import InputError
from otlib.files import read_json, write_json
from otlib.own_files import claim
from otlib.train.loop import RUN, TrainSettings


def train_all(data: Path, runs: Path, settings: Mapping[str, TrainSettings], *, cache: Path,
              processes: int | None = None) -> dict[str, dict[str, Any]]:
    """Train every named setting in a process of its own, ``processes`` at a time; finished runs are kept.

    Args:
        data: folder of the data set.
        runs: each run gets the folder ``runs / name``.
        settings: training settings by name.
        cache: folder of audio features.
        processes: number at a time; by default one for each core.

    Returns:
        The content of each run's run.json, by name.

    Raises:
        InputError: a training met bad input; the others are stopped, and continue from their checkpoints next time.
        RuntimeError: a training failed; the message ends with what it printed last.
    """
    waiting, running = list(settings), {}
    processes = processes or os.cpu_count() or 1
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                name = waiting.pop(0)
                running[name] = _start(data, runs / name, settings[name], cache)
            for name, (process, output) in list(running.items()):
                if process.poll() is not None:
                    del running[name]
                    process.stdin.close()
                    _check(name, process.returncode, output)
            time.sleep(0.1)
    finally:
        for process, output in running.values():
            process.terminate()
            process.wait()
            process.stdin.close()  # only now, since a child ends as soon as it is closed
            output.close()
    return {name: read_json(runs / name / RUN) for name in settings}


def _start(data: Path, out: Path, settings: TrainSettings, cache: Path) -> tuple[subprocess.Popen, BinaryIO]:
    claim(out)
    write_json(out / "settings.json", dataclasses.asdict(settings))
    arguments = ["otlib.train", "--data", data, "--out", out, "--cache", cache, "--settings", out / "settings.json"]
    output = tempfile.TemporaryFile()
    process = start_child([str(part) for part in arguments], {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
                          stdout=output, stderr=subprocess.STDOUT)
    return process, output


def _check(name: str, status: int, output: BinaryIO) -> None:
    with output:
        output.seek(0)
        lines = output.read().decode(errors="replace").replace("\r", "\n").strip().splitlines() or ["nothing"]
    if status == 0:
        return
    if status == 2:
        raise InputError(lines[-1].removeprefix("error: "))
    raise RuntimeError(f"training {name} ended with status {status}: " + "\n".join(lines[-5:]))
