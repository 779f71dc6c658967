"""Copy the notebooks for JupyterLab into results/runs/NAME/lab, so that what a person changes there is no committed file."""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import os

import nbformat

from notebooks.driver.execution import read_notebook
from notebooks.experiments.folders import DEFAULT_RUN, ROOT, Folders
from otlib.commands import Parser, command
from otlib.files import atomic_write


def copy_notebooks(folders: Folders) -> tuple[int, int]:
    """Copy the notebooks that are not in the run's lab; return how many were copied, and how many were left as they are.

    A copy works in its own run: the name stands in its parameters.

    Raises:
        InputError: one cannot be read, or the run's folder cannot be written.
    """
    notebooks = {source: read_notebook(source) for source in sorted((folders.root / "notebooks").glob("[0-9]*.ipynb"))}
    folders.claimed()
    copied = kept = 0
    for source, notebook in notebooks.items():
        target = folders.results / "lab" / source.name
        if os.path.lexists(target):
            kept += 1
            continue
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", ()):
                cell.source = cell.source.replace('RUN = ""', f'RUN = "{folders.run}"')
        with atomic_write(target) as temporary:
            nbformat.write(notebook, temporary)
        copied += 1
    return copied, kept


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = Parser(prog="python -m notebooks.driver.copy_notebooks", description=__doc__)
    parser.add_argument("--run", default=DEFAULT_RUN, metavar="NAME", help="in whose folders they work (%(default)s)")
    name = parser.parse_args(arguments).run
    folders = Folders(root=ROOT, run="" if name == DEFAULT_RUN else name)
    copied, kept = copy_notebooks(folders)
    print(f"{folders.results / 'lab'}: {copied} notebooks copied, {kept} left as you have them "
          "(delete one to get it anew); save there what you like")
    return 0
