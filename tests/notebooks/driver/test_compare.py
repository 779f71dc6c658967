"""Two runs side by side: differences over the speakers that both scored, curves, settings, videos."""

import re

import numpy as np
import pytest
from PIL import Image

from notebooks.driver import compare
from notebooks.experiments.record import COLUMNS
from otlib.errors import InputError
from otlib.files import read_json, write_json
from otlib.metrics.intervals import paired_comparison
from otlib.own_files import LEDGER

LOW = {"a": 1.0, "b": 2.0, "c": 3.5, "d": 4.0}
RECORD = {"parameters": {"seed": 0}, "data": {"checksum": "x", "provenance": {"head": "h"}}, "versions": {"torch": "2"},
          "commit": "abc", "trainings": {"ot_talk": {"settings": {"steps": 10, "loss": {"transport": 1.0}}, "best_step": 3}}}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "REFERENCE", tmp_path / "results" / "reference")
    return tmp_path


def write_run(root, name, speakers=None, *, record=RECORD, curves=None, place="runs"):
    """A run that has been scored; ``speakers`` of the headline, for two methods."""
    folder = root / "results" / place / name
    mean = float(np.mean(list(speakers.values()))) if speakers else 2.0
    metrics = {"table": {method: dict.fromkeys(COLUMNS, mean) for method in ("template", "OT-Talk")}}
    if speakers:
        metrics["speakers"] = {method: {"lip_max_mm": speakers, "slcc": speakers} for method in metrics["table"]}
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "run.json", record)
    if curves:
        write_json(folder / "curves.json", curves)
    return folder


def shifted(by, **more):
    return {speaker: value + by for speaker, value in LOW.items()} | more


def row(text, method, metric):
    [line] = [line for line in text.splitlines() if line.startswith(f"| {method} | {metric} |")]
    return [part.strip() for part in line.strip("|").split("|")]


def test_speakers_are_paired_and_the_difference_is_second_minus_first(root):
    """Every speaker is better by half a millimetre or a little more: the pairs know, the intervals of the means do not."""
    second = {"a": 0.5, "b": 1.4, "c": 2.9, "d": 3.5, "e": 9.0}
    write_run(root, "one", LOW)
    write_run(root, "two", second)
    text = compare.compare("one", "two", root)
    found = paired_comparison({s: second[s] for s in LOW}, LOW, generator=np.random.default_rng(0)).difference
    cells = row(text, "OT-Talk", "largest lip distance (mm)")
    assert cells[4] == f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}], better"
    assert found.estimate == pytest.approx(-0.55) and cells[2].startswith("2.62 [") and cells[3].startswith("3.46 [")
    assert row(text, "OT-Talk", "SLCC")[4].endswith(", worse")  # where higher is better
    assert row(text, "template", "largest lip distance (mm)")[4] == cells[4]


@pytest.mark.parametrize("second, said", [
    ({"a": 2.0, "b": 1.0, "c": 3.0, "d": 4.5}, "cannot be told from chance"),
    (shifted(1.0), "+1.00 [+1.00, +1.00], worse"),
    ({"x": 1.0, "y": 2.0}, "no speakers in common"),
    ({"a": 1.0, "y": 2.0}, "1 speakers are too few"),
])
def test_what_a_difference_says(root, second, said):
    write_run(root, "one", LOW)
    write_run(root, "two", second)
    assert row(compare.compare("one", "two", root), "OT-Talk", "largest lip distance (mm)")[4].endswith(said)


def test_nothing_is_paired_across_corpora_or_without_scores_of_speakers(root):
    write_run(root, "one", LOW)
    write_run(root, "two", LOW, record={**RECORD, "data": {"checksum": "y"}})
    write_run(root, "", place="reference")
    text = compare.compare("one", "two", root)
    assert row(text, "OT-Talk", "largest lip distance (mm)")[4] == "–" and "other corpora" in text
    text = compare.compare("one", "reference", root)
    assert row(text, "OT-Talk", "largest lip distance (mm)")[3:] == ["2.00", "–"]
    assert "No scores of single speakers in reference" in text and "other corpora" not in text


def test_settings_that_differ_are_listed_and_no_others(root):
    other = {**RECORD, "commit": "def", "parameters": {"seed": 0, "more": True}, "trainings": {
        "ot_talk": {"settings": {"steps": 10, "loss": {"transport": 0.0}}, "best_step": 9}}}
    write_run(root, "one", LOW)
    write_run(root, "two", LOW, record=other)
    text = compare.compare("one", "two", root)
    assert re.findall(r"^\| (.*) \| `(.*)` \| `(.*)` \|$", text, re.M) == [
        ("commit", "abc", "def"), ("parameters.more", "–", "True"),
        ("trainings.ot_talk.settings.loss.transport", "1.0", "0.0")]
    write_run(root, "two", LOW)
    assert "No setting differs." in compare.compare("one", "two", root)


def test_curves_are_one_picture_and_videos_are_linked(root):
    curve = {"ot_talk": {"loss": [[1, 3.0], [2, 2.0]], "validation_lip_mm": [[2, 4.0]]}}
    folder = write_run(root, "one", LOW, curves=curve)
    (folder / "talking_head.mp4").write_bytes(b"video")
    write_run(root, "", LOW, place="reference")
    text = compare.compare("one", "reference", root)
    target = root / "results/runs/compare/one_reference"
    assert (target / "README.md").read_text() in text and sorted(file.name for file in target.iterdir()) == [
        LEDGER, "README.md", "curves.png"]
    with Image.open(target / "curves.png") as picture:
        assert picture.size[0] > 400
    [link] = re.findall(r"\[the talking head of one\]\((.*)\)", text)
    assert (target / link).read_bytes() == b"video" and "talking head of reference" not in text
    assert "No curves in reference." in text and "No curves in one." not in text


def test_a_curve_of_each_training_of_each_run_is_drawn():
    part = {"loss": [[1, 3.0], [2, 2.0]], "validation_lip_mm": []}
    loss, validation = compare.draw_curves(("one", "two"), ({"a": part, "b": part}, {"a": part})).axes
    lines = {line.get_label(): (line.get_linestyle(), line.get_color(), line.get_ydata().tolist()) for line in loss.lines}
    assert lines.keys() == {"a, one", "b, one", "a, two"} and lines["a, two"][2] == [3.0, 2.0]
    assert lines["a, one"][:2] == ("-", lines["a, two"][1]) and lines["a, two"][0] == "--"
    assert lines["b, one"][1] != lines["a, one"][1] and len(validation.lines) == 3


@pytest.mark.parametrize("runs, sentence", [
    (["one", "none"], "results/runs/none/metrics.json: no such file"),
    (["one", "../one"], "run '../one': choose a name"),
    (["one", "one"], "one and one are one run; name two"),
    (["one", "reference"], "results/reference/metrics.json: no such file"),
    (["one", "odd"], "results/runs/odd/metrics.json: the whole is not as a run leaves it ('table' is a required"),
])
def test_what_cannot_be_compared_is_one_sentence_and_status_2(root, monkeypatch, capsys, runs, sentence):
    monkeypatch.setattr(compare.compare, "__defaults__", (root,))
    write_run(root, "one", LOW)
    write_json(write_run(root, "odd", LOW) / "metrics.json", {})
    assert compare.main(runs) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and sentence in said and said.count("\n") == 1
    assert not (root / "results/runs/compare").exists()


@pytest.mark.parametrize("file, content, place", [
    ("metrics.json", {"table": "text"}, "table"), ("metrics.json", {"table": []}, "table"),
    ("metrics.json", {"table": {"OT-Talk": {"lip_max_mm": "2"}}}, "table['OT-Talk'].lip_max_mm"),
    ("metrics.json", {"table": {}, "speakers": {"OT-Talk": {"lip_max_mm": [1]}}}, "speakers['OT-Talk'].lip_max_mm"),
    ("run.json", {**RECORD, "trainings": []}, "trainings"), ("run.json", {**RECORD, "data": {}}, "data"),
    ("curves.json", {"ot_talk": {"loss": [1], "validation_lip_mm": []}}, "ot_talk.loss[0]"),
    ("curves.json", {"ot_talk": {"loss": []}}, "ot_talk"),
])
def test_a_record_of_another_kind_is_refused_by_its_name_and_place(root, file, content, place):
    write_run(root, "two", LOW)
    write_json(write_run(root, "one", LOW) / file, content)
    with pytest.raises(InputError) as caught:
        compare.compare("one", "two", root)
    assert f"results/runs/one/{file}: {place} is not as a run leaves it (" in str(caught.value)
    assert not (root / "results/runs/compare").exists()


def test_curves_that_cannot_be_read_are_not_taken_for_none(root):
    write_run(root, "two", LOW)
    file = write_run(root, "one", LOW) / "curves.json"
    file.symlink_to(file.name)
    with pytest.raises(InputError, match="curves.json: cannot be read"):
        compare.compare("one", "two", root)


def test_the_committed_results_can_be_compared(root):
    """Its own copy beside it; whatever an older run's record lacks is said and not a traceback."""
    folder = root / "results/runs/copy"
    for file in ("metrics.json", "run.json"):
        write_json(folder / file, read_json(compare.ROOT / "results/reference" / file))
        write_json(root / "results/reference" / file, read_json(folder / file))
    assert "No setting differs." in compare.compare("copy", "reference", root)
