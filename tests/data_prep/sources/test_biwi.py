"""BIWI: both of its forms, the two normalisations, the published splits; what is not whole is refused in one sentence."""

import shutil

import numpy as np
import pytest
import soundfile

from data_prep.__main__ import main
from data_prep.sources.biwi import PARTS, published_clips
from data_prep.sources.biwi_files import read_vl
from otlib.data.dataset import Dataset, validate
from tests.fixtures.biwi_folder import (
    CONVERTED,
    FACES,
    LIP_GAP,
    LIPS,
    NEUTRAL,
    NO_MOTION,
    RATE,
    TURN,
    VERTICES,
    WIDTHS,
    motion,
    per_frame,
    template,
    write_layout,
    write_raw,
    write_vl,
)
from tests.fixtures.processed_folder import write_faces, write_processed

# normalising in another order of operations parts from this by rounding alone, in double precision, stored as float32
ROUNDING = 2e-7


def per_subject(frames, subject):
    return 0.001 * (frames.astype(np.float64) - template(subject).mean(0)) * TURN


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "biwi")


@pytest.fixture
def layout(tmp_path):
    return write_layout(tmp_path / "BIWI")


def convert(source, out, *options):
    return main(["biwi", "--raw", str(source), "--out", str(out), *options])


@pytest.mark.parametrize("form", ["raw", "layout"])
def test_clips_are_those_of_the_published_splits(tmp_path, request, capsys, form):
    assert convert(request.getfixturevalue(form), tmp_path / "out") == 0
    assert validate(tmp_path / "out") == []
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.frame_rate == 25.0
    split = {part: PARTS[part][0] for part in PARTS}
    assert {sequence.id: sequence.split for sequence in dataset.sequences} == {
        name: split[part] for name, part in CONVERTED.items()}
    left_out = dataset.provenance["left_out"]
    assert left_out[NO_MOTION] == "no motion" and "withdrawn" in dataset.provenance["licence"]
    assert "F1_e01" not in left_out and len(left_out) == 192 + 24 + 24 + 32 - len(CONVERTED)
    said = capsys.readouterr().out
    assert "BIWI: 6 clips at 25 frames a second, 2 to train, 1 to validate, 3 to test" in said
    assert "left out for no " in said and "withdrawn by its owner" in said and "lip gap: vertices" in said
    assert dataset.subjects["M5"]["one_hot"] == 5 and "one_hot" not in dataset.subjects["F1"]


def test_published_splits_have_the_published_sizes():
    assert [len(list(published_clips((part,), True))) for part in PARTS] == [192, 24, 24, 32]


def test_parts_of_the_test_set_and_neutral_sentences_on_demand(tmp_path, raw):
    for test, names in (("A", {"M5_e40"}), ("B", {"F1_e37", "M6_e40"})):
        assert convert(raw, tmp_path / "out", "--test", test) == 0
        assert {sequence.id for sequence in Dataset.open(tmp_path / "out").select("test")} == names
    assert convert(raw, tmp_path / "out", "--neutral") == 0
    assert [sequence.id for sequence in Dataset.open(tmp_path / "out").sequences] == ["F2_01"]


def test_one_normalisation_a_subject(tmp_path, raw):
    assert convert(raw, tmp_path / "out") == 0
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.provenance["normalisation"] == "per-subject"
    for sequence in dataset.sequences:
        expected = per_subject(motion(sequence.id), sequence.subject)
        np.testing.assert_allclose(sequence.vertices, expected, atol=ROUNDING, rtol=ROUNDING)
        still = per_subject(template(sequence.subject), sequence.subject)
        np.testing.assert_allclose(sequence.template, still, atol=ROUNDING, rtol=ROUNDING)
        samples, rate = soundfile.read(sequence.audio_path, dtype="int16")
        assert rate == RATE and len(samples) == round(sequence.frames / 25 * RATE)
    assert dataset.template("F2")[:, 1].argmax() == NEUTRAL[:, 1].argmax()  # y points up again


def test_the_published_normalisation_by_its_name(tmp_path, raw, layout):
    for form in (raw, layout):
        assert convert(form, tmp_path / "out", "--normalisation", "per-frame") == 0
        dataset = Dataset.open(tmp_path / "out")
        assert "not metres" in dataset.provenance["unit"]
        for sequence in dataset.sequences:
            np.testing.assert_allclose(sequence.vertices, per_frame(motion(sequence.id)), atol=ROUNDING, rtol=ROUNDING)


def test_the_published_normalisation_moves_still_vertices_and_ours_does_not(tmp_path, raw):
    """Where each frame is normalised by itself, the opening mouth leaks into the forehead."""
    still = np.argsort(-NEUTRAL[:, 1])[:5]
    moved = {}
    for name, metres in (("per-subject", 1.0), ("per-frame", 0.187)):
        assert convert(raw, tmp_path / "out", "--normalisation", name) == 0
        frames = np.array(Dataset.open(tmp_path / "out").sequences[0].vertices)[:, still] * metres
        moved[name] = np.ptp(frames, axis=0).max()
    assert moved["per-frame"] > 5 * moved["per-subject"]


def test_the_processed_layout_comes_through_bit_for_bit_but_for_its_unit(tmp_path):
    layout = write_layout(tmp_path / "BIWI", "f4")
    for options, unit in ((("--normalisation", "per-frame"), 1.0), (("--unit", "0.25"), 0.25)):
        assert convert(layout, tmp_path / "out", *options) == 0
        for sequence in Dataset.open(tmp_path / "out").sequences:
            expected = per_frame(motion(sequence.id)).astype(np.float32) * np.float32(unit)  # exact: powers of two
            np.testing.assert_array_equal(sequence.vertices, expected)


@pytest.mark.parametrize(("scale", "unit"), [(1.0, 0.001), (0.001, 1.0)])
def test_the_unit_is_told_from_the_templates(tmp_path, raw, capsys, scale, unit):
    for subject in WIDTHS:
        write_faces(raw / f"rigid_scans/{subject}.obj", template(subject) * scale, FACES)
    for path in (raw / "faces").rglob("*.vl"):
        write_vl(path, read_vl(path) * scale)
    assert convert(raw, tmp_path / "out") == 0
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.provenance["unit"] == f"{unit:g} m of the files'"
    assert np.ptp(dataset.template("F2"), axis=0)[1] == pytest.approx(np.ptp(NEUTRAL, axis=0)[1], rel=1e-4)


def test_regions_are_the_users_lists(tmp_path, raw):
    assert convert(raw, tmp_path / "out") == 0
    regions = Dataset.open(tmp_path / "out").topology.regions
    assert list(regions["lips"]) == sorted(LIPS) and len(regions["upper_face"]) == 5
    assert list(regions["lip_gap"]) == list(LIP_GAP)  # found from motion
    assert convert(raw, tmp_path / "out", "--lip-gap", "3", "4") == 0
    assert list(Dataset.open(tmp_path / "out").topology.lip_gap) == [3, 4]


def frames_of(raw):
    return raw / "faces/F2/e01"


def nan(path):
    vertices = read_vl(path)
    vertices[3, 1] = np.nan
    write_vl(path, vertices)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


RAW_FAULTS = {
    "cut frame": (lambda r: cut(frames_of(r) / "frame_7.vl"), "frame_7.vl: has {} bytes where its {} vertices take"),
    "empty frame": (lambda r: (frames_of(r) / "frame_7.vl").write_bytes(b"\1"), "frame_7.vl: is cut short, 1 bytes"),
    "other vertices": (lambda r: write_vl(frames_of(r) / "frame_7.vl", NEUTRAL[:9]), "frame_7.vl: has 9 vertices, the t"),
    "NaN": (lambda r: nan(frames_of(r) / "frame_7.vl"), "frame_7.vl: vertex 3 is not a finite position"),
    "no number": (lambda r: (frames_of(r) / "frame_7.vl").rename(frames_of(r) / "last.vl"), "last.vl: has no number at"),
    "one number": (lambda r: shutil.copy(frames_of(r) / "frame_7.vl", frames_of(r) / "frame_007.vl"), "has the number of"),
    "no frames": (lambda r: [path.unlink() for path in frames_of(r).iterdir()], "e01: holds no .vl files"),
    "frame outside": (lambda r: (frames_of(r) / "frame_7.vl").symlink_to(
        (frames_of(r) / "frame_7.vl").rename(r.parent / "outside.vl")), "frame_7.vl: leads out of"),
    "cut sound": (lambda r: cut(r / "audio/F2_e01_cut.wav"), "F2_e01_cut.wav: is cut short"),
    "two sounds": (lambda r: shutil.copy(r / "audio/F1_e37.wav", r / "audio/F1_E37.wav"), "has the name of F1_E37.wav"),
    "no sounds": (lambda r: shutil.rmtree(r / "audio"), "holds no .wav files in audio/ or wav/"),
    "no templates": (lambda r: shutil.rmtree(r / "rigid_scans"), "holds no rigid_scans/ with the subjects' templates"),
    "strangers": (lambda r: [path.rename(path.with_name(f"x{path.name}")) for path in (r / "rigid_scans").glob("*.obj")],
                  "holds no template of a subject of BIWI"),
    "template": (lambda r: write_faces(r / "rigid_scans/M5.obj", NEUTRAL[:9], np.array([[0, 1, 2]])),
                 "M5.obj: has 9 vertices, F1.obj has"),
    "cut template": (lambda r: (r / "rigid_scans/M5.obj").write_text("v 1 2"), "M5.obj: "),
    "faces": (lambda r: (r / "rigid_scans/F1.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"), "F1.obj: "),
    "size": (lambda r: [write_faces(path, NEUTRAL * 7, FACES) for path in (r / "rigid_scans").glob("*.obj")],
             "which is no face in metres"),
    "no lve": (lambda r: (r / "regions/lve.txt").unlink(), "holds no lve.txt, neither in regions/ nor beside it"),
    "lve": (lambda r: (r / "regions/lve.txt").write_text(f"1, {VERTICES}"), f"names vertex {VERTICES} (counted from 0)"),
    "nothing": (lambda r: shutil.rmtree(r / "faces"), "no clip of BIWI's published splits"),
    "no opening": (lambda r: (r / "regions/lve.txt").write_text("0"), "name the two with --lip-gap"),
}


@pytest.mark.parametrize("name", RAW_FAULTS)
def test_files_that_are_not_whole_are_refused(tmp_path, raw, capsys, name):
    damage, message = RAW_FAULTS[name]
    damage(raw)
    assert convert(raw, tmp_path / "out") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.format(4 + 12 * VERTICES - 3, VERTICES) in said and str(raw) in said, said
    assert {path.name for path in tmp_path.iterdir()} <= {"biwi", "outside.vl"}


def test_the_clips_of_a_subject_without_a_template_are_left_out_by_name(tmp_path, raw, capsys):
    (raw / "rigid_scans/F2.obj").unlink()
    assert convert(raw, tmp_path / "out") == 0
    assert "left out for no template: F2_e01, F2_e32" in capsys.readouterr().out.splitlines()
    assert {sequence.subject for sequence in Dataset.open(tmp_path / "out").sequences} == set(WIDTHS) - {"F2"}


def test_options_that_cannot_be_right_are_refused(tmp_path, raw, layout, capsys):
    assert convert(tmp_path / "none", tmp_path / "out") == 2
    assert "none: no such folder; give --raw" in capsys.readouterr().err
    for unit in ("-1", "1e300", "mile"):
        with pytest.raises(SystemExit, match="2"):
            convert(raw, tmp_path / "out", "--unit", unit)
        assert f"--unit: '{unit}' is none of m, cm, mm" in capsys.readouterr().err
    assert convert(raw, tmp_path / "out", "--unit", "m") == 2
    assert "the template of F1 measures" in capsys.readouterr().err
    assert convert(raw, tmp_path / "out", "--unit", "1", "--normalisation", "per-frame") == 2
    assert "--unit goes with --normalisation per-subject alone" in capsys.readouterr().err
    shutil.rmtree(layout)
    write_processed(layout, {"F2": NEUTRAL}, {"F2_e01": np.tile(NEUTRAL, (5, 1, 1))}, 25.0, FACES)
    assert convert(layout, tmp_path / "out", "--normalisation", "per-frame") == 2
    assert "has not been normalised per frame" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_help_says_that_it_was_withdrawn(capsys):
    with pytest.raises(SystemExit):
        main(["biwi", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for words in ("Its owner has withdrawn it", "--normalisation", "--raw", "--out", ".vl", "lve.txt", "fdd.txt", "Test-B"):
        assert words in said
