"""`python -m data_prep <source>`: prepare a data set, or check one.

A source is a module with HELP, add_arguments(parser) and run(arguments), listed in SOURCES.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import os
from pathlib import Path

from data_prep.arkit import command as arkit
from data_prep.card import measure as card
from data_prep.card import page as card_page
from data_prep.corpus import synthetic
from data_prep.ict import corpus as ict_facekit
from data_prep.makehuman import corpus as makehuman
from data_prep.sources import biwi, vocaset
from data_prep.sources import peers_export as export
from data_prep.sources import recorded_faces as recordings
from data_prep.weights import command as weights
from data_prep.writer import DATA_SET
from otlib.commands import Parser, command
from otlib.data.dataset import validate
from otlib.data.whole_folder import refuse_overlap, removable
from otlib.errors import InputError, shown
from otlib.own_files import check_writable, writable

SOURCES = {"synthetic": synthetic, "vocaset": vocaset, "biwi": biwi, "ict-facekit": ict_facekit, "makehuman": makehuman,
           "recordings": recordings, "arkit": arkit, "export": export}


@command
def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 2 for bad input, 130 when interrupted."""
    parser = Parser(prog="python -m data_prep", description="Prepare data sets in otlib's format.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, source in SOURCES.items():
        command = commands.add_parser(name, help=source.HELP, description=source.__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        command.add_argument("--out", type=Path, required=True, metavar="DIR",
                             help="folder to make; an existing data set there is replaced once the new one is complete")
        source.add_arguments(command)
        command.set_defaults(run=source.run, form=export.EXPORT if source is export else DATA_SET)
    command = commands.add_parser("validate", help="list everything that is wrong with a data set",
                                  description="Read a whole data set and list everything that is wrong with it.")
    command.add_argument("dataset", type=Path, metavar="DIR")
    command.set_defaults(run=_validate)
    command = commands.add_parser("card", help="measure how the heads of a data set move: JSON, or a page with pictures",
                                  description=card.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    card_page.add_arguments(command)
    command.set_defaults(run=card_page.run)
    command = commands.add_parser("weights", help=weights.HELP, description=weights.__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    weights.add_arguments(command)
    command.set_defaults(run=weights.run)
    options = parser.parse_args(arguments)
    if "out" in options:
        refuse_overlap(options.out, [value for name, value in vars(options).items() if isinstance(value, Path)
                                     and name != "out"])
        check_writable(options.out)
        if "form" in options and os.path.lexists(options.out):
            with writable(options.out):
                removable(options.out, options.form, contents=False)
    options.run(options)
    return 0


def _validate(options: argparse.Namespace) -> None:
    if faults := validate(options.dataset):
        raise InputError(*faults)
    print(f"{shown(options.dataset)}: valid")
