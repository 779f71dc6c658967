"""Remove what the other commands make again: corpora and audio features of the profiles, models, executed notebooks.

Only what a manifest or a ledger of this project lists is removed, and only while it is as it was written
(:mod:`otlib.own_files`). Data sets that were made from files of yours stay, and so do results and what is in lab/. Exit
status: 0; what is left where something was to go is named.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from data_prep.writer import DATA_SET
from notebooks.driver.suite_file import read_suite_file
from notebooks.experiments.folders import ROOT, Folders
from otlib.commands import Parser, command
from otlib.data.whole_folder import remove_whole
from otlib.errors import InputError
from otlib.own_files import LEDGER, clear, ledger, own_folder, remove


def clean(root: Path) -> list[str]:
    """Remove what may go and return why anything else was left, a sentence each."""
    left = []
    for take, place in _removals(root):
        try:
            take(place)
        except InputError as error:
            left.append(str(error))
    return left


def _removals(root: Path) -> Iterator[tuple[Callable[[Path], None], Path]]:
    profiles = [Folders(profile, root=root) for profile in read_suite_file(root / "notebooks" / "suite.yaml")["profiles"]]
    for folders in profiles:
        if folders.corpus.parent.is_dir():
            yield lambda corpus: remove_whole(corpus, DATA_SET), folders.corpus
    runs = [file.parent for file in sorted(Folders(root=root).runs.glob(f"*/{LEDGER}"))]
    for folder in [root / ".cache", *(folders.features for folders in profiles), *(run / "models" for run in runs),
                   *(run / "sweeps" for run in runs)]:
        for file in sorted(folder.rglob(LEDGER)):
            if folder.name != "sweeps" or "work" in file.parts:
                yield _empty, file.parent
    for run in runs:
        for name in ledger(run):
            if name.startswith("notebooks/"):
                yield remove, run / name


def _empty(folder: Path) -> None:
    if folder.is_dir():  # it may have gone with the one above it
        with own_folder(folder):
            clear(folder)
        with contextlib.suppress(OSError):
            folder.rmdir()


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    Parser(prog="python -m notebooks.driver.clean", description=__doc__,
           formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(arguments)
    for reason in clean(ROOT):
        print(f"left: {reason}", file=sys.stderr)
    return 0
