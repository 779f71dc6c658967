"""Animated heads as Universal Scene Description: blend shapes of UsdSkel, which Omniverse, Houdini and Blender read."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdShade, UsdSkel, Vt

from otlib.errors import InputError
from otlib.export.morph_targets import MorphTargets, targets_of
from otlib.export.moving_normals import moving_normals
from otlib.files import atomic_write
from otlib.topology import Topology
from otlib.viz.materials import linear_colour, part_owners, part_roughness

_HEAD = Sdf.Path("/Head")


def write_usd(
    path: Path | str,
    vertices: Float[np.ndarray, "T V 3"],
    topology: Topology,
    frame_rate: float,
    *,
    template: Float[np.ndarray, "V 3"] | None = None,
    targets: MorphTargets | None = None,
) -> MorphTargets:
    """Write a moving mesh as one binary USD file: a mesh with blend shapes, and their weights at every frame.

    The mesh keeps its vertices and their order. UsdSkel moves blend shapes through a skeleton, so there is one, of a single
    joint that stands still. Normals move too, one a vertex: sharp edges look round, unlike in a glb, which copies their
    vertices. Each part has its own material and, for viewers without materials, its colour on its faces. Axes and units are
    metres, y up, the face towards +z.

    Args:
        path: the file to write, of any name; it appears only when it is whole.
        vertices: (T, V, 3) metres; it may be a memory map, read in pieces. Frame t is at time code t.
        topology: the mesh.
        frame_rate: frames per second, the file's time codes per second.
        template: (V, 3) metres, the shape at rest, which programs show without the animation; the mean over the frames
            when None.
        targets: named shapes and weights that follow ``vertices`` (:func:`otlib.export.blendshapes.named_targets`); when
            None, at most 64 principal displacements, called shape_01 and so on.

    Returns:
        The shapes and weights that the file holds, with their largest error.

    Raises:
        ValueError: shapes that do not fit, an empty sequence, a value that is not finite, two targets of one name, or a
            template beside targets.
        InputError: the file cannot be written, or what stands there is of another kind.
    """
    if not frame_rate > 0:
        raise ValueError(f"frame_rate: {frame_rate} is not positive")
    topology.check("vertices", vertices.shape)
    targets = targets_of(vertices, template, targets)
    names = targets.names or [f"shape_{number:02d}" for number in range(1, 1 + len(targets.displacements))]
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise ValueError(f"targets: two shapes are called {twice[0]}")
    layer = Sdf.Layer.CreateAnonymous(".usdc")
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    stage.SetTimeCodesPerSecond(frame_rate)
    stage.SetFramesPerSecond(frame_rate)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(len(vertices) - 1)
    root = UsdSkel.Root.Define(stage, _HEAD)
    stage.SetDefaultPrim(root.GetPrim())
    mesh = _mesh(stage, vertices, topology, targets)
    root.CreateExtentAttr(mesh.GetExtentAttr().Get())
    _paint(stage, mesh, topology)
    _move(stage, mesh, names, targets)
    _add_normals(stage, mesh, *moving_normals(vertices, topology.faces, np.arange(len(targets.base)), targets))
    _write(path, layer)
    return targets


def _points(array: np.ndarray) -> Vt.Vec3fArray:
    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(array, np.float32))


def _whole_numbers(array: np.ndarray) -> Vt.IntArray:
    return Vt.IntArray.FromNumpy(np.ascontiguousarray(array, np.int32))


def _mesh(stage: Usd.Stage, vertices: np.ndarray, topology: Topology, targets: MorphTargets) -> UsdGeom.Mesh:
    """Define the mesh at rest, with bounds that hold for all frames."""
    mesh = UsdGeom.Mesh.Define(stage, _HEAD.AppendChild("Mesh"))
    mesh.CreatePointsAttr(_points(targets.base))
    mesh.CreateFaceVertexCountsAttr(_whole_numbers(np.full(len(topology.faces), 3)))
    mesh.CreateFaceVertexIndicesAttr(_whole_numbers(topology.faces.ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)  # many heads are open at the neck
    mesh.CreateExtentAttr(_points(np.stack([np.minimum(vertices.min((0, 1)), targets.base.min(0)),
                                            np.maximum(vertices.max((0, 1)), targets.base.max(0))])))
    return mesh


def _paint(stage: Usd.Stage, mesh: UsdGeom.Mesh, topology: Topology) -> None:
    """Give each part a subset of the faces with a material, and each face its part's colour."""
    names, owner = part_owners(len(topology.faces), topology.parts)
    colours = np.array([linear_colour(name) for name in names], np.float32)
    mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.uniform).Set(_points(colours[owner]))
    UsdGeom.Scope.Define(stage, _HEAD.AppendChild("Materials"))
    binding = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    for number, (name, prim) in enumerate(zip(names, _identifiers(names), strict=True)):
        if not (owner == number).any():
            continue
        material = UsdShade.Material.Define(stage, _HEAD.AppendPath(f"Materials/{prim}"))
        shader = UsdShade.Shader.Define(stage, material.GetPath().AppendChild("Surface"))
        shader.CreateIdAttr("UsdPreviewSurface")
        shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*map(float, colours[number])))
        shader.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.0)
        shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(part_roughness(name))
        material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
        subset = binding.CreateMaterialBindSubset(prim, _whole_numbers(np.flatnonzero(owner == number)))
        UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)


def _move(stage: Usd.Stage, mesh: UsdGeom.Mesh, names: Iterable[str], targets: MorphTargets) -> None:
    """Add the shapes, a skeleton of one joint that stands still, and the weights over time."""
    still = Vt.Matrix4dArray([Gf.Matrix4d(1.0)])
    skeleton = UsdSkel.Skeleton.Define(stage, _HEAD.AppendChild("Skeleton"))
    animation = UsdSkel.Animation.Define(stage, _HEAD.AppendChild("Animation"))
    for attribute in (skeleton.CreateJointsAttr(), animation.CreateJointsAttr()):
        attribute.Set(["head"])
    skeleton.CreateBindTransformsAttr(still)
    skeleton.CreateRestTransformsAttr(still)
    animation.SetTransforms(still)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])

    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))
    binding.CreateJointIndicesPrimvar(constant=True, elementSize=1).Set([0])
    binding.CreateJointWeightsPrimvar(constant=True, elementSize=1).Set([1.0])
    shapes = UsdGeom.Scope.Define(stage, _HEAD.AppendChild("Shapes")).GetPath()  # beside the mesh, whose children are parts
    for prim, displacement in zip(_identifiers(names), targets.displacements, strict=True):
        shape = UsdSkel.BlendShape.Define(stage, shapes.AppendChild(prim))
        shape.CreateOffsetsAttr(_points(displacement))
        binding.CreateBlendShapeTargetsRel().AddTarget(shape.GetPath())
    for attribute in (binding.CreateBlendShapesAttr(), animation.CreateBlendShapesAttr()):
        attribute.Set(list(names))
    over_time = animation.CreateBlendShapeWeightsAttr()
    for frame, row in enumerate(targets.weights):
        over_time.Set(Vt.FloatArray.FromNumpy(np.ascontiguousarray(row)), frame)


def _add_normals(stage: Usd.Stage, mesh: UsdGeom.Mesh, normals: np.ndarray, displacements: np.ndarray) -> None:
    mesh.CreateNormalsAttr(_points(normals))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    shapes = UsdSkel.BindingAPI(mesh).GetBlendShapeTargetsRel().GetTargets()
    for shape, displacement in zip(shapes, displacements, strict=True):
        UsdSkel.BlendShape.Get(stage, shape).CreateNormalOffsetsAttr(_points(displacement))


def _identifiers(names: Iterable[str]) -> list[str]:
    """Return names that USD allows its prims, each once: a name may have spaces, an identifier may not."""
    taken: list[str] = []
    for name in names:
        identifier = Tf.MakeValidIdentifier(name)
        while identifier in taken:
            identifier += "_"
        taken.append(identifier)
    return taken


def _write(path: Path | str, layer: Sdf.Layer) -> None:
    """Write by way of a plain name elsewhere: USD reads more into a path than a file's name, and wants its own ending."""
    with atomic_write(path) as temporary, tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "head.usd"
        try:
            layer.Export(str(plain))
        except Tf.ErrorException as error:
            reason = error.args[0].commentary if error.args else "no reason given"
            raise InputError(f"{path}: cannot be written by way of {folder} ({reason}); free some space there") from error
        shutil.copyfile(plain, temporary)
