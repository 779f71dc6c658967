"""From the executed copies of a run to the notebooks that are committed."""

import nbformat
import pytest

from notebooks.driver import publish
from notebooks.driver.publish import clean


def executed(**changes):
    """A notebook as papermill leaves it: prose, parameters, and a cell that printed."""
    cells = [nbformat.v4.new_markdown_cell("prose"),
             nbformat.v4.new_code_cell("SEED = 0", execution_count=1, metadata={"tags": ["parameters"], **times()}),
             nbformat.v4.new_code_cell("print(1)", execution_count=2, metadata={"tags": ["nbval-check-output"], **times()},
                                       outputs=[nbformat.v4.new_output("stream", name="stdout", text="1\n")])]
    cells[2].update(changes)
    return nbformat.v4.new_notebook(cells=cells, metadata={"papermill": {"duration": 1.5, "input_path": "/somewhere"},
                                                           "language_info": {"name": "python", "version": "3.11.7"}})


def times():
    return {"papermill": {"duration": 0.1}, "execution": {"iopub.execute_input": "2026-01-01"}}


def test_what_differs_from_run_to_run_is_stripped():
    notebook = clean(executed())
    assert notebook.metadata == {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
                                 "language_info": {"name": "python"}}
    assert [cell.metadata for cell in notebook.cells] == [{}, {"tags": ["parameters"]}, {"tags": ["nbval-check-output"]}]
    assert notebook.cells[2].outputs[0].text == "1\n"
    nbformat.validate(notebook)


@pytest.mark.parametrize("changes, reason", [
    ({"execution_count": 3}, "not run 1..n in order"),
    ({"execution_count": None}, "not run 1..n in order"),
    ({"metadata": {"tags": ["injected-parameters"]}}, "run with parameters of its own"),
    ({"outputs": [nbformat.v4.new_output("stream", name="stderr", text="oh")]}, "cell 2 wrote an error or to stderr"),
    ({"outputs": [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]}, "cell 2 wrote an error"),
])
def test_a_copy_not_fit_to_commit_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        clean(executed(**changes))


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("notebooks", "executed"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(publish, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(publish, "EXECUTED", tmp_path / "executed")
    for name in ("01_a", "02_b"):
        nbformat.write(nbformat.v4.new_notebook(), tmp_path / "notebooks" / f"{name}.ipynb")
        nbformat.write(executed(), tmp_path / "executed" / f"{name}.ipynb")
    return tmp_path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_notebook_is_replaced_by_its_executed_copy(folders, capsys):
    assert publish.main() == 0
    for file in (folders / "notebooks").iterdir():
        assert len(nbformat.read(file, as_version=4).cells) == 3
    assert capsys.readouterr().out.count("MB") == 2
    once = content(folders / "notebooks")
    assert publish.main() == 0 and content(folders / "notebooks") == once


@pytest.mark.parametrize("spoil, reason", [
    (lambda file: file.unlink(), "02_b.ipynb: no executed copy; run `make notebooks`"),
    (lambda file: nbformat.write(executed(execution_count=7), file), "02_b.ipynb: its cells were not run 1..n in order"),
])
def test_all_are_published_or_none(folders, capsys, spoil, reason):
    before = content(folders / "notebooks")
    spoil(folders / "executed" / "02_b.ipynb")
    assert publish.main() == 1
    assert reason in capsys.readouterr().err
    assert content(folders / "notebooks") == before
