"""Animated heads as binary glTF 2.0, which browsers, Blender, Unreal and Unity open."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from otlib.export.morph_targets import TOLERANCE_MM, MorphTargets, targets_of
from otlib.export.moving_normals import moving_normals
from otlib.files import atomic_write
from otlib.topology import Topology
from otlib.viz.materials import linear_colour, part_roughness, split_faces
from otlib.viz.normals import split_creases

# Codes of the glTF 2.0 specification, sections 3.6.2 and 5.
_FLOAT32, _UINT16, _UINT32 = 5126, 5123, 5125
_VERTEX_DATA, _INDEX_DATA = 34962, 34963


@dataclass(frozen=True)
class GltfReport:
    """How well a glTF file holds a sequence.

    Attributes:
        targets: number of morph targets.
        max_error_mm: largest distance, over all frames and vertices, from the file's animation to the sequence.
    """

    targets: int
    max_error_mm: float

    @property
    def within_tolerance(self) -> bool:
        """Whether the error is at most :data:`TOLERANCE_MM`."""
        return self.max_error_mm <= TOLERANCE_MM


def write_glb(
    path: Path | str,
    vertices: Float[np.ndarray, "T V 3"],
    topology: Topology,
    frame_rate: float,
    *,
    template: Float[np.ndarray, "V 3"] | None = None,
    max_targets: int = 64,
    targets: MorphTargets | None = None,
) -> GltfReport:
    """Write a moving mesh as one .glb file with morph targets and an animation of their weights.

    glTF has no vertex animation as such, so the sequence is written as a sum of principal displacements
    (see ``otlib.export.morph_targets``). Normals move too, by displacements of their own that fit the true normals by least
    squares. Axes and units are already glTF's: metres, y up, the face towards +z.

    Seven arguments, since one, ``targets``, takes the place of ``template`` and ``max_targets``: named shapes with weights
    (:func:`otlib.export.blendshapes.named_targets`) are written under their names, so that programs can retarget them. The
    normals of a named shape are those of the shape itself, whatever the sequence shows of it.

    Args:
        path: the file to write; it appears only when it is whole.
        vertices: (T, V, 3) metres; frame t is at t / frame_rate seconds.
        topology: the mesh; each part gets its own primitive and material.
        frame_rate: frames per second.
        template: (V, 3) metres, the shape at rest that programs show without the animation; the mean over the frames
            when None.
        max_targets: the most morph targets to use; many programs take 64.
        targets: morph targets and weights that follow ``vertices``, to be written in place of principal components.

    Returns:
        The number of targets and the remaining error. If ``max_targets`` targets do not reach 0.1 mm, the file is written
        anyway and ``within_tolerance`` is False.

    Raises:
        ValueError: shapes that do not fit, an empty sequence, a value that is not finite, or a template beside targets.
        InputError: the file cannot be written.
    """
    if not frame_rate > 0:
        raise ValueError(f"frame_rate: {frame_rate} is not positive")
    topology.check("vertices", vertices.shape)
    targets = targets_of(vertices, template, targets, max_targets)
    split, copied = split_creases(targets.base, topology.faces)
    surface = _Surface(targets.base[copied], targets.displacements[:, copied],
                       *moving_normals(vertices, split, copied, targets))
    writer = _GlbWriter()
    primitives, materials = [], []
    for name, part_faces in split_faces(split, topology.parts).items():
        primitives.append(_primitive(writer, part_faces, surface, material=len(materials)))
        materials.append(_material(name))
    document = {
        "asset": {"version": "2.0", "generator": "otlib"},
        "scene": 0,
        "scenes": [{"name": "talking head", "nodes": [0]}],
        "nodes": [{"name": "head", "mesh": 0}],
        "meshes": [_mesh(primitives, _names(targets))],
        "materials": materials,
        "animations": [_animation(writer, targets.weights, frame_rate)],
    }
    with atomic_write(path) as temporary:
        temporary.write_bytes(writer.file(document))
    return GltfReport(len(targets.displacements), targets.max_error_mm)


@dataclass(frozen=True)
class _Surface:
    """What glTF stores at each of N vertices (the mesh's V, and copies at sharp edges), with K targets."""

    positions: np.ndarray  # (N, 3)
    position_displacements: np.ndarray  # (K, N, 3)
    normals: np.ndarray  # (N, 3)
    normal_displacements: np.ndarray  # (K, N, 3)


def _primitive(writer: "_GlbWriter", part_faces: np.ndarray, surface: _Surface, material: int) -> dict[str, Any]:
    """Add one part with only its own vertices; parts meet without a seam because they share normals."""
    used, indices = np.unique(part_faces, return_inverse=True)
    morphs = [
        {
            "POSITION": writer.add(displacement[used], "VEC3", bounds=True, view=_VERTEX_DATA),
            "NORMAL": writer.add(change[used], "VEC3", view=_VERTEX_DATA),
        }
        for displacement, change in zip(surface.position_displacements, surface.normal_displacements, strict=True)
    ]
    # The largest index of a type is never used: it restarts a primitive.
    index_type = np.uint16 if len(used) < 2**16 else np.uint32
    return {
        "attributes": {
            "POSITION": writer.add(surface.positions[used], "VEC3", bounds=True, view=_VERTEX_DATA),
            "NORMAL": writer.add(surface.normals[used], "VEC3", view=_VERTEX_DATA),
        },
        "indices": writer.add(indices.ravel().astype(index_type), "SCALAR", view=_INDEX_DATA),
        "material": material,
        "targets": morphs,
    }


def _names(targets: MorphTargets) -> list[str]:
    return list(targets.names) or [f"component_{number:02d}" for number in range(len(targets.displacements))]


def _mesh(primitives: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    return {"name": "head", "primitives": primitives, "weights": [0.0] * len(names), "extras": {"targetNames": names}}


def _material(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "doubleSided": True,  # many heads are open at the neck
        "pbrMetallicRoughness": {
            "baseColorFactor": [*(round(c, 4) for c in linear_colour(name)), 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": round(part_roughness(name), 3),
        },
    }


def _animation(writer: "_GlbWriter", weights: np.ndarray, frame_rate: float) -> dict[str, Any]:
    times = (np.arange(len(weights)) / frame_rate).astype(np.float32)
    sampler = {
        "input": writer.add(times, "SCALAR", bounds=True),
        "output": writer.add(weights.ravel(), "SCALAR"),  # frame by frame, all targets of a frame together
        "interpolation": "LINEAR",
    }
    return {
        "name": "speech",
        "samplers": [sampler],
        "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
    }


class _GlbWriter:
    """Collects arrays into the one binary chunk of a .glb file."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._views: list[dict[str, int]] = []
        self._accessors: list[dict[str, Any]] = []

    def add(self, array: np.ndarray, kind: str, *, bounds: bool = False, view: int | None = None) -> int:
        """Append an array; return the number of its accessor.

        Args:
            array: float32, uint16 or uint32; (n,) for "SCALAR", (n, 3) for "VEC3".
            kind: glTF's accessor type.
            bounds: store the least and greatest values, which glTF demands of positions and times.
            view: glTF's buffer view target, for vertex and index data.
        """
        component = {"float32": _FLOAT32, "uint16": _UINT16, "uint32": _UINT32}[array.dtype.name]
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        buffer_view = {"buffer": 0, "byteOffset": self._size, "byteLength": len(data)}
        if view is not None:
            buffer_view["target"] = view
        accessor = {
            "bufferView": len(self._views),
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        if bounds:
            columns = array.reshape(len(array), -1)
            accessor["min"] = columns.min(0).tolist()  # float32 values as exact decimals
            accessor["max"] = columns.max(0).tolist()
        self._views.append(buffer_view)
        self._accessors.append(accessor)
        padded = data + b"\0" * (-len(data) % 4)  # accessors start at multiples of their component's size
        self._chunks.append(padded)
        self._size += len(padded)
        return len(self._accessors) - 1

    def file(self, document: dict[str, Any]) -> bytes:
        """Return the whole file: header, JSON chunk, binary chunk (glTF 2.0 specification, section 4.4)."""
        document = document | {
            "buffers": [{"byteLength": self._size}],
            "bufferViews": self._views,
            "accessors": self._accessors,
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        length = 12 + 8 + len(text) + 8 + self._size
        return b"".join(
            [
                struct.pack("<4sII", b"glTF", 2, length),
                struct.pack("<I4s", len(text), b"JSON"),
                text,
                struct.pack("<I4s", self._size, b"BIN\0"),
                *self._chunks,
            ]
        )
