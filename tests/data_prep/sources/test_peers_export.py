"""Export to the processed layout: bit for bit, loaded by the peers' way of loading, whole or absent."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.__main__ import main
from data_prep.raw.mesh_files import read_mesh
from data_prep.raw.npy_and_wav import map_motion, read_sound
from data_prep.raw.safe_folder import Folder
from data_prep.raw.safe_pickle import read_pickle
from data_prep.sources import peers_export as export_module
from data_prep.sources.peers_export import CONVENTIONS, export, with_frames_between
from data_prep.sources.peers_layout import read_processed_layout
from data_prep.writer import DatasetWriter, NewSequence, write_sequence
from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.topology import Topology
from tests.fixtures import biwi_folder, vocaset_folder
from tests.fixtures.tiny_corpus import write_corpus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "balls")


def small(path, frame_rate=25.0, clips=(("s", "train", "a"), ("s", "val", "b"), ("t", "test", "c"))):
    """A data set of named clips, (subject, split, sentence), of one triangle each."""
    generator = np.random.default_rng(0)
    with DatasetWriter(path, name="small", frame_rate=frame_rate, provenance={}) as writer:
        writer.set_topology(Topology(np.array([[0, 1, 2]]), {"lips": [0], "upper_face": [1], "lip_gap": [0, 1]}))
        for subject in dict.fromkeys(clip[0] for clip in clips):
            writer.add_subject(subject, generator.normal(size=(3, 3)))
        for subject, split, sentence in clips:
            writer.add_sequence(*write_sequence(writer.folder, NewSequence(
                f"{subject}_{sentence}", subject, sentence, split, generator.normal(size=(4, 3, 3)),
                np.arange(round(4 / frame_rate * 8000), dtype=np.int16), 8000)))
    return path


def clips_of(out):
    return json.loads((out / "export.json").read_text())["clips"]


def load_as_peers_do(folder: Path, convention: str, take: int, **subjects):
    """What the peers' data loaders do with a folder, told in the words of the layout.

    They walk over the sounds, turn "wav" in the name into "npy", part the name at "_", take the last two characters as the
    sentence's number, and look both up in the lists that they are started with.
    """
    numbers = {"vocaset": ((1, 40), (21, 40), (21, 40)), "biwi": ((1, 32), (33, 36), (37, 40))}[convention]
    templates = pickle.loads((folder / "templates.pkl").read_bytes(), encoding="latin1")
    loaded = {"train": {}, "val": {}, "test": {}}
    for sound in (folder / "wav").iterdir():
        key = sound.name.replace("wav", "npy")
        subject, number = "_".join(key.split("_")[:-1]), int(key.split(".")[0][-2:])
        for (split, found), (first, last) in zip(loaded.items(), numbers, strict=True):
            if subject in subjects[split].split() and first <= number <= last:
                motion = np.load(folder / "vertices_npy" / key, allow_pickle=True)[::take]
                found[key.removesuffix(".npy")] = (motion, templates[subject].reshape(-1), sound)
                break
    return loaded


@pytest.mark.parametrize("convention", ["vocaset", "any"])
def test_what_is_exported_is_the_data_set_bit_for_bit(tmp_path, corpus, convention):
    dataset = Dataset.open(corpus)
    export(dataset, tmp_path / "out", convention)
    layout = read_processed_layout(Folder(tmp_path / "out"))
    np.testing.assert_array_equal(layout.faces, dataset.topology.faces)
    names = clips_of(tmp_path / "out")
    assert {entry["sequence"] for entry in names.values()} == {sequence.id for sequence in dataset.sequences}
    sequences = {sequence.id: sequence for sequence in dataset.sequences}
    for name, (motion_file, sound_file) in layout.clips.items():
        sequence = sequences[names[name]["sequence"]]
        motion = map_motion(motion_file, len(sequence.template))
        assert motion.dtype == np.float32
        np.testing.assert_array_equal(motion[::2] if convention == "vocaset" else motion, sequence.vertices)
        np.testing.assert_array_equal(layout.templates[sequence.subject], sequence.template)
        samples, rate = read_sound(sound_file)
        np.testing.assert_array_equal(samples, soundfile.read(sequence.audio_path, dtype="int16")[0])
        assert (name.rpartition("_")[0], rate) == (sequence.subject, sequence.audio[1])
    faces = {"vocaset": "FLAME_sample.ply", "any": "topology.ply"}[convention]
    for place in (tmp_path / "out", tmp_path / "out/templates"):
        np.testing.assert_array_equal(read_mesh(place / faces).faces, dataset.topology.faces)
    for file, region in (("lve.txt", "lips"), ("fdd.txt", "upper_face")):
        written = (tmp_path / "out/regions" / file).read_text().split(", ")
        assert [int(index) for index in written] == list(dataset.topology.regions[region])


def test_the_peers_way_of_loading_finds_each_clip_in_its_split(tmp_path, corpus):
    dataset = Dataset.open(corpus)
    export(dataset, tmp_path / "out", "vocaset")
    account = json.loads((tmp_path / "out/export.json").read_text())
    loaded = load_as_peers_do(tmp_path / "out", "vocaset", 2, **{
        split: account[f"{split}_subjects"] for split in ("train", "val", "test")})
    for split, clips in loaded.items():
        expected = {sequence.id: sequence for sequence in dataset.select(split)}
        assert {account["clips"][name]["sequence"] for name in clips} == set(expected)
        for name, (motion, template, sound) in clips.items():
            sequence = expected[account["clips"][name]["sequence"]]
            assert motion.shape == (sequence.frames, account["vertice_dim"]) and template.shape == motion.shape[1:]
            np.testing.assert_array_equal(motion, np.array(sequence.vertices).reshape(sequence.frames, -1))
            assert soundfile.info(sound).duration == pytest.approx(sequence.frames / 30, abs=0.1)


def test_a_subject_in_all_splits_keeps_them_apart_by_number(tmp_path):
    dataset = Dataset.open(small(tmp_path / "small"))
    export(dataset, tmp_path / "out", "biwi")
    assert {name: entry["split"] for name, entry in clips_of(tmp_path / "out").items()} == {
        "s_sentence01": "train", "s_sentence33": "val", "t_sentence37": "test"}
    loaded = load_as_peers_do(tmp_path / "out", "biwi", 1, train="s", val="s", test="s t")
    assert [list(clips) for clips in loaded.values()] == [["s_sentence01"], ["s_sentence33"], ["t_sentence37"]]
    export(dataset, tmp_path / "out", "any")
    assert list(clips_of(tmp_path / "out")) == ["s_sentence01", "s_sentence02", "t_sentence01"]


def test_names_that_fit_are_kept(tmp_path):
    fitting = small(tmp_path / "fitting", clips=(("s", "train", "e07"), ("s", "val", "e36"), ("t_TA", "test", "e40")))
    export(Dataset.open(fitting), tmp_path / "out", "biwi")
    assert set(clips_of(tmp_path / "out")) == {"s_e07", "s_e36", "t_TA_e40"}
    for clips in ((("s", "train", "e07"), ("s", "val", "e32")), (("s", "train", "e07"), ("s", "train", "x07")),
                  (("s", "train", "wav07"),), (("s", "train", "a.07"),), (("s", "train", "a_07"),)):
        export(Dataset.open(small(tmp_path / "other", clips=clips)), tmp_path / "out", "biwi")
        assert all("_sentence" in name for name in clips_of(tmp_path / "out"))


def test_clips_without_a_number_are_left_out_and_told(tmp_path, capsys):
    clips = [("s", "train", f"x{number}") for number in range(35)]
    assert main(["export", "--dataset", str(small(tmp_path / "small", clips=clips)), "--out", str(tmp_path / "out"), "--for",
                 "biwi"]) == 0
    said = capsys.readouterr().out
    assert "small: 32 clips at 25 frames a second" in said
    assert "left out, since --for biwi has no number for them: 3 clips (s_x32, ...; export.json names them)" in said
    assert '--vertice_dim 9 --train_subjects "s" --val_subjects "" --test_subjects ""' in said
    assert json.loads((tmp_path / "out/export.json").read_text())["left_out"] == ["s_x32", "s_x33", "s_x34"]


def test_templates_are_read_by_plain_and_by_safe_unpickling(tmp_path, corpus):
    dataset = Dataset.open(corpus)
    export(dataset, tmp_path / "out")
    content = (tmp_path / "out/templates.pkl").read_bytes()
    assert b"numpy.core.multiarray" in content and b"numpy._core" not in content  # numpy 1 knows no numpy._core
    for templates in (pickle.loads(content, encoding="latin1"), read_pickle(tmp_path / "out/templates.pkl")):
        assert set(templates) == set(dataset.subjects)
        for subject, template in templates.items():
            assert template.dtype == np.float32
            np.testing.assert_array_equal(template, dataset.template(subject))


def test_vocaset_in_and_out_is_the_same_data_set(tmp_path):
    raw = vocaset_folder.write_raw(tmp_path / "raw")
    for rate in ("60", "30"):  # at 30, frames are put in between that reading leaves out again
        options = ["--frame-rate", rate, "--masks", str(raw / "FLAME_masks.pkl")]
        assert main(["vocaset", "--raw", str(raw), "--out", str(tmp_path / "in"), *options]) == 0
        export(Dataset.open(tmp_path / "in"), tmp_path / "layout", "vocaset")
        assert main(["vocaset", "--raw", str(tmp_path / "layout"), "--out", str(tmp_path / "again"), *options]) == 0
        assert Dataset.open(tmp_path / "again").checksum == Dataset.open(tmp_path / "in").checksum
        account = json.loads((tmp_path / "layout/export.json").read_text())
        assert account["train_subjects"] == f"{vocaset_folder.TRAIN[0]} {vocaset_folder.TRAIN[3]}"  # the published order


def test_biwi_in_and_out_is_the_same_data_set(tmp_path):
    raw = biwi_folder.write_raw(tmp_path / "raw")
    for place, source in (("in", raw), ("again", tmp_path / "layout")):
        assert main(["biwi", "--raw", str(source), "--out", str(tmp_path / place)]) == 0
        if place == "in":
            export(Dataset.open(tmp_path / "in"), tmp_path / "layout", "biwi")
    assert Dataset.open(tmp_path / "again").checksum == Dataset.open(tmp_path / "in").checksum


def test_frames_between_lie_halfway():
    frames = np.random.default_rng(0).normal(size=(4, 3, 3)).astype(np.float32)
    both = with_frames_between(frames)
    assert both.shape == (7, 3, 3) and both.dtype == np.float32
    np.testing.assert_array_equal(both[::2], frames)
    np.testing.assert_allclose(both[1::2], (frames[:-1].astype(float) + frames[1:]) / 2, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(with_frames_between(frames[:1]), frames[:1])


REFUSED = {
    "rate of biwi": ("biwi", 30.0, None, "has 30 frames a second, --for biwi takes 25; use --for any"),
    "rate of vocaset": ("vocaset", 25.0, None, "has 25 frames a second, --for vocaset takes 30 or 60; use --for any"),
    "two splits": ("vocaset", 60.0, None, "the subject s is in the splits train and val, which this convention tells"),
    "wav": ("any", 25.0, (("wave", "train", "a"),), "the subject wave has a name with 'wav' or '.' in it"),
    "dot": ("any", 25.0, (("a.b", "train", "a"),), "the subject a.b has a name with 'wav' or '.' in it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_place_is_refused(tmp_path, capsys, name):
    convention, rate, clips, message = REFUSED[name]
    source = small(tmp_path / "small", rate, *([clips] if clips else []))
    assert main(["export", "--dataset", str(source), "--out", str(tmp_path / "out"), "--for", convention]) == 2
    assert f"{source}: {message}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def exported(corpus, out):
    return main(["export", "--dataset", str(corpus), "--out", str(out)])


def test_only_an_earlier_export_is_replaced(tmp_path, corpus, capsys):
    out = tmp_path / "out"
    out.mkdir()
    for name, text in (("notes.txt", "{}"), ("export.json", "{}"), ("export.json", '{"vertice_dim": 9}')):
        (out / name).write_text(text)
        assert exported(corpus, out) == 2
        assert "exists and is not an earlier export" in capsys.readouterr().err and (out / name).read_text() == text
        (out / name).unlink()
    assert exported(corpus, out) == 0  # an empty folder
    assert exported(corpus, out) == 0
    assert exported(tmp_path / "none", out) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("name", "message"), [("mine.txt", "is not listed in export.json"),
                                               ("regions/lve.txt", "differs from what export.json lists")])
def test_a_file_of_a_persons_own_in_an_export_is_kept(tmp_path, corpus, name, message):
    out = tmp_path / "out"
    assert exported(corpus, out) == 0
    (out / name).write_text("1, 2, 3")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    run = subprocess.run([sys.executable, "-m", "data_prep", "export", "--dataset", str(corpus), "--out", str(out)],
                         cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2 and f"{out / name}: {message}, so nothing is replaced" in run.stderr.splitlines()[-1]
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_export_lists_its_files(tmp_path, corpus):
    assert exported(corpus, tmp_path / "out") == 0
    files = json.loads((tmp_path / "out/export.json").read_text())["files"]
    there = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert set(files) == there - {"export.json"}
    for name, entry in files.items():
        content = (tmp_path / "out" / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


@pytest.mark.parametrize("place", [".", "vertices", "..", "link"])
def test_an_export_may_not_touch_its_data_set(tmp_path, corpus, place):
    data = Path(shutil.copytree(corpus, tmp_path / "all/data"))
    (data / "link").symlink_to(data)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="which is read, so nothing is written"):
        export(Dataset.open(data), data / place)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_export_leaves_what_stood_there(tmp_path, corpus, monkeypatch, failure):
    dataset = Dataset.open(corpus)
    export(dataset, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    def fail(*arguments, **options):
        raise failure

    monkeypatch.setattr(export_module.trimesh, "Trimesh", fail)
    for out in ("out", "new"):
        with pytest.raises((KeyboardInterrupt, InputError)):
            export(dataset, tmp_path / out)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert os.listdir(tmp_path) == ["out"]


def test_help_names_the_layout_and_the_conventions(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    said = capsys.readouterr().out
    for words in ("vertices_npy/", "templates.pkl", "--dataset", "--out", "--for", *CONVENTIONS):
        assert words in said
