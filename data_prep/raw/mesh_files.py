"""Mesh files as their author wrote them: vertices in the file's own order and number, polygons cut into triangles.

trimesh reads them. Texture coordinates, normals and materials are left out, since readers split vertices for them.
"""

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import trimesh
from trimesh.resolvers import Resolver

from otlib.errors import InputError
from otlib.files import parsed_json, read_bytes

SUFFIXES = (".obj", ".ply", ".glb", ".gltf")
_OPTIONS = {"process": False, "maintain_order": True, "skip_materials": True, "fix_texture": False}
_LOOKS = ("KHR_materials_", "KHR_texture_", "EXT_texture_", "KHR_lights_")  # extensions of glTF that move no vertex
_CORNER = re.compile(rb"/\S*")  # of "7/3/2" the 7 stays


@dataclass(frozen=True)
class Mesh:
    """Vertices (V, 3) float64, in the file's unit, faces (F, 3) int64, and the names of the meshes that were joined."""

    vertices: np.ndarray
    faces: np.ndarray
    names: tuple[str, ...] = ()


def read_mesh(path: Path | str) -> Mesh:
    """Read one OBJ, PLY, GLB or glTF file.

    Args:
        path: the file; a glTF file may name only buffers that lie beside it.

    Raises:
        InputError: no such file, another format, cut short or damaged, compressed, no face, more than one mesh, a face that
            names a vertex that is not there, or a position that is not finite; one sentence.
    """
    return _read(Path(path), several=False)


def read_meshes(path: Path | str) -> Mesh:
    """Read one file whose meshes are the parts of one head: all in one, each as the file's scene places it.

    Vertices come in the scene's order, mesh by mesh.

    Args:
        path: as for :func:`read_mesh`.

    Raises:
        InputError: as in :func:`read_mesh`, but for several meshes.
    """
    return _read(Path(path), several=True)


def _read(path: Path, several: bool) -> Mesh:
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: is not an OBJ, PLY, glTF or GLB file")
    content = read_bytes(path)
    try:
        if path.suffix.lower() == ".obj":
            (vertices, faces), names = _read_obj(content), ()
        else:
            vertices, faces, names = _read_scene(content, path, several)
    except InputError:
        raise
    except Exception as error:  # three parsers, and bytes that anyone may have written
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: is damaged, cut short or not one mesh ({reason}); export it again") from error
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or not len(vertices) or faces.ndim != 2 or not len(faces):
        raise InputError(f"{path}: is cut short, or holds no mesh of vertices and faces; export it again")
    if not np.isfinite(vertices).all():
        raise InputError(f"{path}: vertex {int((~np.isfinite(vertices)).any(1).argmax())} is not a finite position")
    if faces.min() < 0 or faces.max() >= len(vertices):
        wrong = int(faces.min() if faces.min() < 0 else faces.max())
        raise InputError(f"{path}: a face names vertex {wrong} (counted from 0), there are {len(vertices)}")
    return Mesh(vertices, faces, names)


def _read_obj(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    positions, corners = [], []
    for line in content.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines():
        line = line.lstrip()
        if line.startswith((b"v ", b"v\t")):
            positions.append(b" ".join(line.split()[:4]))  # without weight or colour
        elif line.startswith((b"f ", b"f\t")):
            corners.append(_CORNER.sub(b"", line))
    vertices = _load(b"\n".join(positions), "obj").vertices
    if len(vertices) != len(positions):
        raise ValueError(f"{len(positions)} lines of vertices hold {len(vertices)} positions")
    return np.asarray(vertices, dtype=float), _obj_faces(b"\n".join(corners), len(vertices))


@lru_cache(maxsize=2)  # the frames of a recording repeat one list of faces
def _obj_faces(lines: bytes, vertex_count: int) -> np.ndarray:
    numbers = [[int(number) for number in line.split()[1:]] for line in lines.splitlines()]
    if any(len(face) < 3 for face in numbers):
        raise ValueError("a face has fewer than three corners")
    used = [number for face in numbers for number in face]
    if not used:
        return np.zeros((0, 3), dtype=np.int64)
    if 0 in used or max(used) > vertex_count or min(used) < -vertex_count:
        wrong = 0 if 0 in used else max(used, key=abs)
        raise ValueError(f"a face names vertex {wrong}, there are {vertex_count}")
    points = b"v 0 0 0\n" * vertex_count
    return np.asarray(_load(points + lines, "obj").faces, dtype=np.int64) % vertex_count  # negative: counted from the end


def _read_scene(content: bytes, path: Path, several: bool) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    kind = path.suffix.lower()[1:]
    promised = _ply_counts(content) if kind == "ply" else (0, 0)
    if kind != "ply" and (unread := [name for name in _extensions(content, kind) if not name.startswith(_LOOKS)]):
        raise InputError(f"{path}: cannot be read without the extension {unread[0]}, which is not read here; export it "
                         "without compression")
    loaded = _load_all(content, kind, _Beside(path)) if several else {"": _load(content, kind, _Beside(path))}
    if not loaded or not all(hasattr(mesh, "faces") for mesh in loaded.values()):
        raise ValueError("it holds points or lines without faces")
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in loaded.values())])
    vertices = np.concatenate([np.asarray(mesh.vertices, dtype=float) for mesh in loaded.values()])
    faces = np.concatenate([np.asarray(mesh.faces, dtype=np.int64) + start
                            for mesh, start in zip(loaded.values(), first, strict=False)])
    if len(vertices) < promised[0] or len(faces) < promised[1]:
        raise ValueError(f"its header promises {promised[0]} vertices and {promised[1]} faces, it holds {len(vertices)} and "
                         f"{len(faces)}")
    return vertices, faces, tuple(loaded) if len(loaded) > 1 else ()


def _extensions(content: bytes, kind: str) -> list[str]:
    """Return the extensions that a glTF or GLB file says no reader can do without; ValueError if it is not JSON."""
    if kind == "glb":  # a header of 12 bytes, then the length and the kind of the chunk that holds the document
        content = content[20:20 + int.from_bytes(content[12:16], "little")]
    try:
        return parsed_json(content.decode(), "its document").get("extensionsRequired", [])
    except InputError as error:
        raise ValueError(str(error)) from error


def _ply_counts(content: bytes) -> tuple[int, int]:
    """Return how many vertices and faces a PLY header promises.

    Raises:
        ValueError: a text file has too few rows: cut at the end of a line, it would read like a shorter file.
    """
    header, end, body = content.partition(b"end_header")
    if not end:
        raise ValueError("its header does not end")
    promised = {name: int(count) for name, count in re.findall(rb"^element\s+(\w+)\s+(\d+)", header, re.M)}
    rows = sum(1 for line in body.splitlines() if line.strip())
    if re.search(rb"^format\s+ascii", header, re.M) and rows < sum(promised.values()):
        raise ValueError(f"its header promises {sum(promised.values())} rows, it has {rows}")
    return promised.get(b"vertex", 0), promised.get(b"face", 0)


def _scene(content: bytes, kind: str, resolver: Resolver | None = None) -> trimesh.Scene:
    with np.errstate(all="ignore"):  # values that are no positions are refused later
        return trimesh.load_scene(io.BytesIO(content), file_type=kind, resolver=resolver, **_OPTIONS)


def _load_all(content: bytes, kind: str, resolver: Resolver | None = None) -> dict[str, trimesh.Trimesh]:
    """Return the meshes of a file by the names of their nodes, each placed as in the file's scene."""
    scene, placed = _scene(content, kind, resolver), {}
    order = {name: number for number, name in enumerate(scene.geometry)}  # the scene's own has none
    for node in sorted(scene.graph.nodes_geometry, key=lambda node: (order[scene.graph.get(node)[1]], str(node))):
        transform, name = scene.graph.get(node)
        placed[str(node)] = scene.geometry[name].copy()
        placed[str(node)].apply_transform(transform)
    return placed


def _load(content: bytes, kind: str, resolver: Resolver | None = None):
    """Return the single geometry of a file, placed as in the file's scene."""
    scene = _scene(content, kind, resolver)
    if len(scene.geometry) != 1:
        raise ValueError(f"it holds {len(scene.geometry)} meshes, expected one")
    (name, geometry), nodes = next(iter(scene.geometry.items())), scene.graph.nodes_geometry
    if len(nodes) != 1:
        raise ValueError(f"its scene shows the mesh {name} {len(nodes)} times, expected once")
    geometry.apply_transform(scene.graph.get(nodes[0])[0])
    return geometry


class _Beside(Resolver):
    """Opens the files that a glTF file names, in its own folder only."""

    def __init__(self, mesh: Path) -> None:
        self._mesh = mesh

    def get(self, name: str) -> bytes:
        path = self._mesh.parent / name
        if PurePosixPath(name).name != name or "\\" in name or path.is_symlink():
            raise InputError(f"{self._mesh}: names the file {name!r}, which does not lie beside it; export it as GLB")
        try:
            return read_bytes(path)
        except InputError as error:
            raise InputError(f"{self._mesh}: names the file {name!r}, and {error}; put it beside the mesh, or export it as "
                             "GLB") from error

    def keys(self) -> list[str]:
        return [path.name for path in self._mesh.parent.iterdir()]

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError("meshes are only read")

    def namespaced(self, namespace: str) -> "Resolver":
        raise NotImplementedError("meshes name no folders")
