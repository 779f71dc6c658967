"""The demo by another method: what is trained and shown beside the default's, and what is refused before anything runs."""

import json
import sys

import nbformat
import numpy as np
import pytest
import soundfile

from notebooks.driver import run as driver
from notebooks.driver.method import USUAL, Method
from notebooks.experiments.folders import Folders
from otlib.files import atomic_write
from otlib.own_files import LEDGER
from otlib.train.settings import TrainSettings
from tests.conftest import ROOT
from tests.fixtures.small_talker import write_talker
from tests.fixtures.tiny_corpus import write_corpus

TIMES = {"budget": 60, "usual": 3}
SUITE = {"profiles": ["fast"], "notebooks": [
    {"name": "01_train", "outputs": ["{run}/models/ot_talk/weights", "{run}/models/{model}/weights", "{run}/curves.png"],
     "profiles": {"fast": {**TIMES, "another_method": {"budget": 600, "usual": 50}}}},
    {"name": "02_score", "needs": ["01_train"], "outputs": ["{run}/scores.json"], "profiles": {"fast": TIMES}},
    {"name": "03_head", "needs": ["01_train"], "outputs": ["{head}/head.glb"], "profiles": {"fast": TIMES}}]}
PARAMETERS = {"01_train": 'PROFILE = "fast"\nMETHOD = "ottalk"\nSTEPS = 5', "02_score": 'PROFILE = "fast"',
              "03_head": 'PROFILE = "fast"\nAUDIO = ""\nMETHOD = "ottalk"\nKEYS = []\nTEXT = ""'}
RUN = "results/runs/fast"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A checkout of three notebooks."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/suite.yaml").write_text(json.dumps(SUITE))
    for name, parameters in PARAMETERS.items():
        cell = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": {
            "name": "python3", "display_name": "Python 3", "language": "python"}}), tmp_path / f"notebooks/{name}.ipynb")
    monkeypatch.setattr(driver, "ROOT", tmp_path)
    monkeypatch.setattr(driver, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(driver, "code_checksum", lambda sources: (tmp_path / "code").read_text())
    monkeypatch.setattr(driver, "ensure_rendering", lambda: None)
    monkeypatch.setattr(driver, "Folders", lambda profile, run, root: Folders(profile, run, tmp_path))
    (tmp_path / "code").write_text("1")
    soundfile.write(tmp_path / "say.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 8000), 16_000)
    return tmp_path


@pytest.fixture
def after(root, monkeypatch):
    """Run the driver without kernels; return the steps that ran, as they were. Each writes the same whenever it runs."""
    ran = []

    def execute(step, folder, draws):
        ran.append(step)
        for path in [folder / f"{step.label}.ipynb", *(root / path for path in step.outputs)]:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as written:
                written.write_text(path.name)

    def after(*arguments):
        ran.clear()
        assert driver.main(list(arguments)) == 0
        return {step.name: step for step in ran}

    monkeypatch.setattr(driver, "execute", execute)
    return after


def made(root):
    return {path.relative_to(root / RUN).as_posix() for path in (root / RUN).rglob("*")
            if path.is_file() and path.name != LEDGER}


def test_another_method_later_makes_only_what_is_missing_and_the_default_stays_done(root, after):
    assert list(after()) == ["01_train", "02_score", "03_head"]
    default = made(root)
    ran = after("--method", "kmtalk")
    assert list(ran) == ["01_train", "03_head"]
    assert made(root) - default == {
        "models/kmtalk/weights", "kmtalk/head.glb", *(f"notebooks/{name}.kmtalk.{end}" for name in ran
                                                      for end in ("ipynb", "done.json"))}
    assert not after() and not after("--method", "kmtalk")


def test_the_default_later_scores_nothing_again(root, after):
    assert list(after("--method", "kmtalk")) == ["01_train", "02_score", "03_head"]
    assert list(after()) == ["01_train", "03_head"]  # which have no stamp of their own yet; trainings are kept by themselves
    assert not after() and not after("--method", "kmtalk")


def test_each_method_follows_its_own_model_and_both_follow_the_code(root, after):
    after()
    after("--method", "kmtalk")
    (root / RUN / "models/kmtalk/weights").unlink()
    assert not after()
    assert list(after("--method", "kmtalk")) == ["01_train"]  # the same again
    (root / "code").write_text("2")
    assert list(after("--method", "kmtalk")) == ["01_train", "02_score", "03_head"]
    assert list(after()) == ["01_train", "03_head"]


def test_each_notebook_is_told_what_concerns_it(root, after):
    ran = after("--method", "kmtalk", "--keys", "even", "every", "even")
    assert ran["01_train"].parameters == {"PROFILE": "fast", "METHOD": "kmtalk"}
    assert (ran["01_train"].budget, ran["01_train"].usual, ran["02_score"].budget) == (660, 53, 60)
    assert ran["02_score"].parameters == {"PROFILE": "fast"} and ran["02_score"].plain is None
    assert ran["03_head"].parameters == {"PROFILE": "fast", "METHOD": "kmtalk", "KEYS": ["even", "every"], "TEXT": ""}
    assert list(after("--method", "kmtalk")) == ["03_head"]
    assert list(after("--method", "kmtalk", "--keys", "even every")) == ["03_head"]  # as make gives them


def test_a_recording_has_a_head_of_each_method_and_a_text(root, after):
    after()
    (root / "said.txt").write_text("Hello there.\n")
    sound = ["--audio", str(root / "say.wav")]
    assert list(after(*sound)) == ["03_head"]
    ran = after(*sound, "--method", "kmtalk", "--text", f"@{root / 'said.txt'}")
    assert list(ran) == ["01_train", "03_head"] and ran["03_head"].parameters["TEXT"] == "Hello there."
    assert list(after(*sound, "--method", "kmtalk", "--text", "Hello there.")) == []
    assert len(list((root / RUN / "talks").glob("say-*/head.glb"))) == 1
    assert len(list((root / RUN / "talks").glob("say-*/kmtalk/head.glb"))) == 1


def test_a_parameter_of_the_command_line_is_both_methods(root, after):
    few = ["--only", "01_train", "-p", "STEPS", "2"]
    assert after(*few, "--method", "kmtalk")["01_train"].plain.parameters["STEPS"] == 2
    assert list(after("--only", "02_score", "--method", "kmtalk")) == ["01_train", "02_score"]


@pytest.mark.parametrize("arguments, sentence", [
    (["--keys", "frames"], "--keys and --text are for a method with key frames, which ottalk has not; add --method kmtalk"),
    (["--text", "Hi."], "--keys and --text are for a method with key frames, which ottalk has not; add --method kmtalk"),
    (["--method", "kmtalk", "--keys", "true"], "--keys: there is no source of key frames 'true'; there are frames, ctc, "),
    (["--method", "kmtalk", "--keys", " "], "--keys: names no source of key frames; there are frames, "),
    (["--method", "kmtalk", "--text", "Hi."], "--text is what a recording of yours says; name the recording by --audio"),
    (["--method", "kmtalk", "--audio", "{root}/say.wav", "--text", "@{root}/gone.txt"], "gone.txt: no such file"),
    (["--method", "kmtalk", "--audio", "{root}/say.wav", "--text", "@{root}/empty"], "empty: holds no text; write into it"),
    (["--method", "kmtalk", "--audio", "{root}/say.wav", "--text", "\udcff"], "--text: is not Unicode text"),
    (["--method", "kmtalk", "--audio", "{root}/say.wav", "--text", "Hi.", "--keys", "even"], "a text is for an aligner ("),
    (["--method", "kmtalk", "--keys", "pocketsphinx"],
     "no key frames from 'pocketsphinx': pocketsphinx: is not installed; `pip install otlib[aligners]`"),
    (["--only", "03_head", "-p", "METHOD", "kmtalk"], "--parameter METHOD: give it by --method"),
    (["--only", "03_head", "-p", "KEYS", "[]"], "--parameter KEYS: give them by --keys"),
    (["--only", "03_head", "-p", "TEXT", "Hi."], "--parameter TEXT: give it by --text"),
])
def test_what_cannot_be_used_is_refused_before_anything_runs(root, after, monkeypatch, capsys, arguments, sentence):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    (root / "empty").write_text(" \n")
    assert driver.main([word.format(root=root) for word in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and sentence in said and said.count("\n") == 1 and not (root / "results").exists()


def test_a_source_that_is_not_there_is_no_hindrance_where_a_further_one_is_named(root, after, monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    ran = after("--method", "kmtalk", "--keys", "pocketsphinx", "even")
    assert ran["03_head"].parameters["KEYS"] == ["pocketsphinx", "even"]


def test_the_real_suite_trains_and_shows_the_other_method_and_nothing_else_changes():
    plain, other = driver.read_suite(Folders()), driver.read_suite(Folders(), method=Method("kmtalk"))
    changed = {step.name: (one, step) for one, step in zip(plain, other, strict=True) if one != step}
    assert list(changed) == ["08_training", "11_talking_head"]
    one, step = changed["08_training"]
    assert set(step.outputs) - set(one.outputs) == {f"{RUN}/models/kmtalk/model.safetensors"} and step.plain == one
    assert step.parameters == {"PROFILE": "fast", "METHOD": "kmtalk"} and step.usual > one.usual
    assert {path.replace("/kmtalk", "") for path in changed["11_talking_head"][1].outputs} == set(
        changed["11_talking_head"][0].outputs)
    assert driver.read_suite(Folders(), method=USUAL) == plain


def cells(name, *, after="", changed=()):
    """Yield a notebook's code cells that draw nothing in 3-D, from the one that holds a text, with other parameters."""
    begun = False
    for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells:
        tags = cell.metadata.get("tags", ())
        if cell.cell_type != "code" or "render" in tags:
            continue
        begun = begun or after in cell.source
        if begun or "parameters" in tags or "Folders(PROFILE, RUN)" in cell.source:
            yield cell.source.replace("Folders(PROFILE, RUN)", "Folders(PROFILE, RUN, PLACE)")
        if "parameters" in tags:
            yield "\n".join(changed)


@pytest.fixture
def place(tmp_path):
    """A checkout with a data set, and a run in it."""
    folders = Folders(root=tmp_path)
    write_corpus(folders.corpus)
    folders.claimed()
    folders.models.mkdir()
    return folders


def test_the_notebook_says_where_key_frames_come_from(place, tmp_path, monkeypatch, capsys):
    write_talker(place.models / "kmtalk", method="kmtalk")
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    names = {"PLACE": tmp_path}
    for source in cells("11_talking_head", changed=['METHOD = "kmtalk"', 'KEYS = ["pocketsphinx", "even"]']):
        exec(source, names)
    said = capsys.readouterr().out.splitlines()
    [refused] = [line for line in said if line.startswith("warning:")]  # which the driver lets through to the terminal
    assert "no key frames from 'pocketsphinx': pocketsphinx: is not installed" in refused
    assert "12 of 36 frames are key; they come from 'even', those of the model's training from 'frames'" in said
    assert {path.name for path in (place.results / "kmtalk").iterdir()} == {"talking_head.glb", "talking_head_lip_gap.png"}
    assert names["told"] == "; dots: its 12 key frames, from 'even'"


@pytest.mark.parametrize("method, trained", [("ottalk", ["ot_talk", "prosody"]),
                                             ("kmtalk", ["kmtalk", "ot_talk", "prosody"])])
def test_the_training_notebook_trains_the_method_too_and_leaves_the_rest(place, tmp_path, monkeypatch, method, trained):
    begun = {}

    def train_all(data, runs, settings, *, cache):
        begun.update(settings)
        for number, name in enumerate(settings):
            rows = [{"step": step, "steps": 2, "total": 1.0, "reconstruction": 1.0 + step, "velocity": 1.0, "transport": 1.0,
                     "validation_lip_mm": 3.0 + step + number} for step in range(2)]
            (runs / name).mkdir()
            (runs / name / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return {name: {"validation_lip_mm": 3.0, "best_step": 1} for name in settings}

    monkeypatch.setattr("otlib.train.side_by_side.train_all", train_all)
    names, shown = {"PLACE": tmp_path}, []
    wanted = [source for source in cells("08_training", after="chosen = {", changed=[f'METHOD = "{method}"', "STEPS = 10"])
              if "OTTalk(settings)" not in source and "lip_errors" not in source and "early, later" not in source]
    for source in wanted:
        exec(source, names)
        if source.startswith("# another method's curve"):
            shown.append(eval(source.split("\n", 1)[1].replace("\n", " "), names))
    assert list(begun) == trained and begun["ot_talk"] == TrainSettings(names["ENCODER"], steps=10)
    assert begun.get("kmtalk", TrainSettings(names["ENCODER"], "kmtalk", steps=10)).method == "kmtalk"
    assert begun[trained[0]].steps == 10 and begun[trained[0]].keys.source == "frames"
    assert list(json.loads((place.results / "curves.json").read_text())) == ["ot_talk", "prosody"]
    assert len(shown) == 1 and (shown[0] is None) == (method == "ottalk")
