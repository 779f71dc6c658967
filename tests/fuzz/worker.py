"""A warm worker: a process that has imported everything once and forks one process for each input.

So an input that crashes takes nothing along but its own process; where the worker itself dies, the pool starts another.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.fuzz.case import Door, Trial, make_trial, way_of
from tests.fuzz.verdict import MOST_MEMORY, Ending, fault, listing

PATIENCE = 30.0  # seconds
_MOST_PRINTED = 1 << 24  # bytes that are kept
_DAC_OVERRIDE, _DAC_READ_SEARCH, _CAPABILITIES = 1, 2, 0x20080522  # linux/capability.h


@dataclass(frozen=True)
class Outcome:
    """What became of one input; ``fault`` is None where all is as expected, ``folder`` is where a faulty input is kept."""

    door: str
    number: int
    kind: str
    way: str
    verdict: str
    status: int
    seconds: float
    fault: str | None
    folder: str | None = None
    errors: str = ""


def serve(connection: Connection, module: str, seed: int, bases: str, kept: str, patience: float) -> None:
    """Take names of doors and numbers of inputs from a connection and send back what became of them, until it closes.

    Args:
        connection: of the pool.
        module: that holds DOORS.
        seed: of all inputs.
        bases: folder of the sound inputs.
        kept: folder for inputs that end in a fault.
        patience: seconds after which an input hangs.
    """
    doors: dict[str, Door] = {door.name: door for door in importlib.import_module(module).DOORS}
    warnings.simplefilter("default")
    connection.send("warm")
    with contextlib.suppress(EOFError):
        while (task := connection.recv()) is not None:
            name, number, keep = task
            connection.send(try_input(doors[name], seed, number, Path(bases), Path(kept), patience, keep=keep))


def try_input(
    door: Door, seed: int, number: int, bases: Path, kept: Path, patience: float, *, keep: bool = False
) -> Outcome:
    """Hand in one input in a process of its own and judge what becomes of it.

    Eight arguments: what the input is, and where all of them find what they need.
    """
    way = way_of(door, seed, number)
    place = Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder = place / "work"
    try:
        trial = make_trial(door, seed, number, bases, folder)
        before = listing(folder)
        ending = _run(door, trial, place, patience)
        found = fault(door, way, trial, ending, before)
        target = None
        if found or keep:
            target = kept / f"{door.name}-{number}"
            _remove(target)
            target.mkdir(parents=True)
            (target / "said.txt").write_text(
                f"{trial.arguments!r}\n{way.name}\nexpected: {way.verdict} {way.words}\n"
                f"fault: {found}\nstatus: {ending.status}\n--- output\n{ending.output}\n"
                f"--- errors\n{ending.errors}",
                encoding="utf-8",
                errors="backslashreplace",
            )
            if keep:
                os.rename(folder, target / "work")
        return Outcome(
            door.name,
            number,
            way.kind,
            way.name,
            way.verdict,
            ending.status,
            ending.seconds,
            found,
            str(target) if target else None,
            ending.errors[-2000:],
        )
    finally:
        _remove(place)


def _remove(place: Path) -> None:
    for folder, _, _ in os.walk(place):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)
    shutil.rmtree(place, ignore_errors=True)


def _run(door: Door, trial: Trial, place: Path, patience: float) -> Ending:
    start, pipes = time.monotonic(), (os.pipe(), os.pipe())
    child = os.fork()
    if not child:
        _child(door, trial, [write for _, write in pipes])
    printed = {read: bytearray() for read, _ in pipes}
    for read, write in pipes:
        os.close(write)
        os.set_blocking(read, False)
    usage, status, hung = None, 0, False
    while usage is None:
        select.select(list(printed), [], [], 0.01)
        _drain(printed)
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            usage = used
        elif time.monotonic() - start > patience and not hung:
            hung = True
            _end(child)
    _drain(printed)
    seconds, left = time.monotonic() - start, _left(child)
    _end(child)
    output, errors = (bytes(text).decode("utf-8", "surrogateescape") for text in printed.values())
    for read in printed:
        os.close(read)
    ending = Ending(
        os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss * 1024, hung, left and not hung, output, errors
    )
    return (
        ending if ending.status or hung else replace(ending, wrong=_checked(door, trial, output, place / "wrong", patience))
    )


def _drain(printed: dict[int, bytearray]) -> None:
    for read, text in printed.items():
        with contextlib.suppress(BlockingIOError):
            while part := os.read(read, 1 << 16):
                text += part[: max(0, _MOST_PRINTED - len(text))]


def _left(group: int) -> bool:
    """Say whether a process of a group goes on two seconds after its leader's end."""
    for _ in range(40):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _child(door: Door, trial: Trial, outputs: list[int]) -> None:
    """Hand the input in, as a command would be; never returns."""
    status = 1
    try:
        os.setsid()
        os.chdir(trial.folder)
        for number, file in enumerate(outputs, start=1):
            os.dup2(file, number)
            os.close(file)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        _bound(trial)
        heed_permissions()
        status = _status(door, trial)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(status)


def _status(door: Door, trial: Trial) -> int:
    try:
        return door.run(trial) or 0
    except SystemExit as ending:
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
            return 1
        return ending.code or 0


def _checked(door: Door, trial: Trial, printed: str, answer: Path, patience: float) -> str:
    """Return what the door's check, in a process of its own, says of an acceptance."""
    child = os.fork()
    if not child:
        wrong = ""
        try:
            signal.alarm(round(patience))
            os.chdir(trial.folder)
            door.check(trial, printed)
        except BaseException as error:
            wrong = f"{type(error).__name__} {error}" if str(error) else "".join(traceback.format_exception(error)[-2:])
        with contextlib.suppress(BaseException):
            answer.write_text(wrong, encoding="utf-8", errors="backslashreplace")
        os._exit(0)
    os.waitpid(child, 0)
    return answer.read_text(encoding="utf-8") if answer.is_file() else "its check did not end"


def _bound(trial: Trial) -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()  # of what is imported
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 2 * MOST_MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if trial.disk is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (trial.disk, resource.RLIM_INFINITY))


def heed_permissions() -> None:
    """Let this process heed the permissions of files even where it is root's, as a person's would."""
    if os.geteuid() != 0:
        return

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the same of the upper 32
    library, header = ctypes.CDLL(None, use_errno=True), Header(_CAPABILITIES, 0)
    if library.capget(ctypes.byref(header), sets) == 0:
        for place in (0, 1):
            sets[place] &= ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
        library.capset(ctypes.byref(header), sets)


def environment() -> dict[str, Any]:
    """Return what a worker's environment must hold before anything is imported."""
    return {
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "MPLBACKEND": "agg",
    }


def as_json(outcome: Outcome) -> str:
    """Return an outcome as a line of JSON."""
    return json.dumps(outcome.__dict__)
