"""Run the suite's notebooks in order with papermill, each only if something it depends on has changed.

    python notebooks/run.py                      the whole suite, fast profile
    python notebooks/run.py --only 04_training   one notebook (and what it needs, where that is not done)
    python notebooks/run.py --audio speech.wav   animate a recording of your own

A notebook is done when it ran to its end with the same code, parameters and inputs, and what it wrote is still there.
Exit status: 0 done, 1 a notebook failed, 2 something handed in cannot be used (one sentence says what).
"""

import argparse
import hashlib
import json
import os
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from any folder
os.environ.setdefault("TQDM_DISABLE", "1")  # inside notebooks; the driver's own bar is told otherwise

import nbformat  # noqa: E402
import papermill  # noqa: E402
import yaml  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402
from tqdm import tqdm  # noqa: E402

from otlib.audio import read_recording  # noqa: E402
from otlib.errors import InputError  # noqa: E402
from otlib.files import atomic_write, read_json, sha256, write_json  # noqa: E402
from otlib.rendering import RenderingUnavailable, ensure_rendering  # noqa: E402

NOTEBOOKS = ROOT / "notebooks"
RENDER_TAG = "render"  # cells that draw in 3-D, left out on a machine that cannot


@dataclass(frozen=True)
class Step:
    """One notebook of the suite in one profile.

    Attributes:
        name: of the notebook, without ".ipynb".
        needs: notebooks whose outputs it reads.
        outputs: files and folders it leaves, relative to the repository.
        parameters: what the profile injects.
        budget: seconds it may take before it is stopped.
        usual: seconds it takes on two quiet cores, for the time left.
    """

    name: str
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[str, Any]
    budget: int
    usual: int

    @property
    def source(self) -> Path:
        """The committed notebook."""
        return NOTEBOOKS / f"{self.name}.ipynb"


def read_suite(profile: str, file: Path = NOTEBOOKS / "suite.yaml") -> list[Step]:
    """Read the suite in the order in which it runs.

    Raises:
        InputError: the profile is not there, or a notebook needs one that does not come before it.
    """
    suite = yaml.safe_load(file.read_text(encoding="utf-8"))
    if profile not in suite["profiles"]:
        raise InputError(f"{file.name}: no profile {profile!r}; there are {', '.join(suite['profiles'])}")
    steps: list[Step] = []
    for entry in suite["notebooks"]:
        chosen = entry["profiles"][profile]
        unknown = set(entry.get("needs", ())) - {step.name for step in steps}
        if unknown:
            raise InputError(f"{file.name}: {entry['name']} needs {', '.join(sorted(unknown))}, which must stand before it")
        steps.append(Step(entry["name"], tuple(entry.get("needs", ())),
                          tuple(path.format(profile=profile) for path in entry.get("outputs", ())),
                          {"PROFILE": profile, **chosen.get("parameters", {})}, chosen["budget"], chosen["usual"]))
    return steps


def check_parameters(step: Step) -> None:
    """Refuse a parameter that the notebook's ``parameters`` cell does not define; papermill would ignore it.

    Raises:
        InputError: names the parameter and those that exist.
    """
    known = papermill.inspect_notebook(str(step.source))
    for name in step.parameters:
        if name not in known:
            raise InputError(f"{step.source.name}: has no parameter {name!r}; it has {', '.join(sorted(known))}")


def key_of(step: Step, keys: dict[str, str], draws: bool) -> str:
    """Return a hash over everything the step's results follow from: its code, the library's, parameters and inputs."""
    digest = hashlib.sha256()
    notebook = nbformat.read(step.source, as_version=4)
    for cell in notebook.cells:
        digest.update(cell.source.encode() if cell.cell_type == "code" else b"")
    for folder in ("otlib", "data_prep"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)} {sha256(file)}".encode())
    audio = step.parameters.get("AUDIO")
    digest.update(json.dumps([step.parameters, sha256(audio) if audio else None, draws], sort_keys=True).encode())
    digest.update(json.dumps([keys[name] for name in step.needs]).encode())
    return digest.hexdigest()


def fingerprint(path: Path) -> str | None:
    """Return a hash of a file, or of a folder's file names and sizes; None where there is nothing."""
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        return None
    listing = [f"{file.relative_to(path)} {file.stat().st_size}" for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def is_done(stamp: Path, key: str, outputs: tuple[str, ...]) -> bool:
    """Say whether a stamp tells of a whole run with this key whose outputs are all as it left them."""
    if not stamp.is_file():
        return False
    record = read_json(stamp)
    return record["key"] == key and record["outputs"] == {path: fingerprint(ROOT / path) for path in outputs}


class TimeLeft:
    """A bar over the whole suite, in seconds as they usually pass, with the training's own progress beside it."""

    def __init__(self, total: int) -> None:
        self._bar = tqdm(total=total, unit="s", bar_format="{l_bar}{bar}| about {postfix}", file=sys.stderr, disable=None)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, step: Step) -> None:
        """Start to count one notebook."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._count, args=(step,), daemon=True)
        self._thread.start()

    def _count(self, step: Step) -> None:
        start, counted = time.monotonic(), 0
        while not self._stop.wait(1.0):
            now = min(int(time.monotonic() - start), step.usual)
            self._bar.update(now - counted)
            counted = now
            left = self._bar.total - self._bar.n
            self._bar.set_description_str(step.name + _training_progress(start))
            self._bar.set_postfix_str(f"{left // 60} min {left % 60:02d} s left")
        self._bar.update(step.usual - counted)

    def end(self) -> None:
        """Stop to count the notebook that began."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def _training_progress(since: float) -> str:
    """Return " (step 120 of 900)" of a training that has written its log in the last seconds, else nothing."""
    age = time.monotonic() - since
    recent = [file for file in (ROOT / "data").glob("*/runs/*/log.jsonl") if time.time() - file.stat().st_mtime < min(age, 20)]
    if not recent:
        return ""
    lines = max(recent, key=lambda file: file.stat().st_mtime).read_text(encoding="utf-8").strip().splitlines()
    if not lines:
        return ""
    row = json.loads(lines[-1])
    return f" (step {row['step']} of {row['steps']})"


def execute(step: Step, folder: Path, draws: bool) -> None:
    """Run one notebook and leave the executed copy in ``folder`` under its name, whole or not at all.

    Parameters that equal the notebook's own are not injected, so that the copy is the notebook as a person would run it.

    Raises:
        InputError: the notebook itself met bad input.
        PapermillExecutionError: a cell failed.
    """
    notebook = nbformat.read(step.source, as_version=4)
    if not draws:
        notebook.cells = [cell for cell in notebook.cells if RENDER_TAG not in cell.metadata.get("tags", ())]
    with atomic_write(folder / f".{step.name}.in.ipynb") as source, atomic_write(folder / f"{step.name}.ipynb") as target:
        nbformat.write(notebook, source)
        known = papermill.inspect_notebook(str(step.source))
        changed = {name: value for name, value in step.parameters.items() if parse_value(known[name]["default"]) != value}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # papermill and its kernel warn of things a user cannot mend
                papermill.execute_notebook(str(source), str(target), parameters=changed, cwd=str(NOTEBOOKS),
                                           kernel_name="python3", progress_bar=False, execution_timeout=step.budget,
                                           extra_arguments=["--IPKernelApp.log_level=ERROR"])
        except PapermillExecutionError as error:
            if error.ename in ("InputError", "RenderingUnavailable"):
                raise InputError(error.evalue) from error
            os.replace(target, folder / f"{step.name}.failed.ipynb")
            raise
    (folder / f".{step.name}.in.ipynb").unlink(missing_ok=True)


def run(steps: list[Step], wanted: set[str], folder: Path, *, force: bool, draws: bool) -> list[str]:
    """Run the wanted steps and what they need, skipping what is done; return the names of those that ran."""
    needed = set(wanted)
    for step in reversed(steps):
        if step.name in needed:
            needed.update(step.needs)
    chosen = [step for step in steps if step.name in needed]
    for step in chosen:
        check_parameters(step)
    keys: dict[str, str] = {}
    for step in steps:
        keys[step.name] = key_of(step, keys, draws)
    due = [step for step in chosen
           if (force and step.name in wanted) or not is_done(_stamp(folder, step), keys[step.name], step.outputs)]
    for step in chosen:
        if step not in due:
            print(f"{step.name}: done before, nothing it depends on has changed")
    bar = TimeLeft(sum(step.usual for step in due))
    try:
        for step in due:
            start = time.monotonic()
            _stamp(folder, step).unlink(missing_ok=True)
            bar.begin(step)
            try:
                execute(step, folder, draws)
            finally:
                bar.end()
            outputs = {path: fingerprint(ROOT / path) for path in step.outputs}
            absent = [path for path, value in outputs.items() if value is None]
            if absent and draws:
                raise RuntimeError(f"{step.name}: ended without leaving {', '.join(absent)}")
            write_json(_stamp(folder, step), {"key": keys[step.name], "outputs": outputs})
            tqdm.write(f"{step.name}: {time.monotonic() - start:.0f} s", file=sys.stdout)
    finally:
        bar.close()
    return [step.name for step in due]


def _stamp(folder: Path, step: Step) -> Path:
    return folder / f"{step.name}.done.json"


def parse_value(text: str) -> Any:
    """Read a parameter from the command line as YAML does: 3, 0.5, true, text."""
    return yaml.safe_load(text)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python notebooks/run.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="fast", help="of suite.yaml (%(default)s)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these notebooks and what they need")
    parser.add_argument("--audio", type=Path, help="a recording to animate, any format that libsndfile reads")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                        help="set a parameter of the notebooks named by --only")
    parser.add_argument("--force", action="store_true", help="run again what is done")
    options = parser.parse_args(arguments)
    os.environ["TQDM_DISABLE"] = "1"
    try:
        return _main(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except PapermillExecutionError as error:
        print(f"{error}\nThe notebook as far as it came: results/{options.profile}/notebooks/*.failed.ipynb", file=sys.stderr)
        return 1


def _main(options: argparse.Namespace) -> int:
    steps = read_suite(options.profile)
    names = {step.name for step in steps}
    wanted = set(options.only or names)
    if wanted - names:
        raise InputError(f"no notebook {', '.join(sorted(wanted - names))}; there are {', '.join(sorted(names))}")
    if options.parameter and not options.only:
        raise InputError("--parameter needs --only, to say whose parameter it is")
    for step in steps:
        if step.name in wanted and options.only:
            step.parameters.update({name: parse_value(value) for name, value in options.parameter})
        if options.audio and "AUDIO" in papermill.inspect_notebook(str(step.source)):
            read_recording(options.audio)  # refused now, not after minutes of training
            step.parameters["AUDIO"] = str(options.audio.resolve())
    try:
        ensure_rendering()
        unable = None
    except RenderingUnavailable as error:
        unable = error
        print(f"{error}. Everything but the pictures is done now.", file=sys.stderr)
    run(steps, wanted, ROOT / "results" / options.profile / "notebooks", force=options.force, draws=unable is None)
    if unable:
        raise unable
    return 0


if __name__ == "__main__":
    sys.exit(main())
