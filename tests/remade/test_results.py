"""What the notebooks have just written to results/runs/fast, held against results/reference and against the goals."""

import pytest

from notebooks.experiments.folders import REFERENCE, Folders
from otlib.files import read_json

# Another processor rounds differently, and 2,400 steps of training magnify it: 4 % were seen. A changed method moves more.
ANOTHER_MACHINE = 0.10
UNTRAINED = 2e-3  # what nothing is trained for: positions in float32 and rounding of the speech, seen to move by 0.1 %


@pytest.fixture(scope="module")
def remade() -> dict:
    return read_json(Folders().results / "metrics.json")


@pytest.fixture(scope="module")
def reference() -> dict:
    return read_json(REFERENCE / "metrics.json")


def test_errors_are_those_of_the_reference(remade, reference):
    assert remade["table"].keys() == reference["table"].keys()
    for method, row in reference["table"].items():
        assert remade["table"][method]["lip_max_mm"] == pytest.approx(row["lip_max_mm"], rel=ANOTHER_MACHINE), method


@pytest.mark.parametrize("method", ["template", "mean motion", "oracle"])
def test_baselines_do_not_depend_on_training(remade, reference, method):
    expected = reference["table"][method]["lip_max_mm"]
    assert remade["table"][method]["lip_max_mm"] == pytest.approx(expected, rel=UNTRAINED)


def test_enough_unseen_speakers(remade):
    assert remade["test"]["speakers"] >= 6


def test_better_than_any_still_face(remade):
    table = {method: row["lip_max_mm"] for method, row in remade["table"].items()}
    assert table["OT-Talk"] <= 0.75 * min(table["template"], table["mean motion"])


def test_better_than_loudness_and_pitch(remade):
    table = {method: row["lip_max_mm"] for method, row in remade["table"].items()}
    assert table["OT-Talk"] <= 0.85 * table["loudness and pitch"]


@pytest.mark.parametrize("name", ["talking_head.mp4", "talking_head.glb", "run.json", "loss_curves.png", "measures.png",
                                  "true_predicted_error.png", "curves.json"])
def test_everything_is_left(name):
    assert (Folders().results / name).stat().st_size > 1000
