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
_OF_A_TERMINAL = set(_SIGNALS) - {signal.SIGTERM}  # these reach a command and its children at the same time
_REPEATED_S = 1.0  # a signal to a process and to its group arrives twice; one that a person repeats arrives later
_READER_GONE = 128 + 13  # the status that a shell gives a program that SIGPIPE has ended
_running: list[Callable] = []  # the outermost command, while there is one
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ENDS_WITH_STDIN = "OTLIB_ENDS_WITH_STDIN"  # environment variable of a child whose standard input is its parent's pipe


class Parser(argparse.ArgumentParser):
    """argparse's parser of a command line; messages quote what a person wrote as an :class:`InputError` does."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, after the usage, and end with status 2."""
        super().error(shown(message))


class CommandFailed(RuntimeError):
    """A command could not do all that it was asked to do; the message says what and why. Its status is 1."""


def command(main: Callable[[Any], int | None]) -> Callable[..., int]:
    """Make a function of the arguments a command, which returns its exit status, 0 if the function returns None.

    Bad input (InputError) gives one sentence and status 2, CommandFailed its message and status 1. Ctrl-C, SIGTERM and
    SIGHUP raise KeyboardInterrupt inside, and give one line and status 130, 143 or 129; a repeated signal ends the process
    at once. A reader that has gone (`| head`) ends it quietly; a full disk gives one sentence. Only the outermost command
    does this: errors of a command that another one calls reach the caller.
    """
    @functools.wraps(main)
    def framed(arguments: Sequence[str] | None = None) -> int:
        if _running:
            return main(arguments) or 0
        received: list[int] = []
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold bytes that are no text
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
    """Run the command of a module and end the process; a signal during the import gives one line too."""
    if os.environ.pop(_ENDS_WITH_STDIN, None):
        _end_after(lambda: os.read(0, 1))
    status = command(lambda arguments: importlib.import_module(module).main(arguments))()
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # what comes while the interpreter ends changes nothing of the status
            signal.signal(number, lambda number, frame: os._exit(status))
    sys.exit(status)


def console() -> NoReturn:
    """Run `otlib`, the console script, as `python -m otlib` runs."""
    run("otlib.__main__")


def start_child(arguments: Sequence[str], environment: dict[str, str], **options: Any) -> subprocess.Popen:
    """Start a command of this project that ends after this process; ``options`` are those of subprocess.Popen."""
    return subprocess.Popen([sys.executable, "-m", *arguments], stdin=subprocess.PIPE,
                            env=os.environ | environment | {_ENDS_WITH_STDIN: "1"}, **options)


class Workers(ProcessPoolExecutor):
    """Fresh processes that leave Ctrl-C to this one, and end after it.

    A fork of a process with threads (a notebook, torch) may hang, so nothing is forked. An error in the ``with`` block
    cancels calls that have not begun.

    Args:
        count: number of processes.
        begin: called once in each.

    Raises:
        InputError: at the end of the ``with`` block, if a process died.
    """

    def __init__(self, count: int, begin: Callable[[], None] | None = None) -> None:
        with _unsignalled_children():
            super().__init__(count, multiprocessing.get_context("spawn"), _begin_worker, (begin,))

    def submit(self, function: Callable, /, *arguments: Any, **options: Any) -> Future:
        """Submit a call as any executor does; this starts processes."""
        with _unsignalled_children():
            return super().submit(function, *arguments, **options)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        self.shutdown(wait=True, cancel_futures=kind is not None)
        if isinstance(error, BrokenProcessPool):
            raise InputError("one of several processes died, often for want of memory; let fewer work at a time") from error


def _begin_worker(begin: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_after(multiprocessing.parent_process().join)
    if begin:
        begin()


@contextlib.contextmanager
def _unsignalled_children() -> Iterator[None]:
    """Block the signals of a terminal in processes that the ``with`` block starts, which these signals would reach too."""
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
    """End this process as soon as ``event``, a function that waits for the parent's end, returns."""
    def wait() -> None:
        event()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def _signals(received: list[int]) -> Iterator[None]:
    """Turn signals into KeyboardInterrupt, and append the first to ``received``; ignored signals (nohup) stay ignored."""
    first, before = 0.0, {}

    def stop(number: int, frame: Any) -> None:
        nonlocal first
        if not received:
            threading.excepthook = lambda arguments: None  # silences threads as they end: a pool whose workers died
            received.append(number)
            first = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - first > _REPEATED_S:
            os._exit(128 + number)

    def swallowed(problem: Any) -> None:
        """Stop again, a moment later, if the first signal came where no error can rise: in a finaliser or a C callback."""
        if received and problem.exc_type is KeyboardInterrupt:
            threading.Timer(0.01, signal.raise_signal, [received.pop()]).start()
        else:
            hook(problem)

    hook, sys.unraisablehook = sys.unraisablehook, swallowed
    _running.append(stop)
    try:
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.signal(number, stop) for number in _SIGNALS
                      if signal.getsignal(number) != signal.SIG_IGN}
        yield
    finally:
        threading.excepthook = threading.__excepthook__
        _running.clear()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(status: int, message: str = "") -> int:
    """Print why the command ends, if there is a reader, and return its status."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, message and f"{message}\n")):
        try:
            if stream is not None:
                stream.write(text)
                stream.flush()
        except OSError:  # the null device takes the rest, so that Python ends quietly
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status


def _has_no_reader(stream: Any) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no pipe, no stream, or no poll as on Windows
        poll = select.poll()
        poll.register(stream, select.POLLERR)
        return bool(poll.poll(0))
    return False
