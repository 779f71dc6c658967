"""BIWI, the 3-D audiovisual corpus B3D(AC)2, from its own .vl files or from the processed layout, with the published splits.

Its owner has withdrawn it: it can no longer be requested, and nothing here offers it. This command reads a copy that you
hold, under the terms under which you got it.

  its own files     faces/<subject>/<sentence>/*.vl, one a frame; rigid_scans/<subject>.obj, the templates and their faces;
                    audio/ or wav/ with <subject>_<sentence>.wav ("_cut" may follow)
  processed layout  vertices_npy/, wav/, templates.pkl and a .ply, as the scripts of CodeTalker leave it
  both              lve.txt (lips) and fdd.txt (upper face), in the folder or its regions/, or --lips and --upper-face

25 frames a second. F2 F3 F4 M3 M4 M5 train with sentences e01 to e32 and validate with e33 to e36; e37 to e40 test, by
the same six (Test-A) and by F1 F5 F6 F7 F8 M1 M2 M6 (Test-B). A clip needs motion, sound and its subject's template; those
that lack one are named.

Normalisation. By default once for each subject, so that a still forehead stays still: y and z are flipped, the template's
mean is subtracted, and lengths are metres. The usual normalisation (--normalisation per-frame, to compare with published
numbers) flips y and z, subtracts each frame's mean and divides each frame by the square root of its area; one such unit,
some 173 to 201 mm, then stands for a metre. It lets the mouth's motion leak into the forehead, by millimetres. The
processed layout has been through it already, and that cannot be undone; by default its unit counts as 187 mm, the middle
of that range.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from data_prep.raw.lip_gap_pair import find_lip_gap
from data_prep.raw.mesh_files import read_mesh
from data_prep.raw.npy_and_wav import check_sound, read_sound
from data_prep.raw.region_files import add_region_arguments, named_regions, read_indices
from data_prep.raw.safe_folder import Folder
from data_prep.raw.units import check_size, metres_per_unit
from data_prep.sources.biwi_files import check_sizes, read_frames, sound_files
from data_prep.sources.conversion import Source, convert, with_lips
from data_prep.sources.gather_published import Held, Look, PublishedClip, gather, look_in, one_hot
from data_prep.sources.peers_layout import is_processed_layout, read_processed_layout
from otlib.errors import InputError
from otlib.meshes.geometry import face_areas
from otlib.topology import Topology

HELP = "BIWI, for those who hold a copy: .vl files or processed layout; its owner has withdrawn it"

FRAME_RATE = 25.0
TRAINING_SUBJECTS = ("F2", "F3", "F4", "M3", "M4", "M5")  # in the order of the published one-hot codes
UNSEEN_SUBJECTS = ("F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6")
PARTS = {  # published part: split of a data set, subjects, sentences
    "train": ("train", TRAINING_SUBJECTS, range(1, 33)),
    "val": ("val", TRAINING_SUBJECTS, range(33, 37)),
    "Test-A": ("test", TRAINING_SUBJECTS, range(37, 41)),
    "Test-B": ("test", UNSEEN_SUBJECTS, range(37, 41)),
}
NORMALISATIONS = ("per-subject", "per-frame")
UNIT_AREA = 0.187  # metres: the middle of 0.173 to 0.201, the square roots of the subjects' areas

_FLIP = np.array([1.0, -1.0, -1.0])
_UNIT_TOLERANCE = 0.02  # of the square root of an area that was scaled to 1
# a unit in metres and the square root of a face's area in it: 0.1 to 0.7 m for a face or head, so units cannot be confused
_SIZES = {1.0: (0.1, 0.7), 0.001: (100.0, 700.0), UNIT_AREA: (1 - _UNIT_TOLERANCE, 1 + _UNIT_TOLERANCE)}

Normalise = Callable[[np.ndarray], np.ndarray]  # frames (T, V, 3) -> frames (T, V, 3)


def published_clips(parts: tuple[str, ...], emotional: bool) -> Iterator[PublishedClip]:
    """Yield every clip of the published parts; the literature uses the emotional sentences, eNN."""
    for part in parts:
        split, subjects, numbers = PARTS[part]
        yield from (PublishedClip(split, subject, f"{'e' if emotional else ''}{number:02d}", {"published_part": part})
                    for subject in subjects for number in numbers)


@dataclass(frozen=True)
class Settings:
    """What to convert, and how.

    Attributes:
        parts: names from :data:`PARTS`.
        emotional: whether to take the sentences eNN, not the neutral ones, NN.
        normalisation: one of :data:`NORMALISATIONS`.
        unit: metres in one unit of the files; None: derived from the templates' area.
    """

    parts: tuple[str, ...]
    emotional: bool
    normalisation: str
    unit: float | None


def area_root(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the square root of the area of each frame of (T, V, 3), (T,)."""
    return np.array([face_areas(torch.from_numpy(frame), torch.from_numpy(faces)).sum().sqrt().item() for frame in
                     np.asarray(vertices, dtype=np.float64)])


def normalised_per_frame(frames: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return BIWI's own frames, (T, V, 3), as in the peers' tables: each flipped, centred and scaled to area 1."""
    flipped = frames * _FLIP
    flipped -= flipped.mean(1, keepdims=True)
    return flipped / area_root(flipped, faces)[:, None, None]


def normalised_per_subject(frames: np.ndarray, template: np.ndarray, unit: float) -> np.ndarray:
    """Return BIWI's own frames, (T, V, 3), flipped, minus the mean of the template (V, 3), in metres."""
    return (frames * _FLIP - (template * _FLIP).mean(0)) * unit


def metres_of_unit(templates: Mapping[str, np.ndarray], faces: np.ndarray, source: Path) -> float:
    """Return how many metres one unit of the files is, by the median square root of the templates' areas.

    Raises:
        InputError: it is not that of a face in metres, in millimetres, or scaled to area 1.
    """
    size = float(np.median(area_root(np.stack(list(templates.values())), faces)))
    for unit, (smallest, largest) in _SIZES.items():
        if smallest <= size <= largest:
            return unit
    raise InputError(f"{source}: the root of the templates' area is {size:.3g}, which is no face in metres (0.1 to 0.7), in "
                     "millimetres (100 to 700) or made of area 1; say with --unit how many metres one unit is")


def look_through(folder: Folder, faces_file: Path | None, settings: Settings) -> Source:
    """Look through BIWI's own files or a folder of the processed layout; the result has no regions.

    Args:
        folder: the folder.
        faces_file: the mesh file with the faces, if it is not in the folder.
        settings: what to convert, and how.

    Raises:
        InputError: a part is missing, damaged or of another form, or a template is no face in size.
    """
    processed, per_frame = is_processed_layout(folder), settings.normalisation == "per-frame"
    faces, templates, look, unit = (_processed if processed else _vl_files)(folder, faces_file, settings)
    clips, left_out = gather("BIWI", folder, published_clips(settings.parts, settings.emotional), look)
    if not per_frame:
        for subject, template in templates.items():
            check_size(template, f"{folder}: the template of {subject}")
    provenance = {"tool": "data_prep biwi", "source": f"BIWI, {'processed layout' if processed else '.vl files'}",
                  "normalisation": settings.normalisation,
                  "unit": "the root of each frame's area, not metres" if per_frame else f"{unit:g} m of the files'",
                  "licence": "BIWI's own, withdrawn by its owner; not to be passed on"}
    return Source("BIWI", FRAME_RATE, Topology(faces), templates, clips, left_out, one_hot(TRAINING_SUBJECTS), provenance)


Contents = tuple[np.ndarray, Mapping[str, np.ndarray], Look, float]  # faces, templates in metres, clips, metres of a unit


def _vl_files(folder: Folder, faces: Path | None, settings: Settings) -> Contents:
    templates, face_list = _templates(folder, faces)
    sounds = sound_files(folder)
    count = len(next(iter(templates.values())))
    unit = settings.unit or metres_of_unit(templates, face_list, folder.file("rigid_scans"))
    normalise: dict[str, Normalise] = {
        subject: partial(normalised_per_frame, faces=face_list) if settings.normalisation == "per-frame"
        else partial(normalised_per_subject, template=template, unit=unit) for subject, template in templates.items()}

    def look(clip: PublishedClip) -> Held | str:
        place = f"faces/{clip.subject}/{clip.sentence}"
        parts = {"motion": folder.holds_folder(place), "sound": clip.name in sounds, "template": clip.subject in templates}
        if missing := [name for name, present in parts.items() if not present]:
            return f"no {missing[0]}"
        numbered = folder.folder(place).numbered({".vl"})
        files, gaps = list(numbered.values()), max(numbered) - min(numbered) + 1 - len(numbered)
        check_sizes(files, count)
        check_sound(sounds[clip.name])
        return (folder.file(place),
                lambda: (normalise[clip.subject](read_frames(files, count)), *read_sound(sounds[clip.name])), gaps)

    at_rest = {subject: normalise[subject](template[None])[0] for subject, template in templates.items()}
    return face_list, at_rest, look, unit


def _templates(folder: Folder, faces: Path | None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    places = [folder.folder(place) for place in ("rigid_scans", "templates") if folder.holds_folder(place)]
    if not places:
        raise InputError(f"{folder}: holds no rigid_scans/ with the subjects' templates (<subject>.obj)")
    known = {*TRAINING_SUBJECTS, *UNSEEN_SUBJECTS}
    files = places[0].by_stem({".obj", ".ply"})
    meshes = {stem: (path, read_mesh(path)) for stem, path in files.items() if stem in known}
    if not meshes:
        raise InputError(f"{places[0]}: holds no template of a subject of BIWI (F1.obj, ...)")
    first_path, first = next(iter(meshes.values()))
    for path, mesh in meshes.values():
        if len(mesh.vertices) != len(first.vertices):
            raise InputError(f"{path}: has {len(mesh.vertices)} vertices, {first_path.name} has {len(first.vertices)}")
    face_mesh = first if faces is None else read_mesh(faces)
    if len(face_mesh.vertices) != len(first.vertices):
        raise InputError(f"{faces}: has {len(face_mesh.vertices)} vertices, {first_path} has {len(first.vertices)}")
    return {subject: mesh.vertices for subject, (_, mesh) in meshes.items()}, face_mesh.faces


def _processed(folder: Folder, faces: Path | None, settings: Settings) -> Contents:
    layout = read_processed_layout(folder, faces)
    unit = settings.unit or metres_of_unit(layout.templates, layout.faces, folder.file("templates.pkl"))
    if settings.normalisation == "per-frame":
        if unit != UNIT_AREA:
            raise InputError(f"{folder}: has not been normalised per frame, and from the processed layout that is not done "
                             "afterwards; leave --normalisation out, or give BIWI's own files")
        unit = 1.0
    templates = {subject: template * unit for subject, template in layout.templates.items()}
    return layout.faces, templates, look_in(layout, lambda frames: frames * np.float64(unit)), unit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep biwi`."""
    parser.add_argument("--raw", type=Path, required=True, metavar="DIR",
                        help="folder of BIWI's own files or of the processed layout")
    parser.add_argument("--faces", type=Path, metavar="FILE",
                        help="mesh with the faces (default: the templates' own; processed layout: the .ply in --raw)")
    add_region_arguments(parser, "lve.txt in --raw or its regions/", "fdd.txt there",
                         "found from the motion of the first clip, and printed")
    parser.add_argument("--test", choices=("A", "B", "both"), default="both", help="Test-A, Test-B or both (default: both)")
    parser.add_argument("--neutral", action="store_true",
                        help="the neutral sentences NN instead of the emotional eNN, which the literature uses")
    parser.add_argument("--normalisation", choices=NORMALISATIONS, default=NORMALISATIONS[0],
                        help="see above (default: per-subject)")
    parser.add_argument("--unit", type=metres_per_unit, metavar="UNIT",
                        help="unit of the vertices: m, cm, mm, or its length in metres (default: derived from the "
                             "templates' area: metres, millimetres, or scaled to area 1)")


def run(arguments: argparse.Namespace) -> None:
    """Convert the folder that the options name.

    Raises:
        InputError: something is missing, damaged or of another form.
    """
    folder, unit = Folder(arguments.raw), arguments.unit
    if unit is not None and arguments.normalisation == "per-frame":
        raise InputError("--unit goes with --normalisation per-subject alone")
    tests = {"A": ("Test-A",), "B": ("Test-B",), "both": ("Test-A", "Test-B")}[arguments.test]
    settings = Settings(("train", "val", *tests), not arguments.neutral, arguments.normalisation, unit)
    source = look_through(folder, arguments.faces, settings)
    source = replace(source, topology=with_lips(source.topology.faces, _regions(arguments, folder, source)))
    print(convert(source, arguments.out))
    print("BIWI has been withdrawn by its owner: keep this copy to yourself, under the terms under which you got yours")
    if arguments.lip_gap is None:
        print("lip gap: vertices {} (upper) and {} (lower), found from motion; --lip-gap names others".format(
            *source.topology.lip_gap))


def _regions(arguments: argparse.Namespace, folder: Folder, source: Source) -> dict[str, np.ndarray]:
    first = source.clips[0]
    template = source.templates[first.subject]
    regions = named_regions(arguments, len(template))
    for name, option, file in (("lips", "--lips", "lve.txt"), ("upper_face", "--upper-face", "fdd.txt")):
        if name not in regions:
            paths = [folder.file(f"regions/{file}"), folder.file(file)]
            path = next(filter(os.path.lexists, paths), None)
            if path is None:
                raise InputError(f"{folder}: holds no {file}, neither in regions/ nor beside it; put it there, or "
                                 f"name a list of vertices with {option}")
            regions[name] = read_indices(path, len(template))
    if "lip_gap" not in regions:
        regions["lip_gap"] = find_lip_gap(template, first.read()[0], regions["lips"], first.origin)
    return regions
