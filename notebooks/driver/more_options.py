"""Run a command with further options, which a person gives `make` as a text.

    python -m notebooks.driver.more_options SWEEP notebooks.driver.sweep ablation

The first word names the variables of the environment, parted by commas, that hold such texts. Python splits them into words
and no shell does, so that quotes group words and nothing in them is expanded.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import importlib
import os
import shlex
import sys

from otlib.commands import command
from otlib.errors import InputError


@command
def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names; return the exit status."""
    variables, module, *words = sys.argv[1:] if arguments is None else arguments
    for variable in variables.split(","):
        try:
            words += shlex.split(os.environ.get(variable, ""))
        except ValueError as error:
            raise InputError(f"{variable}: its quotes or backslashes do not pair ({error}); close them") from error
    return importlib.import_module(module).main(words)
