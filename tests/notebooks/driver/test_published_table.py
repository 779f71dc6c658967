"""The row of a published table: made from a data set's own files, scored as the peers do, beside the quoted numbers."""

import argparse
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data_prep import __main__ as preparation
from notebooks.driver import published_table as paper
from notebooks.experiments.quoted import read_quoted
from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.files import read_json
from otlib.predict import Predictor, load_trained
from otlib.train.settings import TrainSettings
from tests.fixtures import tiny_corpus, vocaset_folder
from tests.fixtures.tiny_corpus import write_corpus

pytestmark = pytest.mark.slow

MODEL = {"width": 8, "layers": 1, "heads": 2, "radius": 3, "channels": 4, "terms": 2, "levels": (20, 8)}
SETTINGS = TrainSettings("prosody", steps=6, batch=2, window=12, validate=6, learning_rate=1e-2, model=MODEL)
QUOTED = read_quoted(paper.PAPER / "quoted.json").tables


@pytest.fixture
def source(monkeypatch):
    """A source of data_prep that makes the tiny corpus out of any folder; the folders it was asked to convert."""
    asked = []

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--raw", required=True)
        parser.add_argument("--late", type=int, default=0)

    def run(options: argparse.Namespace) -> None:
        if options.late > 9:
            raise InputError("--late: is too much; choose less")
        asked.append((options.raw, options.late))
        write_corpus(options.out, late=options.late)

    module = SimpleNamespace(HELP="tiny", __doc__="Tiny.", add_arguments=add_arguments, run=run)
    monkeypatch.setitem(preparation.SOURCES, "vocaset", module)
    return asked


def naive_scores(dataset, predict):
    """CodeTalker's three numbers by loops over clips, frames and vertices, float64."""
    largest, distances, differences = [], [], []
    for clip in dataset.select("test"):
        truth, predicted, rest = (np.asarray(v, np.float64) for v in (clip.vertices, predict(clip), clip.template))
        for frame in range(len(truth)):
            largest.append(max(((truth[frame, v] - predicted[frame, v]) ** 2).sum() for v in dataset.topology.lips))
            distances.append(np.mean([np.linalg.norm(truth[frame, v] - predicted[frame, v]) for v in range(truth.shape[1])]))
        spread = [[np.std([((motion[t, v] - rest[v]) ** 2).sum() for t in range(len(motion))])
                   for v in dataset.topology.regions["upper_face"]] for motion in (truth, predicted)]
        differences.append(np.mean(spread[0]) - np.mean(spread[1]))
    return {"lve": np.mean(largest), "fdd": np.mean(differences), "mve": np.mean(distances)}


def test_one_command_makes_the_row_beside_the_quoted_ones(source, tmp_path):
    text = paper.make_row("vocaset", tmp_path / "held", [], SETTINGS, root=tmp_path)
    folder, run = tmp_path / "data" / "paper" / "vocaset", tmp_path / "results" / "runs" / "vocaset"
    dataset = Dataset.open(folder / "corpus")
    expected = naive_scores(dataset, Predictor(load_trained(run / "models" / "ot_talk"), dataset, folder / "features"))
    record = read_json(run / "row.json")
    assert record["scores"]["conventions"]["codetalker"] == pytest.approx(expected, rel=1e-4, abs=1e-12)  # float32 sums
    assert record["table"] == text and record["scores"]["clips"] == 2
    assert record["provenance"]["trainings"]["ot_talk"]["settings"] == json.loads(json.dumps(dataclasses.asdict(SETTINGS)))
    lines = text.splitlines()
    assert len(lines) == 2 + len(QUOTED["vocaset_test"].rows) + 1
    own = next(line for line in lines if paper.OURS in line)
    assert f"| {record['scores']['conventions']['codetalker']['lve'] * 1e5:.4f} |" in own and own.endswith("| here |")
    assert "| FaceFormer | 4.1090 | Q |" in lines


def test_two_test_speakers_make_a_row_without_an_interval(source, tmp_path, monkeypatch, capsys):
    """As many as VOCASET has."""
    monkeypatch.setitem(tiny_corpus.SPEAKERS, "e", ("test", 0.9))
    monkeypatch.setattr(paper.make_row, "__defaults__", ("", tmp_path))
    (tmp_path / "settings.json").write_text(json.dumps(dataclasses.asdict(SETTINGS)))
    assert paper.main(["vocaset", "--raw", str(tmp_path / "held"), "--settings", str(tmp_path / "settings.json")]) == 0
    assert paper.OURS in capsys.readouterr().out
    row = read_json(tmp_path / "results" / "runs" / "vocaset" / "row.json")["scores"]
    assert row["speakers"].keys() == {"d", "e"} and row["lip_max_mm_interval"] is None
    assert row["lip_max_mm"] == pytest.approx(np.mean(list(row["speakers"].values())))
    assert row["no_interval"] == "2 speakers are too few for a 95% interval"


def test_the_second_time_neither_converts_nor_trains_again(source, tmp_path, monkeypatch):
    first = paper.make_row("vocaset", tmp_path / "held", [], SETTINGS, root=tmp_path)
    assert len(source) == 1
    monkeypatch.setattr("otlib.train.loop.read_clips", None)
    assert paper.make_row("vocaset", tmp_path / "held", [], SETTINGS, root=tmp_path) == first and len(source) == 1
    monkeypatch.undo()


def test_other_options_convert_anew(source, tmp_path):
    paper.make_row("vocaset", tmp_path / "held", [], SETTINGS, root=tmp_path)
    paper.make_row("vocaset", tmp_path / "held", ["--late", "1"], SETTINGS, root=tmp_path)
    assert source == [(str(tmp_path / "held"), 0), (str(tmp_path / "held"), 1)]


@pytest.mark.parametrize("arguments, sentence", [
    (["klingon", "--raw", "x"], "error: no published table of 'klingon'; there are biwi, vocaset"),
    (["vocaset", "--raw", "x", "--steps", "0"], "error: training settings: steps must be at least 1"),
    (["vocaset", "--raw", "x", "--run", ".x"], "error: run '.x': choose a name"),
    (["vocaset", "--raw", "x", "--late", "10"], "--late: is too much; choose less"),
])
def test_what_cannot_be_used_ends_with_status_2(source, tmp_path, monkeypatch, capsys, arguments, sentence):
    """The conversion's own refusal comes first, in its own words."""
    monkeypatch.setattr(paper.make_row, "__defaults__", ("", tmp_path))
    threads = torch.get_num_threads()
    assert paper.main(arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "results/runs/vocaset").exists() and torch.get_num_threads() == threads


def test_a_unit_that_does_not_compare_is_said():
    text = paper.table(QUOTED["biwi_test_a"], {"lve": 4e-6, "fdd": 1e-8, "mve": 0.0})
    assert "LVE 4.0000 mm², FDD 0.0100 mm². Another unit" in next(line for line in text.splitlines() if paper.OURS in line)


def test_vocaset_as_it_is_released_makes_its_row(tmp_path):
    """On files of the raw release's form, written here: pickles of Python 2, rows in disorder, 5,023 vertices."""
    settings = dataclasses.replace(SETTINGS, window=4, model={**MODEL, "levels": (64, 16)})
    text = paper.make_row("vocaset", vocaset_folder.write_raw(tmp_path / "raw"), [], settings, root=tmp_path)
    assert paper.OURS in text
    record = read_json(tmp_path / "results" / "runs" / "vocaset" / "row.json")
    assert record["provenance"]["data"]["name"] == "VOCASET" and record["scores"]["clips"] == 1
