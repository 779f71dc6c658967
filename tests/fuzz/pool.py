"""Warm workers that try inputs side by side, started anew when they die; and the table of what came of all inputs."""

import contextlib
import importlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.fuzz.case import Door, way_of
from tests.fuzz.worker import Outcome, environment, serve

_MARGIN = 60.0  # seconds beyond an input's own patience after which its worker is given up
_START = 300.0  # seconds that imports may take on a busy machine

Input = tuple[str, int]  # a door's name and the number of an input


@dataclass(frozen=True)
class Session:
    """What all workers share.

    Attributes:
        module: that holds DOORS and, by name, BASES.
        seed: of all inputs.
        bases: folder of the sound inputs.
        kept: folder for faulty inputs.
        patience: seconds after which an input hangs.
        keep: whether sound inputs are kept too.
        start: how workers start: "fork", at once, from a process that has imported the doors and has run nothing yet, or
            "spawn", from any.
    """

    module: str
    seed: int
    bases: Path
    kept: Path
    patience: float
    keep: bool = False
    start: str = "spawn"


class _Worker:
    def __init__(self, session: Session) -> None:
        self._session, self.input = session, None
        self._start()

    def _start(self) -> None:
        context, own = get_context(self._session.start), self._session
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=serve, args=(theirs, own.module, own.seed, str(own.bases), str(own.kept), own.patience)
        )
        os.environ |= environment()
        self.process.start()
        theirs.close()
        self.end, self.warm = time.monotonic() + _START, False

    def take(self, one: Input) -> None:
        self.input, self.end = one, time.monotonic() + self._session.patience + _MARGIN
        self.connection.send((*one, self._session.keep))

    def answer(self, doors: dict[str, Door]) -> Outcome | None:
        """Return what came of the input; None when the worker has just become warm. A dead worker is started anew."""
        with contextlib.suppress(EOFError, ConnectionError):
            if self.connection.poll():
                if not self.warm:
                    self.connection.recv()
                    self.warm = True
                    return None
                self.input, answer = None, self.connection.recv()
                return answer
        self.stop()
        if self.input is None:
            raise RuntimeError(f"a worker could not import what it needs (status {self.process.exitcode})")
        (name, number), self.input = self.input, None
        way = way_of(doors[name], self._session.seed, number)
        self._start()
        return Outcome(name, number, way.kind, way.name, way.verdict, 1, 0.0, "crash: the worker died")

    def stop(self) -> None:
        with contextlib.suppress(ConnectionError):
            self.connection.send(None)  # at which an idle one ends by itself
        self.process.join(5.0 if self.warm and self.input is None else 0.0)
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.join()
        self.connection.close()


def outcomes(session: Session, inputs: Iterable[Input], workers: int) -> Iterator[Outcome]:
    """Yield what came of inputs, in the order in which they end.

    Args:
        session: of the workers.
        inputs: taken one by one, as workers become free.
        workers: how many.
    """
    doors = {door.name: door for door in importlib.import_module(session.module).DOORS}
    waiting, pool = iter(inputs), [_Worker(session) for _ in range(workers)]
    try:
        while pool:
            wait([worker.connection for worker in pool], timeout=1.0)
            for worker in list(pool):
                if not worker.connection.poll() and worker.process.is_alive() and time.monotonic() < worker.end:
                    continue
                if (answer := worker.answer(doors)) is not None:
                    yield answer
                if worker.warm and worker.input is None:
                    if (one := next(waiting, None)) is None:
                        worker.stop()
                        pool.remove(worker)
                    else:
                        worker.take(one)
    finally:
        for worker in pool:
            worker.stop()


def write_bases(module: str, folder: Path, doors: Iterable[Door], start: str = "spawn") -> None:
    """Write the sound inputs of some doors, in a process of its own: what it starts, no worker inherits."""
    os.environ |= environment()
    needed = sorted({base for door in doors for base in door.bases if not (folder / base).is_dir()})
    if not needed:
        return
    process = get_context(start).Process(target=_write_bases, args=(module, str(folder), needed))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the sound inputs could not be written (status {process.exitcode})")


def _write_bases(module: str, folder: str, names: list[str]) -> None:
    makers = importlib.import_module(module).BASES
    for name in names:
        makers[name](Path(folder) / name)


def table(done: list[Outcome]) -> str:
    """Return the table by door and kind, and the faults below it."""
    rows = sorted({(outcome.door, outcome.kind) for outcome in done})
    count = Counter(
        (outcome.door, outcome.kind, "faults" if outcome.fault else "refused" if outcome.status else "accepted")
        for outcome in done
    )
    columns = ("refused", "accepted", "faults")
    lines = [f"{'door':<20} {'kind':<16} {'inputs':>7} " + " ".join(f"{column:>8}" for column in columns)]
    for door, kind in [*rows, ("all", "")]:
        numbers = [sum(count[row + (column,)] for row in rows if row == (door, kind) or door == "all") for column in columns]
        lines.append(f"{door:<20} {kind:<16} {sum(numbers):>7} " + " ".join(f"{number:>8}" for number in numbers))
    return "\n".join(lines)
