"""How a command begins and ends, and the processes that it starts.

A module that is a command has a ``main`` under :func:`command`, and hands over to :func:`run` before its other imports::

    if __name__ == "__main__":
        from otlib.commands import run

        run(__spec__.name)
"""

import argparse
import contextlib
import errno
import functools
import importlib
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NoReturn

from otlib.errors import InputError, shown

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_OF_A_TERMINAL = set(_SIGNALS) - {signal.SIGTERM}  # these reach a command and its children at once
_REPEATED_S = 1.0  # a signal to a process and to its group comes twice; what a person repeats comes later
_READER_GONE = 128 + 13  # what a shell says of a program that SIGPIPE has ended
_running: list[Callable] = []  # the outermost command, while there is one
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ENDS_WITH_STDIN = "OTLIB_ENDS_WITH_STDIN"  # in the environment of a child whose standard input is its parent's pipe


class Parser(argparse.ArgumentParser):
    """argparse's parser of a command line; what a person has written there is told as an :class:`InputError` tells it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, after the usage, and end with status 2."""
        super().error(shown(message))


class CommandFailed(RuntimeError):
    """A command could not do all that it was asked to; the message says what and why. Its status is 1."""


def command(main: Callable[[Any], int | None]) -> Callable[..., int]:
    """Make a function of the arguments a command: return its exit status, 0 where it returns none.

    Bad input (InputError) is one sentence and status 2, CommandFailed its message and status 1. Ctrl-C, SIGTERM and SIGHUP
    are a KeyboardInterrupt inside, one line and status 130, 143 or 129; one that is repeated ends the process at once. A
    reader that has gone (`| head`) ends it quietly; a full disk is one sentence. All this is the outermost command's: of one
    that another calls, the errors reach that one.
    """
    @functools.wraps(main)
    def framed(arguments: Sequence[str] | None = None) -> int:
        if _running:
            return main(arguments) or 0
        received: list[int] = []
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold what is no text
        try:
            with _signals(received):
                try:
                    return main(arguments) or 0
                finally:
                    if sys.stdout is not None:
                        sys.stdout.flush()
        except BaseException as error:
            if received or isinstance(error, KeyboardInterrupt):
                number = received[0] if received else signal.SIGINT
                name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
                return _end(128 + number, f"stopped by {name}; nothing is half written, and the same command goes on from "
                                          "what is done")
            if isinstance(error, InputError):
                return _end(2, f"error: {error}")
            if isinstance(error, CommandFailed):
                return _end(1, str(error))
            if isinstance(error, BrokenPipeError) and _has_no_reader(sys.stdout):
                return _end(_READER_GONE)
            if isinstance(error, OSError) and error.errno in _FULL:
                return _end(2, f"error: {error.filename or 'the output'}: cannot be written ({error.strerror})")
            raise
    return framed


def run(module: str) -> NoReturn:
    """Run the command of a module and end the process, in one line also where a signal comes while it is imported."""
    if os.environ.pop(_ENDS_WITH_STDIN, None):
        _end_after(lambda: os.read(0, 1))
    status = command(lambda arguments: importlib.import_module(module).main(arguments))()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a traceback, should Ctrl-C meet the interpreter's end
    sys.exit(status)


def start_child(arguments: Sequence[str], environment: dict[str, str], **options: Any) -> subprocess.Popen:
    """Start a command of this project that ends when this process has; ``options`` as of subprocess.Popen."""
    return subprocess.Popen([sys.executable, "-m", *arguments], stdin=subprocess.PIPE,
                            env=os.environ | environment | {_ENDS_WITH_STDIN: "1"}, **options)


class Workers(ProcessPoolExecutor):
    """Fresh processes that leave Ctrl-C to this one, and end when it has.

    A fork of a process with threads (a notebook, torch) may hang, so nothing is forked. Where the ``with`` block is left by
    an error, what has not begun is not begun.

    Args:
        count: of the processes.
        begin: called once in each.

    Raises:
        InputError: at the end of the ``with`` block, a process died.
    """

    def __init__(self, count: int, begin: Callable[[], None] | None = None) -> None:
        with _unsignalled_children():
            super().__init__(count, multiprocessing.get_context("spawn"), _begin_worker, (begin,))

    def submit(self, function: Callable, /, *arguments: Any, **options: Any) -> Future:
        """As any executor's; it starts processes."""
        with _unsignalled_children():
            return super().submit(function, *arguments, **options)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        self.shutdown(wait=True, cancel_futures=kind is not None)
        if isinstance(error, BrokenProcessPool):
            raise InputError("a process of several died, often for want of memory; let fewer work at a time") from error


def _begin_worker(begin: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_after(multiprocessing.parent_process().join)
    if begin:
        begin()


@contextlib.contextmanager
def _unsignalled_children() -> Iterator[None]:
    """Have what is started in the block inherit that the signals of a terminal, which reach it too, are blocked."""
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_A_TERMINAL)
    try:
        resource_tracker.ensure_running()  # multiprocessing's own process, whose start unblocks Ctrl-C
        signal.pthread_sigmask(signal.SIG_BLOCK, _OF_A_TERMINAL)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_after(event: Callable[[], object]) -> None:
    """End this process as soon as a function returns that waits for its parent's end."""
    def wait() -> None:
        event()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def _signals(received: list[int]) -> Iterator[None]:
    """Turn signals into KeyboardInterrupt, and note the first in the list; those that are ignored (nohup) stay so."""
    first, before = 0.0, {}

    def stop(number: int, frame: Any) -> None:
        nonlocal first
        if not received:
            threading.excepthook = lambda arguments: None  # what threads say while they end: a pool whose workers died
            received.append(number)
            first = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - first > _REPEATED_S:
            os._exit(128 + number)

    def swallowed(problem: Any) -> None:
        """Stop again, a moment later, where the first time was in what raises nothing: a finaliser, a callback from C."""
        if received and problem.exc_type is KeyboardInterrupt:
            threading.Timer(0.01, signal.raise_signal, [received.pop()]).start()
        else:
            hook(problem)

    hook, sys.unraisablehook = sys.unraisablehook, swallowed
    _running.append(stop)
    try:
        if threading.current_thread() is threading.main_thread():
            before = {one: signal.signal(one, stop) for one in _SIGNALS if signal.getsignal(one) != signal.SIG_IGN}
        yield
    finally:
        threading.excepthook = threading.__excepthook__
        _running.clear()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(status: int, said: str = "") -> int:
    """Say why the command ends, as far as anyone listens, and return its status."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, said and f"{said}\n")):
        try:
            if stream is not None:
                stream.write(text)
                stream.flush()
        except OSError:  # let it swallow what is left, so that Python's end is quiet
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status


def _has_no_reader(stream: Any) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no pipe, no stream, or no poll as on Windows
        poll = select.poll()
        poll.register(stream, select.POLLERR)
        return bool(poll.poll(0))
    return False
