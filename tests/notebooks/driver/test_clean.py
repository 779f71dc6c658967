"""make clean: what the commands make again goes, as long as it is as they left it; nothing else does."""

import os
import shutil

import pytest

from notebooks.driver import clean
from notebooks.experiments.folders import Folders
from otlib.files import write_json
from otlib.own_files import LOCK, MARK, claim, own_folder
from tests.fixtures.tiny_corpus import write_corpus

MADE = ("data/fast/features/a.json", ".cache/features/b.json", ".cache/pretraining/round1.json",
        "results/runs/fast/models/ot_talk/encoder/config.json", "results/runs/fast/notebooks/01_corpus.ipynb",
        "results/runs/fast/sweeps/ablation/work/full_seed0/run/model.json")
STAYS = ("results/runs/fast/metrics.json", "results/runs/fast/lab/01_corpus.ipynb", "results/runs/fast/card/card.json",
         "results/runs/fast/sweeps/ablation/table.json")


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    shutil.copy(clean.ROOT / "notebooks/suite.yaml", tmp_path / "notebooks")
    folders = Folders(root=tmp_path).claimed()
    write_corpus(folders.corpus)
    write_corpus(tmp_path / "data/scanned")
    for folder in ("data/fast/features", ".cache/features", ".cache/pretraining", "results/runs/fast/models/ot_talk",
                   "results/runs/fast/sweeps/ablation", "results/runs/fast/sweeps/ablation/work/full_seed0",
                   "results/runs/fast/sweeps/ablation/work/full_seed0/run"):
        claim(tmp_path / folder)
    for file in (*MADE, *STAYS):
        write_json(tmp_path / file, file)
    monkeypatch.setattr(clean, "ROOT", tmp_path)
    return tmp_path


def files(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.name[0] != "."}


def test_what_is_made_again_goes_and_results_and_what_came_from_a_persons_files_stay(root, capsys):
    before = files(root)
    assert clean.main([]) == 0 and capsys.readouterr().err == ""
    gone = {*MADE, *(file for file in before if file.startswith("data/fast/corpus/"))}
    assert files(root) == before - gone and len(gone) > len(MADE)
    for folder in ("data/fast/corpus", "data/fast/features", ".cache/features", "results/runs/fast/models/ot_talk",
                   "results/runs/fast/sweeps/ablation/work/full_seed0"):
        assert not (root / folder).exists()
    assert clean.main([]) == 0 and capsys.readouterr().err == ""


@pytest.mark.parametrize("file, named", [
    ("data/fast/corpus/mine.txt", "mine.txt: is not listed in manifest.json"),
    ("data/fast/corpus/faces.npy", "faces.npy: differs from what manifest.json lists"),
    ("data/fast/features/mine.txt", "mine.txt: is not listed in .otlib-files.jsonl"),
    (MADE[3], "config.json: differs from what .otlib-files.jsonl lists"),
    (MADE[4], "01_corpus.ipynb: was not written by this project, or was changed since"),
])
def test_a_persons_edit_keeps_its_folder_and_is_named(root, capsys, file, named):
    (root / file).write_text("mine")
    beside = {path for path in (root / file).parent.iterdir() if "notebooks" not in file}
    assert clean.main([]) == 0
    said = capsys.readouterr().err
    assert said.startswith("left: ") and said.count("\n") == 1 and named in said
    assert (root / file).read_text() == "mine" and all(path.exists() for path in beside)
    assert not (root / MADE[1]).exists()  # the rest went


def test_a_folder_at_which_a_run_is_at_work_stays(root, capsys):
    with own_folder(root / "results/runs/fast/models/ot_talk"):
        assert clean.main([]) == 0
    assert "ot_talk: another run is writing it" in capsys.readouterr().err and (root / MADE[3]).is_file()


def test_what_killed_runs_left_goes_too(root):
    for name in ("data/fast/.corpus.otlib-abcdefgh", "results/runs/fast/models/ot_talk/.state.safetensors.otlib-abcdefgh"):
        (root / name).mkdir()
        (root / name / LOCK).write_bytes(MARK)
        (root / name / "half").write_text("half")
    assert clean.main([]) == 0
    assert not [name for _, folders, _ in os.walk(root) for name in folders if ".otlib-" in name]
