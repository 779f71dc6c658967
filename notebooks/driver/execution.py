"""Run one notebook with papermill: parameters checked, time bounded, the executed copy whole or not there at all."""

import ast
import contextlib
import functools
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm
from traitlets.config import Config

from otlib.commands import CommandFailed
from otlib.errors import InputError
from otlib.files import atomic_write, parsed_yaml, read_text
from otlib.own_files import working_folder

RENDER_TAG = "render"  # cells that draw in 3-D, left out on a machine that cannot

_TRANSPORT = "tcp" if sys.platform == "win32" else "ipc"  # between us and a kernel
_STARTS = {"ipc": 1, "tcp": 3}  # another process may take a port between its choice and its use
_LONGEST_FOLDER = 60  # bytes: the name of a socket has at most 103, with those of its folder and itself
_PATIENCE_S = 20  # for kernels that are interrupted, and again after half of it; then they are killed
_PYTHONS_WARNING = re.compile(r"^\S.*?:\d+: \w*Warning: (.*)\n(  .*\n)?", re.MULTILINE)  # with its place and line of code
_stopped = threading.Event()  # while the kernels are being interrupted: what they say of it and leave is of no interest
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_INTERRUPT = signal.SIGTERM if sys.platform == "win32" else signal.SIGINT


class StepFailed(CommandFailed):
    """A notebook did not come to its end; the message says which one and why."""


class OwnKernel(AsyncKernelManager):
    """A kernel of the Python that runs this, whatever else the settings of Jupyter call python3."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return own_kernels()

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        """Launch it with its own standard error nowhere: what cells say goes another way, and what it says when it is
        stopped is no news."""
        await super()._async_launch_kernel(kernel_cmd, **(options | {"stderr": subprocess.DEVNULL}))


def own_kernels() -> KernelSpecManager:
    """Return what knows the kernel of the Python that runs this, and no other."""
    return KernelSpecManager(kernel_dirs=[])


def read_notebook(source: Path) -> nbformat.NotebookNode:
    """Read a notebook.

    Raises:
        InputError: it cannot be read, or is none.
    """
    text = read_text(source)
    try:
        return nbformat.reads(text, as_version=4)
    except Exception as error:  # nbformat has several kinds, and looks into what it reads before it validates
        raise InputError(f"{source}: is not a notebook ({error})") from error


def code_cells(source: Path) -> list[str]:
    """Return the code cells of a notebook."""
    return [cell.source for cell in read_notebook(source).cells if cell.cell_type == "code"]


def default_parameters(source: Path) -> dict[str, Any]:
    """Return what a notebook's ``parameters`` cell defines, by name.

    Raises:
        InputError: it cannot be read, or a value there is not a plain one.
    """
    read_notebook(source)
    try:
        return {name: ast.literal_eval(parameter["default"])
                for name, parameter in papermill.inspect_notebook(str(source)).items()}
    except (ValueError, SyntaxError) as error:
        raise InputError(f"{source}: a parameter is not a plain value ({error})") from error


def check_parameters(source: Path, parameters: Mapping[str, Any], where: str = "") -> None:
    """Refuse a parameter that the notebook's ``parameters`` cell does not define, which papermill would ignore, and a value
    of another kind than there.

    Args:
        source: the notebook.
        parameters: by name.
        where: what gives them, to stand first in a message: "suite.yaml: the cell full: ".

    Raises:
        InputError: names the parameter and those that exist, or the kind that is wanted.
    """
    known = default_parameters(source)
    for name, value in parameters.items():
        if name not in known:
            raise InputError(f"{where}{source.name}: has no parameter {name!r}; it has {', '.join(sorted(known)) or 'none'}")
        if not _fits(value, known[name]):
            raise InputError(f"{where}{source.name}: {name} is {value!r}, it must be "
                             f"{_KINDS.get(type(known[name]), 'as there')}")


def parse_parameter(source: Path, name: str, text: str) -> Any:
    """Return a parameter from the command line; it is read as Python or YAML reads it, unless the notebook's own is a text.

    Raises:
        InputError: as :func:`check_parameters`, or the text is not Unicode.
    """
    value: Any = text
    if not isinstance(default_parameters(source).get(name, ""), str):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            value = parsed_yaml(text, f"--parameter {name}")
    elif text != text.encode(errors="replace").decode():
        raise InputError(f"--parameter {name}: is not Unicode text; write it as UTF-8")
    check_parameters(source, {name: value})
    return value


_KINDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text",
          type(None): "a finite number, text, true, false or null"}


def _fits(value: Any, default: Any) -> bool:
    """Say whether a value is of a default's kind: whole numbers are numbers, and any plain value may stand for None."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return type(value) in ({float: (int, float), type(None): tuple(_KINDS)}.get(type(default)) or (type(default),))


@contextlib.contextmanager
def kernel_config() -> Iterator[tuple[Path, Config]]:
    """Yield a short-lived folder, and a configuration of kernels whose files lie there; they talk by files where they can.

    The folder is that of temporary files, or /tmp where its name is too long; the next run removes what a killed one left.
    """
    usual = tempfile.gettempdir()
    place = usual if len(os.fsencode(usual)) < _LONGEST_FOLDER or _TRANSPORT == "tcp" else "/tmp"
    user = os.getuid() if hasattr(os, "getuid") else 0  # others' folders cannot be looked into
    with working_folder(Path(place, f"user{user}"), functools.partial(shutil.rmtree, ignore_errors=True)) as folder:
        files = {"connection_file": str(folder / "kernel.json")}
        if _TRANSPORT == "ipc":
            files |= {"transport": _TRANSPORT, "ip": str(folder / "kernel")}
        yield folder, Config(KernelManager=files)


@contextlib.contextmanager
def notebook_threads(jobs: int) -> Iterator[Callable[..., Future]]:
    """Yield what starts functions that run notebooks, each in a thread, so many at a time.

    A signal is this thread's alone. Where it or another error ends the ``with`` block, the kernels are interrupted, so that
    they clear up, and after twenty seconds killed.
    """
    futures: list[Future] = []

    def submit(function: Callable, *arguments: Any, **options: Any) -> Future:
        futures.append(pool.submit(call, function, *arguments, **options))
        return futures[-1]

    def call(function: Callable, *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        finally:
            ensure_event_loop().close()  # the one that Jupyter makes for each thread

    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield submit
        except BaseException:
            _stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for number in (_INTERRUPT, _INTERRUPT, _KILL):
                if running := [future for future in futures if not future.done()]:
                    _to_kernels(number)
                    wait(running, timeout=_PATIENCE_S / 2)
            raise
        finally:
            _stopped.clear()


def _to_kernels(number: int) -> None:
    for kernel in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ipykernel_launcher" in kernel.cmdline():
                for process in [*kernel.children(recursive=True), kernel] if number == _KILL else [kernel]:
                    process.send_signal(number)


class _Terminal:
    """A stream for a notebook's output, which lets its warnings through to the terminal."""

    def __init__(self, name: str, all_lines: bool) -> None:
        self.name, self.all_lines = name, all_lines

    def write(self, text: str) -> None:
        """Show the lines that are warnings."""
        for line in () if _stopped.is_set() else _PYTHONS_WARNING.sub(r"warning: \1\n", text).splitlines():
            if line.strip() and (self.all_lines or line.startswith("warning:")):
                tqdm.write(f"{self.name}: {line}", file=sys.stderr)

    def flush(self) -> None:
        """As any stream's; nothing waits."""


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
    notebook = read_notebook(source)
    if not draws:
        notebook.cells = [cell for cell in notebook.cells if RENDER_TAG not in cell.metadata.get("tags", ())]
    known = default_parameters(source)
    changed = {key: value for key, value in parameters.items() if known[key] != value}
    end = time.monotonic() + budget
    with kernel_config() as (scratch, config), atomic_write(target) as written:
        stripped = scratch / source.name
        nbformat.write(notebook, stripped)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # papermill and its kernel warn of things a user cannot mend
                _execute(stripped, written, changed, config=config, cwd=str(cwd),
                         stdout_file=_Terminal(name, False), stderr_file=_Terminal(name, True),
                         timeout_func=lambda cell: max(1, round(end - time.monotonic())))
        except (PapermillExecutionError, CellTimeoutError, RuntimeError) as error:
            kind = getattr(error, "ename", None)
            if kind in ("InputError", "RenderingUnavailable"):
                raise InputError(error.evalue) from error
            reason = _reason(name, budget, error)
            if written.exists() and not _stopped.is_set():
                with atomic_write(failed_copy(target)) as kept:
                    os.replace(written, kept)
                reason += f"\nThe notebook as far as it came: {failed_copy(target)}"
            raise StepFailed(reason) from error


def _execute(source: Path, target: Path, parameters: Mapping[str, Any], **options: Any) -> None:
    """Run papermill, again where the kernel did not start: no cell has run then."""
    for left in reversed(range(_STARTS[_TRANSPORT])):
        try:
            papermill.execute_notebook(str(source), str(target), parameters=parameters, kernel_name="python3",
                                       kernel_manager_class=OwnKernel, progress_bar=False,
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
