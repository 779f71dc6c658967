"""Run one notebook with papermill: parameters checked, time bounded, the executed copy whole or not there at all."""

import ast
import contextlib
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from otlib.errors import InputError
from otlib.files import atomic_write

RENDER_TAG = "render"  # cells that draw in 3-D, left out on a machine that cannot

_TRANSPORT = "tcp" if sys.platform == "win32" else "ipc"  # between us and a kernel
_STARTS = {"ipc": 1, "tcp": 3}  # another process may take a port between its choice and its use
_LONGEST_FOLDER = 70  # bytes: the name of a socket has at most 103, "/kernel-" and what tempfile adds included


class StepFailed(RuntimeError):
    """A notebook did not come to its end; the message says which one and why."""


def code_cells(source: Path) -> list[str]:
    """Return the code cells of a notebook."""
    return [cell.source for cell in nbformat.read(source, as_version=4).cells if cell.cell_type == "code"]


def default_parameters(source: Path) -> dict[str, Any]:
    """Return what a notebook's ``parameters`` cell defines, by name."""
    return {name: ast.literal_eval(parameter["default"])
            for name, parameter in papermill.inspect_notebook(str(source)).items()}


def check_parameters(source: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse a parameter that the notebook's ``parameters`` cell does not define; papermill would ignore it.

    Raises:
        InputError: names the parameter and those that exist.
    """
    known = default_parameters(source)
    for name in parameters:
        if name not in known:
            raise InputError(f"{source.name}: has no parameter {name!r}; it has {', '.join(sorted(known))}")


@contextlib.contextmanager
def kernel_config() -> Iterator[Config]:
    """Yield a configuration of kernels that talk by files in a folder of their own; by ports where there is nothing else."""
    if _TRANSPORT == "tcp":
        yield Config()
        return
    usual = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(dir=usual if len(os.fsencode(usual)) < _LONGEST_FOLDER else "/tmp") as folder:
        yield Config(KernelManager={"transport": _TRANSPORT, "ip": os.path.join(folder, "kernel")})


def execute_notebook(source: Path, target: Path, parameters: Mapping[str, Any], *, name: str, budget: int, cwd: Path,
                     draws: bool = True) -> None:
    """Run a notebook and leave the executed copy at ``target``, whole or not at all.

    Seven arguments, of which three say what is run, and four how. Parameters that equal the notebook's own are not
    injected, so that the copy is the notebook as a person would run it.

    Args:
        source: the notebook.
        target: where the copy goes; what there is of one that failed is kept beside it as NAME.failed.ipynb.
        parameters: to inject.
        name: to be called by in what a failure says.
        budget: seconds its cells may take.
        cwd: folder the kernel works in.
        draws: whether this machine can draw in 3-D; cells that do are left out where it cannot.

    Raises:
        InputError: the notebook itself met bad input.
        StepFailed: a cell failed or took too long, or the kernel did not start.
    """
    notebook = nbformat.read(source, as_version=4)
    if not draws:
        notebook.cells = [cell for cell in notebook.cells if RENDER_TAG not in cell.metadata.get("tags", ())]
    known = default_parameters(source)
    changed = {key: value for key, value in parameters.items() if known[key] != value}
    end = time.monotonic() + budget
    with tempfile.TemporaryDirectory() as scratch, atomic_write(target) as written:
        stripped = Path(scratch) / source.name
        nbformat.write(notebook, stripped)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # papermill and its kernel warn of things a user cannot mend
                _execute(stripped, written, changed, cwd=str(cwd),
                         timeout_func=lambda cell: max(1, round(end - time.monotonic())))
        except (PapermillExecutionError, CellTimeoutError, RuntimeError) as error:
            if getattr(error, "ename", None) in ("InputError", "RenderingUnavailable"):
                raise InputError(error.evalue) from error
            if written.exists():
                os.replace(written, failed_copy(target))
            raise StepFailed(_reason(name, budget, error)) from error


def _execute(source: Path, target: Path, parameters: Mapping[str, Any], **options: Any) -> None:
    """Run papermill, again where the kernel did not start: no cell has run then."""
    for left in reversed(range(_STARTS[_TRANSPORT])):
        try:
            with kernel_config() as config:
                papermill.execute_notebook(str(source), str(target), parameters=parameters, config=config,
                                           kernel_name="python3", progress_bar=False,
                                           extra_arguments=["--IPKernelApp.log_level=ERROR"], **options)
            return
        except RuntimeError as error:
            if type(error) is not RuntimeError or not left:  # DeadKernelError is another, and comes later
                raise


def failed_copy(target: Path) -> Path:
    """Return where what there is of a failed notebook is kept."""
    return target.with_name(f"{target.stem}.failed.ipynb")


def _reason(name: str, budget: int, error: Exception) -> str:
    if isinstance(error, CellTimeoutError):
        return f"{name}: took more than the {budget} s that suite.yaml allows it"
    if isinstance(error, DeadKernelError):
        return f"{name}: its kernel died, often for want of memory"
    return f"{name}: {error}"
