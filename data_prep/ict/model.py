"""ICT-FaceKit's light model (USC ICT, MIT licence), read from a user's own checkout: neutral face, expressions, identities.

Every shape is one OBJ file of the same topology, in centimetres; a shape adds its difference from the neutral one. The
order of the 26,719 vertices is the kit's own: the parts of the head follow each other.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.path import Path as Outline
from scipy.interpolate import CubicSpline
from tqdm import tqdm

from data_prep.blendshape_face.family import FaceFamily, check_jaw_open
from data_prep.raw.mesh_files import read_mesh
from otlib.errors import InputError
from otlib.files import read_json
from otlib.topology import Topology

RESOLUTIONS = {"narrow": 6_706, "face": 9_409, "head": 24_591}  # vertices from the first on; lashes and tears stay out
NEUTRAL, INDICES = "generic_neutral_mesh.obj", "vertex_indices.json"

_VERTICES = 26_719
_METRE = 100.0  # in centimetres
_IDENTITY = re.compile(r"identity\d{3}\.obj")
_BOTH_SIDES, _ASIDE = ("browInnerUp", "cheekPuff"), ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
_MOUTH, _TONGUE, _TEETH = (11_248, 13_294), (14_062, 17_039), (17_039, 21_451)
_EYES = ((21_451, 23_021), (23_021, 24_591))
_IRIS, _PUPIL = 0.0058, 0.0022  # metres from the axis of an eye

# 68 landmarks in the order of Multi-PIE
CHIN, NOSE_BRIDGE = 8, 28
RIGHT_CORNER, LEFT_CORNER = 48, 54
_OUTER_LIPS = range(48, 60)
UPPER_LIP, LOWER_LIP = 62, 66  # where the lips touch in the middle
_LANDMARKS = 68


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A checkout, cut to the first vertices; metres.

    Attributes:
        neutral: (V, 3) float32, the mean face.
        faces: (F, 3) int32.
        expressions: (K, V, 3) float32, what each expression adds at a weight of 1.
        names: (K,) names of the expressions.
        identities: (I, V, 3) float32, what each identity adds; weights are drawn from N(0, 1).
        landmarks: (68,) vertices in the order of Multi-PIE.
    """

    neutral: np.ndarray
    faces: np.ndarray
    expressions: np.ndarray
    names: tuple[str, ...]
    identities: np.ndarray
    landmarks: np.ndarray

    @property
    def family(self) -> FaceFamily:
        """The model as a family of faces with ARKit's names; InputError if jawOpen is not what its name says."""
        check_jaw_open(self.expressions[self.names.index("jawOpen")], self.landmarks[CHIN])
        return FaceFamily(self.neutral, tuple(map(arkit_name, self.names)), self.expressions, self.identities, self.topology,
                          int(self.landmarks[CHIN]))

    @property
    def topology(self) -> Topology:
        """The faces with parts and with regions, which follow from landmarks and jawOpen; faces in no part are skin."""
        regions = self._regions()
        return Topology(self.faces, regions, self._parts(regions["lips"]), len(self.neutral))

    def _regions(self) -> dict[str, np.ndarray]:
        x, y, z = self.neutral.T
        face = np.arange(len(x)) < RESOLUTIONS["face"]
        point = self.neutral[self.landmarks]
        opening = -self.expressions[self.names.index("jawOpen"), :, 1]  # (V,) metres down
        lips = face & self._within_lips()
        corner, *middle = opening[self.landmarks[[LEFT_CORNER, UPPER_LIP, LOWER_LIP]]]
        towards = np.clip(np.abs(x) / point[LEFT_CORNER, 0], 0, 1)  # 0 in the middle of the mouth, 1 at its corners
        upper = lips & (opening < np.mean(middle) + towards * (corner - np.mean(middle)))
        front = face & (z > point[0, 2])  # the first landmark is where jaw and ear meet
        masks = {
            "lips": lips, "lips_upper": upper, "lips_lower": lips & ~upper,
            "upper_face": front & (y > point[NOSE_BRIDGE, 1]),
            "jaw": front & ~lips & (y < point[57, 1]) & (opening > opening[self.landmarks[CHIN]] / 2),
        }
        pairs = {"lip_gap": self.landmarks[[UPPER_LIP, LOWER_LIP]],
                 "mouth_corners": self.landmarks[[LEFT_CORNER, RIGHT_CORNER]]}
        return {name: np.flatnonzero(mask) for name, mask in masks.items()} | pairs

    def _within_lips(self) -> np.ndarray:
        """Return which vertices lie within the outline of the lips in front view, (V,)."""
        corner = self.neutral[self.landmarks[_OUTER_LIPS]]  # (12, 3)
        closed = np.vstack([corner, corner[:1]])[:, :2]
        outline = CubicSpline(np.arange(len(closed)), closed, bc_type="periodic")(np.linspace(0, len(corner), 200))
        return Outline(outline).contains_points(self.neutral[:, :2]) & (self.neutral[:, 2] > corner[:, 2].min() - 0.01)

    def _parts(self, lips: np.ndarray) -> dict[str, np.ndarray]:
        parts = {"mouth": self._between(*_MOUTH), "tongue": self._between(*_TONGUE), "teeth": self._between(*_TEETH)}
        owner = np.full(len(self.faces), "", dtype="<U8")
        for start, end in _EYES:
            eye = self._between(start, end)
            if not len(eye):  # a resolution without eyes
                continue
            centre = self.neutral[start:end].mean(0)
            middle = self.neutral[self.faces[eye]].mean(1) - centre  # (N, 3)
            across = np.linalg.norm(middle[:, :2], axis=1)
            front = middle[:, 2] >= 0
            owner[eye] = np.select([front & (across < _PUPIL), front & (across < _IRIS)], ["pupils", "iris"], "eyes")
        parts |= {name: np.flatnonzero(owner == name) for name in ("eyes", "iris", "pupils")}
        parts["lips"] = np.flatnonzero(np.isin(self.faces, lips).all(1))
        return {name: members for name, members in parts.items() if len(members)}

    def _between(self, start: int, end: int) -> np.ndarray:
        return np.flatnonzero(((self.faces >= start) & (self.faces < end)).all(1))


def arkit_name(name: str) -> str:
    """Return ARKit's name of an expression; the kit has halves of ARKit's browInnerUp and cheekPuff."""
    whole, _, side = name.partition("_")
    return whole if whole in _BOTH_SIDES else whole + {"": "", "L": "Left", "R": "Right"}[side]


def kit_names(name: str) -> tuple[str, ...]:
    """Return the kit's expressions that make one shape of ARKit."""
    if name in _BOTH_SIDES:
        return f"{name}_L", f"{name}_R"
    for side in ("Left", "Right"):
        if name.endswith(side) and name not in _ASIDE:
            return (f"{name.removesuffix(side)}_{side[0]}",)
    return (name,)


def model_folder(path: Path) -> Path:
    """Return the folder of the model: ``path`` itself, or ``FaceXModel`` in it.

    Raises:
        InputError: there is no model in either.
    """
    for folder in (path, path / "FaceXModel"):
        if os.path.isfile(folder / NEUTRAL):
            return folder
    raise InputError(f"{path}: holds no {NEUTRAL}, neither in itself nor in FaceXModel; give a checkout of ICT-FaceKit")


def read_model(folder: Path, required: Sequence[str], optional: Sequence[str], resolution: str) -> FaceModel:
    """Read a checkout, or a part of one.

    Args:
        folder: where the OBJ files and vertex_indices.json lie.
        required: names of expressions that must exist.
        optional: names of expressions that are read if they exist.
        resolution: one of RESOLUTIONS.

    Raises:
        InputError: a required file is missing (all missing ones are named at once), or a file is not of this model.
    """
    missing = [name for name in (INDICES, *(f"{name}.obj" for name in required)) if not os.path.isfile(folder / name)]
    if missing:
        raise InputError(f"{folder}: lacks {', '.join(missing)}; give a whole checkout of ICT-FaceKit (its FaceXModel)")
    count = RESOLUTIONS[resolution]
    neutral = read_mesh(folder / NEUTRAL)
    if len(neutral.vertices) != _VERTICES:
        raise InputError(f"{folder / NEUTRAL}: has {len(neutral.vertices)} vertices, the light model of ICT-FaceKit has "
                         f"{_VERTICES}")
    landmarks = _read_landmarks(folder / INDICES)

    names = tuple(name for name in (*required, *optional) if os.path.isfile(folder / f"{name}.obj"))
    identities = sorted(path.name for path in folder.iterdir() if _IDENTITY.fullmatch(path.name))
    progress = tqdm(total=len(names) + len(identities), desc="reading shapes", unit="file")

    def read(files: Sequence[str]) -> np.ndarray:
        shapes = np.zeros((len(files), count, 3), np.float32)
        for shape, name in zip(shapes, files, strict=True):
            mesh = read_mesh(folder / name)
            if not np.array_equal(mesh.faces, neutral.faces):
                raise InputError(f"{folder / name}: has other faces than {NEUTRAL}; take both from one checkout")
            shape[:] = (mesh.vertices - neutral.vertices)[:count] / _METRE
            progress.update()
        progress.refresh()
        return shapes

    return FaceModel(
        neutral=(neutral.vertices[:count] / _METRE).astype(np.float32),
        faces=neutral.faces[(neutral.faces < count).all(1)].astype(np.int32),
        expressions=read([f"{name}.obj" for name in names]), names=names,
        identities=read(identities), landmarks=landmarks)


def _read_landmarks(path: Path) -> np.ndarray:
    content = read_json(path)
    vertices = content.get("idx_to_landmark_verts") if isinstance(content, dict) else None
    if not isinstance(vertices, list) or len(vertices) != _LANDMARKS or not all(type(index) is int for index in vertices):
        raise InputError(f"{path}: its idx_to_landmark_verts is not a list of {_LANDMARKS} vertices")
    if min(vertices) < 0 or max(vertices) >= RESOLUTIONS["narrow"]:
        raise InputError(f"{path}: idx_to_landmark_verts names a vertex that is not one of the face")
    return np.array(vertices)
