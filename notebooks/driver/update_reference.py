"""Write the reference, results/reference, from a run: the only command that changes committed results. For maintainers.

    python -m notebooks.driver.update_reference                                  the demo: its files, the notebooks, the
    pages' blocks python -m notebooks.driver.update_reference --sweep ablation --bench model   these in place of the demo,
    and the pages' blocks

The demo is taken over whole, as `make demo` leaves it in a checkout without changes, or not at all. The notebooks read the
reference's sweeps: after taking over a sweep, run `make demo` again, then this. Exit status: 0 done, 2 refused.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import shutil
import subprocess
from pathlib import Path

import nbformat

from notebooks.driver import readme
from notebooks.driver import run as suite
from notebooks.experiments.folders import DEFAULT_RUN, REFERENCE, Folders
from notebooks.experiments.sweep_results import TABLE, read_sweep
from otlib.commands import Parser, command
from otlib.errors import InputError
from otlib.files import atomic_write, read_json

LEFT = ("first_head.html",)  # of the demo: the page is in the output of notebook 00
KEPT = ("bench", "cost.json", "sweeps")  # of the reference, when the demo is taken over
PICTURES = {"sliced_wasserstein": "sliced_wasserstein.png", "claims": "remesh.png"}  # beside what was measured


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Strip timing and papermill's metadata; refuse errors, stderr, injected cells and counts other than 1..n.

    Raises:
        ValueError: the copy is not one to commit; the message says why.
    """
    notebook.metadata = nbformat.NotebookNode(
        kernelspec={"name": "python3", "display_name": "Python 3", "language": "python"},
        language_info={"name": "python"})
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        raise ValueError("its cells were not run 1..n in order")
    for cell in notebook.cells:
        tags = list(cell.metadata.get("tags", ()))
        if "injected-parameters" in tags:
            raise ValueError("it was run with parameters of its own")
        cell.metadata = nbformat.NotebookNode({"tags": tags} if tags else {})
    for cell in code:
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                raise ValueError(f"cell {cell.execution_count} wrote an error or to stderr")
            output.get("metadata", {}).pop("papermill", None)
    return notebook


def take_demo(folders: Folders) -> None:
    """Put a run's results into the reference, and its executed notebooks in place of the committed ones.

    Raises:
        InputError: the run is not finished, had parameters or sweeps of its own, or a checkout with changes.
    """
    steps = suite.read_suite(folders)
    if left := suite.unfinished(steps, folders.notebooks):
        raise InputError(f"run {folders.name}: not finished with the code as it is now ({', '.join(left)}); run `make demo`")
    commit = read_json(folders.results / "run.json")["commit"]
    if commit is None or commit.endswith("+"):
        raise InputError(f"run {folders.name}: was not made from a commit ({commit}); commit, then run `make demo`")
    for table in sorted(folders.sweep("").glob(f"*/{TABLE}")):
        taken = REFERENCE / "sweeps" / table.parent.name / TABLE
        if not taken.is_file() or taken.read_bytes() != table.read_bytes():
            raise InputError(f"{table.parent}: is another sweep than the reference's, which the notebooks are to show; take "
                             f"it over first (--sweep {table.parent.name}), or move it away, and run `make demo`")
    ready: dict[Path, nbformat.NotebookNode] = {}
    for step in steps:
        try:
            ready[step.source] = clean(nbformat.read(folders.notebooks / step.source.name, as_version=4))
        except ValueError as error:
            raise InputError(f"{step.source.name}: {error}") from error
    files = [file for step in steps for path in step.outputs if (file := suite.ROOT / path).parent == folders.results
             and file.name not in LEFT]
    _replace([old for old in REFERENCE.glob("*") if old.name not in KEPT],
             {REFERENCE / one.relative_to(folders.results): one for file in files for one in (file, *file.rglob("*"))
              if one.is_file()})
    for source, notebook in ready.items():
        with atomic_write(source) as temporary:
            nbformat.write(notebook, temporary)
        print(f"{source.name}: {source.stat().st_size / 1e6:.2f} MB")


def take_sweep(folders: Folders, name: str) -> None:
    """Put a run's sweep in place of the reference's.

    Raises:
        InputError: there is none, or its results are of different code or data.
    """
    own, taken = folders.sweep(name), REFERENCE / "sweeps" / name
    if not (own / TABLE).is_file():
        raise InputError(f"{own}: holds no sweep; run `make sweep NAME={name}`")
    read_sweep(own)
    _replace([taken], {taken / file.name: file for file in sorted(own.glob("*.json"))})


def _replace(old: list[Path], new: dict[Path, Path]) -> None:
    """Remove files and folders of the reference and put copies of others into it, by their places.

    Raises:
        InputError: something that would go is not committed and does not come again, so that it would be lost.
    """
    words = ["--no-optional-locks", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *old]
    listing = subprocess.run(["git", "-C", suite.ROOT, *words], capture_output=True, encoding="utf-8", check=False)
    if listing.returncode:
        raise InputError(f"{suite.ROOT}: git does not say what of the reference is committed ({listing.stderr.strip()})")
    for path in (suite.ROOT / line[3:] for line in listing.stdout.split("\0")[:-1]):
        if path.exists() and not (path in new and new[path].read_bytes() == path.read_bytes()):
            raise InputError(f"{path}: is not committed, so it is not replaced; commit it or move it away")
    for path in old:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for place, file in new.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


def take_bench(folders: Folders, name: str) -> None:
    """Put what a run measured, such as "model" or "claims", in place of the reference's.

    Raises:
        InputError: there is none, or little was measured, to try the program.
    """
    file = folders.bench / f"{name}.json"
    if any(part["facts"]["quick"] for part in read_json(file).get("parts", {}).values()):
        raise InputError(f"{file}: was made with --quick; measure again without")
    pictures = [picture] if (picture := folders.bench / PICTURES.get(name, "none")).is_file() else []
    (REFERENCE / "bench").mkdir(parents=True, exist_ok=True)
    for one in (file, *pictures):
        shutil.copyfile(one, REFERENCE / "bench" / one.name)


def take_cost(file: Path) -> None:
    """Put a record of what the two commands take in place of the reference's.

    Raises:
        InputError: it is not one.
    """
    try:
        readme.cost(read_json(file))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: is no record of costs ({error}); write it as {REFERENCE / 'cost.json'} is") from error
    shutil.copyfile(file, REFERENCE / "cost.json")


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = Parser(prog="python -m notebooks.driver.update_reference", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default=DEFAULT_RUN, metavar="NAME", help="whose results (%(default)s)")
    parser.add_argument("--sweep", nargs="+", default=[], metavar="NAME", help="take over these sweeps of the run")
    parser.add_argument("--bench", nargs="+", default=[], metavar="NAME",
                        help="take over these files of the run's folder bench: sliced_wasserstein, encoder, model, claims")
    parser.add_argument("--cost", type=Path, help="take over a JSON of what the two commands were measured to cost")
    options = parser.parse_args(arguments)
    folders = Folders(run="" if options.run == DEFAULT_RUN else options.run, root=suite.ROOT)
    for name in options.sweep:
        take_sweep(folders, name)
    for name in options.bench:
        take_bench(folders, name)
    if options.cost:
        take_cost(options.cost)
    if not (options.sweep or options.bench or options.cost):
        take_demo(folders)
    return readme.main()
