"""The driver of the notebooks, on a suite of two tiny ones: what runs, what is skipped, and how it fails."""

import hashlib
import json
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
import yaml
from jupyter_client import LocalPortCache

from notebooks.driver import execution
from notebooks.driver import run as driver
from notebooks.driver.time_left import training_progress
from notebooks.experiments.folders import Folders
from otlib.errors import InputError
from otlib.files import atomic_write, write_json
from otlib.own_files import LEDGER
from otlib.viz.can_render import RenderingUnavailable

pytestmark = pytest.mark.slow

SUITE = {
    "profiles": ["fast", "full"],
    "notebooks": [
        {"name": "01_make", "outputs": ["data/{profile}/made.txt"],
         "profiles": {"fast": {"budget": 60, "usual": 3}, "full": {"budget": 60, "usual": 3, "parameters": {"COUNT": 30}}}},
        {"name": "02_use", "needs": ["01_make"], "outputs": ["{head}/used.txt"], "reads": ["results/reference/table.json"],
         "profiles": {"fast": {"budget": 60, "usual": 3}, "full": {"budget": 60, "usual": 3}}},
    ],
}
MAKE = ('PROFILE = "fast"\nCOUNT = 3  # at least 1\nRATE = 1e-3',
        'from pathlib import Path\nfolder = Path("data") / PROFILE\nfolder.mkdir(parents=True, exist_ok=True)\n'
        '(folder / "made.txt").write_text(str(COUNT))\nCOUNT')
USE = ('PROFILE = "fast"\nRUN = ""\nAUDIO = ""',
       'from pathlib import Path\nfolder = Path("results/runs") / (RUN or PROFILE)\n'
       'folder.mkdir(parents=True, exist_ok=True)\n'
       '(folder / "used.txt").write_text((Path("data") / PROFILE / "made.txt").read_text() * 2)')


def write_notebook(file, cells, tags=()):
    """Write a notebook: the first cell is tagged as parameters, the others as given."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3",
                                                                 "language": "python"}})
    for number, (source, tag) in enumerate(zip(cells, ("parameters", *tags, *[None] * len(cells)), strict=False)):
        cell = nbformat.v4.new_code_cell(source, id=f"cell{number}")
        if tag:
            cell.metadata["tags"] = [tag]
        notebook.cells.append(cell)
    nbformat.write(notebook, file)


def write_suite(root, suite=SUITE):
    (root / "notebooks" / "suite.yaml").write_text(yaml.safe_dump(suite))


def code_and_library(root, sources):
    """As code_checksum, of cells that import all of the repository's library."""
    library = [file.read_text() for part in ("otlib", "data_prep") for file in sorted((root / part).rglob("*.py"))]
    return hashlib.sha256("".join([*sources, *library]).encode()).hexdigest()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository of two notebooks and one line of library."""
    for folder in ("notebooks", "otlib", "data_prep"):
        (tmp_path / folder).mkdir()
    (tmp_path / "otlib" / "code.py").write_text("x = 1\n")
    write_notebook(tmp_path / "notebooks" / "01_make.ipynb", MAKE)
    write_notebook(tmp_path / "notebooks" / "02_use.ipynb", USE)
    write_suite(tmp_path)
    monkeypatch.setattr(driver, "ROOT", tmp_path)
    monkeypatch.setattr(driver, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(driver, "code_checksum", lambda sources: code_and_library(tmp_path, sources))
    monkeypatch.setattr(driver, "ensure_rendering", lambda: "fake")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    return tmp_path


@pytest.fixture
def ran(root, monkeypatch):
    """The names of the notebooks that ran, without kernels: the parameters become the outputs' content."""
    names = []

    def execute(step, folder, draws):
        names.append(step.name)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / f"{step.name}.ipynb") as written:
            written.write_text("executed")
        for path in step.outputs:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(json.dumps(step.parameters))

    monkeypatch.setattr(driver, "execute", execute)
    return names


def after(ran, *arguments):
    """Run the driver; return what ran."""
    ran.clear()
    assert driver.main(list(arguments)) == 0
    return list(ran)


def executed(root, name="01_make"):
    return nbformat.read(root / "results/runs/fast/notebooks" / f"{name}.ipynb", as_version=4)


def left(root):
    return sorted(path.name for path in (root / "results/runs/fast/notebooks").iterdir())


def suite(root, profile="fast"):
    return driver.read_suite(Folders(profile, root=root))


def recording(folder, samples=8000):
    file = folder / "hello.wav"
    soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, samples), 16_000)
    return file


def test_the_suite_runs_in_order_and_leaves_copies_stamps_and_outputs(root, capsys):
    assert driver.main([]) == 0
    assert (root / "results/runs/fast/used.txt").read_text() == "33"
    assert left(root) == ["01_make.done.json", "01_make.ipynb", "02_use.done.json", "02_use.ipynb"]
    copy = executed(root)
    assert [cell.execution_count for cell in copy.cells] == [1, 2]  # what equals the notebook's own is not injected
    assert copy.cells[1].outputs[0].data["text/plain"] == "3"
    assert capsys.readouterr().out.count(" s\n") == 2
    assert driver.main([]) == 0
    assert capsys.readouterr().out.count("done before, nothing it depends on has changed") == 2
    assert driver.main(["--only", "01_make", "-p", "COUNT", "4"]) == 0
    copy = executed(root)
    assert "injected-parameters" in copy.cells[1].metadata.tags and "COUNT = 4" in copy.cells[1].source
    assert (root / "data" / "fast" / "made.txt").read_text() == "4"


CONNECTION = """
import json, ipykernel
with open("said.json", "w") as file:
    json.dump(ipykernel.get_connection_info(unpack=True), file, default=str)
"""


@pytest.mark.skipif(execution._TRANSPORT != "ipc", reason="Windows has no other transport than ports")
@pytest.mark.parametrize("letters", [1, 150])
def test_a_kernel_needs_no_port(root, tmp_path, monkeypatch, letters):
    """Every port that it is told to take is another's; and a long name of the temporary folder is no hindrance."""
    scratch = tmp_path / ("t" * letters)
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_notebook(root / "notebooks" / "01_make.ipynb", (*MAKE, CONNECTION))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(LocalPortCache, "find_available_port", lambda cache, ip: taken.getsockname()[1])
        assert driver.main(["--only", "01_make"]) == 0
    said = json.loads((root / "said.json").read_text())
    assert said["transport"] == "ipc"
    assert not Path(said["ip"]).parent.exists() and not list(scratch.iterdir())  # nothing is left behind


@pytest.mark.skipif(execution._TRANSPORT != "ipc", reason="Windows has no other transport than ports")
def test_nbvals_kernels_need_no_port_either(tmp_path):
    write_notebook(tmp_path / "one.ipynb", ("import ipykernel", "assert ipykernel.get_connection_info(unpack=True)"
                                            "['transport'] == 'ipc'"))
    notebooks = Path(execution.__file__).parents[1]
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "notebooks.conftest", "-p", "no:xdist", "-c",
                           notebooks / "pytest.ini", tmp_path / "one.ipynb"], cwd=notebooks.parent, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("failures, status", [(2, 0), (3, 1)])
def test_where_there_are_only_ports_a_kernel_is_started_again(root, monkeypatch, capsys, failures, status):
    """As on Windows."""
    tries, run = [], execution.papermill.execute_notebook

    def unlucky(*arguments, config, **options):
        tries.append(config)
        if len(tries) <= failures:
            raise RuntimeError("Kernel died before replying to kernel_info")
        run(*arguments, config=config, **options)

    monkeypatch.setattr(execution, "_TRANSPORT", "tcp")
    monkeypatch.setattr(execution.papermill, "execute_notebook", unlucky)
    assert driver.main(["--only", "01_make"]) == status
    assert len(tries) == 3 and all(config["KernelManager"].keys() == {"connection_file"} for config in tries)
    assert ("01_make: Kernel died before replying" in capsys.readouterr().err) == bool(status)


def test_a_kernel_that_dies_in_a_cell_is_not_started_again(root, capsys, monkeypatch):
    monkeypatch.setitem(execution._STARTS, execution._TRANSPORT, 3)
    die = "import os\nopen('lives', 'a').write('x')\nos._exit(1)"
    write_notebook(root / "notebooks" / "01_make.ipynb", (*MAKE, die))
    assert driver.main(["--only", "01_make"]) == 1
    assert (root / "lives").read_text() == "x"
    assert "01_make: its kernel died" in capsys.readouterr().err


def test_a_finished_step_is_skipped(ran):
    assert after(ran) == ["01_make", "02_use"]
    assert after(ran) == []
    assert after(ran, "--force") == ["01_make", "02_use"]
    assert after(ran, "--force", "--only", "02_use") == ["02_use"]


def test_pages_and_films_are_named_as_soon_as_they_are_there(ran, root, capsys):
    made, used = SUITE["notebooks"]
    outputs = {"outputs": ["{head}/used.txt", "{head}/page.html", "{head}/a.mp4"]}
    write_suite(root, SUITE | {"notebooks": [made, used | outputs]})
    more = 'for name in ("page.html", "a.mp4"):\n    (folder / name).write_text("")'
    write_notebook(root / "notebooks" / "02_use.ipynb", (*USE, more))
    after(ran)
    said = capsys.readouterr().out.splitlines()
    assert [line.partition("; ")[2] for line in said if " s" in line] == [
        "", "to look at: results/runs/fast/page.html, results/runs/fast/a.mp4"]


def test_a_notebook_brings_what_it_needs(ran):
    assert after(ran, "--only", "02_use") == ["01_make", "02_use"]
    assert after(ran) == []


@pytest.mark.parametrize("change, again", [
    (lambda root: write_notebook(root / "notebooks" / "01_make.ipynb", (*MAKE, "1 + 1")), ["01_make", "02_use"]),
    (lambda root: write_notebook(root / "notebooks" / "02_use.ipynb", (*USE, "1 + 1")), ["02_use"]),
    (lambda root: (root / "otlib" / "code.py").write_text("x = 2\n"), ["01_make", "02_use"]),
    (lambda root: (root / "data_prep" / "more.py").write_text("y = 2\n"), ["01_make", "02_use"]),
    (lambda root: (root / "results/runs/fast/used.txt").unlink(), ["02_use"]),
    (lambda root: (root / "results/runs/fast/used.txt").write_text("else"), ["02_use"]),
    (lambda root: (root / "data" / "fast" / "made.txt").unlink(), ["01_make"]),  # comes back with the same content
    (lambda root: (root / "results/runs/fast/notebooks/02_use.ipynb").unlink(), ["02_use"]),
    (lambda root: (root / "results/runs/fast/notebooks/02_use.done.json").unlink(), ["02_use"]),
    (lambda root: write_json(root / "results/reference/table.json", {}), ["02_use"]),  # what it reads where it is there
    (lambda root: (root / "otlib" / "__pycache__").mkdir() or (root / "otlib" / "__pycache__" / "a.pyc").write_text(""), []),
])
def test_a_step_runs_again_when_something_it_depends_on_has_changed(root, ran, change, again):
    after(ran)
    change(root)
    assert after(ran) == again
    assert after(ran) == []


def test_prose_does_not_make_a_step_run_again(root, ran):
    after(ran)
    file = root / "notebooks" / "01_make.ipynb"
    notebook = nbformat.read(file, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("words"))
    nbformat.write(notebook, file)
    assert after(ran) == []


def test_a_step_runs_again_when_its_input_came_out_otherwise(root, ran, monkeypatch):
    """Same code, same parameters, but the step before leaves something else (another machine, another version)."""
    after(ran)
    execute = driver.execute

    def otherwise(step, folder, draws):
        execute(step, folder, draws)
        if step.name == "01_make":
            (root / step.outputs[0]).write_text("otherwise")

    monkeypatch.setattr(driver, "execute", otherwise)
    (root / "data" / "fast" / "made.txt").unlink()
    assert after(ran) == ["01_make", "02_use"]


def test_a_parameter_of_the_command_line_makes_its_step_run_again(ran):
    after(ran)
    assert after(ran, "--only", "01_make", "-p", "COUNT", "5") == ["01_make"]
    assert after(ran, "--only", "01_make", "-p", "COUNT", "5") == []
    assert after(ran) == ["01_make"]  # and 02_use then has the input that it had


def test_profiles_have_parameters_and_folders_of_their_own(root, ran):
    after(ran)
    assert after(ran, "--profile", "full") == ["01_make", "02_use"]
    assert json.loads((root / "data" / "full" / "made.txt").read_text()) == {"PROFILE": "full", "COUNT": 30}
    assert after(ran) == []


def test_runs_have_folders_of_their_own_and_share_the_corpus(root, capsys):
    assert driver.main(["--only", "02_use"]) == driver.main(["--run", "mine"]) == driver.main(["--run", "fast"]) == 0
    runs = {path.name: sorted(file.name for file in path.iterdir()) for path in (root / "results/runs").iterdir()}
    assert runs == dict.fromkeys(("fast", "mine"), [LEDGER, "notebooks", "used.txt"])
    assert "01_make" in capsys.readouterr().out.splitlines()[-2]  # 02_use comes after it
    copy = nbformat.read(root / "results/runs/mine/notebooks/02_use.ipynb", as_version=4)
    assert 'RUN = "mine"' in copy.cells[1].source and [path.name for path in (root / "data").iterdir()] == ["fast"]
    assert driver.main(["--run", "mine"]) == 0
    assert capsys.readouterr().out.count("done before") == 2


def test_what_is_unfinished_is_named(root, ran):
    steps, folder = suite(root), root / "results/runs/fast/notebooks"
    assert driver.unfinished(steps, folder) == ["01_make", "02_use"]
    after(ran)
    assert driver.unfinished(steps, folder) == []
    write_notebook(root / "notebooks" / "02_use.ipynb", (*USE, "1 + 1"))
    assert driver.unfinished(steps, folder) == ["02_use"]
    (root / "otlib" / "code.py").write_text("x = 2\n")
    assert driver.unfinished(steps, folder) == ["01_make", "02_use"]


def test_a_recording_has_a_folder_of_its_own(root, ran, tmp_path):
    after(ran)
    file = recording(tmp_path)
    assert after(ran, "--audio", str(file)) == ["02_use"]
    [used] = (root / "results/runs/fast/talks").glob("hello-*/used.txt")
    assert json.loads(used.read_text()) == {"PROFILE": "fast", "AUDIO": str(file.resolve())}
    assert after(ran, "--audio", str(file)) == []
    used.unlink()
    assert after(ran, "--audio", str(file)) == ["02_use"]
    recording(tmp_path, 9000)
    assert after(ran, "--audio", str(file)) == ["02_use"]
    assert len(list((root / "results/runs/fast/talks").iterdir())) == 2  # neither overwrites the other's


@pytest.mark.parametrize("out, place", [("../elsewhere", "elsewhere/used.txt"), ("here", "work/here/used.txt")])
def test_a_folder_of_the_users_choice_is_seen_from_where_the_command_is_given(root, ran, monkeypatch, out, place):
    (root / "work").mkdir()
    monkeypatch.chdir(root / "work")
    write_notebook(root / "notebooks" / "02_use.ipynb", (USE[0] + '\nOUT = ""', USE[1]))
    assert "02_use" in after(ran, "--only", "02_use", "-p", "OUT", out)
    assert (root / place).is_file()


KINDS = "WHOLE = 1\nNUMBER = 0.5\nSWITCH = False\nTEXT = ''\nANY = None\nMORE = [1]"


@pytest.mark.parametrize("name, text, value", [
    ("WHOLE", "3", 3), ("WHOLE", "-1_000", -1000), ("NUMBER", "1e-3", 0.001), ("NUMBER", "2", 2), ("SWITCH", "true", True),
    ("SWITCH", "False", False), ("ANY", "null", None), ("ANY", "0.5", 0.5), ("ANY", "words", "words"),
    ("MORE", "[1, 2]", [1, 2]),
    *[("TEXT", text, text) for text in ("", "3", "true", "null", "@x", "2024-01-01", "{a", "- b", "a/b c.wav", "'", "ü\n")],
])
def test_a_parameter_is_read_as_the_notebooks_own_is(tmp_path, name, text, value):
    write_notebook(tmp_path / "kinds.ipynb", [KINDS])
    found = execution.parse_parameter(tmp_path / "kinds.ipynb", name, text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("name, text", [
    *[("WHOLE", text) for text in ("", "x", "@x", "1.5", "True", "2024-01-01", "[1]", "{", "1e999", "9" * 5000, "(" * 9999)],
    *[("NUMBER", text) for text in ("1e999", "nan", ".inf", "true", "1j", "'1'")],
    *[("SWITCH", text) for text in ("1", "maybe", "")],
    *[("ANY", text) for text in ("[1]", "{a: 1}", "1e999", "b'x'", "{1}", "&a b", "!!python/name:os.system x", ".inf")],
    ("TEXT", "\udcff"), ("MORE", "1"), ("OTHER", "1"),
])
def test_a_parameter_of_another_kind_is_refused_in_one_sentence(tmp_path, name, text):
    write_notebook(tmp_path / "kinds.ipynb", [KINDS])
    with pytest.raises(InputError, match=name) as refusal:
        execution.parse_parameter(tmp_path / "kinds.ipynb", name, text)
    assert "\n" not in str(refusal.value)


def _changed(path, value):
    """suite.yaml's text where one value, named by its path, is another; None: is not there."""
    suite = json.loads(json.dumps(SUITE))
    inner = suite
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return yaml.safe_dump(suite)


FAST = ("notebooks", 0, "profiles", "fast")


@pytest.mark.parametrize("text", [
    "", "a: [", "- 1", "3", "\x00", "*a", "a: &a [*a]", "2024-01-01", "{" * 500, "!!python/object/apply:os.system [true]",
    *[_changed(["profiles"], value) for value in ("fast", [], ["fast", "fast"], [1], ["../x"], ["fast"], {"fast": 1}, None)],
    *[_changed(["notebooks"], value) for value in ({}, "x", [], [1], [[]], [{}], None)],
    *[_changed(["notebooks", 0, "name"], value) for value in (1, "", "../01_make", "02_use", "03_absent", "a\nb", [], None)],
    *[_changed(["notebooks", 1, "needs"], value) for value in ("01_make", [1], ["x"], ["02_use"])],
    *[_changed(["notebooks", 0, "outputs"], value)
      for value in ("x", [1], ["{other}/x"], ["{"], ["../x"], ["/x"], ["{run!r}"])],
    *[_changed([*FAST, "budget"], value) for value in ("60", 0, -1, 1.5, True, 10**30, [], None)],
    *[_changed([*FAST, "parameters"], value)
      for value in ([], "x", {"OTHER": 1}, {"COUNT": "x"}, {"COUNT": True}, {"RATE": [1]})],
    _changed([*FAST, "more"], 1), _changed(["more"], 1), _changed(["notebooks", 0, "profiles"], []),
    _changed(["sweeps"], [{"name": "x"}]),
])
def test_a_suite_of_another_form_is_refused_in_one_sentence(root, ran, capsys, text):
    (root / "notebooks" / "suite.yaml").write_text(text)
    assert driver.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and not ran
    assert ".yaml" in said or ".ipynb" in said


def test_a_suite_that_is_no_file_is_refused(root, ran, capsys):
    (root / "notebooks" / "suite.yaml").unlink()
    (root / "notebooks" / "suite.yaml").mkdir()
    assert driver.main([]) == 2
    assert "suite.yaml: is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"cells": 3}', "\x00"])
def test_what_is_no_notebook_is_refused_in_one_sentence(root, ran, capsys, content):
    (root / "notebooks" / "01_make.ipynb").write_text(content)
    assert driver.main([]) == 2
    said = capsys.readouterr().err
    assert "01_make.ipynb: is not a notebook" in said and said.count("\n") == 1


def test_a_budget_grows_with_the_recording(root, tmp_path):
    grown = _changed(["notebooks", 1, "budget_a_second"], 20)
    (root / "notebooks" / "suite.yaml").write_text(grown)
    long = recording(tmp_path, 16_000 * 90 + 1)
    plain, with_audio = (driver.read_suite(Folders(root=root), audio) for audio in (None, long))
    assert [step.budget for step in plain] == [60, 60] and [step.budget for step in with_audio] == [60, 60 + 20 * 91]


def test_the_time_left_counts_a_long_recording(root, tmp_path):
    grown = _changed(["notebooks", 1, "usual_a_second"], 2)
    (root / "notebooks" / "suite.yaml").write_text(grown)
    long = recording(tmp_path, 16_000 * 90 + 1)
    assert [[step.usual for step in driver.read_suite(Folders(root=root), audio)] for audio in (None, long)] == [
        [3, 3], [3, 3 + 2 * 91]]


def test_the_notebooks_own_parameters_are_read_as_python_reads_them(root):
    step = suite(root)[0]
    assert driver.default_parameters(step.source) == {"PROFILE": "fast", "COUNT": 3, "RATE": 0.001}


@pytest.mark.parametrize("arguments, sentence", [
    (["--only", "01_make", "-p", "COUNTS", "5"], "01_make.ipynb: has no parameter 'COUNTS'; it has COUNT, PROFILE, RATE"),
    (["-p", "COUNT", "5"], "--parameter needs --only"),
    (["--only", "02_use", "-p", "AUDIO", "a.wav"], "--parameter AUDIO: give the recording by --audio"),
    (["--only", "03_nothing"], "no notebook 03_nothing; there are 01_make, 02_use"),
    (["--only", "02_use", "-p", "RUN", "a"], "--parameter RUN: give it by --run"),
    (["--run", ".."], "run '..': choose a name"),
    (["--profile", "slow"], "suite.yaml: no profile 'slow'; there are fast, full"),
    (["--audio", "nowhere.wav"], "nowhere.wav: no such file"),
    (["--audio", "{suite}"], "suite.yaml: not a sound file"),
])
def test_what_cannot_be_used_is_refused_before_anything_runs(root, ran, capsys, arguments, sentence):
    arguments = [word.format(suite=root / "notebooks" / "suite.yaml") for word in arguments]
    assert driver.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and sentence in said and said.count("\n") == 1
    assert ran == [] and not (root / "results").exists()


def test_a_misspelt_parameter_of_a_later_step_is_refused_before_the_first_runs(root, ran, capsys):
    suite = json.loads(json.dumps(SUITE))
    suite["notebooks"][1]["profiles"]["fast"]["parameters"] = {"AUDI": "x"}
    write_suite(root, suite)
    assert driver.main([]) == 2
    assert "error: suite.yaml: 02_use.ipynb: has no parameter 'AUDI'; it has AUDIO, PROFILE" in capsys.readouterr().err
    assert ran == []


def test_a_suite_out_of_order_is_refused(root, capsys):
    write_suite(root, {**SUITE, "notebooks": SUITE["notebooks"][::-1]})
    assert driver.main([]) == 2
    assert "suite.yaml: 02_use needs 01_make, which must stand before it" in capsys.readouterr().err


def test_a_step_that_fails_leaves_nothing_that_looks_whole(root, capsys):
    """Not even of a run before; and what comes after it does not run."""
    assert driver.main(["--only", "01_make"]) == 0
    write_notebook(root / "notebooks" / "01_make.ipynb", (*MAKE, "1 / 0"))
    assert driver.main([]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said and "Traceback" not in said.split("ZeroDivisionError")[-1]
    assert left(root) == ["01_make.failed.ipynb"]
    write_notebook(root / "notebooks" / "01_make.ipynb", MAKE)
    assert driver.main(["--only", "01_make"]) == 0
    assert left(root) == ["01_make.done.json", "01_make.ipynb"]


def test_bad_input_inside_a_notebook_is_one_sentence_and_status_2(root, capsys):
    refuse = 'class InputError(ValueError): pass\nraise InputError("speech.wav: is no sound; give another")'
    write_notebook(root / "notebooks" / "01_make.ipynb", (MAKE[0], refuse))
    assert driver.main([]) == 2
    assert capsys.readouterr().err == "error: speech.wav: is no sound; give another\n"
    assert left(root) == []


def test_a_notebook_that_takes_too_long_is_stopped(root, capsys):
    step = replace(suite(root)[0], budget=1)
    write_notebook(root / "notebooks" / "01_make.ipynb", (MAKE[0], "import time; time.sleep(0.7)", "time.sleep(60)"))
    with pytest.raises(driver.StepFailed, match="01_make: took more than the 1 s that suite.yaml allows it"):
        driver.run([step], {"01_make"}, root / "results/runs/fast/notebooks", force=False, draws=True)
    assert "01_make.done.json" not in left(root) and "01_make.ipynb" not in left(root)


def test_a_step_without_its_outputs_has_failed(root, ran, monkeypatch, capsys):
    monkeypatch.setattr(driver, "execute", lambda step, folder, draws: None)
    assert driver.main([]) == 1
    assert "01_make: ended without leaving data/fast/made.txt" in capsys.readouterr().err
    assert not (root / "results/runs/fast/notebooks/01_make.done.json").exists()


def test_without_3d_everything_else_is_done_and_the_package_is_named(root, monkeypatch, capsys):
    write_notebook(root / "notebooks" / "01_make.ipynb", (MAKE[0], "assert False, 'drawn'", MAKE[1]), tags=("render",))

    def unavailable():
        raise RenderingUnavailable("3-D pictures cannot be drawn: run `apt-get install libegl1`")

    monkeypatch.setattr(driver, "ensure_rendering", unavailable)
    assert driver.main(["--only", "01_make"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("3-D pictures cannot be drawn") and "Everything but the pictures is done now." in said
    assert said.splitlines()[-1] == "error: 3-D pictures cannot be drawn: run `apt-get install libegl1`"
    assert len(executed(root).cells) == 2 and (root / "data" / "fast" / "made.txt").is_file()


def test_once_the_machine_can_draw_the_pictures_are_made(root, ran, monkeypatch):
    after(ran)
    folder, steps = root / "results/runs/fast/notebooks", suite(root)
    assert driver.run(steps, {"01_make"}, folder, force=False, draws=False) == ["01_make"]
    assert driver.run(steps, {"01_make"}, folder, force=False, draws=False) == []
    assert driver.run(steps, {"01_make"}, folder, force=False, draws=True) == ["01_make"]


def test_a_folder_is_done_when_its_names_and_sizes_are(root):
    folder = root / "data" / "corpus"
    (folder / "audio").mkdir(parents=True)
    (folder / "audio" / "a.wav").write_text("12")
    before = driver.fingerprint(folder)
    (folder / "audio" / "a.wav").write_text("21")
    assert driver.fingerprint(folder) == before is not None
    (folder / "audio" / "a.wav").write_text("210")
    assert driver.fingerprint(folder) != before
    assert driver.fingerprint(root / "nowhere") is None


def test_the_progress_of_a_training_is_read_from_its_log(tmp_path):
    assert training_progress(tmp_path, 60.0) == ""
    log = tmp_path / "ot_talk" / "log.jsonl"
    write_json(log, {})
    log.write_text('{"step": 1, "steps": 900}\n{"step": 120, "steps": 900}\n')
    assert training_progress(tmp_path, 60.0) == " (step 120 of 900)"
    assert training_progress(tmp_path, 0.0) == ""  # of the run before


def test_the_real_suite_can_be_read():
    for profile in ("fast", "full"):
        steps = driver.read_suite(Folders(profile))
        assert len({step.name for step in steps}) == len(steps) > 0
        for step in steps:
            driver.check_parameters(step.source, step.parameters)
            assert step.usual <= step.budget


def test_an_unknown_parameter_names_the_known_ones(root):
    step = suite(root)[0]
    step.parameters["SEEDS"] = 3
    with pytest.raises(InputError, match="has no parameter 'SEEDS'; it has COUNT, PROFILE, RATE"):
        driver.check_parameters(step.source, step.parameters)
