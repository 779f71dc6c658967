"""Sweeps: what runs, what is skipped, what a failed cell and a kill leave; the real cell notebook on a tiny corpus."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from notebooks.driver import run as driver
from notebooks.driver import sweep
from notebooks.driver.execution import StepFailed
from notebooks.experiments.sweep_results import read_sweep
from otlib.files import read_json, write_json
from tests.fixtures.driver_copy import copy_driver
from tests.fixtures.tiny_corpus import write_corpus
from tests.notebooks.driver.test_run import code_and_library, write_notebook

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[3]
CELL = ('PROFILE = "fast"\nSEED = 0\nSIZE = 1\nOUT = ""', "SIZE")
PLAN = {"name": "trial", "notebook": "cell", "profile": "fast", "seeds": 2, "budget": 60, "parameters": {"SIZE": 2},
        "cells": {"plain": {}, "large": {"SIZE": 5}}}
KILLS = {signal.SIGKILL: -9, signal.SIGTERM: 143}


def write_plan(root, plan):
    suite = {"profiles": ["fast"], "notebooks": [], "sweeps": [plan]}
    (root / "notebooks" / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository of one tiny corpus, one line of library and a sweep of two cells."""
    for folder in ("notebooks", "otlib"):
        (tmp_path / folder).mkdir()
    (tmp_path / "otlib" / "code.py").write_text("x = 1\n")
    write_corpus(tmp_path / "data" / "fast" / "corpus")
    write_notebook(tmp_path / "notebooks" / "cell.ipynb", CELL)
    write_plan(tmp_path, PLAN)
    monkeypatch.setattr(driver, "ROOT", tmp_path)
    monkeypatch.setattr(driver, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(sweep, "code_checksum", lambda sources: code_and_library(tmp_path, sources))
    for name in ("TQDM_DISABLE", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the sweep sets them; put back after the test
    return tmp_path


@pytest.fixture
def ran(root, monkeypatch):
    """The cells that ran, without kernels: SIZE becomes the score of one speaker, SIZE + SEED that of the other."""
    names = []

    def execute(source, target, parameters, *, name, budget, cwd):
        names.append(name)
        if parameters["SIZE"] < 0:
            raise StepFailed(f"{name}: has a negative size")
        size, seed = float(parameters["SIZE"]), parameters["SEED"]
        write_json(cwd / parameters["OUT"] / "scores.json",
                   {"scores": {"lip_max_mm": {"a": size, "b": size + seed}}, "provenance": {}})

    monkeypatch.setattr(sweep, "execute_notebook", execute)
    return names


def after(ran, *arguments, status=0):
    """Run the sweep, one cell at a time; return what ran."""
    ran.clear()
    assert sweep.main(["trial", "--jobs", "1", *arguments]) == status
    return list(ran)


def results(root):
    return root / "results/runs/fast/sweeps/trial"


def test_every_cell_runs_for_every_seed_and_leaves_a_small_file_and_a_table(root, ran, capsys):
    assert after(ran) == ["plain, seed 0", "large, seed 0", "plain, seed 1", "large, seed 1"]
    said = capsys.readouterr().out
    assert "trial: 0 of 4 done before and skipped, 4 to run" in said and "4 of 4 cells whole" in said
    found = {(result.cell, result.seed): result for result in read_sweep(results(root))}
    assert len(found) == 4 and found["large", 1].scores == {"lip_max_mm": {"a": 5, "b": 6}}
    assert found["large", 1].parameters["SIZE"] == 5 and found["plain", 1].parameters["SIZE"] == 2
    table = read_json(results(root) / "table.json")["cells"]
    assert table["large"]["seeds"] == [0, 1] and table["large"]["lip_max_mm"] == 5.25 and table["large"]["mve_mm"] is None


def test_what_is_whole_is_skipped_and_the_sweep_says_so(root, ran, capsys):
    after(ran, "--seeds", "1")
    capsys.readouterr()
    assert after(ran) == ["plain, seed 1", "large, seed 1"]
    assert "trial: 2 of 4 done before and skipped, 2 to run" in capsys.readouterr().out
    (results(root) / "plain_seed1.json").unlink()
    assert after(ran) == ["plain, seed 1"]
    assert after(ran) == []


def test_a_cell_that_scores_anothers_training_comes_after_it_and_brings_it_along(root, ran):
    write_notebook(root / "notebooks" / "cell.ipynb", (CELL[0] + "\nTRAINED_BY = None", "SIZE"))
    write_plan(root, PLAN | {"cells": {"dialled": {"TRAINED_BY": "plain"}, "plain": {}}})
    assert after(ran) == ["plain, seed 0", "plain, seed 1", "dialled, seed 0", "dialled, seed 1"]
    for file in results(root).glob("*_seed0.json"):
        file.unlink()
    assert after(ran, "--only", "dialled") == ["plain, seed 0", "dialled, seed 0"]


@pytest.mark.parametrize("other", ["nobody", "dialled", 3])
def test_a_training_to_score_is_that_of_a_cell_that_has_one(root, ran, capsys, other):
    write_notebook(root / "notebooks" / "cell.ipynb", (CELL[0] + "\nTRAINED_BY = None", "SIZE"))
    write_plan(root, PLAN | {"cells": {"dialled": {"TRAINED_BY": other}, "plain": {}}})
    assert after(ran, status=2) == []
    said = capsys.readouterr().err
    assert "the cell dialled of the sweep trial: TRAINED_BY must name a cell that rests on no other" in said


def test_a_sweep_belongs_to_a_run_and_another_runs_is_not_its_own(root, ran):
    after(ran)
    assert len(after(ran, "--run", "mine")) == 4 and after(ran, "--run", "mine") == []
    mine = root / "results/runs/mine/sweeps/trial"
    assert read_json(mine / "plain_seed0.json")["parameters"]["OUT"] == "results/runs/mine/sweeps/trial/work/plain_seed0"
    assert {file.name for file in mine.iterdir()} == {file.name for file in results(root).iterdir()}


def test_a_checkpoint_goes_on_only_with_what_it_was_made_by(root, ran):
    """A killed training of the same code is gone on from; one of other code would be refused, so it is cleared away."""
    checkpoint = results(root) / "work" / "plain_seed0" / "run" / "state"
    after(ran)
    write_json(checkpoint, "half way")
    (results(root) / "plain_seed0.json").unlink()
    after(ran)
    assert read_json(checkpoint) == "half way"
    (root / "otlib" / "code.py").write_text("x = 2\n")
    after(ran)
    assert not checkpoint.exists()


def test_a_persons_file_among_the_trainings_is_kept_and_named(root, ran, capsys):
    after(ran)
    mine = results(root) / "work" / "plain_seed0" / "notes.txt"
    mine.write_text("mine")
    (root / "otlib" / "code.py").write_text("x = 2\n")
    assert len(after(ran, status=1)) == 3 and mine.read_text() == "mine"
    assert "plain_seed0/notes.txt: is not listed in .otlib-files.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("change, again", [
    (lambda root: (root / "otlib" / "code.py").write_text("x = 2\n"), 4),
    (lambda root: write_notebook(root / "notebooks" / "cell.ipynb", (CELL[0], "SIZE + 1")), 4),
    (lambda root: write_corpus(root / "data" / "fast" / "corpus", seed=1), 4),
    (lambda root: write_plan(root, {**PLAN, "cells": {"plain": {}, "large": {"SIZE": 7}}}), 2),
])
def test_a_cell_runs_again_if_and_only_if_something_it_follows_from_has_changed(root, ran, change, again):
    after(ran)
    change(root)
    assert len(after(ran)) == again


def test_a_failed_cell_is_reported_and_the_others_go_on(root, ran, capsys):
    write_plan(root, {**PLAN, "cells": {"broken": {"SIZE": -1}, **PLAN["cells"]}})
    assert len(after(ran, status=1)) == 6
    said = capsys.readouterr()
    assert said.err == "broken, seed 0: has a negative size\nbroken, seed 1: has a negative size\n"
    assert "broken, seed 0: FAILED" in said.out and "4 of 6 cells whole" in said.out
    assert not list(results(root).glob("broken*"))
    assert after(ran, status=1) == ["broken, seed 0", "broken, seed 1"]


@pytest.mark.parametrize("arguments, sentence", [
    (["other"], "suite.yaml: no sweep 'other'; there are trial"),
    (["trial", "--only", "huge"], "sweep trial: no cell huge; there are plain, large"),
    (["trial", "--run", "a/b"], "run 'a/b': choose a name"),
])
def test_what_cannot_be_used_is_refused_before_anything_runs(root, ran, capsys, arguments, sentence):
    assert sweep.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and sentence in said and said.count("\n") == 1
    assert ran == [] and not results(root).exists()


@pytest.mark.parametrize("option", ["--seeds", "--jobs"])
@pytest.mark.parametrize("value", ["0", "9" * 30, "9" * 5000])
def test_impossible_numbers_are_refused_in_a_sentence(root, ran, capsys, option, value):
    with pytest.raises(SystemExit, match="2"):
        sweep.main(["trial", option, value])
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"error: argument {option}: must be a whole number, at least 1 and at most" in said and len(said) <= 1200
    assert ran == []


def test_nothing_is_written_where_there_is_no_corpus(root, ran, capsys):
    write_plan(root, {**PLAN, "needs": []})
    (root / "data/fast/corpus/manifest.json").write_text("[]")
    assert sweep.main(["trial"]) == 2
    assert "manifest.json" in capsys.readouterr().err and not (root / "results/runs").exists()


def test_a_misspelt_parameter_of_the_last_cell_is_refused_before_the_first_runs(root, ran, capsys):
    write_plan(root, {**PLAN, "cells": {"plain": {}, "large": {"SISE": 5}}})
    assert sweep.main(["trial"]) == 2
    assert ("suite.yaml: the cell large of the sweep trial: cell.ipynb: has no parameter 'SISE'; it has OUT, PROFILE, SEED, "
            "SIZE") in capsys.readouterr().err
    assert ran == []


def test_a_cell_that_leaves_no_scores_has_failed(root, ran, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "execute_notebook", lambda *_, **__: None)
    assert sweep.main(["trial", "--seeds", "1", "--only", "plain"]) == 1
    assert "plain, seed 0: ended without leaving scores.json" in capsys.readouterr().err


def test_the_real_sweeps_can_be_read():
    """Parameters, too, which would otherwise be found wanting after hours."""
    plan = yaml.safe_load((REPOSITORY / "notebooks" / "suite.yaml").read_text(encoding="utf-8"))
    for entry in plan["sweeps"]:
        assert len(sweep.read_sweep_plan(entry["name"]).cells) == len(entry["cells"]) > 1


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A copy of the driver and the real cell notebook, with a tiny corpus: a function makes one."""
    def make(name, **changes):
        root = tmp_path_factory.mktemp(name)
        copy_driver(root, "sweeps")
        write_corpus(root / "data" / "fast" / "corpus")
        write_plan(root, {"name": "trial", "notebook": "sweeps/train_and_score", "profile": "fast", "seeds": 1,
                          "budget": 300, "parameters": {"ENCODER": "prosody", "STEPS": 30},
                          "cells": {"full": {}, "no_graph": {"TERMS": 1}}, **changes})
        return root
    return make


def test_what_is_not_trained_is_scored_like_the_rest(repository):
    """The cells of full_corpus that need no training, on a corpus whose mean style is the speakers' own."""
    root = repository("untrained", seeds=1, parameters={}, cells={"still_face": {"METHOD": "still face"},
                                                                  "oracle": {"METHOD": "oracle"}})
    said, _ = (process := start(root)).communicate()
    assert process.returncode == 0, said
    found = {result.cell: result for result in read_sweep(results(root))}
    still, oracle = found["still_face"].scores, found["oracle"].scores
    assert still.keys() == oracle.keys() and oracle["lip_max_mm"] == {"d": 0.0} and still["lip_max_mm"]["d"] > 1.0
    assert still["mtm_frames"] == still["slcc"] == {} and oracle["mtm_frames"] == {"d": 0.0} and "d" in oracle["slcc"]
    assert found["oracle"].record["provenance"]["parameters"]["method"] == "oracle"
    assert not list((root / "results").rglob("*.safetensors"))
    table = read_json(results(root) / "table.json")["cells"]
    assert table["still_face"]["mtm_frames"] is None and table["oracle"]["mtm_frames"] == 0.0


def test_a_plug_in_completes_the_training_of_its_host_and_a_dial_scores_it(repository):
    """The cells of plug_in and of the dial, on their real notebook: hosts are trained once, and first."""
    cells = {"on_host": {"METHOD": "KMTalk", "HOST": "host", "KEYS": "even"}, "host": {"METHOD": "autoregressive"},
             "own": {"METHOD": "KMTalk", "KEYS": "true", "AT": "middles"},
             "off": {"METHOD": "KMTalk", "KEYS": "true", "ERROR": 4, "TRAINED_BY": "own"}}
    root = repository("plugged", seeds=1, parameters={"ENCODER": "prosody", "STEPS": 2}, cells=cells)
    said, _ = (process := start(root)).communicate()
    assert process.returncode == 0, said
    found = {result.cell: result for result in read_sweep(results(root))}
    run = {cell: read_json(results(root) / "work" / f"{cell}_seed0" / "run" / "run.json")["settings"] for cell in
           ("host", "on_host", "own")}
    assert run["on_host"]["host"] == "results/runs/fast/sweeps/trial/work/host_seed0/run" and not run["host"]["host"]
    assert (run["host"]["method"], run["own"]["keys"]["at"]) == ("autoregressive", "middles")
    assert not (results(root) / "work" / "off_seed0" / "run").exists()
    assert len({result.scores["lip_max_mm"]["d"] for result in found.values()}) == 4


def start(root):
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{REPOSITORY}"}
    return subprocess.Popen([sys.executable, "-m", "notebooks.driver.sweep", "trial", "--jobs", "2"], env=environment,
                            cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def scored(root):
    """What every cell found, without what tells of the run: seconds and provenance."""
    return {(result.cell, result.seed): result.scores for result in read_sweep(results(root))}


def test_a_sweep_killed_again_and_again_ends_as_one_that_was_not(repository):
    """Signals to the driver at random moments; its notebooks' kernels end with it."""
    whole, killed = repository("whole"), repository("killed")
    begin = time.monotonic()
    said, _ = (process := start(whole)).communicate()
    assert process.returncode == 0, said
    usual = time.monotonic() - begin
    generator = random.Random(0)
    for number, status in KILLS.items():
        process = start(killed)
        time.sleep(generator.uniform(0.3, 0.95) * usual)
        process.send_signal(number)
        said, _ = process.communicate()
        assert process.returncode in (status, 0) and "Traceback" not in said, said
    said, _ = (process := start(killed)).communicate()
    assert process.returncode == 0, said
    assert list(killed.rglob(".*.otlib-*")) == []
    assert scored(killed) == scored(whole)
    assert {cell for cell, _ in scored(whole)} == {"full", "no_graph"}
    assert scored(whole)["full", 0]["lip_max_mm"] != scored(whole)["no_graph", 0]["lip_max_mm"]
    again, _ = (process := start(killed)).communicate()
    assert process.returncode == 0 and "2 of 2 done before and skipped, 0 to run" in again
    run = read_json(results(killed) / "work" / "no_graph_seed0" / "run" / "run.json")
    assert run["settings"]["model"] == {"terms": 1} and run["settings"]["steps"] == 30
