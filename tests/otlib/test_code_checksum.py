"""Which code a result follows from: what counts, what does not, and how far it is followed."""

import pytest

from otlib import code_checksum as provenance
from otlib.code_checksum import code_checksum

CODE = "from tests.deep.helper import step\n\n\ndef walk(x):\n    return step(x) + 1\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two modules, as the package that is found first: a function writes a file of it."""
    def write(name, text):
        file = tmp_path / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        forget()

    def forget():
        for cache in (provenance._file_of, provenance._module, provenance._face):
            cache.cache_clear()

    class Finder:
        @staticmethod
        def find_spec(name):
            return type("Spec", (), {"submodule_search_locations": [str(tmp_path / name)]})

    monkeypatch.setattr(provenance.importlib.util, "find_spec", Finder.find_spec)
    write("walk.py", CODE)
    write("deep/helper.py", "def step(x):\n    return 2 * x\n")
    write("deep/other.py", "UNUSED = 1\n")
    yield write
    forget()


@pytest.mark.parametrize(("name", "text"), [
    ("walk.py", '"""What it does."""\n' + CODE.replace("    return", '    """How."""  # why\n    return')),
    ("walk.py", "import sys\n" + CODE.replace("helper import step", "helper import step, sys")),
    ("deep/other.py", "UNUSED = 2\n"),
    ("deep/__init__.py", "NOT_FOLLOWED = 1\n"),
])
def test_what_does_not_count(project, name, text):
    before = code_checksum("tests.walk")
    project(name, text)
    assert code_checksum("tests.walk") == before


@pytest.mark.parametrize(("name", "text"), [
    ("walk.py", CODE.replace("+ 1", "+ 2")),
    ("walk.py", CODE.replace("(x) +", "(-x) +")),
    ("deep/helper.py", "def step(x):\n    return 3 * x\n"),
    ("deep/table.npz", "data"),
    ("deep/weights/model.bin", "data"),
])
def test_what_counts(project, name, text):
    before = code_checksum("tests.walk")
    project(name, text)
    assert code_checksum("tests.walk") != before


def test_a_moved_module_is_the_same(project):
    before = code_checksum("tests.walk")
    project("elsewhere/steps.py", "def step(x):\n    return 2 * x\n")
    project("walk.py", CODE.replace("deep.helper", "elsewhere.steps"))
    assert code_checksum("tests.walk") == before


def test_a_program_that_is_started_by_name_is_followed(project):
    project("start.py", 'COMMAND = ["python", "-m", "tests.program"]\n')
    project("program/__init__.py", "")
    project("program/__main__.py", "print(1)\n")
    before = code_checksum("tests.start")
    project("program/__main__.py", "print(2)\n")
    assert code_checksum("tests.start") != before


@pytest.mark.parametrize(("imports", "followed"), [
    ("from tests.package import step", {"deep.helper"}),
    ("from tests.package import step, other", {"deep.helper", "deep.other"}),
    ("import tests.package", {"deep.helper", "deep.other"}),  # any name of it may follow
    ("from tests.package import *", {"deep.helper", "deep.other"}),
    ("from tests.package.own import thing", set()),
])
def test_a_name_of_a_package_s_face_is_followed_to_its_module(project, imports, followed):
    project("package/__init__.py", 'FACE = {"step": "tests.deep.helper", "other": "tests.deep.other"}\n')
    project("package/own.py", "thing = 1\n")
    project("face.py", f"{imports}\n")
    before = code_checksum("tests.face")
    for module, text in (("deep.helper", "def step(x):\n    return 5 * x\n"), ("deep.other", "UNUSED = 5\n")):
        project(f"{module.replace('.', '/')}.py", text)
        assert (code_checksum("tests.face") != before) == (module in followed), module
        before = code_checksum("tests.face")


def test_a_notebook_that_imports_one_name_of_otlib_follows_from_its_module_alone():
    tree = provenance.ast.parse("from otlib import sliced_wasserstein, Topology")
    assert list(provenance._named(tree)) == ["otlib.measures.sliced", "otlib.topology"]


def test_cells_of_a_notebook_are_followed_and_magic_is_left_out(project):
    cells = ["%matplotlib inline\nfrom tests.walk import walk", "walk(1)  # a comment", "await walk(2)"]
    before = code_checksum(sources=cells)
    assert code_checksum(sources=["from tests.walk import walk", "walk(1)", "await walk(2)"]) == before
    project("deep/helper.py", "def step(x):\n    return x\n")
    assert code_checksum(sources=cells) != before


def test_what_is_not_there_and_what_is_not_python_are_refused(project):
    with pytest.raises(ValueError, match="no module tests.nothing"):
        code_checksum("tests.nothing")
    with pytest.raises(ValueError, match="not Python"):
        code_checksum(sources=["1 +"])


def test_the_training_follows_from_losses_and_not_from_pictures():
    seen, waiting = set(), ["otlib.train.loop"]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            file = provenance._file_of(module)
            waiting += provenance._module(file, file.stat().st_mtime_ns)[1]
    assert {"otlib.losses", "otlib.measures.compiled.sliced_numba", "otlib.meshes.hierarchy"} <= seen
    assert not [module for module in seen if module.split(".")[1] in ("viz", "inspector", "export")]

