"""Doors with faults, each of which the fuzzer must see, and honest ones beside them: the fuzzer's own test."""

import mmap
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.case import ACCEPTED, REFUSED, Door, Trial, Way

FILE = "in/base/data.txt"


def _write_base(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "data.txt").write_text("sound")


def _refuse(text: str = f"error: {FILE}: is damaged; copy it again") -> int:
    print(text, file=sys.stderr)
    return 2


def _warn(trial: Trial) -> int:
    import warnings

    warnings.warn("overflow", RuntimeWarning, stacklevel=1)
    return 0


def _result(trial: Trial, printed: str) -> None:
    assert printed == "17\n", f"printed {printed!r}"


def _unreadable(trial: Trial) -> int:
    os.chmod(FILE, 0)
    try:
        Path(FILE).read_text()
    except PermissionError:
        os.chmod(FILE, 0o644)
        return _refuse()
    return 0


def _leave_a_process(trial: Trial) -> int:
    subprocess.Popen(["sleep", "60"])
    return _refuse()


def _use_memory(trial: Trial) -> int:
    with mmap.mmap(-1, 9 * 2**28, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE):
        return _refuse()


def _litter(trial: Trial) -> int:
    Path(".out.partial").mkdir()
    return _refuse()


def _half(trial: Trial) -> int:
    Path("out").mkdir()
    return _refuse()


# what a door does, the verdict that its input carries, and what the fuzzer must say of it ("" where all is well)
PLANTED = {
    "honest": (lambda trial: _refuse(), REFUSED, ""),
    "sound": (lambda trial: print(17), ACCEPTED, ""),
    "heeds permissions": (_unreadable, REFUSED, ""),
    "traceback": (lambda trial: 1 / 0, REFUSED, "traceback: ZeroDivisionError"),
    "traceback of a sound input": (lambda trial: 1 / 0, ACCEPTED, "traceback: ZeroDivisionError"),
    "status": (lambda trial: 3, REFUSED, "status: 3"),
    "hang": (lambda trial: time.sleep(60), REFUSED, "hang"),
    "crash": (lambda trial: os.kill(os.getpid(), signal.SIGSEGV), REFUSED, "crash: signal 11"),
    "end of the worker": (lambda trial: os.kill(os.getppid(), signal.SIGKILL), REFUSED, "crash: the worker died"),
    "memory": (_use_memory, REFUSED, "memory: "),
    "silence": (lambda trial: 0, REFUSED, "silent acceptance"),
    "wrong refusal": (lambda trial: _refuse(), ACCEPTED, "wrong refusal"),
    "wrong result": (lambda trial: print(18), ACCEPTED, "result: AssertionError printed '18\\n'"),
    "changed": (lambda trial: Path(FILE).write_text("other") and _refuse(), REFUSED, f"input changed: '{FILE}'"),
    "changed on acceptance": (
        lambda trial: print(17, file=open(FILE, "w")) or print(17),
        ACCEPTED,  # noqa: SIM115
        f"input changed: '{FILE}'",
    ),
    "gone": (lambda trial: shutil.rmtree("in/base") or _refuse(), REFUSED, "input gone: 'in/base'"),
    "litter": (_litter, REFUSED, "litter: '.out.partial'"),
    "half": (_half, REFUSED, "litter: 'out'"),
    "process": (_leave_a_process, REFUSED, "process: one is left"),
    "no word": (lambda trial: 2, REFUSED, "sentence: 0 lines"),
    "two sentences": (lambda trial: _refuse("one\ntwo"), REFUSED, "sentence: 2 lines"),
    "no name": (lambda trial: _refuse("error: damaged"), REFUSED, "sentence: none of data.txt"),
    "endless sentence": (lambda trial: _refuse(FILE * 200), REFUSED, "sentence: 3200 characters"),
    "escape": (lambda trial: _refuse(f"{FILE} \x1b[31m"), REFUSED, "control character '\\x1b' printed"),
    "warning": (_warn, REFUSED, "silent acceptance"),
    "warning of a sound input": (lambda trial: print(17) or _warn(trial), ACCEPTED, "warning: "),
}

DOORS = [
    Door(
        name.replace(" ", "-"),
        run,
        (Way("planted", name, lambda trial: None, ("data.txt",), verdict),),
        ("base",),
        check=_result,
    )
    for name, (run, verdict, _) in PLANTED.items()
]
BASES = {"base": _write_base}
