"""VOCASET, from its raw release or from the processed layout, with the published splits.

It cannot be downloaded from here: register at its own site, and give the folder with its files to --raw.

  raw release       data_verts.npy, subj_seq_to_idx.pkl, raw_audio_fixed.pkl, templates.pkl
  processed layout  vertices_npy/, wav/, templates.pkl, as the scripts of FaceFormer and its successors leave it
  both              a .ply with FLAME's faces (FLAME_sample.ply of the VOCA repository), in the folder or its templates/
                    the regions: FLAME_masks.pkl (from FLAME's site), or --lips and --upper-face

Eight subjects train with sentences 1 to 40, two validate and two test with sentences 21 to 40; a clip needs both motion
and sound, and those that lack one are named. Every other one of the 60 frames a second is taken, as published. Vertices stay
as they are, in metres. data_verts.npy (14 GB) is mapped, never loaded. Pickles are read without running their code.
"""

import argparse
import os
import reprlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.raw.mesh_files import read_mesh
from data_prep.raw.region_files import (
    FLAME_LIP_GAP,
    FLAME_VERTICES,
    UPPER_FACE_MASKS,
    add_region_arguments,
    named_regions,
    read_flame_masks,
)
from data_prep.raw.safe_folder import Folder
from data_prep.raw.safe_pickle import read_pickle
from data_prep.sources.conversion import Source, convert, with_lips
from data_prep.sources.gather_published import Held, Look, PublishedClip, gather, look_in, one_hot
from data_prep.sources.peers_layout import find_faces_file, is_processed_layout, read_processed_layout, read_templates
from otlib.errors import InputError
from otlib.files import map_array
from otlib.settings import SOUND_RATES

HELP = "VOCASET, for those who hold it: raw release or processed layout"

TRAINING_SUBJECTS = (  # in the order of the published one-hot codes
    "FaceTalk_170728_03272_TA", "FaceTalk_170904_00128_TA", "FaceTalk_170725_00137_TA", "FaceTalk_170915_00223_TA",
    "FaceTalk_170811_03274_TA", "FaceTalk_170913_03279_TA", "FaceTalk_170904_03276_TA", "FaceTalk_170912_03278_TA")
SUBJECTS = {
    "train": TRAINING_SUBJECTS,
    "val": ("FaceTalk_170811_03275_TA", "FaceTalk_170908_03277_TA"),
    "test": ("FaceTalk_170809_00138_TA", "FaceTalk_170731_00024_TA"),
}
SENTENCES = {"train": range(1, 41), "val": range(21, 41), "test": range(21, 41)}
STORED_RATE = 60

VERTICES, ROWS, SOUND, TEMPLATES, MASKS = ("data_verts.npy", "subj_seq_to_idx.pkl", "raw_audio_fixed.pkl", "templates.pkl",
                                           "FLAME_masks.pkl")


def published_clips() -> list[PublishedClip]:
    """Return every clip of the published splits."""
    return [PublishedClip(split, subject, f"sentence{number:02d}") for split, subjects in SUBJECTS.items()
            for subject in subjects for number in SENTENCES[split]]


def look_through(folder: Folder, faces: Path | None, regions: Mapping[str, np.ndarray], step: int) -> Source:
    """Look through the raw release or a folder of the processed layout.

    Args:
        folder: the folder.
        faces: the mesh file with FLAME's faces, if it is not in the folder.
        regions: names to vertices.
        step: take every step-th frame.

    Raises:
        InputError: a file is missing, damaged or of another form, or the folder holds neither form or both.
    """
    processed, raw = is_processed_layout(folder), os.path.lexists(folder.file(VERTICES))
    if processed == raw:
        both = f"holds both {VERTICES} and vertices_npy/; move one of them away"
        none = f"holds neither {VERTICES} (raw release) nor vertices_npy/ (processed layout)"
        raise InputError(f"{folder}: {both if raw else none}")
    mesh_file = faces or find_faces_file(folder)
    mesh = read_mesh(mesh_file)
    if len(mesh.vertices) != FLAME_VERTICES:
        raise InputError(f"{mesh_file}: has {len(mesh.vertices)} vertices where FLAME, and so VOCASET, has {FLAME_VERTICES}")
    provenance = {"tool": "data_prep vocaset", "source": f"VOCASET, {'raw release' if raw else 'processed layout'}",
                  "frames_taken": f"every {step}. of 60 a second", "licence": "VOCASET's own; not to be passed on"}
    templates, look = (_raw_release if raw else _processed)(folder, mesh_file, step)
    clips, left_out = gather("VOCASET", folder, published_clips(), look)
    return Source("VOCASET", STORED_RATE / step, with_lips(mesh.faces, regions), templates, clips, left_out,
                  one_hot(TRAINING_SUBJECTS), provenance)


def _raw_release(folder: Folder, mesh_file: Path, step: int) -> tuple[Mapping[str, np.ndarray], Look]:
    templates = read_templates(folder.file(TEMPLATES), FLAME_VERTICES, mesh_file)
    vertices, row_file, sound_file = (folder.file(name) for name in (VERTICES, ROWS, SOUND))
    table = map_array(vertices)
    if table.dtype.kind != "f" or table.shape[1:] != (FLAME_VERTICES, 3):
        raise InputError(f"{vertices}: has {table.dtype} of shape {table.shape}, expected floating-point numbers "
                         f"of shape (N, {FLAME_VERTICES}, 3)")
    rows, sounds = _by_subject(row_file), _by_subject(sound_file)

    def look(clip: PublishedClip) -> Held | str:
        parts = {"motion": rows.get(clip.subject, {}).get(clip.sentence),
                 "sound": sounds.get(clip.subject, {}).get(clip.sentence), "template": templates.get(clip.subject)}
        if missing := [name for name, part in parts.items() if part is None]:
            return f"no {' and no '.join(missing)}"
        order, gaps = _order(parts["motion"], len(table), clip.name, row_file)
        samples, rate = _sound(parts["sound"], clip.name, sound_file)
        return vertices, partial(_read_rows, table, order[::step], samples, rate), gaps

    return templates, look


def _read_rows(table: np.ndarray, rows: np.ndarray, samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, int]:
    return table[rows], samples, rate


def _processed(folder: Folder, mesh_file: Path, step: int) -> tuple[Mapping[str, np.ndarray], Look]:
    layout = read_processed_layout(folder, mesh_file)
    return layout.templates, look_in(layout, lambda frames: frames[::step])


def _by_subject(path: Path) -> dict[str, dict[str, Any]]:
    content = read_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(part, dict) for part in content.values()):
        raise InputError(f"{path}: is not a dictionary from subjects to sentences")
    return content


def _order(frames: Any, row_count: int, name: str, path: Path) -> tuple[np.ndarray, int]:
    """Return the rows of a clip in the order of its frames' numbers, and how many numbers are missing between them."""
    if not isinstance(frames, dict) or not frames or not all(map(_is_whole, [*frames, *frames.values()])):
        raise InputError(f"{path}: {name} is not a dictionary from frames to rows, or is empty")
    numbers = sorted(frames)
    rows = np.array([frames[number] for number in numbers])
    if rows.min() < 0 or rows.max() >= row_count:
        wrong = rows.min() if rows.min() < 0 else rows.max()
        raise InputError(f"{path}: {name} names row {wrong}, {VERTICES} has {row_count}")
    return rows, numbers[-1] - numbers[0] + 1 - len(numbers)


def _sound(sound: Any, name: str, path: Path) -> tuple[np.ndarray, int]:
    samples, rate = (sound.get("audio"), sound.get("sample_rate")) if isinstance(sound, dict) else (None, None)
    if not isinstance(samples, np.ndarray) or samples.dtype != np.int16 or samples.ndim != 1 or not len(samples):
        raise InputError(f"{path}: {name} has no audio of 16-bit samples")
    if not _is_whole(rate) or rate not in SOUND_RATES:
        raise InputError(f"{path}: {name} has the sample_rate {reprlib.repr(rate)}")
    return samples, int(rate)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep vocaset`."""
    parser.add_argument("--raw", type=Path, required=True, metavar="DIR",
                        help="folder of the raw release or of the processed layout")
    parser.add_argument("--faces", type=Path, metavar="FILE",
                        help="mesh with FLAME's faces (default: the .ply in --raw or its templates/)")
    parser.add_argument("--masks", type=Path, metavar="FILE", help=f"FLAME_masks.pkl (default: {MASKS} in --raw)")
    add_region_arguments(parser, "the mask lips", f"the masks {' and '.join(UPPER_FACE_MASKS)}",
                         "{} {}".format(*FLAME_LIP_GAP))
    parser.add_argument("--frame-rate", type=int, choices=(30, 60), default=30,
                        help="of the data set: 30, every other frame, as published, or 60, all (default: 30)")


def run(arguments: argparse.Namespace) -> None:
    """Convert the folder that the options name.

    Raises:
        InputError: something is missing, damaged or of another form.
    """
    folder = Folder(arguments.raw)
    regions = {"lip_gap": np.array(FLAME_LIP_GAP)} | named_regions(arguments, FLAME_VERTICES)
    if not {"lips", "upper_face"} <= regions.keys():
        masks = arguments.masks or folder.file(MASKS)
        if arguments.masks is None and not os.path.lexists(masks):
            raise InputError(f"{folder}: holds no {MASKS}; put FLAME's vertex masks there, name them with --masks, "
                             "or give lists of vertices with --lips and --upper-face")
        regions = read_flame_masks(masks) | regions
    source = look_through(folder, arguments.faces, regions, STORED_RATE // arguments.frame_rate)
    print(convert(source, arguments.out))
