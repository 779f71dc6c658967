"""How a door is handed an input: a command's ``main``, or a function whose refusal is put into words as commands do."""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from otlib.errors import InputError
from tests.fuzz.case import Trial


def command(module: str, *first: str) -> Callable[[Trial], int]:
    """Return a run that calls a module's ``main`` with the first words and then the trial's arguments."""

    loaded = importlib.import_module(module)  # now, in the warm worker

    def run(trial: Trial) -> int:
        sys.argv[0] = module
        return loaded.main([*first, *trial.arguments])

    return run


def function(call: Callable[[Trial], Any]) -> Callable[[Trial], int]:
    """Return a run that calls a function of the library, and prints an InputError as commands do."""

    def run(trial: Trial) -> int:
        try:
            call(trial)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0

    return run


class KernelWouldStart(BaseException):
    """The driver came to where a kernel would start, so that all that a person handed in was accepted."""


def driver(module: str, root: str = "in/suite") -> Callable[[Trial], int]:
    """Return a run of a command of the driver in a checkout of small notebooks, up to where a kernel would start."""
    loaded = importlib.import_module(module)

    def run(trial: Trial) -> int:
        place = (trial.folder / root).resolve()
        with _moved(place):
            try:
                return loaded.main(trial.arguments)
            except KernelWouldStart:
                return 0

    return run


@contextlib.contextmanager
def _moved(root: Path) -> Iterator[None]:
    """Let every module of the notebooks take another folder for the checkout."""

    def stop(*arguments: object, **options: object) -> None:
        raise KernelWouldStart

    here = importlib.import_module("notebooks.experiments.folders").ROOT
    with contextlib.ExitStack() as stack:
        for module in [module for name, module in sys.modules.items() if name.startswith("notebooks.")]:
            for name, value in list(vars(module).items()):
                if isinstance(value, Path) and value.is_relative_to(here) and name.isupper():
                    stack.enter_context(mock.patch.object(module, name, root / value.relative_to(here)))
                    continue
                made = value.__init__ if isinstance(value, type) else value
                if here in (getattr(made, "__defaults__", None) or ()):
                    defaults = tuple(root if default == here else default for default in made.__defaults__)
                    stack.enter_context(mock.patch.object(made, "__defaults__", defaults))
                elif name == "execute_notebook":
                    stack.enter_context(mock.patch.object(module, name, stop))
        yield
