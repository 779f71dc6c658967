"""Run a sweep of suite.yaml: one training and its scores for each cell and seed, in parallel over the cores at hand.

    python -m notebooks.driver.sweep ablation                                  every cell, every seed
    python -m notebooks.driver.sweep ablation --only full no_transport --seeds 2

Each cell runs the sweep's notebook with parameters of its own and leaves one small file in results/runs/RUN/sweeps/NAME,
the run being `fast` unless --run says otherwise; its training is in the folder `work` beside it.
Killed and started again, the sweep skips what is whole and goes on from the checkpoints of the trainings that were under
way; what was run with other code, data or parameters is run again. A cell that fails is reported and the others go on.
Exit status: 0 all whole, 1 a cell failed, 2 something handed in cannot be used, 130 interrupted.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from notebooks.driver import run as suite
from notebooks.driver.execution import StepFailed, check_parameters, code_cells, execute_notebook, notebook_threads
from notebooks.driver.suite_file import read_suite_file
from notebooks.experiments.folders import DEFAULT_RUN, Folders
from notebooks.experiments.record import COLUMNS
from notebooks.experiments.sweep_results import TABLE, read_sweep, sweep_table
from otlib.code_checksum import code_checksum
from otlib.commands import Parser, command
from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.files import read_json, read_object, write_json
from otlib.own_files import clear, own_folder, remove
from otlib.settings import THREADS, Range, number_of
from otlib.viz.can_render import RenderingUnavailable

SEEDS = Range(1, 10_000)  # as suite_file has it
SCORES = "scores.json"  # what the cell's notebook leaves in its folder
FACTS = "facts.json"  # what a cell that was begun follows from, beside its checkpoint
RESTS_ON = ("TRAINED_BY", "HOST")  # parameters of a cell that uses another one's training, and so comes after it


@dataclass(frozen=True)
class Sweep:
    """A sweep of suite.yaml.

    Attributes:
        name: of the sweep.
        notebook: what a cell runs.
        folders: of the run that it belongs to, and of the corpus.
        needs: notebooks of the suite that come first.
        seeds: how many, counted from 0.
        budget: seconds a cell may take before it is stopped.
        cells: the parameters of each, by name, the common ones included.
    """

    name: str
    notebook: Path
    folders: Folders
    needs: tuple[str, ...]
    seeds: int
    budget: int
    cells: dict[str, dict[str, Any]]

    @property
    def results(self) -> Path:
        """Folder of the cells' results."""
        return self.folders.sweep(self.name)

    def work(self, cell: str, seed: int) -> Path:
        """Return the folder of a cell's training and of its executed notebook."""
        return self.results / "work" / f"{cell}_seed{seed}"

    def result(self, cell: str, seed: int) -> Path:
        """Return the file of a cell's result: there if and only if it is whole."""
        return self.results / f"{cell}_seed{seed}.json"

    def parameters(self, cell: str, seed: int) -> dict[str, Any]:
        """Return what a cell's notebook is given."""
        folder = self.work(cell, seed).relative_to(suite.ROOT).as_posix()
        return {"PROFILE": self.folders.profile, "SEED": seed, "OUT": folder, **self.cells[cell]}


def read_sweep_plan(name: str, run: str = DEFAULT_RUN) -> Sweep:
    """Read a sweep from suite.yaml.

    Args:
        name: of the sweep.
        run: to which its results belong.

    Raises:
        InputError: there is no sweep, or can be no run, of that name, or a cell has a parameter that the notebook lacks.
    """
    plan = read_suite_file(suite.NOTEBOOKS / "suite.yaml")
    sweeps = {entry["name"]: entry for entry in plan.get("sweeps", ())}
    if name not in sweeps:
        raise InputError(f"suite.yaml: no sweep {name!r}; there are {', '.join(sweeps) or 'none'}")
    entry = sweeps[name]
    common = entry.get("parameters", {})
    sweep = Sweep(name, suite.NOTEBOOKS / f"{entry['notebook']}.ipynb", Folders(entry["profile"], run, suite.ROOT),
                  tuple(entry.get("needs", ())), entry["seeds"], entry["budget"],
                  {cell: {**common, **values} for cell, values in entry["cells"].items()})
    for cell, parameters in sweep.cells.items():
        place = f"suite.yaml: the cell {cell} of the sweep {name}: "
        check_parameters(sweep.notebook, sweep.parameters(cell, 0), place)
        for role, other in rests_on(parameters).items():
            if other not in sweep.cells or rests_on(sweep.cells[other]):
                raise InputError(f"{place}{role} must name a cell that rests on no other, but is {other!r}")
    return sweep


def rests_on(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells whose trainings a cell with these parameters uses, by the parameter that names each."""
    return {role: parameters[role] for role in RESTS_ON if parameters.get(role) is not None}


def code_of(notebook: Path) -> str:
    """Return the checksum of the code that a cell's result follows from."""
    return code_checksum(sources=code_cells(notebook))


def facts_of(sweep: Sweep, cell: str, seed: int, origin: dict[str, str]) -> dict[str, Any]:
    """Return what makes a cell's result that of this cell: a whole one says the same of itself."""
    return {"sweep": sweep.name, "cell": cell, "seed": seed, "parameters": sweep.parameters(cell, seed), **origin}


def is_whole(sweep: Sweep, facts: dict[str, Any]) -> bool:
    """Say whether a cell has been run to its end with the same parameters, code and data."""
    file = sweep.result(facts["cell"], facts["seed"])
    return file.is_file() and (done := read_object(file)) | facts == done


def run_cell(sweep: Sweep, facts: dict[str, Any]) -> float:
    """Run one cell and leave its result; return the seconds it took.

    Raises:
        InputError, StepFailed: as :func:`execute_notebook`.
    """
    cell, seed = facts["cell"], facts["seed"]
    folder, start = sweep.work(cell, seed), time.monotonic()
    with own_folder(folder):
        if not (folder / FACTS).is_file() or read_json(folder / FACTS) != facts:  # its checkpoint is of no use any more
            clear(folder)
            write_json(folder / FACTS, facts)
        remove(folder / SCORES)
        execute_notebook(sweep.notebook, folder / "notebook.ipynb", facts["parameters"], name=f"{cell}, seed {seed}",
                         budget=sweep.budget, cwd=suite.ROOT)
    if not (folder / SCORES).is_file():
        raise StepFailed(f"{cell}, seed {seed}: ended without leaving {SCORES}")
    seconds = time.monotonic() - start
    write_json(sweep.result(cell, seed), {**facts, **read_json(folder / SCORES), "seconds": round(seconds, 1)})
    return seconds


def run_all(sweep: Sweep, waiting: Sequence[dict[str, Any]], jobs: int) -> list[str]:
    """Run cells, ``jobs`` at a time, and say how each one went; return what the failed ones say."""
    failures: list[str] = []
    start = time.monotonic()
    with (warnings.catch_warnings(), notebook_threads(jobs) as submit,
          tqdm(total=len(waiting), desc=sweep.name, unit="cell", file=sys.stderr, disable=None) as bar):
        warnings.simplefilter("ignore")  # here, since filters are shared by all threads
        running: dict[Future, str] = {submit(run_cell, sweep, facts): f"{facts['cell']}, seed {facts['seed']}"
                                      for facts in waiting}
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future in finished]:  # in their order, as a set has none
                name = running.pop(future)
                bar.update()
                try:
                    said = f"{name}: {future.result():.0f} s"
                except (InputError, StepFailed) as error:
                    failures.append(str(error) if str(error).startswith(name) else f"{name}: {error}")
                    said = f"{name}: FAILED"
                done = len(waiting) - len(running)
                left = (time.monotonic() - start) / done * len(running)
                tqdm.write(f"{said}; {done} of {len(waiting)}" + (f", about {left / 60:.0f} min left" if running else ""),
                           file=sys.stdout)
                sys.stdout.flush()
    return failures


def write_table(sweep: Sweep, origin: dict[str, str]) -> None:
    """Write the means of every cell that this code and data have made, with the seeds they rest on."""
    results = [result for result in read_sweep(sweep.results, mixed=True) if result.record | origin == result.record]
    if results:
        write_json(sweep.results / TABLE, {"sweep": sweep.name, **origin, "cells": sweep_table(results, COLUMNS)})


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = Parser(prog="python -m notebooks.driver.sweep", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a sweep in suite.yaml")
    parser.add_argument("--run", default=DEFAULT_RUN, metavar="NAME", help="to which the results belong (%(default)s)")
    parser.add_argument("--only", nargs="+", metavar="CELL", help="these cells")
    parser.add_argument("--seeds", type=number_of(int, SEEDS), help="how many seeds, counted from 0 (as suite.yaml says)")
    parser.add_argument("--jobs", type=number_of(int, THREADS), default=cores(),
                        help="cells at a time, one core each (%(default)s)")
    options = parser.parse_args(arguments)
    os.environ |= {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # one core a cell, in all kernels
    return _main(options)


def _main(options: argparse.Namespace) -> int:
    sweep = read_sweep_plan(options.name, options.run)
    seeds = sweep.seeds if options.seeds is None else options.seeds
    if unknown := set(options.only or ()) - set(sweep.cells):
        raise InputError(f"sweep {sweep.name}: no cell {', '.join(sorted(unknown))}; there are {', '.join(sweep.cells)}")
    if sweep.folders.corpus.exists():
        Dataset.open(sweep.folders.corpus)  # refused before anything is written
    sweep.folders.claimed()
    _prepare(sweep)
    corpus = Dataset.open(sweep.folders.corpus)
    origin = {"code": code_of(sweep.notebook), "data": corpus.checksum}
    chosen = [cell for cell in sweep.cells if not options.only or cell in options.only]
    chosen += [other for cell in chosen for other in rests_on(sweep.cells[cell]).values()]
    wanted = [facts_of(sweep, cell, seed, origin) for seed in range(seeds) for cell in sweep.cells if cell in chosen]
    waiting = [facts for facts in wanted if not is_whole(sweep, facts)]
    print(f"{sweep.name}: {len(wanted) - len(waiting)} of {len(wanted)} done before and skipped, {len(waiting)} to run, "
          f"{options.jobs} at a time", flush=True)
    with own_folder(sweep.results, others=True):
        failures = []
        for rest_on_others in (False, True):
            group = [facts for facts in waiting if bool(rests_on(facts["parameters"])) == rest_on_others]
            failures += run_all(sweep, group, options.jobs) if group else []
        write_table(sweep, origin)
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{sweep.name}: {len(wanted) - len(failures)} of {len(wanted)} cells whole, in "
          f"{sweep.results.relative_to(suite.ROOT)}", flush=True)
    return 1 if failures else 0


def _prepare(sweep: Sweep) -> None:
    """Run the notebooks that the sweep needs, where they have not been."""
    if not sweep.needs:
        return
    try:
        suite.ensure_rendering()
        draws = True
    except RenderingUnavailable:
        draws = False
    folders = Folders(sweep.folders.profile, root=suite.ROOT)  # the profile's own run, so that it need not be done again
    suite.run(suite.read_suite(folders), set(sweep.needs), folders.notebooks, force=False, draws=draws)
