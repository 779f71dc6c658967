"""The model card says what quality.json beside it holds, and quality.json belongs to the weights beside it."""

import json
import shutil

import pytest

from data_prep.encoder import model_card as encoder_card
from data_prep.encoder.model_card import BLOCKS, CARD, QUALITY, STORY, filled, main, recipe, summary
from otlib.files import read_json, sha256
from otlib.speech import small_hubert as hubert

pytestmark = pytest.mark.slow

LEAST_OVER_MFCC, LEAST_WITHIN_40_MS = 0.12, 0.85  # the project's own aims
LEAST_PROBE = 0.70  # reached; the aim is 0.70, for which the pre-training is still too short
measured = pytest.mark.skipif(not (hubert.BUNDLED / QUALITY).is_file(), reason="the bundled encoder is not measured: "
                              "`python -m data_prep.encoder.model_card` does it")
PART = {"closures": 10, "within_50_ms": 0.5, "refused": 1, "sentences": 4}
FIGURES = {
    "probe": {"encoder": 0.713, "encoder_layers": [0.5, 0.7], "random": 0.3, "random_layers": [0.31, 0.29],
              "mfcc": {"accuracy": 0.45, "context_frames": 4}, "sounds": 44, "train_frames": 50123, "test_frames": 9000,
              "unseen_words": 77, "unseen_speakers": 16},
    "boundaries": {name: {"boundaries": 2641, "within_40_ms": share, "median_ms": 6.0}
                   for name, share in (("frames", 0.971), ("ctc", 0.642))},
    "true_closures": {name: PART for name in ("frames", "ctc", "pocketsphinx")}}
REAL = {"real_speech": {name: {"recordings": 3, "closures": 7, "found_with_text": 6, "found_without_text": 2}
                        for name in ("frames", "ctc")}}

TOLD = {"recipe": {"hours": 5.0, "steps": [800, 900, 4200], "units": [100, 200], "inner_layer": 4, "batch": 8, "seed": 3,
                   "crop_frames": 199, "learning_rate": 1e-3},
        "log": {f"round{number}": [{"loss": 9.0}, {"loss": 3.0 + number}] for number in (1, 2, 3)}}
EMPTY = "before\n" + "".join(f"<!-- {block}:start -->\nstale figures\n<!-- {block}:end -->\n" for block in BLOCKS) + "after"


def test_the_summary_has_every_figure():
    text = summary(FIGURES)
    for figure in ("71.3%", "45.0%", "30.0%", "97.1%", "2,641", "64.2%", "50,123", "| layer 1 | 70.0% | 29.0% |", "6 ms"):
        assert figure in text
    assert "Real speech" not in text and "of 7 closures" in summary(FIGURES | REAL)


PEOPLE = {"people": {name: {"closures": {"auc": auc, "interval": [auc - 0.02, auc + 0.02], "found_at_5_percent_false": 0.71},
                            "sounds": {"share": 0.512, "guessing": 0.094, "interval": [0.45, 0.58]}, "frames": 19906,
                            "voices": 17} for name, auc in (("new", 0.931), ("MFCC", 0.705))}}


def test_the_summary_says_what_is_known_of_people_beside_guessing():
    text = summary(FIGURES | PEOPLE)
    for figure in ("17 voices", "19,906 frames", "9.4%", "| new | 0.931 (0.911 to 0.951) | 0.71 | 51.2% (45.0% to 58.0%) |",
                   "| MFCC | 0.705"):
        assert figure in text
    assert "guessing" not in summary(FIGURES).lower()
    without_heads = summary({"probe": FIGURES["probe"]} | PEOPLE)
    assert "71.3%" in without_heads and "17 voices" in without_heads and "alignment" not in without_heads


def test_the_recipe_of_an_encoder_made_from_another_one_says_so():
    settings = TOLD["recipe"] | {"steps": [0, 0, 2300], "shares": [0.35, 0.25, 0.4], "teacher": True, "frozen": 3}
    text = recipe({"recipe": settings, "start_sha256": "abcdef0123456789", "log": {"round3": [{"loss": 4.0}, {"loss": 3.0}]},
                   "speech_minutes": {"espeak": 86.0, "flite": 41.5, "people": 45.5}})
    for part in ("abcdef012345", "2,300 steps", "teacher", "people 45.5 minutes (40% of the crops)", "first 3 conv", "3.50"):
        assert part in text


def test_recipe_and_figures_stand_between_their_marks_and_nowhere_else():
    once = filled(EMPTY, FIGURES, TOLD)
    assert once.startswith("before\n") and once.endswith("\nafter") and "stale" not in once
    assert "5 hours" in once and "--steps 800 900 4200 --seed 3" in once and "6.50, 7.00, 7.50." in once and "71.3%" in once
    assert filled(once, FIGURES, TOLD) == once
    with pytest.raises(ValueError, match="no place for its recipe"):
        filled("a card without marks", FIGURES, TOLD)


def test_a_card_is_filled_again_without_measuring(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder_card, "measure", None)
    (tmp_path / QUALITY).write_text(json.dumps(FIGURES))
    (tmp_path / STORY).write_text(json.dumps(TOLD))
    (tmp_path / CARD).write_text(EMPTY)
    assert main(["--encoder", str(tmp_path), "--card-only"]) == 0
    assert "71.3%" in (tmp_path / CARD).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["/no/such/encoder", "empty"])
def test_no_encoder_is_said_in_one_sentence(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["--encoder", name]) == 2
    assert name in capsys.readouterr().err


@measured
def test_a_recording_that_cannot_be_read_is_said_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(encoder_card, "measure", None)
    (tmp_path / "speech.wav").write_bytes(b"no sound")
    assert encoder_card.main(["--recording", str(tmp_path / "speech.wav"), "Text."]) == 2
    assert "speech.wav" in capsys.readouterr().err


@pytest.mark.parametrize("folder", sorted(hubert.ENCODERS.iterdir()), ids=lambda folder: folder.name)
def test_each_card_says_what_was_measured_of_its_weights(folder):
    card = (folder / CARD).read_text(encoding="utf-8")
    again = filled(card, read_json(folder / QUALITY), read_json(folder / STORY))
    assert again == card, f"run python -m data_prep.encoder.model_card --card-only --encoder {folder.name}"
    assert read_json(folder / QUALITY)["weights_sha256"] == sha256(folder / "model.safetensors")


@measured
def test_the_bundled_encoder_reaches_what_it_shall():
    figures = read_json(hubert.BUNDLED / QUALITY)
    probe = figures["probe"]
    assert probe["encoder"] >= LEAST_PROBE and probe["encoder"] - probe["mfcc"]["accuracy"] >= LEAST_OVER_MFCC
    assert figures["boundaries"]["frames"]["within_40_ms"] >= LEAST_WITHIN_40_MS


@measured
def test_a_small_measurement_comes_near_the_large_one(tmp_path, monkeypatch):
    """Two sentences of each speaker: shares of some thousand frames; a few per cent apart at the most."""
    pytest.importorskip("pocketsphinx", reason="pocketsphinx comes with otlib[aligners]")
    folder = shutil.copytree(hubert.BUNDLED, tmp_path / "encoder")
    few = encoder_card.Amount((40, 1), (2, 1), (4, 2))
    found = encoder_card.measure(str(folder), few, [])
    stored = read_json(hubert.BUNDLED / QUALITY)
    near, within = (figures["boundaries"]["frames"]["within_40_ms"] for figures in (found, stored))
    assert near == pytest.approx(within, abs=0.05)
    assert found["probe"]["encoder"] > max(found["probe"]["mfcc"]["accuracy"], found["probe"]["random"])
    assert found["probe"]["encoder"] == pytest.approx(stored["probe"]["encoder"], abs=0.15)
