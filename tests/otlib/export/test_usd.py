"""The USD file read back by its own library: what moves, when, under which names, and what its validators say."""

import os
from functools import cached_property

import numpy as np
import pytest

pytest.importorskip("pxr", reason="usd-core is not installed: pip install 'otlib[usd]'")
from pxr import Gf, Usd, UsdGeom, UsdShade, UsdSkel, UsdValidation

from otlib.errors import InputError
from otlib.export.blendshapes import Blendshapes, named_targets
from otlib.export.formats import FORMATS
from otlib.export.morph_targets import MorphTargets, fit_morph_targets
from otlib.export.talking_head import ShapeWeights, TalkingHead
from otlib.export.usd import write_usd
from otlib.files import on_disk
from otlib.speech.recording import Recording
from otlib.topology import Topology
from otlib.viz.normals import VertexNormals
from tests.fixtures.full_disk import full_disk
from tests.fixtures.talking_ball import FRAME_RATE, ball, talk

TOLERANCE_MM = 0.1  # what the project promises
ROUNDING_MM = 1e-4  # float32 of a 0.1 m ball is exact to 1e-5 mm; the sum of a few shapes adds some
BYTE = 1 / 255  # a step of an 8-bit colour
NORMAL_SHARE = 0.2  # of the motion of normals, which is not linear in the weights, missed at the worst vertex


class Read:
    """A file's parts, found as a program finds them: by type and by binding."""

    def __init__(self, path):
        self.stage = Usd.Stage.Open(str(path))
        self.root = UsdSkel.Root(self.stage.GetDefaultPrim())
        assert self.root
        self.cache = UsdSkel.Cache()
        self.cache.Populate(self.root, Usd.PrimDefaultPredicate)
        (binding,) = self.cache.ComputeSkelBindings(self.root, Usd.PrimDefaultPredicate)
        (self.skinning,) = binding.GetSkinningTargets()
        self.skeleton = self.cache.GetSkelQuery(binding.GetSkeleton())
        self.animation = self.skeleton.GetAnimQuery()
        self.mesh = UsdGeom.Mesh(self.skinning.GetPrim())
        self.points = np.array(self.mesh.GetPointsAttr().Get())
        self.shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(self.mesh))

    def names(self):
        return list(UsdSkel.BindingAPI(self.mesh).GetBlendShapesAttr().Get())

    def weights(self, code):
        return np.array(self.animation.ComputeBlendShapeWeights(code))

    @cached_property
    def baked(self):
        """The mesh as the library moves it by shapes, then by the skeleton, at every frame."""
        self.baked_stage = Usd.Stage.Open(self.stage.Flatten())  # which prims do not keep alive
        assert UsdSkel.BakeSkinning(UsdSkel.Root(self.baked_stage.GetDefaultPrim()), Gf.Interval.GetFullInterval())
        return UsdGeom.Mesh(self.baked_stage.GetPrimAtPath(self.mesh.GetPath()))

    def moved(self, frame):
        return np.array(self.baked.GetPointsAttr().Get(frame))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    vertices, faces, parts = ball()
    sequence = talk(vertices)
    path = tmp_path_factory.mktemp("usd") / "ball.usd"
    targets = write_usd(path, sequence, Topology(faces, parts=parts), FRAME_RATE, template=vertices)
    return Read(path), targets, sequence, faces, parts


def test_the_animation_is_the_sequence_at_every_frame(written):
    read, targets, sequence, _, _ = written
    errors = [1e3 * np.linalg.norm(read.moved(frame) - pose, axis=1).max() for frame, pose in enumerate(sequence)]
    assert max(errors) == pytest.approx(targets.max_error_mm, abs=ROUNDING_MM) and max(errors) <= TOLERANCE_MM
    assert 1e3 * np.linalg.norm(sequence - sequence[0], axis=2).max() > 100 * TOLERANCE_MM
    np.testing.assert_array_equal(read.points, sequence[0])
    np.testing.assert_allclose(read.weights(4.5), (read.weights(4) + read.weights(5)) / 2, atol=1e-6)


def test_times_unit_and_axes_are_said(written):
    read, _, sequence, _, _ = written
    stage = read.stage
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0.0, len(sequence) - 1.0)
    assert stage.GetTimeCodesPerSecond() == stage.GetFramesPerSecond() == FRAME_RATE
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0 and UsdGeom.GetStageUpAxis(stage) == "Y"
    assert read.animation.GetBlendShapeWeightTimeSamples() == [float(frame) for frame in range(len(sequence))]


def test_shapes_are_numbered_and_their_weights_those_of_the_components(written):
    read, targets, sequence, _, _ = written
    count = len(targets.displacements)
    assert read.names() == list(read.animation.GetBlendShapeOrder()) == [f"shape_{n:02d}" for n in range(1, count + 1)]
    expected = fit_morph_targets(sequence, sequence[0], 64, TOLERANCE_MM)
    for frame in range(len(sequence)):
        np.testing.assert_array_equal(read.weights(frame), expected.weights[frame])
    held = [UsdSkel.BlendShape(read.shapes.GetBlendShape(number)) for number in range(count)]
    np.testing.assert_array_equal([shape.GetOffsetsAttr().Get() for shape in held], expected.displacements)


def test_the_mesh_is_the_mesh_and_one_joint_holds_all_of_it(written):
    read, _, sequence, faces, _ = written
    assert list(read.mesh.GetFaceVertexCountsAttr().Get()) == [3] * len(faces)
    np.testing.assert_array_equal(np.reshape(read.mesh.GetFaceVertexIndicesAttr().Get(), (-1, 3)), faces)
    assert read.mesh.GetSubdivisionSchemeAttr().Get() == "none"
    assert len(read.skeleton.GetJointOrder()) == 1 and read.skinning.IsRigidlyDeformed()
    indices, weights = read.skinning.ComputeJointInfluences()
    assert (list(indices), list(weights)) == ([0], [1.0])
    for extent in (read.mesh.GetExtentAttr().Get(), read.root.GetExtentAttr().Get()):
        np.testing.assert_array_equal(extent, [sequence.min((0, 1)), sequence.max((0, 1))])


def test_normals_follow_the_motion(written):
    read, _, sequence, faces, _ = written
    frame = 10  # the mouth is widest
    truth = VertexNormals(faces, sequence.shape[1])(sequence[frame])
    assert read.mesh.GetNormalsInterpolation() == "vertex"
    still, moved = (np.array(mesh.GetNormalsAttr().Get(frame)) for mesh in (read.mesh, read.baked))
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    missed, turned = (np.degrees(np.arccos(np.clip((one * truth).sum(1), -1, 1)).max()) for one in (moved, still))
    assert turned > 10 and missed < NORMAL_SHARE * turned


def test_each_part_has_its_faces_and_its_colour(written):
    read, _, _, faces, parts = written
    subsets = {one.GetPrim().GetName(): one for one in UsdShade.MaterialBindingAPI(read.mesh).GetMaterialBindSubsets()}
    skin = np.setdiff1d(np.arange(len(faces)), np.concatenate(list(parts.values())))
    assert list(subsets) == ["skin", "lips", "eyes"]
    shown = np.array(read.mesh.GetDisplayColorPrimvar().Get())  # of every face
    assert read.mesh.GetDisplayColorPrimvar().GetInterpolation() == "uniform" and len(shown) == len(faces)
    for (name, subset), members, grey in zip(subsets.items(), (skin, parts["lips"], parts["eyes"]), (0xD8, 0xB8, 0xF1),
                                             strict=True):
        np.testing.assert_array_equal(subset.GetIndicesAttr().Get(), np.sort(members))
        material, _ = UsdShade.MaterialBindingAPI(subset).ComputeBoundMaterial()
        shader = material.ComputeSurfaceSource()[0]
        assert material.GetPrim().GetName() == name and shader.GetShaderId() == "UsdPreviewSurface"
        colour = shader.GetInput("diffuseColor").Get()
        assert Gf.ConvertLinearToDisplay(colour)[0] == pytest.approx(grey * BYTE, abs=0.07)  # gamma 2.2, nearly sRGB's
        np.testing.assert_allclose(shown[members], np.tile(colour, (len(members), 1)))


def faults(path):
    """What the library's validators say of a file."""
    registry = UsdValidation.ValidationRegistry()
    names = [one.name for one in registry.GetAllValidatorMetadata() if "Package" not in one.name]  # those are of archives
    assert len(names) > 20
    found = UsdValidation.ValidationContext(registry.GetOrLoadValidatorsByName(names)).Validate(Usd.Stage.Open(str(path)))
    return [error.GetMessage() for error in found]


def test_the_librarys_validators_find_nothing(tmp_path):
    vertices, faces, parts = ball(2)
    write_usd(tmp_path / "a.usd", talk(vertices, 3), Topology(faces, parts=parts), FRAME_RATE)
    assert faults(tmp_path / "a.usd") == []
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    stage.ClearMetadata("upAxis")
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/Head/Mesh")).SetMaterialBindSubsetsFamilyType("partition")
    UsdGeom.Subset(stage.GetPrimAtPath("/Head/Mesh/skin")).GetIndicesAttr().Set([0, 0])
    stage.Export(str(tmp_path / "b.usd"))
    assert faults(tmp_path / "b.usd")


def test_named_shapes_keep_their_names(tmp_path):
    vertices, faces, _ = ball(1)
    shapes = Blendshapes(vertices, ("jawOpen", "lip corner", "lip_corner", "1st"), 0.01 * np.random.default_rng(0).normal(
        size=(4, *vertices.shape)).astype(np.float32))
    weights = np.random.default_rng(1).uniform(size=(5, 4)).astype(np.float32)
    sequence = (vertices + np.einsum("tk,kvc->tvc", weights, shapes.displacements)).astype(np.float32)
    targets = named_targets(sequence, shapes, weights)
    assert write_usd(tmp_path / "a.usd", sequence, Topology(faces), FRAME_RATE, targets=targets) is targets
    read = Read(tmp_path / "a.usd")
    assert read.names() == list(shapes.names)
    prims = [read.shapes.GetBlendShape(number).GetPrim().GetName() for number in range(4)]
    assert prims == ["jawOpen", "lip_corner", "lip_corner_", "_st"]
    for frame, row in enumerate(weights):
        np.testing.assert_array_equal(read.weights(frame), row)
        np.testing.assert_allclose(read.moved(frame), sequence[frame], atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_still_face_is_written_with_one_shape(tmp_path, frames):
    vertices, faces, _ = ball(1)
    targets = write_usd(tmp_path / "a.usd", np.repeat(vertices[None], frames, 0), Topology(faces), FRAME_RATE)
    read = Read(tmp_path / "a.usd")
    assert len(targets.displacements) == 1 and read.names() == ["shape_01"]
    assert read.stage.GetEndTimeCode() == frames - 1 and faults(tmp_path / "a.usd") == []
    for frame in range(frames):
        np.testing.assert_allclose(read.moved(frame), vertices, atol=1e-7)


def test_a_motion_that_lies_on_disk_gives_the_same_bytes(tmp_path):
    vertices, faces, _ = ball(1)
    sequence = talk(vertices)
    write_usd(tmp_path / "a.usd", sequence, Topology(faces), FRAME_RATE)
    write_usd(tmp_path / "b.usd", on_disk([sequence[:7], sequence[7:]]), Topology(faces), FRAME_RATE)
    assert (tmp_path / "a.usd").read_bytes() == (tmp_path / "b.usd").read_bytes()
    assert (tmp_path / "a.usd").read_bytes()[:4] == FORMATS["usd"].begin


def test_any_name_of_a_file_will_do(tmp_path):
    """USD has a grammar of its own for paths, and wants its ending."""
    vertices, faces, _ = ball(1)
    for name in ("head[1].usd", "a:SDF_FORMAT_ARGS:b=c.usd", "head", "head.USD", os.fsdecode(b"\xff.usd")):
        write_usd(tmp_path / name, talk(vertices, 2), Topology(faces), FRAME_RATE)
        assert (tmp_path / name).read_bytes()[:8] == b"PXR-USDC"


def test_bad_input_is_named_and_leaves_no_file(tmp_path):
    vertices, faces, _ = ball(1)
    sequence, path, topology = talk(vertices, 3), tmp_path / "bad.usd", Topology(faces)
    holed = sequence.copy()
    holed[1, 4, 2] = np.nan
    some = fit_morph_targets(sequence, vertices, 2, TOLERANCE_MM)
    with pytest.raises(ValueError, match="vertices: a value in frames"):
        write_usd(path, holed, topology, FRAME_RATE)
    with pytest.raises(ValueError, match="vertices: shape .*as the topology"):
        write_usd(path, sequence, Topology(faces + 1), FRAME_RATE)
    with pytest.raises(ValueError, match="no frames"):
        write_usd(path, sequence[:0], topology, FRAME_RATE, template=vertices)
    with pytest.raises(ValueError, match="frame_rate: 0.0 is not positive"):
        write_usd(path, sequence, topology, 0.0)
    with pytest.raises(ValueError, match="template: the targets have a shape at rest of their own"):
        write_usd(path, sequence, topology, FRAME_RATE, template=vertices, targets=some)
    with pytest.raises(ValueError, match="targets: 3 frames of 42 vertices do not fit"):
        write_usd(path, sequence[:2], topology, FRAME_RATE, targets=some)
    twice = MorphTargets(some.base, some.displacements, some.weights, 0.0, ("a", "a"))
    with pytest.raises(ValueError, match="targets: two shapes are called a"):
        write_usd(path, sequence, topology, FRAME_RATE, targets=twice)
    assert list(tmp_path.iterdir()) == []


def test_what_is_of_another_kind_is_not_replaced_and_a_full_disk_loses_nothing(tmp_path):
    vertices, faces, _ = ball(1)
    path, topology = tmp_path / "a.usd", Topology(faces)
    path.write_text("mine")
    with pytest.raises(InputError, match="a.usd: is a file of another kind, so it is not replaced"):
        write_usd(path, talk(vertices, 2), topology, FRAME_RATE)
    assert path.read_text() == "mine"
    path.unlink()
    write_usd(path, talk(vertices, 2), topology, FRAME_RATE)
    before = path.read_bytes()
    for largest in (50, 2000):
        with full_disk(largest), pytest.raises(InputError, match=r"a\.usd: .*cannot be written.*free some space") as said:
            write_usd(path, talk(vertices, 3), topology, FRAME_RATE)
        assert "\n" not in str(said.value) and path.read_bytes() == before and os.listdir(tmp_path) == ["a.usd"]
    write_usd(path, talk(vertices, 3), topology, FRAME_RATE)
    assert path.read_bytes() != before


def test_a_head_with_weights_of_named_shapes_has_them_in_its_file(tmp_path):
    vertices, faces, _ = ball(1)
    shapes = Blendshapes(vertices, ("jawOpen", "mouthPucker"), talk(vertices)[[5, 10]] - vertices)
    weights = np.random.default_rng(1).uniform(size=(4, 2))
    motion = (vertices + np.einsum("tk,kvc->tvc", weights, shapes.displacements)).astype(np.float32)
    head = TalkingHead("a", motion, vertices, Topology(faces), FRAME_RATE, Recording(np.zeros(3200, np.float32), 16_000),
                       shape_weights=ShapeWeights(shapes, weights, "they lose nothing"))
    assert FORMATS["usd"].names_shapes
    assert FORMATS["usd"].write(tmp_path / "a.usd", head, iter) == "2 shapes with ARKit's names; they lose nothing"
    read = Read(tmp_path / "a.usd")
    assert read.names() == ["jawOpen", "mouthPucker"]
    np.testing.assert_array_equal([read.weights(frame) for frame in range(4)], weights.astype(np.float32))


def test_the_format_says_how_well_it_follows_and_what_is_missing(tmp_path, monkeypatch):
    vertices, faces, _ = ball(1)
    sequence = talk(vertices, 5)
    head = TalkingHead("a", sequence, vertices, Topology(faces), FRAME_RATE,
                       Recording(np.zeros(3200, np.float32), 16_000))
    FORMATS["usd"].check()
    said = FORMATS["usd"].write(tmp_path / "a.usd", head, iter)
    expected = fit_morph_targets(sequence, vertices, 64, TOLERANCE_MM)
    assert said == f"{len(expected.displacements)} shapes, largest error {expected.max_error_mm:.3f} mm"
    np.testing.assert_array_equal(Read(tmp_path / "a.usd").points, vertices)
    monkeypatch.setattr("otlib.export.formats.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs usd-core, which is not installed: run `pip install 'otlib\[usd\]'`, or"):
        FORMATS["usd"].check()
