"""What a run leaves behind: the table of scores and all they follow from."""

import json
import math
import shutil
import subprocess

import pytest

from notebooks.experiments import record
from notebooks.experiments.record import COLUMNS, ScoreTable, curves, run_record, score_table, speaker_scores
from otlib.data.dataset import Dataset
from otlib.files import write_json
from otlib.metrics import CorpusScores
from otlib.train.loop import RUN
from tests.fixtures.tiny_corpus import write_corpus


def scores(**changes):
    return CorpusScores({}, {name: 1.0 for name in COLUMNS} | changes)


def test_a_table_holds_the_means_rounded_to_five_digits():
    table = score_table({"ours": scores(lip_max_mm=1.23456789, mve_mm=0.000123456789), "template": scores(lip_max_mm=2.0)})
    assert table.rows["ours"]["lip_max_mm"] == 1.2346 and table.rows["ours"]["mve_mm"] == 0.00012346
    assert list(table.rows) == ["ours", "template"] and list(table.rows["template"]) == list(COLUMNS)


@pytest.mark.parametrize("missing", [math.nan, None])
def test_a_metric_that_is_not_defined_is_none_and_a_dash(missing):
    means = {**scores().mean, "closure_recall": missing}
    if missing is None:
        del means["closure_recall"]  # a data set without phonemes
    table = score_table({"template": CorpusScores({}, means)})
    assert table.rows["template"]["closure_recall"] is None
    assert json.loads(json.dumps(table.rows, allow_nan=False)) == table.rows
    assert "| – |" in table.markdown()


def test_markdown_has_a_row_a_method_with_units_and_digits():
    table = ScoreTable({"ours": {**{name: 1.0 for name in COLUMNS}, "lip_max_mm": 1.239, "closure_recall": 0.904}})
    heading, rule, row = table.markdown().splitlines()
    assert heading.startswith("| method | largest lip distance (mm) |") and "closures found (%)" in heading
    assert rule == "|" + "---|" * (len(COLUMNS) + 1)
    assert row.startswith("| ours | 1.24 | 1.00 | 1.000 |") and "| 90 |" in row
    assert table._repr_markdown_() == table.markdown()


def test_a_column_that_no_row_knows_is_left_out():
    """Tables of before a metric was reported can still be shown."""
    row = {name: 1.0 for name in COLUMNS if name != "slcc"}
    assert "SLCC" not in ScoreTable({"ours": row}).markdown()
    assert "SLCC" in ScoreTable({"ours": {**row, "slcc": None}}).markdown()


def test_scores_of_speakers_are_kept_for_pairing():
    speakers = {"a": scores(lip_max_mm=1.23456789).mean, "b": scores(closure_recall=math.nan).mean}
    del speakers["a"]["slcc"]
    found = speaker_scores({"ours": CorpusScores(speakers, {})})["ours"]
    assert found.keys() == COLUMNS.keys() and found["lip_max_mm"] == {"a": 1.2346, "b": 1.0}
    assert found["closure_recall"] == {"a": 1.0} and found["slcc"] == {"b": 1.0}


@pytest.mark.parametrize("steps, points", [(5, 5), (250, 84)])
def test_curves_are_means_of_neighbouring_steps_and_every_validation(tmp_path, steps, points):
    (tmp_path / "ours").mkdir()
    rows = [{"step": step, "total": float(step)} | ({"validation_lip_mm": 3.0 / step} if step % 5 == 0 else {})
            for step in range(1, steps + 1)]
    (tmp_path / "ours" / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = curves(tmp_path)["ours"]
    assert len(found["loss"]) == points and found["loss"][-1][0] == steps
    width = found["loss"][0][0]
    assert found["loss"][0] == [width, (width + 1) / 2] and width * (points - 1) < steps <= width * points
    assert found["validation_lip_mm"] == [[step, float(f"{3 / step:.5g}")] for step in range(5, steps + 1, 5)]
    assert curves(tmp_path / "nowhere") == {}


def test_a_run_record_names_data_trainings_versions_and_commit(tmp_path):
    dataset = Dataset.open(write_corpus(tmp_path / "corpus"))
    for name in ("b", "a"):
        write_json(tmp_path / "runs" / name / RUN, {"best_step": 3})
    found = run_record(dataset, {"profile": "fast", "seed": 0}, tmp_path / "runs")
    assert found["parameters"] == {"profile": "fast", "seed": 0}
    assert found["data"]["checksum"] == dataset.checksum and found["data"]["provenance"]["tool"] == "tests"
    assert found["trainings"] == {"a": {"best_step": 3}, "b": {"best_step": 3}}
    assert {"otlib", "python", "torch", "numpy"} <= found["versions"].keys()
    assert json.loads(json.dumps(found)) == found
    assert str(tmp_path) not in json.dumps(found)  # the machine's folders are nobody's business


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commit_is_marked_where_files_differ_from_it(monkeypatch, tmp_path):
    def git(*words):
        author = ("-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *author, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    files = [tmp_path / name for name in ("notebooks/experiments/record.py", "otlib/viz/show.py", "data_prep/writer.py",
                                          "README.md")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("as committed")
    monkeypatch.setattr(record, "__file__", str(files[0]))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert record._commit() is None  # no repository yet
    git("init")
    git("add", ".")
    git("commit", "-m", "all")
    commit = git("rev-parse", "HEAD").strip()
    monkeypatch.chdir(tmp_path.parent)  # wherever the program runs
    assert record._commit() == commit
    for file, mark in zip(files, ["+", "+", "+", ""], strict=True):  # README makes no number
        file.write_text("changed")
        assert record._commit() == commit + mark, file
        git("checkout", "--", ".")
    (tmp_path / "otlib/new.py").write_text("not committed")
    assert record._commit() == commit + "+"


def test_without_git_there_is_no_commit(monkeypatch):
    def absent(*arguments, **options):
        raise FileNotFoundError

    monkeypatch.setattr(record.subprocess, "run", absent)
    assert record._commit() is None
