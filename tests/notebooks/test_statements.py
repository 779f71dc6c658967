"""What the notebooks' sentences say is what the code does: typed numbers against constants, and captions below pictures."""

import inspect
import json
import math
import re

import nbformat
import pytest

from data_prep.encoder.objective import Masking
from notebooks.experiments import sweep_results
from notebooks.experiments.folders import Folders
from notebooks.experiments.record import COLUMNS
from otlib.export.glb import write_glb
from otlib.files import read_json, write_json
from otlib.losses import LossSettings
from otlib.measures.measure import NORMAL_WEIGHT
from otlib.models.ottalk import ModelSettings, OTTalk
from otlib.predict import LEAD_IN
from otlib.speech.encoder import load_encoder
from otlib.speech.recording import SAMPLE_RATE
from otlib.speech.small_hubert import BUNDLED, HOP, context_frames
from otlib.train.settings import TrainSettings
from tests.conftest import ROOT

NOTEBOOKS = {file.stem: nbformat.read(file, as_version=4) for file in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
FRAME_RATE = 30.0  # of the corpus


def prose(name):
    return "\n\n".join(cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "markdown")


def printed(name):
    return "".join(output.text for cell in NOTEBOOKS[name].cells for output in cell.get("outputs", ())
                   if output.output_type == "stream")


def heard() -> tuple[float, float]:
    """Seconds of features and of sound to each side on which a frame of the bundled encoder's model depends."""
    source = load_encoder("bundled")
    features = OTTalk(ModelSettings(source.layers, source.channels)).reach / FRAME_RATE
    return features, features + context_frames(source.model.config) * HOP / SAMPLE_RATE


def test_how_far_a_frame_hears_is_what_the_shapes_of_model_and_encoder_bound():
    features, sound = heard()
    [said] = re.findall(r"features within ([\d.]+) s; these depend on the sound within ([\d.]+) s, so a frame depends on "
                        r"the sound within ([\d.]+) s", prose("07_model"))
    assert [float(number) for number in said] == [round(features, 1), round(sound - features, 1), round(sound, 1)]
    assert f"{sound:.1f} s of sound to each side" in prose("07_model").split("**Limits.**")[1]


SETTINGS, LOSS, MASKING = ModelSettings(1, 1), LossSettings(), Masking()


@pytest.mark.parametrize("name, sentence", [
    ("07_model", f"minus infinity beyond {SETTINGS.radius} frames, {SETTINGS.radius / FRAME_RATE:g} s"),
    ("07_model", f"$2 + {SETTINGS.layers} \\cdot {SETTINGS.radius} = {2 + SETTINGS.layers * SETTINGS.radius}$ frames"),
    ("07_model", {31: "thirty-one such graphs"}[TrainSettings().variations]),
    ("08_training", {0.2: "a fifth of HuBERT's channels is dropped"}[SETTINGS.lost]),
    ("08_training", {0.5: "in half of the windows the head's identity is hidden"}[SETTINGS.forgotten]),
    ("05_hubert", f"a probability of {MASKING.start_probability:.0%}".replace("%", " %")),
    ("05_hubert", {10: "a span is ten frames, 0.2 s"}[MASKING.span]),
    ("03_measures", f"`otlib` uses {NORMAL_WEIGHT:g} m"),
    ("11_talking_head", f"We put {LEAD_IN:g} s of silence before the recording"),
    ("11_talking_head", f"at most {inspect.signature(write_glb).parameters['max_targets'].default} shapes"),
])
def test_a_typed_number_is_the_codes(name, sentence):
    assert sentence in prose(name)


def test_the_corpus_is_as_long_as_its_parameter_says():
    [typed] = re.findall(r'"fast" \(2,000 faces, about (\d+) minutes of speech', NOTEBOOKS["01_corpus"].cells[1].source)
    [measured] = re.findall(r"before copies: (\d+) minutes of speech", printed("01_corpus"))
    assert typed == measured


def test_most_of_the_encoders_training_was_by_labels():
    steps = read_json(BUNDLED / "pretraining.json")["recipe"]["steps"]
    assert len(steps) == 3 and steps[-1] > sum(steps) / 2
    assert "for two rounds and was then taught phonemes by their labels, for most of its training" in prose("05_hubert")


def test_the_second_notebook_removes_what_it_made_and_nothing_else():
    code = "\n".join(cell.source for cell in NOTEBOOKS["02_your_data"].cells if cell.cell_type == "code")
    assert "rmtree" not in code and "TemporaryDirectory" in code and "yours.cleanup()" in code
    assert not re.search(r"\bfolders\b|\bROOT\b", code)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_a_picture_tells_stands_below_it(name):
    for cell in NOTEBOOKS[name].cells:
        outputs = cell.get("outputs", ())
        for picture, caption in zip(outputs, [*outputs[1:], None], strict=False):
            if alt := picture.get("metadata", {}).get("image/png", {}).get("alt"):
                assert caption.data["text/markdown"] == f"{alt[:1].upper()}{alt[1:]}."


def write_cell(folder, cell, seed, speakers):
    scores = {metric: {name: value + 0.1 * len(cell) for name, value in speakers.items()} for metric in COLUMNS}
    facts = {"sweep": folder.name, "cell": cell, "seed": seed, "code": "1", "data": "d", "parameters": {"STEPS": 1}}
    write_json(folder / f"{cell}_seed{seed}.json", facts | {"scores": scores, "seconds": 1.0})


@pytest.mark.parametrize("speakers", [{"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0, "c": 4.0}], ids=len)
def test_a_sweep_over_two_speakers_is_shown_without_intervals(speakers, tmp_path, monkeypatch, capsys):
    """Two have none at 95 %; the notebook on the ablation says so and goes on."""
    monkeypatch.setattr(sweep_results, "REFERENCE", tmp_path)
    for sweep, cells in (("ablation", ("full", "no_transport", "no_graph", "neither")),
                         ("full_corpus", ("ot_talk", "still_face", "oracle"))):
        for cell in cells:
            write_cell(tmp_path / "sweeps" / sweep, cell, 0, speakers)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    names = {"PLACE": tmp_path}
    for cell in NOTEBOOKS["12_ablation"].cells:
        if cell.cell_type == "code":
            exec(cell.source.replace("Folders(PROFILE, RUN)", "Folders(PROFILE, RUN, PLACE)"), names)
    folder = Folders(root=tmp_path).results
    kept = json.loads((folder / "ablation.json").read_text(encoding="utf-8"))
    open_ones = [value for value in kept["differences"].values() if value is None]
    assert bool(open_ones) == (len(speakers) == 2) == ("no interval, too few speakers" in capsys.readouterr().out)
    assert (folder / "ablation.png").is_file() and (folder / "full_corpus.png").is_file()
    assert math.isfinite(kept["full_corpus"]["speakers"])
