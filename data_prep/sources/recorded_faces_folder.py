"""Look through a folder of somebody's own recordings: what belongs together, and everything that is wrong with it.

Only templates are read; of motion, names and headers alone.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from data_prep.raw.mesh_files import SUFFIXES, read_mesh
from data_prep.raw.npy_and_wav import check_sound, map_motion
from data_prep.raw.safe_folder import Folder
from data_prep.sources.clip_table import TABLE, ClipRow, read_rows, with_splits
from data_prep.sources.peers_layout import MOTION, SOUND, is_processed_layout, read_faces_and_templates
from otlib.errors import InputError

EVERYONE = "template"  # name of the template for all subjects without their own
_TEMPLATE_FOLDER = "templates"


@dataclass(frozen=True)
class Take:
    """One recording.

    Attributes:
        name: the name of its files.
        row: who says what, in which split.
        sound: the wav file.
        motion: the .npy file, or the folder with one mesh a frame.
        meshes: those meshes, in order; empty for a .npy file.
        frames: number of frames.
    """

    name: str
    row: ClipRow
    sound: Path
    motion: Path
    meshes: tuple[Path, ...]
    frames: int


@dataclass(eq=False)
class Recordings:
    """The contents of a folder.

    Attributes:
        templates: subject to (V, 3), in the files' unit.
        faces: (F, 3).
        takes: the recordings with sound, motion and a template, sorted by name.
        problems: the faults of the folder, one sentence each.
        incomplete: names of the other recordings, each with its fault.
        unclear: case-folded names that are ambiguous or unusable, each already among the problems.
    """

    templates: dict[str, np.ndarray] = field(default_factory=dict)
    faces: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    takes: list[Take] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    incomplete: dict[str, str] = field(default_factory=dict)
    unclear: set[str] = field(default_factory=set)

    @property
    def vertex_count(self) -> int:
        """V; 0 if no template could be read."""
        return len(next(iter(self.templates.values()), ()))


def look_through(path: Path, faces: Path | None = None) -> Recordings:
    """Find what belongs together in a folder of recordings, or in one of the processed layout.

    Args:
        path: the folder.
        faces: the mesh file with the faces, for a processed layout that has none or several.

    Raises:
        InputError: there is no such folder.
    """
    folder = Folder(path)
    result, processed = Recordings(), is_processed_layout(folder)
    sounds = _by_name(folder, SOUND if processed else "", lambda path: path.suffix.lower() == ".wav", result)
    motions = _by_name(folder, MOTION if processed else "", _is_motion, result)
    names = sorted(name for name in sounds.keys() | motions.keys() if name.casefold() not in result.unclear)
    rows = read_rows(path / TABLE, names, result.problems)
    if processed:
        with _collected(result.problems):
            result.faces, result.templates = read_faces_and_templates(folder, faces)
    else:
        _read_template_files(folder, result)
    if not names and not result.problems:
        result.problems.append(f"{folder}: holds no recordings; for each put NAME.wav there, and NAME.npy or a folder NAME "
                               "with one mesh a frame")
    for name in names:
        try:
            result.takes.append(_take(name, rows[name], sounds.get(name), motions.get(name), folder, result.templates))
        except InputError as error:
            result.incomplete[name] = str(error)
    rows = with_splits({take.name: take.row for take in result.takes})
    result.takes = [replace(take, row=rows[take.name]) for take in result.takes]
    return result


def _is_motion(path: Path) -> bool:
    return path.suffix.lower() == ".npy" or (os.path.isdir(path) and path.name not in (_TEMPLATE_FOLDER, SOUND))


def _by_name(folder: Folder, part: str, accepts: Callable[[Path], bool], result: Recordings) -> dict[str, Path]:
    """Return the accepted files and folders by the names of their recordings; unusable names go into the result."""
    try:
        place = folder.folder(part)
        entries = [path for path in place.entries() if accepts(path)]
    except InputError as error:
        result.problems.append(str(error))
        return {}
    paths: dict[str, Path] = {}
    for name, path in place.named(entries):
        if isinstance(path, InputError):
            result.problems.append(str(path))
            result.unclear.add(name.casefold())
        else:
            paths[name] = path
    return paths


def _read_template_files(folder: Folder, result: Recordings) -> None:
    """Read template.* and templates/<subject>.*; the first of them gives the faces, and the others must have the same."""
    shared = [path for path in folder.entries() if path.suffix.lower() in SUFFIXES and path.stem == EVERYONE]
    files = {EVERYONE: shared[0]} if shared else {}
    if len(shared) > 1:
        result.problems.append(f"{shared[1]}: has the name of {shared[0].name}; keep one of the two")
    if folder.holds_folder(_TEMPLATE_FOLDER):
        files |= _by_name(folder, _TEMPLATE_FOLDER, lambda path: path.suffix.lower() in SUFFIXES, result)
    if not files:
        result.problems.append(f"{folder}: holds no template; put the face at rest there as template.obj (or .ply, .glb, "
                               f".gltf), or one for each subject as {_TEMPLATE_FOLDER}/SUBJECT.obj")
    first = None
    for subject, path in files.items():
        with _collected(result.problems):
            mesh = read_mesh(folder.file(path.relative_to(folder.path)))
            if first is None:
                first, result.faces = path, mesh.faces
            elif not np.array_equal(mesh.faces, result.faces):
                raise InputError(f"{path}: has other faces than {first.name}; export all from one topology")
            result.templates[subject] = mesh.vertices


def _take(name: str, row: ClipRow, sound: Path | None, motion: Path | None, folder: Folder,
          templates: dict[str, np.ndarray]) -> Take:
    """Return a recording whose parts are all there.

    Raises:
        InputError: a part is missing, or its frames do not follow each other; one sentence names all faults.
    """
    faults = [] if sound else ["has motion and no sound (a wav file of that name)"]
    faults += [] if motion else ["has sound and no motion (NAME.npy, or a folder NAME with one mesh a frame)"]
    if templates and row.subject not in templates and EVERYONE not in templates:
        faults.append(f"has no template of its subject {row.subject!r}")
    meshes, frames = (), 0
    if sound is not None:
        with _collected(faults):
            check_sound(sound)
    with _collected(faults):
        if motion is not None and os.path.isdir(motion):
            meshes = _in_order(folder.folder(motion.relative_to(folder.path)))
            frames = len(meshes)
        elif motion is not None and templates:
            frames = len(map_motion(motion, len(next(iter(templates.values())))))
    if faults:
        raise InputError(f"{name}: {'; '.join(faults)}")
    return Take(name, row, sound, motion, meshes, frames)


@contextlib.contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    """Append the message of an InputError to a list, and go on."""
    try:
        yield
    except InputError as error:
        problems.append(str(error))


def _in_order(motion: Folder) -> tuple[Path, ...]:
    """Return the meshes of a folder by the numbers at the end of their names, each one more than the one before it."""
    numbered = motion.numbered(SUFFIXES)
    for before, after in itertools.pairwise(numbered):
        if after != before + 1:
            missing = f"number {before + 1}" if after == before + 2 else f"numbers {before + 1} to {after - 1}"
            raise InputError(f"{motion}: lacks {missing} between {numbered[before].name} and {numbered[after].name}")
    return tuple(numbered.values())
