"""The end of `make demo`: what lies where, and whether its numbers compare with README's."""

import pytest

from notebooks.driver import demo_summary as where_to_look
from otlib.files import write_json

SENTENCE = "cannot be compared with README's"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(where_to_look, "ROOT", tmp_path)
    monkeypatch.setattr(where_to_look, "REFERENCE", tmp_path / "results" / "reference")
    return tmp_path


def run_of(root, run, head):
    folder = root / "results" / run
    write_json(folder / "metrics.json", {"headline": {"below_still_face": 0.3, "below_loudness_and_pitch": 0.25}})
    write_json(folder / "run.json", {"data": {"provenance": {"head": head} if head else {}}})


@pytest.mark.parametrize("own, reference, said",
                         [("a", "a", False), ("a", "b", True), ("a", None, False), (None, "b", False)])
def test_another_head_is_said(root, capsys, own, reference, said):
    run_of(root, "runs/mine", own)
    run_of(root, "reference", reference)
    (root / "results/runs/mine/talking_head.mp4").touch()
    assert where_to_look.main(["--run", "mine"]) == 0
    text = capsys.readouterr().out
    assert "results/runs/mine/talking_head.mp4" in text and "30% closer" in text and "25% closer" in text
    assert (SENTENCE in text.splitlines()[-1]) == said == (SENTENCE in text)


def test_a_recordings_head_is_in_its_own_folder(root, capsys):
    run_of(root, "runs/fast", "a")
    (root / "say.wav").write_bytes(b"1")
    assert where_to_look.main(["--audio", str(root / "say.wav")]) == 0
    text = capsys.readouterr().out
    assert "results/runs/fast/talks/say-" in text and "no film" in text and "talking_head.mp4" not in text


def test_a_run_that_is_not_there_is_one_sentence(root, capsys):
    assert where_to_look.main(["--run", "none"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "results/runs/none/metrics.json: no such file" in said and said.count("\n") == 1


@pytest.mark.parametrize("file, content", [("metrics.json", []), ("metrics.json", {}), ("metrics.json", {"headline": {
    "below_still_face": "0.3", "below_loudness_and_pitch": 0.2}}), ("run.json", []), ("run.json", {"data": None})])
def test_records_of_another_form_are_one_sentence(root, capsys, file, content):
    run_of(root, "runs/fast", "a")
    write_json(root / "results/runs/fast" / file, content)
    assert where_to_look.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "results/runs/fast" in said and said.count("\n") == 1
