"""A folder of somebody's own recordings, looked through: what belongs together, and everything that is wrong with it.

Motion is looked at by its headers and names here; nothing but templates is read.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.raw.mesh_files import SUFFIXES, read_mesh
from data_prep.raw.npy_and_wav import check_sound, map_motion
from data_prep.raw.safe_folder import Folder
from data_prep.sources.clip_table import TABLE, ClipRow, read_rows, with_splits
from data_prep.sources.peers_layout import MOTION, SOUND, TEMPLATES, find_faces_file, is_processed_layout, read_templates
from otlib.errors import InputError

EVERYONE = "template"  # the name of the template of all who have none of their own
_TEMPLATE_FOLDER = "templates"


@dataclass(frozen=True)
class Take:
    """One recording.

    Attributes:
        name: of its files.
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
    """What a folder holds.

    Attributes:
        templates: subject to (V, 3), in the files' unit.
        faces: (F, 3).
        takes: the recordings that have sound, motion and a template, by name.
        problems: what is wrong with the folder, one sentence each.
        incomplete: names of the other recordings, and what is wrong with each.
        unclear: names, case-folded, of which a problem speaks already, since they cannot be told apart or used.
    """

    templates: dict[str, np.ndarray] = field(default_factory=dict)
    faces: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    takes: list[Take] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    incomplete: dict[str, str] = field(default_factory=dict)
    unclear: set[str] = field(default_factory=set)

    @property
    def vertex_count(self) -> int:
        """V, 0 where no template could be read."""
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
    found, processed = Recordings(), is_processed_layout(folder)
    sounds = _by_name(folder, SOUND if processed else "", lambda path: path.suffix.lower() == ".wav", found)
    motions = _by_name(folder, MOTION if processed else "", _is_motion, found)
    names = sorted(name for name in sounds.keys() | motions.keys() if name.casefold() not in found.unclear)
    rows = read_rows(path / TABLE, names, found.problems)
    if processed:
        _read_processed_templates(folder, faces, found)
    else:
        _read_template_files(folder, found)
    if not names and not found.problems:
        found.problems.append(f"{folder}: holds no recordings; for each put NAME.wav there, and NAME.npy or a folder NAME "
                              "with one mesh a frame")
    for name in names:
        try:
            found.takes.append(_take(name, rows[name], sounds.get(name), motions.get(name), folder, found.templates))
        except InputError as error:
            found.incomplete[name] = str(error)
    split = with_splits({take.name: take.row for take in found.takes})
    found.takes = [Take(take.name, split[take.name], take.sound, take.motion, take.meshes, take.frames)
                   for take in found.takes]
    return found


def _is_motion(path: Path) -> bool:
    return path.suffix.lower() == ".npy" or (os.path.isdir(path) and path.name not in (_TEMPLATE_FOLDER, SOUND))


def _by_name(folder: Folder, part: str, chosen: Callable[[Path], bool], result: Recordings) -> dict[str, Path]:
    """Return the chosen files and folders by the names of their recordings; what cannot be used goes into the result."""
    try:
        place = folder.folder(part)
        entries = [path for path in place.entries() if chosen(path)]
    except InputError as error:
        result.problems.append(str(error))
        return {}
    found: dict[str, Path] = {}
    for name, path in place.named(entries):
        if isinstance(path, InputError):
            result.problems.append(str(path))
            result.unclear.add(name.casefold())
        else:
            found[name] = path
    return found


def _read_processed_templates(folder: Folder, faces: Path | None, found: Recordings) -> None:
    try:
        mesh_file = faces or find_faces_file(folder)
        mesh = read_mesh(mesh_file)
        found.faces = mesh.faces
        found.templates = read_templates(folder.file(TEMPLATES), len(mesh.vertices), mesh_file)
    except InputError as error:
        found.problems.append(str(error))


def _read_template_files(folder: Folder, found: Recordings) -> None:
    """Read template.* and templates/<subject>.*; the first of them gives the faces, and the others must have the same."""
    shared = [path for path in folder.entries() if path.suffix.lower() in SUFFIXES and path.stem == EVERYONE]
    files = {EVERYONE: shared[0]} if shared else {}
    if len(shared) > 1:
        found.problems.append(f"{shared[1]}: has the name of {shared[0].name}; keep one of the two")
    if folder.holds_folder(_TEMPLATE_FOLDER):
        files |= _by_name(folder, _TEMPLATE_FOLDER, lambda path: path.suffix.lower() in SUFFIXES, found)
    if not files:
        found.problems.append(f"{folder}: holds no template; put the face at rest there as template.obj (or .ply, .glb, "
                              f".gltf), or one for each subject as {_TEMPLATE_FOLDER}/SUBJECT.obj")
    first = None
    for subject, path in files.items():
        try:
            mesh = read_mesh(folder.file(path.relative_to(folder.path)))
        except InputError as error:
            found.problems.append(str(error))
            continue
        if first is None:
            first, found.faces = path, mesh.faces
        elif not np.array_equal(mesh.faces, found.faces):
            found.problems.append(f"{path}: has other faces than {first.name}; export all from one topology")
            continue
        found.templates[subject] = mesh.vertices


def _take(name: str, row: ClipRow, sound: Path | None, motion: Path | None, folder: Folder,
          templates: dict[str, np.ndarray]) -> Take:
    """Return a recording whose parts are all there.

    Raises:
        InputError: one of them is missing, or its frames do not follow each other; all that is wrong in one sentence.
    """
    lacking = [] if sound else ["has motion and no sound (a wav file of that name)"]
    lacking += [] if motion else ["has sound and no motion (NAME.npy, or a folder NAME with one mesh a frame)"]
    if templates and row.subject not in templates and EVERYONE not in templates:
        lacking.append(f"has no template of its subject {row.subject!r}")
    meshes, frames = (), 0
    if sound is not None:
        with _collected(lacking):
            check_sound(sound)
    with _collected(lacking):
        if motion is not None and os.path.isdir(motion):
            meshes = _in_order(folder.folder(motion.relative_to(folder.path)))
            frames = len(meshes)
        elif motion is not None and templates:
            frames = len(map_motion(motion, len(next(iter(templates.values())))))
    if lacking:
        raise InputError(f"{name}: {'; '.join(lacking)}")
    return Take(name, row, sound, motion, meshes, frames)


@contextlib.contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
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
