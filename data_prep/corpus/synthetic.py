"""The built-in corpus: espeak-ng's speech, and a head built by code that its phonemes move.

Every file depends on the seed and on its own speaker and sentence alone, so that the same seed gives the same bytes
whatever the number of processes.
"""

import argparse
import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_prep.corpus.speech_corpus import FRAME_RATE, Profile, add_size_arguments, build_corpus, chosen_profile, speak
from data_prep.head import IDENTITY_DIRECTIONS, RESOLUTIONS, Head, faces_checksum, make_head, pose

__all__ = ["FRAME_RATE", "PROFILES", "BuiltInFace", "Profile", "build", "speak"]

HELP = "the built-in corpus: synthetic speech and a head made by code; needs no data and no network"
PROFILES = {
    "fast": Profile({"train": 40, "val": 4, "test": 6}, {"train": 9, "val": 5, "test": 5}, "low"),
    "full": Profile({"train": 40, "val": 4, "test": 12}, {"train": 20, "val": 20, "test": 20}, "medium"),
}


@dataclass(frozen=True)
class BuiltInFace:
    """The head built by code (:mod:`data_prep.head`) at one resolution; see :class:`data_prep.corpus.speech_corpus.Face`."""

    resolution: str
    identity_directions: ClassVar[int] = len(IDENTITY_DIRECTIONS)

    @property
    def surface(self) -> tuple[np.ndarray, Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
        """Faces (F, 3), regions and face parts."""
        head = _head((0.0,) * self.identity_directions, self.resolution)
        return head.faces, head.regions, head.face_parts

    def template(self, identity: tuple[float, ...]) -> np.ndarray:
        """Return a person at rest, (V, 3), metres."""
        return _head(identity, self.resolution).vertices

    def move(self, identity: tuple[float, ...], controls: np.ndarray) -> np.ndarray:
        """Return the frames (T, V, 3), metres, for controls (T, A)."""
        return pose(_head(identity, self.resolution), controls)


@lru_cache(maxsize=2)  # sentences come speaker by speaker
def _head(identity: tuple[float, ...], resolution: str) -> Head:
    return make_head(np.array(identity), resolution)


def build(out: Path | str, profile: Profile, *, seed: int = 0, workers: int | None = None, copies: int = 0) -> None:
    """Make the corpus in the folder ``out``, where an earlier data set is replaced.

    Args:
        out: the folder.
        profile: the corpus's size, of :data:`PROFILES` or another.
        seed: the same seed gives the same bytes on one machine with one set of package versions.
        workers: processes; all cores by default.
        copies: how many augmented copies of each training recording to add (:mod:`data_prep.corpus.variations`); the
            originals are the same with and without them.

    Raises:
        InputError: the folder cannot be written, or espeak-ng is not installed.
    """
    build_corpus(out, BuiltInFace(profile.resolution), profile, name="built-in corpus",
                 provenance=_provenance(profile, seed, copies), seed=seed, workers=workers, copies=copies)


def _provenance(profile: Profile, seed: int, copies: int) -> dict[str, Any]:
    packages = ("otlib", "numpy", "scipy", "soundfile", "espeakng-loader", *(("torch",) if copies else ()))
    return {"tool": "data_prep synthetic", "seed": seed,
            "head": faces_checksum(BuiltInFace(profile.resolution).surface[0]),
            "parameters": asdict(profile) | ({"augmented_copies": copies} if copies else {}),
            "versions": {name: importlib.metadata.version(name) for name in packages},
            "licence": "heads and sentences MIT as the code; voices synthesised by eSpeak NG, which is GPL-3.0-or-later"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep synthetic`."""
    add_size_arguments(parser, PROFILES)
    parser.add_argument("--resolution", choices=RESOLUTIONS,
                        help="faces of the head: low 2,000, medium 9,976, high 46,068 (default: the profile's)")


def run(arguments: argparse.Namespace) -> None:
    """Build the corpus that the options ask for.

    Raises:
        InputError: an option is out of range, or the corpus cannot be built.
    """
    build(arguments.out, chosen_profile(arguments, PROFILES), seed=arguments.seed, workers=arguments.workers,
          copies=arguments.augment)
