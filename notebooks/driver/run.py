"""Run the suite's notebooks in order with papermill, each only if something it depends on has changed.

    python -m notebooks.driver.run                      the whole suite, fast profile
    python -m notebooks.driver.run --only 08_training   one notebook (and what it needs, where that is not done)
    python -m notebooks.driver.run --audio speech.wav   animate a recording of your own
    python -m notebooks.driver.run --method kmtalk      train KMTalk too, and animate the recording with it
    python -m notebooks.driver.run --run mine           keep what it leaves apart, in results/runs/mine

A notebook is done when it ran to its end with the same code, parameters and inputs, and what it wrote is still there.
Exit status: 0 done, 1 a notebook failed, 2 something handed in cannot be used (one sentence says what).
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import contextlib
import hashlib
import json
import math
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from notebooks.driver.execution import (
    StepFailed,
    check_parameters,
    code_cells,
    default_parameters,
    execute_notebook,
    failed_copy,
    notebook_threads,
    parse_parameter,
)
from notebooks.driver.method import USUAL, Method, add_method_arguments, method_of
from notebooks.driver.suite_file import read_suite_file
from notebooks.driver.time_left import TimeLeft
from notebooks.experiments.folders import DEFAULT_RUN, MODELS, ROOT, Folders
from otlib.code_checksum import code_checksum
from otlib.commands import Parser, command
from otlib.data.whole_folder import refuse_overlap
from otlib.errors import InputError
from otlib.files import is_unicode, read_json, sha256, write_json
from otlib.own_files import claim, own_folder, remove
from otlib.speech.recording import read_recording
from otlib.viz.can_render import RenderingUnavailable, ensure_rendering

os.environ.setdefault("OMP_NUM_THREADS", "1")  # so that rounding does not depend on how many cores there are

NOTEBOOKS = ROOT / "notebooks"


@dataclass(frozen=True)
class Step:
    """One notebook of the suite in one profile.

    Attributes:
        name: of the notebook, without ".ipynb".
        needs: notebooks whose outputs it reads.
        outputs: files and folders it leaves, relative to the repository.
        reads: files that it reads where they are there, relative to the repository, beside what it needs.
        parameters: what the profile injects.
        budget: seconds its cells may take before they are stopped.
        usual: seconds it takes on two quiet cores, for the time left.
        plain: the step with the default method, if this one is with another; it leaves the same and more.
    """

    name: str
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    reads: tuple[str, ...]
    parameters: dict[str, Any]
    budget: int
    usual: int
    plain: "Step | None" = None

    @property
    def label(self) -> str:
        """What its executed copy is called, so that those of two methods lie side by side."""
        return f"{self.name}.{self.parameters['METHOD']}" if self.plain else self.name

    @property
    def to_look_at(self) -> str:
        """Its pages and films, in words: what a person may open while the next notebooks run."""
        files = [path for path in self.outputs if path.endswith((".html", ".mp4"))]
        return f"; to look at: {', '.join(files)}" if files else ""

    @property
    def source(self) -> Path:
        """The committed notebook."""
        return NOTEBOOKS / f"{self.name}.ipynb"


def read_suite(folders: Folders, audio: Path | None = None, out: Path | None = None, film: bool = True,
               method: Method = USUAL) -> list[Step]:
    """Read the suite in the order in which it runs.

    Args:
        folders: of the run, with its profile: fast, full, or what else suite.yaml has.
        audio: a recording of the user's, for the notebooks that have a parameter AUDIO.
        out: the folder for the talking head, if the user names one.
        film: whether the notebooks that have a parameter FILM leave a film.
        method: of the talking head, for the notebooks that have a parameter METHOD.

    Raises:
        InputError: suite.yaml or a notebook cannot be used, the profile is not there, or the recording cannot be read.
    """
    profile = folders.profile
    suite = read_suite_file(NOTEBOOKS / "suite.yaml")
    if profile not in suite["profiles"]:
        raise InputError(f"suite.yaml: no profile {profile!r}; there are {', '.join(suite['profiles'])}")
    if not suite["notebooks"]:
        raise InputError("suite.yaml: notebooks: there are none to run")
    seconds = math.ceil(read_recording(audio).seconds) if audio else 0
    heads = {one: out or folders.head(audio, one.name) for one in (USUAL, method)}

    def step_of(entry: dict[str, Any], method: Method) -> Step:
        own = default_parameters(NOTEBOOKS / f"{entry['name']}.ipynb")
        method = method if "METHOD" in own else USUAL
        head, chosen = heads[method], entry["profiles"][profile]
        places = {"profile": profile, "run": folders.results.relative_to(ROOT).as_posix(), "model": MODELS[method.name],
                  "head": (head.relative_to(ROOT) if head.is_relative_to(ROOT) else head).as_posix()}
        outputs, reads = (tuple(dict.fromkeys(path.format(**places) for path in entry.get(key, ())))
                          for key in ("outputs", "reads"))
        more = chosen.get("another_method", {}) if method.parameters else {}
        budget, usual = (chosen[time] + more.get(time, 0) + seconds * entry.get(f"{time}_a_second", 0)
                         for time in ("budget", "usual"))
        step = Step(entry["name"], tuple(entry.get("needs", ())), outputs, reads,
                    {"PROFILE": profile, **chosen.get("parameters", {})}, budget, usual)
        step.parameters.update({name: value for name, value in method.parameters.items() if name in own})
        if folders.run and "RUN" in own:
            step.parameters["RUN"] = folders.run
        if audio and "AUDIO" in own:
            step.parameters["AUDIO"] = _unicode(audio.resolve())
        if not film and "FILM" in own:
            step.parameters["FILM"] = False
            step = replace(step, outputs=tuple(path for path in outputs if not path.endswith(".mp4")))
        return step

    steps = [(entry, step_of(entry, method)) for entry in suite["notebooks"]]
    return [replace(step, plain=step_of(entry, USUAL)) if method != USUAL and "METHOD" in step.parameters else step
            for entry, step in steps]


def _unicode(path: Path) -> str:
    if not is_unicode(path):
        raise InputError(f"{path}: the name is not Unicode, so no notebook can hold it; rename the file")
    return str(path)


def key_of(step: Step, records: dict[str, Any], draws: bool) -> str:
    """Return a hash over everything the step's results follow from: its code, the library's, parameters and inputs.

    Args:
        step: of the suite.
        records: of the steps before, what their stamps say.
        draws: whether this machine can draw in 3-D.
    """
    digest = hashlib.sha256(code_checksum(sources=code_cells(step.source)).encode())
    audio = step.parameters.get("AUDIO")
    digest.update(json.dumps([step.parameters, sha256(audio) if audio else None, draws], sort_keys=True).encode())
    read = [records[name] for name in step.needs] + [fingerprint(ROOT / path) for path in step.reads]
    digest.update(json.dumps(read, sort_keys=True).encode())
    return digest.hexdigest()


def fingerprint(path: Path) -> str | None:
    """Return a hash of a file, or of a folder's file names and sizes; None where there is nothing."""
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        return None
    listing = [f"{file.relative_to(path)} {file.stat().st_size}" for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def is_done(step: Step, key: str, folder: Path) -> bool:
    """Say whether a stamp tells of a whole run with this key whose outputs are all as it left them."""
    if not (_stamp(folder, step).is_file() and _executed(folder, step).is_file()):
        return False
    record = read_json(_stamp(folder, step))
    return record["key"] == key and record["outputs"] == {path: fingerprint(ROOT / path) for path in step.outputs}


def execute(step: Step, folder: Path, draws: bool) -> None:
    """Run one notebook of the suite and leave the executed copy in ``folder``; see :func:`execute_notebook`."""
    with notebook_threads(1) as submit:
        submit(execute_notebook, step.source, _executed(folder, step), step.parameters, name=step.name, budget=step.budget,
               cwd=ROOT, draws=draws).result()


def unfinished(steps: list[Step], folder: Path) -> list[str]:
    """Return the steps that are not done, pictures included, with the code that there is now."""
    records: dict[str, Any] = {}
    left = []
    for step in steps:
        if set(step.needs) <= records.keys() and is_done(step, key_of(step, records, True), folder):
            records[step.name] = read_json(_stamp(folder, step))
        else:
            left.append(step.name)
    return left


def run(steps: list[Step], wanted: set[str], folder: Path, *, force: bool, draws: bool) -> list[str]:
    """Run the wanted steps and what they need, skipping what is done; return the names of those that ran.

    Args:
        steps: the suite.
        wanted: names of steps.
        folder: of the executed notebooks, in that of the run.
        force: whether wanted steps that are done run again.
        draws: whether this machine can draw in 3-D.

    Raises:
        InputError: a parameter that a notebook does not have (before anything runs), or bad input that one met.
        StepFailed: a notebook failed, or ended without leaving its outputs.
    """
    needed = set(wanted)
    for step in reversed(steps):
        if step.name in needed:
            needed.update(step.needs)
    chosen = [step for step in steps if step.name in needed]
    for step in chosen:
        check_parameters(step.source, step.parameters, "suite.yaml: ")
    records: dict[str, Any] = {}
    plain: dict[str, Any] = {}  # the records as the default method leaves them: the other steps' inputs
    ran: list[str] = []
    bar = TimeLeft(sum(step.usual for step in chosen), folder.parent / "models")
    with own_folder(folder.parent, others=True), contextlib.closing(bar):
        for step in chosen:
            key = key_of(step, records if step.plain else plain, draws)
            if is_done(step, key, folder) and not (force and step.name in wanted):
                bar.skip(step.usual)
                tqdm.write(f"{step.label}: done before, nothing it depends on has changed", file=sys.stdout)
            else:
                start = time.monotonic()
                bar.begin(step.name, step.usual)
                try:
                    _run_step(step, key, folder, draws)
                finally:
                    bar.end()
                ran.append(step.name)
                tqdm.write(f"{step.label}: {time.monotonic() - start:.0f} s{step.to_look_at}", file=sys.stdout)
            records[step.name] = plain[step.name] = read_json(_stamp(folder, step))
            if step.plain:
                plain[step.name] = {"key": key_of(step.plain, plain, draws),
                                    "outputs": {path: fingerprint(ROOT / path) for path in step.plain.outputs}}
    return ran


def _run_step(step: Step, key: str, folder: Path, draws: bool) -> None:
    for left in (_stamp(folder, step), _executed(folder, step), failed_copy(_executed(folder, step))):
        remove(left)  # of an earlier run: nothing old may look like this one's
    execute(step, folder, draws)
    outputs = {path: fingerprint(ROOT / path) for path in step.outputs}
    absent = [path for path, value in outputs.items() if value is None]
    if absent and draws:
        raise StepFailed(f"{step.name}: ended without leaving {', '.join(absent)}")
    write_json(_stamp(folder, step), {"key": key, "outputs": outputs})


def _stamp(folder: Path, step: Step) -> Path:
    return folder / f"{step.label}.done.json"


def _executed(folder: Path, step: Step) -> Path:
    return folder / f"{step.label}.ipynb"


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = Parser(prog="python -m notebooks.driver.run", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default=DEFAULT_RUN, help="of suite.yaml (%(default)s)")
    parser.add_argument("--run", default="", metavar="NAME", help="what results/runs/NAME is called (as the profile)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these notebooks and what they need")
    parser.add_argument("--audio", type=Path, help="a recording to animate, sound or video")
    parser.add_argument("--no-film", action="store_true", help="leave out the film")
    add_method_arguments(parser)
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                        help="set a parameter of the notebooks named by --only")
    parser.add_argument("--force", action="store_true", help="run again what is done")
    options = parser.parse_args(arguments)
    os.environ["TQDM_DISABLE"] = "1"
    return _main(options)


def _main(options: argparse.Namespace) -> int:
    folders = Folders(options.profile, "" if options.run == options.profile else options.run, ROOT)
    texts = dict(options.parameter)
    out = Path(os.path.abspath(texts["OUT"])) if texts.get("OUT") else None  # from where the command was given
    steps = read_suite(folders, options.audio, out, film=not options.no_film, method=method_of(options))
    names = [step.name for step in steps]
    wanted = set(options.only or names)
    if unknown := wanted - set(names):
        raise InputError(f"no notebook {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.parameter and not options.only:
        raise InputError("--parameter needs --only, to say whose parameter it is")
    for name, option in (("AUDIO", "the recording by --audio, which looks at it before anything runs"),
                         ("PROFILE", "it by --profile"), ("RUN", "it by --run"), ("FILM", "--no-film"),
                         ("METHOD", "it by --method"), ("KEYS", "them by --keys"), ("TEXT", "it by --text")):
        if name in texts:
            raise InputError(f"--parameter {name}: give {option}")
    for step in [*steps, *(step.plain for step in steps if step.plain)]:
        if options.only and step.name in wanted:
            step.parameters.update({name: parse_parameter(step.source, name, text) for name, text in texts.items()})
            step.parameters.update({"OUT": str(out)} if out else {})
    try:
        ensure_rendering()
        unable = None
    except RenderingUnavailable as error:
        unable = error
        print(f"{error}. Everything but the pictures is done now.", file=sys.stderr)
    if out:
        refuse_overlap(out, [options.audio] if options.audio else [])
        claim(out)
    run(steps, wanted, folders.notebooks, force=options.force, draws=unable is None)
    if unable:
        raise unable
    return 0
