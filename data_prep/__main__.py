"""`python -m data_prep <source>`: prepare a data set, or check one.

A source is a module with HELP, add_arguments(parser) and run(arguments), listed in SOURCES.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from data_prep.card import measure as card
from data_prep.card import page as card_page
from data_prep.corpus import synthetic
from data_prep.ict import corpus as ict_facekit
from data_prep.sources import biwi, vocaset
from data_prep.sources import peers_export as export
from data_prep.sources import recorded_faces as recordings
from otlib.data.dataset import validate
from otlib.data.whole_folder import refuse_overlap
from otlib.errors import InputError

SOURCES = {"synthetic": synthetic, "vocaset": vocaset, "biwi": biwi, "ict-facekit": ict_facekit, "recordings": recordings,
           "export": export}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 2 for bad input, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m data_prep", description="Prepare data sets in otlib's format.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, source in SOURCES.items():
        command = commands.add_parser(name, help=source.HELP, description=source.__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        command.add_argument("--out", type=Path, required=True, metavar="DIR",
                             help="folder to make; an existing data set there is replaced once the new one is complete")
        source.add_arguments(command)
        command.set_defaults(run=source.run)
    command = commands.add_parser("validate", help="list everything that is wrong with a data set",
                                  description="Read a whole data set and list everything that is wrong with it.")
    command.add_argument("dataset", type=Path, metavar="DIR")
    command.set_defaults(run=_validate)
    command = commands.add_parser("card", help="measure how the heads of a data set move: JSON, or a page with pictures",
                                  description=card.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    card_page.add_arguments(command)
    command.set_defaults(run=card_page.run)
    options = parser.parse_args(arguments)
    try:
        if "out" in options:
            refuse_overlap(options.out, [value for name, value in vars(options).items() if isinstance(value, Path)
                                         and name != "out"])
        options.run(options)
    except InputError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted, so nothing was written", file=sys.stderr)
        return 130
    return 0


def _validate(options: argparse.Namespace) -> None:
    if faults := validate(options.dataset):
        raise InputError("\n".join(faults))
    print(f"{options.dataset}: valid")


def _terminate(signal_number: int, frame: FrameType | None) -> None:
    sys.exit(128 + signal_number)  # as an exception, so that workers end and the half-written folder is removed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())
