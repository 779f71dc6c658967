"""The importer of ICT-FaceKit on a checkout that the test writes: units, regions, lips that meet, what a part lacks."""

import json
import os
import shutil

import numpy as np
import pytest

from data_prep.__main__ import main
from data_prep.blendshape_face.face import BlendshapeFace
from data_prep.blendshape_face.rig import Rig
from data_prep.card import measure as card
from data_prep.corpus.corpus_on_a_face import Profile
from data_prep.head import CONTROLS, make_head
from data_prep.ict import corpus as ict_facekit
from data_prep.ict.corpus import OPTIONAL_FILES, PROFILES, REQUIRED_FILES, lacking
from data_prep.ict.model import RESOLUTIONS, arkit_name, kit_names, model_folder, read_model
from data_prep.ict.stand_in_kit import write_kit
from otlib.data.dataset import Dataset, validate
from otlib.errors import InputError
from otlib.export.arkit import ARKIT_NAMES

pytestmark = pytest.mark.slow

TINY = Profile({"train": 1, "val": 0, "test": 1}, {"train": 1, "val": 0, "test": 1}, "narrow")
MICROMETRE = 1e-6  # single precision of a 0.2 m head, and positions that the kit's files round to 0.1 micrometre
FACTOR = 1.5  # how far the corpus may be from the real clip, as for the built-in one


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return write_kit(tmp_path_factory.mktemp("kit") / "FaceXModel")


@pytest.fixture(scope="module")
def model(kit):
    return read_model(kit, REQUIRED_FILES, tuple(OPTIONAL_FILES), "head")


@pytest.fixture(scope="module")
def face(model, tmp_path_factory):
    return BlendshapeFace.write(tmp_path_factory.mktemp("model") / "family.npz", model.family)


@pytest.fixture
def own_kit(kit, tmp_path):
    """A copy that a test may spoil."""
    for source in kit.iterdir():
        (tmp_path / "kit").mkdir(exist_ok=True)
        os.link(source, tmp_path / "kit" / source.name)
    return tmp_path / "kit"


def rewrite(path, content):
    """Replace a file, not the one that it shares its bytes with."""
    path.unlink()
    path.write_bytes(content)


def controls(**values):
    return np.array([[values.get(name, 0.0) for name in CONTROLS]])


def moved(face, **values):
    return face.move((0.0,) * face.identity_directions, controls(**values))[0].astype(float)


def gap(model, vertices):
    upper, lower = vertices[model.topology.lip_gap]
    return upper[1] - lower[1]


def test_shapes_are_differences_in_metres(model):
    head = make_head()
    np.testing.assert_allclose(model.neutral[:len(head.vertices)], head.vertices, atol=MICROMETRE)
    identity = make_head(np.eye(23)[1]).vertices - head.vertices
    np.testing.assert_allclose(model.identities[1, :len(identity)], identity, atol=MICROMETRE)
    assert set(REQUIRED_FILES) < set(model.names) and model.expressions.shape == (len(model.names), RESOLUTIONS["head"], 3)
    corner = model.landmarks[54]
    stretched = model.expressions[model.names.index("mouthStretch_L"), corner]
    np.testing.assert_allclose(stretched, head.motion[4, corner], atol=MICROMETRE)


@pytest.mark.parametrize(("resolution", "eyes"), [("narrow", False), ("face", False), ("head", True)])
def test_resolutions_keep_the_first_vertices_and_whole_faces(kit, model, resolution, eyes):
    part = read_model(kit, REQUIRED_FILES, (), resolution)
    assert len(part.neutral) == RESOLUTIONS[resolution] and part.faces.max() < len(part.neutral)
    assert part.names == REQUIRED_FILES and ("eyes" in part.topology.parts) == eyes
    np.testing.assert_array_equal(part.expressions, model.expressions[:len(REQUIRED_FILES), :len(part.neutral)])


def test_regions_lie_where_their_names_say(model):
    """Beside those of the built-in head, which knows its own by construction."""
    own, built_in = model.topology.regions, make_head().topology.regions
    assert own["lip_gap"].tolist() == built_in["lip_gap"].tolist()
    assert own["mouth_corners"].tolist() == built_in["mouth_corners"].tolist()
    for name in ("lips_upper", "lips_lower"):
        chosen, expected = set(own[name].tolist()), set(built_in[name].tolist())
        assert len(chosen & expected) > 0.6 * len(expected), name  # its border lies on the outline, in or out
        assert not chosen & (set(built_in["lips"].tolist()) - expected - set(built_in["mouth_corners"].tolist())), name
    assert set(own["lips"]) == set(own["lips_upper"]) | set(own["lips_lower"])
    y = model.neutral[:, 1]
    assert y[own["jaw"]].max() < y[own["lips"]].min() + 0.005 < y[own["upper_face"]].min()
    assert set(own["upper_face"]).isdisjoint(np.concatenate([own["lips"], own["jaw"]]))


def test_parts_colour_every_face_once(model):
    parts = model.topology.parts
    members = np.concatenate(list(parts.values()))
    assert len(members) == len(set(members.tolist()))
    assert set(model.faces[parts["lips"]].ravel()) <= set(model.topology.lips)
    assert model.faces[parts["eyes"]].min() >= 21_451


def test_rest_is_the_template_and_shuts_every_mouth_alike(model, face):
    """Two standard deviations of each identity, whose own gap is not that of the mean face."""
    for identity in 2 * np.vstack([np.eye(3), -np.eye(3)]):
        template = face.template(tuple(identity))
        np.testing.assert_array_equal(template, face.move(tuple(identity), controls())[0])
        assert gap(model, template) == pytest.approx(gap(model, model.neutral), abs=MICROMETRE)
    np.testing.assert_allclose(face.template((0.0,) * 3), model.neutral, atol=MICROMETRE)


def test_aperture_alone_says_how_far_the_lips_part(model, face):
    """22 mm of it, whatever jaw, rounding and pressing do, and nothing of the jaw but the chin's 18 mm."""
    generator, closed = np.random.default_rng(0), gap(model, model.neutral)
    for _ in range(50):
        values = dict(zip(("jaw", "round", "spread", "protrude", "tuck"), generator.uniform(0, 0.8, 5), strict=True))
        values["aperture"] = generator.uniform(0, 0.6)
        parted = gap(model, moved(face, **values)) - closed
        assert parted == pytest.approx(0.022 * values["aperture"], abs=MICROMETRE)
    chin = moved(face, jaw=1, aperture=1)[model.landmarks[8], 1] - model.neutral[model.landmarks[8], 1]
    assert chin == pytest.approx(-0.018, abs=1e-3)  # opening the lips that far moves the chin a little too


def test_lips_meet_in_every_closure(model, face):
    """Pressed lips of every identity, from jaws that their neighbours hold open: under the card's 1 mm."""
    for identity in 2 * np.vstack([np.eye(3), -np.eye(3)]):
        for jaw in (0.0, 0.3, 0.6):
            upper, lower = face.move(tuple(identity), controls(jaw=jaw, press=0.6))[0][model.topology.lip_gap]
            assert 1e3 * np.linalg.norm(upper - lower) < card.CLOSED_GAP_MM


def test_spread_widens_and_rounding_narrows_the_mouth(model, face):
    def width(**values):
        left, right = moved(face, **values)[model.topology.regions["mouth_corners"]]
        return 1e3 * np.linalg.norm(left - right)

    rest = width()
    assert width(spread=1) - rest == pytest.approx(8, abs=0.2)  # 4 mm each; corners also move back a little
    assert rest - width(round=1, protrude=1) > 5


@pytest.mark.parametrize(("control", "region"), [("brow", "upper_face"), ("blink", "upper_face"), ("smirk", "lips"),
                                                 ("press", "lips"), ("tuck", "lips")])
def test_the_other_controls_move_their_part_of_the_face(model, face, control, region):
    amount = np.linalg.norm(moved(face, **{control: 1}) - moved(face), axis=1)
    assert amount[model.topology.regions[region]].max() > 1e-3
    if control == "smirk":
        left, right = amount[model.topology.regions["mouth_corners"]]
        assert left > 10 * right


def test_names_of_the_kit_and_of_arkit():
    """The kit has no tongue, and all of ARKit's other shapes; PupilDilate and cheekRaiser are its own."""
    for name in set(ARKIT_NAMES) - {"tongueOut"}:
        assert {arkit_name(file) for file in kit_names(name)} == {name}
    files = [file for name in ARKIT_NAMES for file in kit_names(name)]
    assert len(files) == len(set(files)) == 54  # both halves of browInnerUp and cheekPuff
    assert kit_names("jawLeft") == ("jawLeft",) and kit_names("mouthSmileLeft") == ("mouthSmile_L",)


def test_a_name_that_the_kit_has_in_halves_is_one_shape(model):
    shapes = model.family.blendshapes(model.neutral)
    halves = [model.expressions[model.names.index(name)] for name in kit_names("browInnerUp")]
    assert "browInnerUp" in shapes.names and len(shapes.names) == len(set(shapes.names)) < len(model.names)
    np.testing.assert_array_equal(shapes.displacements[shapes.names.index("browInnerUp")], halves[0] + halves[1])


def test_the_folder_of_the_model_is_found(kit, tmp_path):
    assert model_folder(kit) == kit and model_folder(kit.parent) == kit
    with pytest.raises(InputError, match="holds no generic_neutral_mesh.obj"):
        model_folder(tmp_path)


def test_what_a_part_of_the_kit_lacks_is_said(own_kit, model):
    assert lacking(model) == ("3 of 100 identities, so that speakers look more alike; no browOuterUp_L, browOuterUp_R, so "
                              "less or nothing of raised brows")
    for name in ("eyeBlink_L", "eyeBlink_R", "mouthRollLower", "identity000", "identity001", "identity002"):
        (own_kit / f"{name}.obj").unlink()
    part = read_model(own_kit, REQUIRED_FILES, tuple(OPTIONAL_FILES), "narrow")
    said = lacking(part)
    assert "0 of 100 identities, so that speakers look all the same" in said
    assert "no eyeBlink_L, eyeBlink_R, so less or nothing of blinks" in said and "mouthRollLower" in said
    weights = Rig(part.family).weights(controls(blink=1, tuck=1), part.neutral)
    assert np.isfinite(weights).all() and weights.shape == (1, len(part.names))


def test_controls_of_a_wrong_shape_are_refused(model):
    with pytest.raises(ValueError, match="controls must have shape"):
        Rig(model.family).weights(np.zeros((3, 4)), model.neutral)


def spoil_missing(kit):
    for name in ("jawOpen.obj", "mouthClose.obj", "vertex_indices.json"):
        (kit / name).unlink()


def spoil_cut(kit):
    whole = (kit / "mouthPucker.obj").read_bytes()
    rewrite(kit / "mouthPucker.obj", whole[:whole.index(b"v ", len(whole) // 6) + 3])  # within a number


def spoil_count(kit):
    rewrite(kit / "generic_neutral_mesh.obj", (kit / "generic_neutral_mesh.obj").read_bytes().replace(b"v 0", b"# 0"))


def spoil_other(kit):
    whole = (kit / "jawOpen.obj").read_bytes()
    rewrite(kit / "jawOpen.obj", whole + b"f 1 2 3\n")


def spoil_nan(kit):
    whole = (kit / "identity001.obj").read_bytes()
    rewrite(kit / "identity001.obj", whole.replace(b"v 0 -15 -10\n", b"v nan -15 -10\n", 1))


def spoil_landmarks(kit):
    rewrite(kit / "vertex_indices.json", json.dumps({"idx_to_landmark_verts": [26_000] * 68}).encode())


def spoil_json(kit):
    rewrite(kit / "vertex_indices.json", b'{"idx_to_landmark_verts": [1, 2')


def spoil_list(kit):
    rewrite(kit / "vertex_indices.json", b"[1, 2]")


def spoil_swapped(kit):
    rewrite(kit / "mouthClose.obj", (kit / "generic_neutral_mesh.obj").read_bytes())


def spoil_jaw(kit):
    rewrite(kit / "jawOpen.obj", (kit / "generic_neutral_mesh.obj").read_bytes())


@pytest.mark.parametrize(("spoil", "told"), [
    (spoil_missing, "lacks vertex_indices.json, jawOpen.obj, mouthClose.obj; give a whole checkout"),
    (spoil_cut, "mouthPucker.obj: is damaged, cut short"), (spoil_count, "generic_neutral_mesh.obj: "),
    (spoil_other, "jawOpen.obj: has other faces than generic_neutral_mesh.obj"),
    (spoil_nan, "is not a finite position"),
    (spoil_landmarks, "names a vertex that is not one of the face"), (spoil_json, "not a JSON file"),
    (spoil_list, "is not a list of 68 vertices"), (spoil_swapped, "mouthClose does not bring the lips together"),
    (spoil_jaw, "jawOpen does not lower the chin"),
])
def test_a_spoilt_checkout_gets_one_sentence_and_nothing_is_written(own_kit, tmp_path, capsys, spoil, told):
    spoil(own_kit)
    assert main(["ict-facekit", "--raw", str(own_kit), "--out", str(tmp_path / "out"), "--workers", "1"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 or "3 of 100 identities" in error[0]
    assert told in error[-1] and str(own_kit) in error[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(kit, tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="espeak-ng comes with otlib[corpus]")
    folder = tmp_path_factory.mktemp("corpus") / "scanned"
    ict_facekit.build(folder, kit, TINY, workers=1)
    return Dataset.open(folder)


def test_the_corpus_is_sound_and_says_where_its_faces_come_from(corpus):
    assert validate(corpus.path) == []
    assert len(corpus.sequences) == 2 and corpus.topology.lip_gap.shape == (2,)
    assert "USC Institute for Creative Technologies" in corpus.provenance["licence"]
    assert corpus.provenance["model"]["identities"] == 3
    lips = corpus.topology.lips
    for sequence in corpus.sequences:
        assert np.linalg.norm(np.diff(sequence.vertices[:, lips], axis=0), axis=2).max() > 1e-3  # it speaks
    assert np.abs(corpus.template("train00") - corpus.template("test00")).max() > 1e-3


def test_the_command_line_makes_the_same_bytes_in_other_processes(corpus, kit, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PROFILES, "fast", TINY)
    assert main(["ict-facekit", "--raw", str(kit.parent), "--out", str(tmp_path / "out"), "--workers", "2"]) == 0
    assert "3 of 100 identities" in capsys.readouterr().err
    assert content(tmp_path / "out") == content(corpus.path)


def test_an_interrupted_run_leaves_what_was_there(kit, tmp_path, monkeypatch, corpus):
    shutil.copytree(corpus.path, tmp_path / "out")
    before = content(tmp_path / "out")
    monkeypatch.setitem(PROFILES, "fast", TINY)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("data_prep.corpus.corpus_on_a_face.write_sequence", interrupt)
    assert main(["ict-facekit", "--raw", str(kit), "--out", str(tmp_path / "out"), "--workers", "1"]) == 130
    assert content(tmp_path / "out") == before and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_real_kit_keeps_the_data_cards_promises(shared, tmp_path, capsys):
    """On unchanged files of the kit, with 10 speakers, so that no single style decides."""
    pytest.importorskip("espeakng_loader", reason="espeak-ng comes with otlib[corpus]")
    profile = Profile({"train": 6, "val": 0, "test": 4}, {"train": 3, "val": 0, "test": 3}, "narrow")
    ict_facekit.build(tmp_path / "out", shared / "ict_facekit", profile, workers=1)
    assert "4 of 100 identities" in capsys.readouterr().err
    figures = card.measure(Dataset.open(tmp_path / "out"))
    assert figures["closures"] >= 100 and figures["closed_share"] >= 0.95
    assert figures["spread_width_mm"] - figures["rounded_width_mm"] >= 5
    assert 1 / FACTOR < figures["lip_gap_mm"][1] / card.REAL_CLIP["lip_gap_mm"][1] < FACTOR
    assert 1 / FACTOR < figures["lip_speed_mm_per_frame"] / card.REAL_CLIP["lip_speed_mm_per_frame"] < FACTOR
