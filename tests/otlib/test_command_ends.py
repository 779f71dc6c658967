"""How commands end: bad input, signals at any time, readers that go away, full disks, and parents that are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from otlib.commands import CommandFailed, Workers, command
from otlib.errors import InputError
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
STOPPED = "stopped by {}; nothing is half written, and the same command goes on from what is done\n"
SOON_S = 120.0  # far more than it takes, even on a machine that ten others use
IMPORTING = "import time\nfrom pathlib import Path\nPath('ready').touch()\ntime.sleep(60)\n"
WORKING = """
import time
from pathlib import Path
from otlib.commands import command

@command
def main(arguments):
    try:
        Path("ready").touch()
        time.sleep(60)
    finally:
        Path("cleared up").touch()
"""
POOL = """
import time
from pathlib import Path
from otlib.commands import Workers, command

@command
def main(arguments):
    with Workers(2) as pool:
        for each in pool.map(time.sleep, [0.2] * 1000):
            Path("ready").touch()
"""
CALLED_FROM_C = """
import ctypes
import time
from pathlib import Path
from otlib.commands import command

@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def compare(one, other):
    Path("ready").touch()
    time.sleep(60)  # ended by the signal, whose error is then ignored, as any that a callback raises
    return 0

@command
def main(arguments):
    numbers = (ctypes.c_int * 2)(2, 1)
    ctypes.CDLL(None).qsort(numbers, 2, ctypes.sizeof(ctypes.c_int), compare)
    time.sleep(1)  # the command goes on, and its end tells of the signal
"""
ENDED = """
import atexit
import time
from pathlib import Path
from otlib.commands import command

@command
def main(arguments):
    atexit.register(time.sleep, 60)
    atexit.register(Path("ready").touch)  # the first to be called
    return 7
"""
RUN = "import sys\nsys.path.insert(0, '')\nfrom otlib.commands import run\nrun('program')\n"


def start(folder, program, **options):
    """Start a module as a command, in its own group as a terminal does it; return the process once it says that it works."""
    (folder / "program.py").write_text(program)
    process = subprocess.Popen([sys.executable, "-c", RUN], cwd=folder, start_new_session=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, **options)
    wait_for((folder / "ready").exists)
    return process


def wait_for(event, seconds=SOON_S):
    """Fail unless an event happens within some seconds."""
    end = time.monotonic() + seconds
    while not event():
        assert time.monotonic() < end
        time.sleep(0.02)


def processes(folder):
    """Processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            pass
    return found


@pytest.mark.parametrize("program", [IMPORTING, WORKING, POOL, CALLED_FROM_C], ids=["importing", "working", "pool", "C"])
@pytest.mark.parametrize("number, status", SIGNALS.items())
def test_a_signal_ends_a_command_in_one_line_and_leaves_no_process(tmp_path, program, number, status):
    process = start(tmp_path, program)
    os.killpg(process.pid, number)  # as a terminal does it: the workers get it, too
    said = process.communicate(timeout=SOON_S)
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    assert said == ("", STOPPED.format(name))
    assert process.returncode == status
    wait_for(lambda: processes(tmp_path) == [])
    assert (tmp_path / "cleared up").exists() == (program is WORKING)


def test_a_command_that_takes_its_time_ends_at_a_second_signal(tmp_path):
    process = start(tmp_path, WORKING.replace('Path("cleared up").touch()', 'time.sleep(60)'))
    process.send_signal(signal.SIGINT)
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    assert (process.wait(SOON_S), process.communicate()) == (143, ("", ""))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_after_the_end_changes_nothing_of_it(tmp_path, number):
    """While the interpreter clears up; the result is whole, and the status says so."""
    process = start(tmp_path, ENDED)
    process.send_signal(number)
    assert process.communicate(timeout=SOON_S) == ("", "") and process.returncode == 7


def test_signals_that_are_ignored_stay_so(tmp_path):
    """As under nohup."""
    process = start(tmp_path, WORKING, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.kill()
    process.communicate()


def test_workers_end_when_their_parent_is_killed(tmp_path):
    process = start(tmp_path, POOL)
    assert len(processes(tmp_path)) >= 3  # itself, two workers, and multiprocessing's tracker
    process.kill()
    process.communicate()
    wait_for(lambda: processes(tmp_path) == [])


def test_a_child_ends_when_its_parent_is_killed_and_not_when_its_input_ends(tmp_path):
    (tmp_path / "program.py").write_text(WORKING)
    parent = ("import sys, time\nfrom otlib.commands import start_child\n"
              "start_child(['otlib_child'], {}, cwd='.')\ntime.sleep(60)\n")
    (tmp_path / "otlib_child.py").write_text(f"import sys\n{RUN}")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path, env=environment)
    wait_for((tmp_path / "ready").exists)
    process.kill()
    process.wait()
    wait_for(lambda: processes(tmp_path) == [])
    (tmp_path / "ready").unlink()
    process = start(tmp_path, WORKING, stdin=subprocess.DEVNULL)
    assert process.poll() is None and not (tmp_path / "cleared up").exists()
    process.kill()
    process.communicate()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_goes_away_ends_a_command_quietly(tmp_path, monkeypatch, unbuffered, lines):
    program = ("from pathlib import Path\nfrom otlib.commands import command\n\n@command\ndef main(arguments):\n"
               f"    Path('ready').touch()\n    input()\n    for number in range({lines}):\n        print(number)\n")
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    process = start(tmp_path, program, stdin=subprocess.PIPE)
    process.stdout.close()
    process.stdin.write("\n")
    process.stdin.close()
    assert (process.stderr.read(), process.wait(SOON_S)) == ("", 141)
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_sentence(tmp_path):
    (tmp_path / "program.py").write_text("from otlib.commands import command\nmain = command(print)\n")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True,
                              env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 2 and done.stderr.startswith("error: the output: cannot be written (No space left")
    assert done.stderr.count("\n") == 1


def fail(error):
    raise error


@pytest.mark.parametrize("error, status, said", [
    (InputError("a.wav: is no sound"), 2, "error: a.wav: is no sound\n"),
    (CommandFailed("step 2: failed"), 1, "step 2: failed\n"),
    (KeyboardInterrupt(), 130, STOPPED.format("Ctrl-C"))])
def test_a_command_says_once_why_it_ends(capsys, error, status, said):
    inner = command(lambda arguments: fail(error))
    assert inner([]) == status and capsys.readouterr() == ("", said)
    assert command(inner)([]) == status and capsys.readouterr() == ("", said)  # one that calls another


def test_what_is_a_fault_of_the_program_stays_one_and_what_is_none_too():
    with pytest.raises(ZeroDivisionError):
        command(lambda arguments: 1 / 0)([])
    with pytest.raises(BrokenPipeError):  # another pipe than the output's
        command(lambda arguments: fail(BrokenPipeError()))([])
    assert command(lambda arguments: None)([]) == 0 and command(lambda arguments: 3)([]) == 3
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_worker_that_dies_is_one_sentence():
    with pytest.raises(InputError, match="one of several processes died, often for want of memory"), Workers(2) as pool:
        list(pool.map(os._exit, [3, 3]))
