"""Copies of the notebooks to work on: made once, never written over, in the run's own folders."""

import os

import nbformat
import pytest

from notebooks.driver import copy_notebooks as lab
from notebooks.experiments.folders import Folders


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    for name in ("01_a", "02_b"):
        cell = nbformat.v4.new_code_cell('PROFILE = "fast"\nRUN = ""  # whose', metadata={"tags": ["parameters"]})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell("1")]),
                       tmp_path / "notebooks" / f"{name}.ipynb")
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    return tmp_path


def test_copies_are_made_once_and_a_persons_edits_are_kept(root, capsys):
    committed = {file: file.read_bytes() for file in (root / "notebooks").iterdir()}
    assert lab.main([]) == 0
    folder = root / "results/runs/fast/lab"
    assert f"{folder}: 2 notebooks copied, 0 left as you have them" in capsys.readouterr().out
    assert {file.name: nbformat.read(file, 4) for file in folder.iterdir()} == {
        file.name: nbformat.read(file, 4) for file in committed}
    (folder / "02_b.ipynb").write_text("edited")
    (folder / "01_a.ipynb").unlink()
    assert lab.main([]) == 0
    assert "1 notebooks copied, 1 left as you have them" in capsys.readouterr().out
    assert (folder / "02_b.ipynb").read_text() == "edited" and (folder / "01_a.ipynb").is_file()
    assert {file: file.read_bytes() for file in committed} == committed


def test_a_copy_works_in_the_run_that_it_was_made_for(root):
    assert lab.main(["--run", "mine"]) == 0
    notebook = nbformat.read(Folders(run="mine", root=root).results / "lab" / "01_a.ipynb", 4)
    assert notebook.cells[0].source == 'PROFILE = "fast"\nRUN = "mine"  # whose'


def test_a_name_that_no_run_can_have_is_refused(root, capsys):
    assert lab.main(["--run", "../x"]) == 2
    assert capsys.readouterr().err.startswith("error: run '../x': choose a name")
    assert not (root / "results").exists()


@pytest.mark.parametrize("content", ["[", "[]", "{}{}", "text"])
def test_what_is_no_notebook_is_refused_and_nothing_is_copied(root, capsys, content):
    (root / "notebooks/02_b.ipynb").write_text(content)
    assert lab.main([]) == 2
    said = capsys.readouterr().err
    assert "notebooks/02_b.ipynb: is not a notebook" in said and said.count("\n") == 1
    assert not (root / "results").exists()


def test_a_pipe_in_place_of_a_notebook_is_refused(root, capsys):
    (root / "notebooks/02_b.ipynb").unlink()
    os.mkfifo(root / "notebooks/02_b.ipynb")
    assert lab.main([]) == 2
    assert "notebooks/02_b.ipynb: is a pipe or a device" in capsys.readouterr().err
