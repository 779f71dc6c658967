"""Copy the notebooks for JupyterLab into results/runs/NAME/lab, so that what a person changes there is no committed file."""

import argparse
import sys

import nbformat

from notebooks.experiments.folders import DEFAULT_RUN, ROOT, Folders
from otlib.errors import InputError
from otlib.files import atomic_write


def copy_notebooks(folders: Folders) -> tuple[int, int]:
    """Copy the notebooks that are not in the run's lab; return how many were copied, and how many were left as they are.

    A copy works in its own run: the name stands in its parameters.
    """
    copied = kept = 0
    for source in sorted((folders.root / "notebooks").glob("[0-9]*.ipynb")):
        target = folders.results / "lab" / source.name
        if target.exists():
            kept += 1
            continue
        notebook = nbformat.read(source, as_version=4)
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", ()):
                cell.source = cell.source.replace('RUN = ""', f'RUN = "{folders.run}"')
        with atomic_write(target) as temporary:
            nbformat.write(notebook, temporary)
        copied += 1
    return copied, kept


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.driver.copy_notebooks", description=__doc__)
    parser.add_argument("--run", default=DEFAULT_RUN, metavar="NAME", help="in whose folders they work (%(default)s)")
    name = parser.parse_args(arguments).run
    try:
        folders = Folders(root=ROOT, run="" if name == DEFAULT_RUN else name)
        copied, kept = copy_notebooks(folders)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{folders.results / 'lab'}: {copied} notebooks copied, {kept} left as you have them "
          "(delete one to get it anew); save there what you like")
    return 0


if __name__ == "__main__":
    sys.exit(main())
