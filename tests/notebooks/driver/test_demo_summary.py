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
    write_json(folder / "run.json", {"data": {"checksum": "x", "provenance": {"head": head} if head else {}}})


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


def test_the_head_of_another_method_is_in_a_folder_of_its_own(root, capsys):
    run_of(root, "runs/fast", "a")
    (root / "results/runs/fast/kmtalk").mkdir()
    for place in ("", "kmtalk/"):
        (root / f"results/runs/fast/{place}talking_head.mp4").touch()
    assert where_to_look.main(["--method", "kmtalk"]) == 0
    text = capsys.readouterr().out
    assert "results/runs/fast/kmtalk/talking_head.mp4" in text and "results/runs/fast/talking_head" not in text
    assert "that of kmtalk, by the model results/runs/fast/models/kmtalk;" in text
    assert where_to_look.main([]) == 0
    assert "kmtalk" not in capsys.readouterr().out


def test_a_run_that_is_not_there_is_one_sentence(root, capsys):
    assert where_to_look.main(["--run", "none"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "results/runs/none/metrics.json: no such file" in said and said.count("\n") == 1


def headline(still_face, prosody=0.2):
    return {"headline": {"below_still_face": still_face, "below_loudness_and_pitch": prosody}}


def test_a_model_that_is_worse_than_another_is_not_said_to_be_closer(root, capsys):
    run_of(root, "runs/fast", "a")
    write_json(root / "results/runs/fast/metrics.json", headline(-0.4, 0.0))
    assert where_to_look.main([]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "its lips are 40% farther than the better still face, and 0% closer than the same model" in said


@pytest.mark.parametrize("file, content, place", [
    ("metrics.json", [], "is not a JSON object"), ("metrics.json", {}, "the whole"),
    ("metrics.json", {"headline": {}}, "headline"), ("metrics.json", headline("0.3"), "headline.below_still_face"),
    ("metrics.json", headline(True), "headline.below_still_face"), ("metrics.json", headline(1.1), "headline.below_still"),
    ("metrics.json", headline(0.3, None), "headline.below_loudness_and_pitch"), ("run.json", [], "is not a JSON object"),
    ("run.json", {"data": None}, "data"), ("run.json", {"data": {"checksum": "x", "provenance": 1}}, "data.provenance")])
def test_records_of_another_form_are_one_sentence(root, capsys, file, content, place):
    run_of(root, "runs/fast", "a")
    write_json(root / "results/runs/fast" / file, content)
    assert where_to_look.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and f"results/runs/fast/{file}: {place}" in said and said.count("\n") == 1
