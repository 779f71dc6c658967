"""Where a benchmark's results go: into a run, never into what is committed."""

import argparse
from pathlib import Path

from notebooks.experiments.folders import DEFAULT_RUN, Folders
from otlib.errors import InputError


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the options --run and --target."""
    parser.add_argument("--run", default=DEFAULT_RUN, metavar="NAME", help="whose folder bench is written (%(default)s)")
    parser.add_argument("--target", type=Path, help="another place for the JSON; figures beside it")


def target_of(parser: argparse.ArgumentParser, options: argparse.Namespace, name: str) -> Path:
    """Return where the JSON of a benchmark goes; a name that no run can have ends the program with status 2."""
    try:
        return options.target or Folders(run=options.run).claimed().bench / f"{name}.json"
    except InputError as error:
        parser.error(str(error))
