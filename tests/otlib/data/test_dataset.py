"""The data set format: round trip, whole-or-absent writing, and every fault found at once."""

import json
import os

import numpy as np
import pytest
import soundfile

from data_prep.writer import DatasetWriter, NewSequence, write_sequence
from otlib.data.dataset import Dataset, validate
from otlib.errors import InputError
from otlib.files import sha256, write_json
from otlib.topology import Topology

FACES = np.array([[0, 1, 2], [0, 2, 3], [1, 3, 2]])
PARTS = {"skin": [0, 1], "lips": [2]}
REGIONS = {"lips": [0, 1], "upper_face": [2], "jaw": [3], "lip_gap": [0, 1]}
RATE, FRAME_RATE, VERTICES = 16000, 30.0, 4
SPANS = [("", 0.0, 0.1), ("m", 0.1, 0.2), ("ˈɑː", 0.2, 0.5)]


def motion(frames, seed=0):
    return np.random.default_rng(seed).normal(size=(frames, VERTICES, 3)).astype(np.float32)


def write(path, interrupt=None, seed=0):
    """Write two subjects with one sequence each, in training and in test."""
    with DatasetWriter(path, name="tiny", frame_rate=FRAME_RATE, provenance={"tool": "test"}) as writer:
        writer.set_topology(Topology(FACES, REGIONS, PARTS))
        for index, split in enumerate(("train", "test")):
            writer.add_subject(f"s{index}", motion(1, seed)[0], voice="a")
            samples = np.arange(RATE, dtype=np.int16)
            writer.add_sequence(*write_sequence(writer.folder, NewSequence(
                f"s{index}_a", f"s{index}", "a", split, motion(30, seed + index), samples, RATE, SPANS,
                motion(30, 9) if split == "test" else None, "Ma.")))
            if interrupt is not None:
                raise interrupt
    return path


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "tiny")


def edit(folder, change):
    """Change the manifest in place."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    write_json(folder / "manifest.json", manifest)


def replace_file(folder, relative, save):
    """Rewrite a file and keep its checksum right, so that only its content is at fault."""
    save(folder / relative)
    listed = {"sha256": sha256(folder / relative), "bytes": os.path.getsize(folder / relative)}
    edit(folder, lambda manifest: manifest["files"].update({relative: listed}))


def test_what_is_written_is_read_back(folder):
    dataset = Dataset.open(folder)
    assert (dataset.name, dataset.frame_rate, dataset.provenance) == ("tiny", FRAME_RATE, {"tool": "test"})
    assert dataset.subjects["s0"]["voice"] == "a"
    topology = dataset.topology
    np.testing.assert_array_equal(topology.faces, FACES)
    assert topology.faces.dtype == np.int32
    assert topology.vertex_count == VERTICES
    assert {name: list(indices) for name, indices in topology.regions.items()} == REGIONS
    assert {name: list(indices) for name, indices in topology.parts.items()} == PARTS
    sequence = dataset.select(split="test")[0]
    assert isinstance(sequence.vertices, np.memmap) and sequence.vertices.dtype == np.float32
    np.testing.assert_array_equal(sequence.vertices, motion(30, 1))
    np.testing.assert_array_equal(sequence.mean_style, motion(30, 9))
    np.testing.assert_array_equal(sequence.template, motion(1)[0])
    np.testing.assert_array_equal(dataset.template("s1"), sequence.template)
    samples, rate = sequence.audio
    assert samples.dtype == np.float32 and rate == RATE
    np.testing.assert_array_equal(samples * 2**15, np.arange(RATE))
    assert [tuple(span) for span in sequence.phonemes] == SPANS
    assert (sequence.text, sequence.frames) == ("Ma.", 30)
    assert dataset.select(split="train")[0].mean_style is None
    assert validate(folder) == []


def test_select_filters_by_split_and_subject(folder):
    dataset = Dataset.open(folder)
    assert [sequence.id for sequence in dataset.select()] == ["s0_a", "s1_a"]
    assert [sequence.id for sequence in dataset.select(subject="s1")] == ["s1_a"]
    assert dataset.select(split="train", subject="s1") == ()
    with pytest.raises(ValueError, match="no split 'dev'"):
        dataset.select(split="dev")
    with pytest.raises(ValueError, match="no subject 'x'"):
        dataset.select(subject="x")


def test_checksum_tells_content_from_name_and_place(tmp_path, folder):
    copy = write(tmp_path / "copy")
    edit(copy, lambda manifest: manifest.update(name="other", provenance={}))
    assert Dataset.open(folder).checksum == Dataset.open(copy).checksum
    assert Dataset.open(folder).checksum != Dataset.open(write(tmp_path / "other", seed=5)).checksum
    edit(copy, lambda manifest: manifest["sequences"][0].update(split="val"))
    assert Dataset.open(folder).checksum != Dataset.open(copy).checksum


def test_writing_twice_gives_the_same_bytes_and_replaces(tmp_path, folder):
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write(folder, seed=5)
    assert (folder / "vertices/s0_a.npy").read_bytes() != before[next(iter(p for p in before if p.name == "s0_a.npy"))]
    write(folder)
    assert before == {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), RuntimeError("stop")])
def test_an_interrupted_run_leaves_what_was_there(tmp_path, interrupt):
    with pytest.raises(type(interrupt)):
        write(tmp_path / "new", interrupt)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "old")
    with pytest.raises(type(interrupt)):
        write(tmp_path / "old", interrupt, seed=5)
    assert validate(tmp_path / "old") == []
    np.testing.assert_array_equal(Dataset.open(tmp_path / "old").sequences[0].vertices, motion(30, 0))


def test_a_killed_run_leaves_nothing_that_validates(tmp_path, folder):
    (folder / "manifest.json").unlink()  # the manifest comes last
    assert "interrupted" in validate(folder)[0]


def test_a_folder_that_is_no_data_set_is_not_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("words")
    with pytest.raises(InputError, match="not a data set"):
        write(tmp_path / "thesis")
    assert (tmp_path / "thesis/chapter.txt").read_text() == "words"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not a data set"):
        write(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "file" / "below")


def test_the_writer_refuses_what_could_not_be_read_back(tmp_path, folder):
    keep = {"id": "x", "subject": "s", "sentence": "a", "split": "val", "vertices": motion(3),
            "samples": np.zeros(1600, np.int16), "sample_rate": RATE}
    for change, message in (({"id": "../x"}, "cannot name a file"), ({"split": "dev"}, "no split"),
                            ({"vertices": motion(3) * np.nan}, "not finite"),
                            ({"samples": np.zeros(1600)}, "expected int16"), ({"mean_style": motion(2)}, "mean_style")):
        with pytest.raises(ValueError, match=message):
            write_sequence(folder, NewSequence(**{**keep, **change}))
    with (pytest.raises(ValueError, match="a face names vertex 7"),
          DatasetWriter(tmp_path / "bad", name="bad", frame_rate=30.0, provenance={}) as writer):
        writer.set_topology(Topology(FACES + 4, REGIONS))
        writer.add_subject("s", motion(1)[0])
        writer.add_sequence(*write_sequence(writer.folder, NewSequence(**keep)))
    assert not (tmp_path / "bad").exists()


def test_open_says_in_one_sentence_what_is_wrong(tmp_path, folder):
    with pytest.raises(InputError, match="no such data set folder"):
        Dataset.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no manifest.json"):
        Dataset.open(tmp_path / "empty")
    for version in (0, 3, "2", None):
        edit(folder, lambda manifest, version=version: manifest.update(version=version))
        with pytest.raises(InputError, match=f"format version {version!r}, and this otlib reads 1 to 2; prepare"):
            Dataset.open(folder)
    edit(folder, lambda manifest: manifest.update(format="zip"))
    with pytest.raises(InputError, match="is not the manifest"):
        Dataset.open(folder)


def as_version_1(folder):
    """Rewrite a data set as the format's first version had it, which kept the parts among the regions."""
    replace_file(folder, "regions.json", lambda path: path.write_text(json.dumps(REGIONS | {"face_parts": PARTS})))
    (folder / "parts.json").unlink()
    edit(folder, lambda manifest: (manifest.update(version=1), manifest.pop("parts"), manifest["files"].pop("parts.json")))


def test_the_first_version_of_the_format_is_read_too_and_replaced_by_the_second(folder):
    topology = Dataset.open(folder).topology
    as_version_1(folder)
    assert validate(folder) == []
    older = Dataset.open(folder).topology
    for one, other in ((topology.regions, older.regions), (topology.parts, older.parts)):
        assert {name: list(indices) for name, indices in one.items()} == {name: list(i) for name, i in other.items()}
    replace_file(folder, "regions.json", lambda path: path.write_text(json.dumps(REGIONS | {"face_parts": {"skin": [3]}})))
    assert validate(folder) == ["regions.json: skin names face 3, there are 3 of them"]
    replace_file(folder, "regions.json", lambda path: path.write_text(json.dumps(REGIONS)))
    assert Dataset.open(folder).topology.parts == {}
    write(folder)
    assert Dataset.open(folder).topology.parts.keys() == PARTS.keys()


MANIFEST_FAULTS = {
    "frame rate": (lambda m: m.update(frame_rate=0), "the frame rate is 0"),
    "frames a year": (lambda m: m.update(frame_rate=1e-7),
        "the frame rate is 1e-07, not a number at least 1 and at most 1000"),
    "faces of text": (lambda m: m.update(faces="regions.json"), "regions.json: is not a whole .npy array of numbers"),
    "motion of sound": (lambda m: m["sequences"][0].update(vertices="audio/s0_a.wav"),
        "s0_a.wav: is not a whole .npy array"),
    "units": (lambda m: m.update(units="mm"), "the units are 'mm'"),
    "no sequences": (lambda m: m.update(sequences=[]), "lists no sequences"),
    "same id": (lambda m: m["sequences"].append(dict(m["sequences"][0])), "two sequences have the id s0_a"),
    "unknown split": (lambda m: m["sequences"][0].update(split="dev"), "the split 'dev' is unknown"),
    "unknown subject": (lambda m: m["sequences"][0].update(subject="s9"), "the subject s9 is unknown"),
    "frames not a number": (lambda m: m["sequences"][0].update(frames="30"), "has no frames"),
    "no id": (lambda m: m["sequences"][1].pop("id"), "sequence number 2 has no id"),
    "parent folder": (lambda m: m["sequences"][0].update(audio="../a.wav"),
                      "names '../a.wav', which does not lie in the data set"),
    "absolute path": (lambda m: m.update(faces="/etc/passwd"), "names '/etc/passwd', which does not lie"),
    "file gone": (lambda m: m["sequences"][0].update(vertices="vertices/x.npy"), "vertices/x.npy: no such file"),
    "no checksum": (lambda m: m["files"].pop("faces.npy"), "faces.npy: the manifest has no checksum"),
    "size": (lambda m: m["files"]["faces.npy"].update(bytes=1), "faces.npy: has 164 bytes where"),
    "frames": (lambda m: m["sequences"][0].update(frames=29), "has shape (30, 4, 3), expected (29, 4, 3)"),
    "audio": (lambda m: m.update(frame_rate=60.0), "lasts 1.000 s, but s0_a has 0.500 s of motion"),
    "template": (lambda m: m["subjects"]["s0"].pop("template"), "the subject s0 names no template"),
}


@pytest.mark.parametrize("name", MANIFEST_FAULTS)
def test_quick_faults_of_the_manifest(folder, name):
    change, message = MANIFEST_FAULTS[name]
    edit(folder, change)
    assert any(message in fault for fault in validate(folder, checksums=False)), validate(folder)
    with pytest.raises(InputError):
        Dataset.open(folder)


def pickled(path):
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


QUICK_FAULTS = {
    "pickle": ("vertices/s0_a.npy", pickled, "is not a whole .npy array"),
    "truncated": ("vertices/s0_a.npy", lambda p: p.write_bytes(p.read_bytes()[:-8]), "is not a whole .npy array"),
    "not an array": ("templates/s1.npy", lambda p: p.write_bytes(b"not an array"), "is not a whole .npy array"),
    "dtype": ("vertices/s0_a.npy", lambda p: np.save(p, np.zeros((30, 4, 3))), "has dtype float64"),
    "vertex count": ("mean_style/s1_a.npy", lambda p: np.save(p, np.zeros((30, 5, 3), "f4")), "has shape (30, 5, 3)"),
    "template": ("templates/s1.npy", lambda p: np.save(p, np.zeros((5, 3), "f4")), "has shape (5, 3)"),
    "faces": ("faces.npy", lambda p: np.save(p, np.array([[0, 1, 4]], "i4")), "a face names vertex 4"),
    "quads": ("faces.npy", lambda p: np.save(p, np.zeros((2, 4), "i4")), "has shape (2, 4), expected (*, 3)"),
    "no faces": ("faces.npy", lambda p: np.save(p, np.zeros((0, 3), "i4")), "faces must be integers of shape (F, 3)"),
    "face dtype": ("faces.npy", lambda p: np.save(p, np.zeros((2, 3))), "has dtype float64, expected int32"),
    "region": ("regions.json", lambda p: p.write_text(json.dumps(REGIONS | {"lips": [4]})), "lips names vertex 4"),
    "no region": ("regions.json", lambda p: p.write_text(json.dumps({"lips": [0]})), "region lip_gap is missing"),
    "lip gap": ("regions.json", lambda p: p.write_text(json.dumps(REGIONS | {"lip_gap": [1]})),
                "lip_gap must name an upper and a lower vertex, not 1"),
    "part": ("parts.json", lambda p: p.write_text(json.dumps({"skin": [3]})), "skin names face 3, there are 3"),
    "two parts": ("parts.json", lambda p: p.write_text(json.dumps({"skin": [0], "hair": [0]})), "face 0 is in 2 parts"),
    "no object": ("parts.json", lambda p: p.write_text("[]"), "the parts are not an object"),
    "empty region": ("regions.json", lambda p: p.write_text(json.dumps(REGIONS | {"lips": []})), "lips is not a list"),
    "true for an index": ("regions.json", lambda p: p.write_text(json.dumps(REGIONS | {"lips": [True]})), "lips is not"),
    "lists in a list": ("regions.json", lambda p: p.write_text(json.dumps(REGIONS | {"jaw": [[0], [1, 2]]})), "jaw is not"),
    "not JSON": ("regions.json", lambda p: p.write_text("{"), "not a JSON file"),
    "not audio": ("audio/s0_a.wav", lambda p: p.write_bytes(b"noise"), "cannot be read as audio"),
    "stereo": ("audio/s0_a.wav", lambda p: soundfile.write(p, np.zeros((RATE, 2)), RATE), "with 2 channels"),
    "slow audio": ("audio/s0_a.wav", lambda p: soundfile.write(p, np.zeros(1, "i2"), 1), "has 1 samples a second"),
    "complex": ("vertices/s0_a.npy", lambda p: np.save(p, np.zeros((30, 4, 3), "c8")), "is not a .npy array of numbers"),
    "deep JSON": ("regions.json", lambda p: p.write_text("[" * 10**5), "not a JSON file"),
    "short audio": ("audio/s0_a.wav", lambda p: soundfile.write(p, np.zeros(RATE // 2), RATE), "lasts 0.500 s"),
}


@pytest.mark.parametrize("name", QUICK_FAULTS)
def test_quick_faults_of_the_files(folder, name):
    relative, save, message = QUICK_FAULTS[name]
    replace_file(folder, relative, save)
    faults = validate(folder)
    assert any(message in fault and relative in fault for fault in faults), faults
    with pytest.raises(InputError):
        Dataset.open(folder)


@pytest.mark.parametrize("relative", ["manifest.json", "faces.npy", "regions.json", "parts.json", "templates/s0.npy",
                                      "vertices/s0_a.npy", "audio/s0_a.wav", "phonemes/s0_a.json"])
@pytest.mark.parametrize("make", [os.mkdir, getattr(os, "mkfifo", os.mkdir)])
def test_pipes_and_folders_in_place_of_files_are_refused_at_once(folder, relative, make):
    (folder / relative).unlink()
    make(folder / relative)
    said = f"{relative}: is a {'folder' if (folder / relative).is_dir() else 'pipe or a device'}; give a file"
    assert any(said in fault for fault in validate(folder))
    with pytest.raises(InputError, match=said):
        Dataset.open(folder)


SLOW_FAULTS = {
    "not finite": ("vertices/s1_a.npy", lambda p: np.save(p, np.full((30, 4, 3), np.nan, "f4")), "not finite"),
    "phonemes out of order": ("phonemes/s0_a.json", lambda p: p.write_text(json.dumps(
        [{"phoneme": "a", "start": start, "end": start + 0.1} for start in (0.5, 0.1)])), "order of time"),
    "phoneme without end": ("phonemes/s0_a.json", lambda p: p.write_text('[{"phoneme": "a", "start": 0}]'), "start and end"),
    "late phoneme": ("phonemes/s0_a.json",
                     lambda p: p.write_text('[{"phoneme": "a", "start": 0, "end": 9}]'), "ends at 9 s"),
    "late phoneme before others": ("phonemes/s0_a.json", lambda p: p.write_text(json.dumps(
        [{"phoneme": "a", "start": start, "end": end} for start, end in ((0, 1e300), (0.1, 0.2))])), "ends at 1e+300 s"),
    "no phoneme": ("phonemes/s0_a.json", lambda p: p.write_text("[]"), "at least one object with phoneme"),
}


@pytest.mark.parametrize("name", SLOW_FAULTS)
def test_faults_that_only_a_full_read_shows(folder, name):
    relative, save, message = SLOW_FAULTS[name]
    replace_file(folder, relative, save)
    Dataset.open(folder)
    assert [fault for fault in validate(folder) if message in fault and relative in fault], validate(folder)


def test_a_changed_byte_is_found_by_its_checksum_alone(folder):
    content = bytearray((folder / "audio/s0_a.wav").read_bytes())
    content[-1] ^= 1
    (folder / "audio/s0_a.wav").write_bytes(content)
    Dataset.open(folder)
    assert validate(folder, checksums=False) == []
    assert len(validate(folder)) == 1 and "SHA-256" in validate(folder)[0]


def test_a_link_out_of_the_folder_is_refused(tmp_path, folder):
    (tmp_path / "outside.npy").write_bytes((folder / "faces.npy").read_bytes())
    (folder / "faces.npy").unlink()
    (folder / "faces.npy").symlink_to(tmp_path / "outside.npy")
    assert validate(folder) == ["manifest.json: names 'faces.npy', which does not lie in the data set's folder"]


@pytest.mark.parametrize("path", ["", ".", "../faces.npy"])
def test_a_path_that_is_no_files_is_told_by_the_manifests_name(folder, path):
    edit(folder, lambda manifest: manifest.update(faces=path))
    assert f"manifest.json: names {path!r}, which does not lie in the data set's folder" in validate(folder)


@pytest.mark.parametrize("kept", [0, 3])
def test_a_template_of_other_vertices_than_all_the_rest_is_the_one_that_is_told(folder, kept):
    replace_file(folder, "templates/s0.npy", lambda path: np.save(path, np.load(path)[:kept]))
    [fault] = validate(folder)
    assert fault.startswith(f"templates/s0.npy: has shape ({kept}, 3)")


def test_all_faults_are_told_at_once(folder):
    edit(folder, lambda manifest: (manifest.update(units="mm"), manifest["sequences"][0].update(split="dev")))
    (folder / "audio/s1_a.wav").unlink()
    replace_file(folder, "vertices/s0_a.npy", lambda path: np.save(path, np.full((30, 4, 3), np.inf, "f4")))
    faults = validate(folder)
    assert len(faults) == 4, faults
    with pytest.raises(InputError, match=r"and 2 more; `python -m data_prep validate`"):
        Dataset.open(folder)
