"""What is committed: small, of no particular machine, and notebooks as they ran."""

import argparse
import ast
import re
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
import yaml

from notebooks.driver import compare, sweep
from notebooks.driver import published_table as paper
from notebooks.driver import run as suite
from notebooks.driver.method import Method
from notebooks.experiments.folders import REFERENCE, Folders
from tests.benchmarks.targets import add_target, target_of

ROOT = Path(__file__).resolve().parent.parent
LARGEST_FILE, LARGEST_SUM, LARGEST_NOTEBOOK = 25_000_000, 60_000_000, 1_000_000  # bytes, by the project's own aim
LONGEST_CELL = 25  # lines
MACHINE_PATH = re.compile(r"(?:file://|(?<![\w./})-]))/(?:work|root|home|tmp|Users|mnt|private)/\w")
URL = re.compile(r"(?:https?|ftp)://([\w.-]+)(:\d+)?")
PRIVATE = re.compile(r"^[\d.]+$|^[^.]+$|\.(?:internal|local|localdomain|lan|corp|intranet|home|svc|cluster)$")
HERE = ("127.0.0.1", "localhost", "0.0.0.0")


def tracked() -> list[Path]:
    """The files that git keeps, as they are in the working tree."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout, so nothing is tracked")
    return [file for name in listing.stdout.split("\0") if name and (file := ROOT / name).is_file()]


def texts():
    for file in tracked():
        content = file.read_bytes()
        if b"\0" not in content[:8192]:
            yield file.relative_to(ROOT), content.decode("utf-8", errors="replace")


def test_no_file_is_large_and_all_together_are_small():
    sizes = {file.relative_to(ROOT): file.stat().st_size for file in tracked()}
    assert [str(file) for file, size in sizes.items() if size > LARGEST_FILE] == []
    assert sum(sizes.values()) < LARGEST_SUM


@pytest.mark.parametrize("text, named", [
    ('File "/ho' 'me/me/x.py"', True), ("file:///ro" "ot/x", True), ("see /wo" "rk/x", True),
    ("https://example.org/home/x", False), ("../tmp/x", False), ("{root}/wo" "rk/x", False),
])
def test_machine_paths_are_told_from_others(text, named):
    assert bool(MACHINE_PATH.search(text)) == named


@pytest.mark.slow
def test_no_text_names_a_path_of_a_machine():
    assert [f"{file}: {found.group()}" for file, text in texts() for found in MACHINE_PATH.finditer(text)] == []


def is_private(host: str, port: str | None) -> bool:
    """Whether only some machines know a host: a number, a bare name, a private domain, or a port of its own."""
    return host not in HERE and bool(PRIVATE.search(host) or port)


@pytest.mark.parametrize("url, private", [
    ("https://example.org/simple", False), ("http://127.0.0.1:8888/lab", False), ("https://mirror.corp/simple", True),
    ("http://10.0.0.3/simple", True), ("http://registry:4873/", True), ("https://example.org:8081/", True),
])
def test_private_hosts_are_told_from_public_ones(url, private):
    assert is_private(*URL.match(url).groups()) == private


def test_no_text_names_a_private_host():
    own = Path(__file__).relative_to(ROOT)
    assert [f"{file}: {found.group()}" for file, text in texts() if file != own
            for found in URL.finditer(text) if is_private(*found.groups())] == []


def test_npm_packages_come_from_whatever_registry_npm_is_set_to():
    for file, text in texts():
        if file.name == "package-lock.json":
            assert '"resolved"' not in text, file


def names():
    suite = yaml.safe_load((ROOT / "notebooks" / "suite.yaml").read_text(encoding="utf-8"))
    return [entry["name"] for entry in suite["notebooks"]]


def test_every_notebook_of_the_suite_is_committed_and_no_other():
    committed = {file.stem for file in tracked() if file.parent == ROOT / "notebooks" and file.suffix == ".ipynb"}
    assert committed == set(names())


@pytest.fixture(params=names())
def notebook(request):
    """(file, notebook, its code cells) of each notebook of the suite."""
    file = ROOT / "notebooks" / f"{request.param}.ipynb"
    read = nbformat.read(file, as_version=4)
    return file, read, [cell for cell in read.cells if cell.cell_type == "code"]


def test_notebooks_are_small_and_sound(notebook):
    file, read, _ = notebook
    nbformat.validate(read)
    assert file.stat().st_size <= LARGEST_NOTEBOOK


def test_notebooks_are_executed_in_order_without_errors(notebook):
    _, _, code = notebook
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", cell.source


def test_notebooks_have_one_cell_of_parameters_and_it_is_the_first(notebook):
    """Plain literals, PROFILE = "fast" among them: the committed notebook is the fast run."""
    _, read, code = notebook
    assert [cell for cell in read.cells if "parameters" in cell.metadata.get("tags", ())] == code[:1]
    values = {}
    for statement in ast.parse(code[0].source).body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        values[statement.targets[0].id] = ast.literal_eval(statement.value)
    assert values["PROFILE"] == "fast"
    assert values.get("SEED", 0) == 0


def test_notebooks_have_short_cells_no_classes_and_no_metadata_of_a_run(notebook):
    _, _, code = notebook
    for cell in code:
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= LONGEST_CELL, cell.source
        assert not re.search(r"^class ", cell.source, re.M), cell.source
        assert cell.metadata.keys() <= {"tags"}, cell.metadata


OF_ONES_OWN = re.compile(r"\.\./|Path\(\"(?:data|results)\b")


def test_notebooks_find_their_folders_by_their_package_and_not_by_the_working_folder(notebook):
    """So that papermill from anywhere, and copies, work on the same ones."""
    _, _, code = notebook
    assert [cell.source for cell in code if OF_ONES_OWN.search(cell.source)] == []


def written(tmp_path) -> set[Path]:
    """Every file and folder that a person's commands write by default, and under a name of their own."""
    soundfile.write(tmp_path / "say.wav", np.full(16_000, 0.1), 16_000)
    plan = yaml.safe_load((ROOT / "notebooks" / "suite.yaml").read_text(encoding="utf-8"))
    places: set[Path] = set()
    for profile, run in [(profile, run) for profile in plan["profiles"] for run in ("", "mine")]:
        folders = Folders(profile, run)
        for audio in (None, tmp_path / "say.wav"):
            places |= {ROOT / path for method in (Method(), Method("kmtalk"))
                       for step in suite.read_suite(folders, audio, method=method) for path in step.outputs}
        places |= {folders.notebooks, folders.features, folders.bench / "claims.json", folders.results / "lab"}
    for entry in plan["sweeps"]:
        for one in (sweep.read_sweep_plan(entry["name"]), sweep.read_sweep_plan(entry["name"], "mine")):
            places |= {place(cell, 0) for cell in one.cells for place in (one.work, one.result)}
            places |= {ROOT / one.parameters(cell, 0)["OUT"] for cell in one.cells}
    cell = suite.default_parameters(ROOT / "notebooks" / "sweeps" / "train_and_score.ipynb")
    places.add(ROOT / cell["OUT"])
    for name in paper.TABLES:
        folders = paper.folders_of(name, "", ROOT)
        places |= {folders.results / "row.json", folders.models, folders.corpus}
    for name in BENCHES:
        parser = argparse.ArgumentParser()
        add_target(parser)
        places |= {target_of(parser, parser.parse_args(words), name) for words in ([], ["--run", "mine"])}
    return places | {compare.target_of("mine", "reference", ROOT)}


BENCHES = sorted(name for file in (ROOT / "tests" / "benchmarks").glob("*.py")
                 for name in re.findall(r'target_of\(parser, .*"(\w+)"\)', file.read_text(encoding="utf-8")))


@pytest.mark.slow
def test_nothing_that_a_person_runs_writes_where_git_keeps_files(tmp_path):
    """Whatever is run, in any order, the checkout stays as it was."""
    assert BENCHES == ["encoder", "inspector", "model", "sliced_wasserstein", "training_directions"]
    places = written(tmp_path)
    kept = {file.resolve() for file in tracked()}
    assert [place for place in places if place in kept or place.is_relative_to(REFERENCE)] == []
    names = "\0".join(sorted(place.relative_to(ROOT).as_posix() for place in places))
    said = subprocess.run(["git", "check-ignore", "-z", "--stdin"], cwd=ROOT, input=names, capture_output=True, text=True,
                          check=False).stdout
    assert sorted(said.strip("\0").split("\0")) == names.split("\0") and len(places) > 100


def test_one_module_says_where_results_lie():
    """Everything else asks it, so that no command has a default of its own among what is committed."""
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
             for folder in ("notebooks", "tests/benchmarks") for file in (ROOT / folder).rglob("*.py")}
    assert [name for name, text in texts.items() if re.search(r"[\"']results[\"'/]", text)] == [
        "notebooks/experiments/folders.py"]
