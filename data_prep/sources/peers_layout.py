"""Read the processed layout that FaceFormer, CodeTalker, SelfTalk, DiffSpeaker, FaceDiffuser and Imitator share.

::

    vertices_npy/<subject>_<sentence>.npy   (T, 3V), rows x0 y0 z0 x1 ...; (T, V, 3) is read too
    wav/<subject>_<sentence>.wav            16-bit
    templates.pkl                           subject -> (V, 3)
    <any name>.ply                          the faces; in the folder itself or in its templates/

It states neither the unit of length nor the frame rate nor the splits; the callers know them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.raw.mesh_files import read_mesh
from data_prep.raw.npy_and_wav import check_sound, map_motion
from data_prep.raw.safe_folder import Folder, safe_name
from data_prep.raw.safe_pickle import read_pickle
from otlib.errors import InputError

MOTION, SOUND, TEMPLATES = "vertices_npy", "wav", "templates.pkl"


@dataclass(frozen=True, eq=False)
class ProcessedLayout:
    """The contents of a folder of the processed layout.

    Attributes:
        faces: (F, 3) int64.
        templates: subject to (V, 3) float64, in the order of the pickle, in the files' unit.
        clips: ``<subject>_<sentence>`` to the files with its motion and sound, sorted; each clip has both and a template.
        left_out: the names of the other clips, each with the reason.
    """

    faces: np.ndarray
    templates: Mapping[str, np.ndarray]
    clips: Mapping[str, tuple[Path, Path]]
    left_out: Mapping[str, str]


def is_processed_layout(folder: Folder) -> bool:
    """Return whether a folder looks like the processed layout."""
    return folder.holds_folder(MOTION)


def read_processed_layout(folder: Folder, faces: Path | None = None) -> ProcessedLayout:
    """Find and check what a folder of the processed layout holds; only the headers of motion and sound are read.

    Args:
        folder: the folder.
        faces: the mesh file with the faces, if it lies elsewhere or there are several.

    Raises:
        InputError: a part is missing, damaged, or has another number of vertices; two files have one name; a path leaves
            the folder; no clip is complete.
    """
    motions, sounds = folder.folder(MOTION).by_stem({".npy"}), folder.folder(SOUND).by_stem({".wav"})
    face_list, templates = read_faces_and_templates(folder, faces)
    clips, left_out = {}, {}
    for name in sorted(motions.keys() | sounds.keys()):
        subject, _, sentence = name.rpartition("_")
        if name not in motions or name not in sounds:
            left_out[name] = "no motion" if name in sounds else "no sound"
        elif subject not in templates or not sentence:
            left_out[name] = f"no template of a subject {subject!r} in {TEMPLATES}"
        else:
            check_sound(sounds[name])
            map_motion(motions[name], len(templates[subject]))
            clips[name] = motions[name], sounds[name]
    if not clips:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:3])
        raise InputError(f"{folder}: no clip has motion, sound and a template ({reasons or 'it holds no clips'})")
    return ProcessedLayout(face_list, templates, clips, left_out)


def read_faces_and_templates(folder: Folder, faces: Path | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the faces (F, 3) int64 and the templates of a processed layout; errors as of :func:`read_processed_layout`."""
    mesh_file = faces or find_faces_file(folder)
    mesh = read_mesh(mesh_file)
    return mesh.faces, read_templates(folder.file(TEMPLATES), len(mesh.vertices), mesh_file)


def find_faces_file(folder: Folder) -> Path:
    """Return the one .ply file of a folder or, if it has none, of its ``templates`` folder.

    Raises:
        InputError: there is none or more than one.
    """
    for place in (folder, *([folder.folder("templates")] if folder.holds_folder("templates") else [])):
        files = place.files({".ply"})
        if len(files) > 1:
            names = ", ".join(path.name for path in files[:3])
            raise InputError(f"{place}: holds {len(files)} .ply files ({names}); say with --faces which one has the faces")
        if files:
            return files[0]
    raise InputError(f"{folder}: holds no .ply file, so the faces are not known; put one there or name it with --faces")


def read_templates(path: Path, vertex_count: int, mesh_file: Path) -> dict[str, np.ndarray]:
    """Read templates.pkl: subject to (V, 3) float64, finite.

    Args:
        path: the pickle.
        vertex_count: V, as in the file with the faces.
        mesh_file: the file with the faces, named in messages.

    Raises:
        InputError: it holds anything else.
    """
    content = read_pickle(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: is not a dictionary from subjects to templates")
    templates = {}
    for subject, template in content.items():
        safe_name(subject, path)
        if not isinstance(template, np.ndarray) or template.dtype.kind not in "iuf":
            raise InputError(f"{path}: the template of {subject} is not an array of numbers")
        if template.size != 3 * vertex_count or template.shape[-1] not in (3, template.size):
            raise InputError(f"{path}: the template of {subject} has shape {template.shape}, but {mesh_file} has "
                             f"{vertex_count} vertices")
        if not np.isfinite(template).all():
            raise InputError(f"{path}: the template of {subject} holds a value that is not finite")
        templates[subject] = template.reshape(-1, 3).astype(np.float64)
    return templates
