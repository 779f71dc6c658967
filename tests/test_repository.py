"""What is committed: small, of no particular machine, and notebooks as they ran."""

import ast
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml

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
