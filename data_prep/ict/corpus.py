"""Synthetic speech on a scanned face model, your own checkout of ICT-FaceKit (MIT licence, USC ICT).

The sentences, voices and articulation are those of the built-in corpus; the faces are the kit's mean face with its
identity shapes, and its expression shapes move them. All of it may be used freely: the kit is MIT, and so are the sentences.
A checkout without some identities or expressions is used as far as it goes, and the command lists what is missing; the
shapes without which a mouth cannot speak are required.
"""

import argparse
import importlib.metadata
import sys
import tempfile
from pathlib import Path
from typing import Any

from data_prep.blendshape_face.face import BlendshapeFace
from data_prep.blendshape_face.rig import OPTIONAL, REQUIRED
from data_prep.corpus.corpus_on_a_face import Profile, add_size_arguments, build_corpus, chosen_profile
from data_prep.ict.model import INDICES, NEUTRAL, RESOLUTIONS, FaceModel, kit_names, model_folder, read_model
from otlib.errors import InputError
from otlib.files import sha256

__all__ = ["HELP", "OPTIONAL_FILES", "PROFILES", "REQUIRED_FILES", "add_arguments", "build", "run"]

HELP = "synthetic speech on the scanned faces of your own checkout of ICT-FaceKit (MIT licence)"
PROFILES = {
    "fast": Profile({"train": 40, "val": 4, "test": 6}, {"train": 9, "val": 5, "test": 5}, "narrow"),
    "full": Profile({"train": 40, "val": 4, "test": 12}, {"train": 20, "val": 20, "test": 20}, "face"),
}
REQUIRED_FILES = tuple(file for name in REQUIRED for file in kit_names(name))
OPTIONAL_FILES = {file: effect for name, effect in OPTIONAL.items() for file in kit_names(name)}  # and what they bring
_IDENTITIES = 100  # of the whole kit


def build(out: Path | str, kit: Path | str, profile: Profile, *, seed: int = 0, workers: int | None = None,
          copies: int = 0) -> None:
    """Make the corpus in the folder ``out``, replacing an earlier data set there.

    Args:
        out: the folder.
        kit: a checkout of ICT-FaceKit, or its folder FaceXModel, or a part of that.
        profile: the corpus's size, from :data:`PROFILES` or another; its resolution is one of RESOLUTIONS.
        seed: the same seed gives the same bytes on one machine with one set of package versions.
        workers: number of processes; all cores by default.
        copies: number of augmented copies to add for each training recording.

    Raises:
        InputError: a required file of the kit is missing or damaged, the folder cannot be written, or espeak-ng is not
            installed.
    """
    folder = model_folder(Path(kit))
    model = read_model(folder, REQUIRED_FILES, tuple(OPTIONAL_FILES), profile.resolution)
    if what := lacking(model):
        print(f"{folder}: {what}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        try:
            face = BlendshapeFace.write(Path(temporary) / "family.npz", model.family)
        except InputError as error:
            raise InputError(f"{folder}: {error}") from error
        build_corpus(out, face, profile, name="ICT-FaceKit speech",
                     provenance=_provenance(folder, model, profile, seed, copies), seed=seed, workers=workers, copies=copies)


def lacking(model: FaceModel) -> str:
    """Return one sentence on what a part of the kit lacks, empty for the whole kit."""
    missing: dict[str, list[str]] = {}
    for name, effect in OPTIONAL_FILES.items():
        if name not in model.names:
            missing.setdefault(effect, []).append(name)
    parts = []
    if len(model.identities) < _IDENTITIES:
        parts.append(f"{len(model.identities)} of {_IDENTITIES} identities, so that speakers look "
                     f"{'more alike' if len(model.identities) else 'all the same'}")
    parts += [f"no {', '.join(names)}, so less or nothing of {effect}" for effect, names in missing.items()]
    return "; ".join(parts)


def _provenance(folder: Path, model: FaceModel, profile: Profile, seed: int, copies: int) -> dict[str, Any]:
    packages = ("otlib", "numpy", "scipy", "soundfile", "trimesh", "espeakng-loader", *(("torch",) if copies else ()))
    return {"tool": "data_prep ict-facekit", "seed": seed,
            "parameters": profile.parameters | ({"augmented_copies": copies} if copies else {}),
            "model": {"neutral_sha256": sha256(folder / NEUTRAL), "indices_sha256": sha256(folder / INDICES),
                      "expressions": list(model.names), "identities": len(model.identities)},
            "versions": {name: importlib.metadata.version(name) for name in packages},
            "licence": "faces from ICT-FaceKit, MIT, Copyright (c) 2020 USC Institute for Creative Technologies; "
                       + profile.licence}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep ict-facekit`."""
    parser.add_argument("--raw", type=Path, required=True, metavar="DIR",
                        help="a checkout of ICT-FaceKit, or its folder FaceXModel, or a part of that")
    add_size_arguments(parser, PROFILES)
    parser.add_argument("--resolution", choices=RESOLUTIONS,
                        help="extent of the head: narrow, the mask from chin to forehead, 6,706 vertices; face, with ears "
                             "and neck, 9,409; head, with mouth, teeth and eyes, 24,591; a minute takes 0.15, 0.2 or 0.5 GB "
                             "(default: the profile's)")


def run(arguments: argparse.Namespace) -> None:
    """Build the corpus that the options describe.

    Raises:
        InputError: an option is out of range, or the corpus cannot be built.
    """
    build(arguments.out, arguments.raw, chosen_profile(arguments, PROFILES), seed=arguments.seed, workers=arguments.workers,
          copies=arguments.augment)
