"""From a run to the reference and to the notebooks that are committed."""

import json
import subprocess

import nbformat
import pytest

from notebooks.driver import run as suite
from notebooks.driver import update_reference as publish
from notebooks.driver.update_reference import clean
from notebooks.experiments.folders import Folders
from otlib.files import atomic_write, read_json, write_json


def executed(**changes):
    """A notebook as papermill leaves it: prose, parameters, and a cell that printed."""
    cells = [nbformat.v4.new_markdown_cell("prose"),
             nbformat.v4.new_code_cell('PROFILE = "fast"', execution_count=1, metadata={"tags": ["parameters"], **times()}),
             nbformat.v4.new_code_cell("print(1)", execution_count=2, metadata={"tags": ["nbval-check-output"], **times()},
                                       outputs=[nbformat.v4.new_output("stream", name="stdout", text="1\n")])]
    cells[2].update(changes)
    return nbformat.v4.new_notebook(cells=cells, metadata={"papermill": {"duration": 1.5, "input_path": "/somewhere"},
                                                           "kernelspec": {"name": "python3", "display_name": "My Python"},
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
def root(tmp_path, monkeypatch):
    """A finished run of two notebooks, as the driver leaves it, and a reference of before."""
    (tmp_path / "notebooks").mkdir()
    for name in ("01_a", "02_b"):
        nbformat.write(executed(), tmp_path / "notebooks" / f"{name}.ipynb")
    entry = {"profiles": {"fast": {"budget": 60, "usual": 3}}}
    outputs = ["data/{profile}/corpus", "{run}/models/one/model", "{run}/card", "{run}/metrics.json", "{run}/run.json",
               "{run}/first_head.html"]
    (tmp_path / "notebooks" / "suite.yaml").write_text(json.dumps({"profiles": ["fast"], "notebooks": [
        {"name": "01_a", "outputs": outputs, **entry}, {"name": "02_b", "needs": ["01_a"], **entry}]}))
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(publish, "REFERENCE", tmp_path / "results" / "reference")
    monkeypatch.setattr(publish.readme, "main", lambda: print("pages") or 0)

    def execute(step, folder, draws):
        run = tmp_path / "results" / "runs" / "fast"
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / f"{step.name}.ipynb") as written:
            nbformat.write(executed(), written)
        for path in step.outputs:
            write_json(tmp_path / path, "made")
        if step.outputs:
            write_json(run / "run.json", {"commit": "abc"})
            (run / "card").unlink()
            write_json(run / "card" / "card.json", "card")

    monkeypatch.setattr(suite, "execute", execute)
    make(tmp_path)
    for file in ("metrics.json", "gone.png", "cost.json", "bench/model.json", "sweeps/trial/table.json", "card/old.json"):
        write_json(tmp_path / "results" / "reference" / file, "before")
    commit(tmp_path)
    return tmp_path


def commit(root):
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a", "commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", root, *words], check=True)


def make(root):
    folders = Folders(root=root)
    suite.run(suite.read_suite(folders), {"01_a", "02_b"}, folders.notebooks, force=False, draws=True)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and ".git" not in path.parts}


def test_a_finished_run_becomes_the_reference_and_its_notebooks_the_committed_ones(root, capsys):
    assert publish.main([]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "pages"
    reference = root / "results" / "reference"
    assert sorted(content(reference)) == ["bench/model.json", "card/card.json", "cost.json", "metrics.json", "run.json",
                                          "sweeps/trial/table.json"]
    assert read_json(reference / "metrics.json") == "made" and read_json(reference / "cost.json") == "before"
    for file in (root / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(file, as_version=4)
        assert "papermill" not in notebook.metadata and len(notebook.cells) == 3
    once = content(root)
    assert publish.main([]) == 0 and content(root) == once


@pytest.mark.parametrize("change", ["new", "edited", "in a folder"])
def test_what_git_could_not_bring_back_is_never_removed(root, capsys, change):
    mine = root / "results/reference" / {"new": "mine.txt", "edited": "gone.png", "in a folder": "card/mine.txt"}[change]
    mine.write_text("mine")
    before = content(root)
    assert publish.main([]) == 2 and content(root) == before
    assert f"{mine}: is not committed, so it is not replaced; commit it or move it away" in capsys.readouterr().err
    commit(root)
    assert publish.main([]) == 0 and not mine.exists()


def own_sweep(root):
    write_json(root / "results/runs/fast/sweeps/trial/table.json", "another")


@pytest.mark.parametrize("spoil, reason", [
    (lambda root: (root / "results/runs/fast/notebooks/02_b.done.json").unlink(), "not finished with the code as it is now "
     "(02_b)"),
    (lambda root: (root / "results/runs/fast/card/card.json").unlink(), "not finished with the code as it is now "
     "(01_a, 02_b)"),
    (lambda root: nbformat.write(executed(source="print(2)"), root / "notebooks/02_b.ipynb"), "it is now (02_b)"),
    (lambda root: nbformat.write(executed(execution_count=7), root / "results/runs/fast/notebooks/02_b.ipynb"),
     "02_b.ipynb: its cells were not run 1..n in order"),
    (own_sweep, "sweeps/trial: is another sweep than the reference's"),
])
def test_all_is_taken_over_or_nothing(root, capsys, spoil, reason):
    spoil(root)
    before = content(root)
    assert publish.main([]) == 2
    said = capsys.readouterr().err
    assert reason in said and said.startswith("error: ") and said.count("\n") == 1
    assert content(root) == before


@pytest.mark.parametrize("commit", ["abc+", None])
def test_a_run_of_a_changed_checkout_is_refused(root, capsys, commit):
    run = root / "results" / "runs" / "fast"
    stamp = run / "notebooks" / "01_a.done.json"
    write_json(run / "run.json", {"commit": commit})
    record = read_json(stamp)
    write_json(stamp, {**record, "outputs": {path: suite.fingerprint(root / path) for path in record["outputs"]}})
    make(root)  # what comes after it
    before = content(root)
    assert publish.main([]) == 2
    assert f"was not made from a commit ({commit})" in capsys.readouterr().err
    assert content(root) == before


def cell_result(seed, code="x"):
    return {"cell": "full", "seed": seed, "parameters": {}, "scores": {}, "code": code, "data": "y"}


def test_a_sweep_is_taken_over_with_all_its_files_and_nothing_else(root):
    own, taken = (root / "results" / place / "sweeps" / "trial" for place in ("runs/fast", "reference"))
    write_json(taken / "full_seed9.json", cell_result(9))
    commit(root)
    for name, value in (("full_seed0", cell_result(0)), ("table", "new"), ("work/full_seed0/facts", "no result")):
        write_json(own / f"{name}.json", value)
    before = content(root)
    assert publish.main(["--sweep", "trial"]) == 0
    assert sorted(content(taken)) == ["full_seed0.json", "table.json"]
    changed = {name for name, value in content(root).items() if before.get(name) != value}
    assert changed == {"results/reference/sweeps/trial/full_seed0.json", "results/reference/sweeps/trial/table.json"}


def test_a_bench_claims_and_costs_are_taken_over(root):
    bench, cost = root / "results/runs/fast/bench", root / "cost.json"
    for name, value in (("model", "new"), ("claims", {"parts": {"long": {"facts": {"quick": False}}}})):
        write_json(bench / f"{name}.json", value if isinstance(value, dict) else {"made": value})
    (bench / "remesh.png").write_bytes(b"picture")
    parts = {"install_minutes": 1.0, "venv_gb": 1.0, "minutes": 1.0, "peak_gib": 1.0, "data_gb": 1.0}
    write_json(cost, {"machine": "a machine", "make demo": parts, "make test": {"minutes": 2.0}})
    assert publish.main(["--bench", "model", "claims", "--cost", str(cost)]) == 0
    reference = root / "results" / "reference"
    assert read_json(reference / "bench/model.json") == {"made": "new"} and (reference / "bench/remesh.png").is_file()
    assert (reference / "cost.json").read_bytes() == cost.read_bytes()
    assert read_json(reference / "metrics.json") == "before"


@pytest.mark.parametrize("arguments, reason", [
    (["--sweep", "nothing"], "holds no sweep; run `make sweep NAME=nothing`"),
    (["--sweep", "mixed"], "come from different code or data"),
    (["--bench", "nothing"], "nothing.json: no such file"),
    (["--bench", "claims"], "claims.json: was made with --quick"),
    (["--run", "reference"], "run 'reference': choose a name"),
    (["--cost", "{root}/results/runs/fast/run.json"], "run.json: is no record of costs"),
    (["--run", "mine"], "run mine: not finished"),
])
def test_what_is_not_there_or_not_fit_is_refused(root, capsys, arguments, reason):
    run = root / "results" / "runs" / "fast"
    for name, value in (("0", cell_result(0)), ("1", cell_result(1, "z"))):
        write_json(run / "sweeps" / "mixed" / f"full_seed{name}.json", value)
    write_json(run / "sweeps" / "mixed" / "table.json", {})
    write_json(run / "bench" / "claims.json", {"parts": {"long": {"facts": {"quick": True}}}})
    before = content(root)
    assert publish.main([word.format(root=root) for word in arguments]) == 2
    said = capsys.readouterr().err
    assert reason in said and said.startswith("error: ") and said.count("\n") == 1
    assert content(root) == before
