"""The built-in corpus: speech by espeak-ng, whose phonemes move a head made by code.

Each file depends only on the seed and on its own speaker and sentence, so the same seed gives the same bytes with any
number of processes.
"""

import argparse
import importlib.metadata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_prep.corpus.corpus_on_a_face import FRAME_RATE, Profile, add_size_arguments, build_corpus, chosen_profile
from data_prep.head import IDENTITY_DIRECTIONS, RESOLUTIONS, Head, faces_checksum, make_head, pose
from otlib.topology import Topology

__all__ = ["FRAME_RATE", "PROFILES", "BuiltInFace", "Profile", "build"]

HELP = "the built-in corpus: synthetic speech and a head made by code; needs no data and no network"
PROFILES = {
    "fast": Profile({"train": 40, "val": 4, "test": 6}, {"train": 9, "val": 5, "test": 5}, "low"),
    "full": Profile({"train": 40, "val": 4, "test": 12}, {"train": 20, "val": 20, "test": 20}, "medium"),
}


@dataclass(frozen=True)
class BuiltInFace:
    """The head built by code (:mod:`data_prep.head`) at one resolution; see
    :class:`data_prep.corpus.corpus_on_a_face.Face`."""

    resolution: str
    identity_directions: ClassVar[int] = len(IDENTITY_DIRECTIONS)

    @property
    def topology(self) -> Topology:
        """The topology of every head."""
        return _head((0.0,) * self.identity_directions, self.resolution).topology

    def template(self, identity: tuple[float, ...]) -> np.ndarray:
        """Return a person's face at rest, (V, 3), metres."""
        return _head(identity, self.resolution).vertices

    def move(self, identity: tuple[float, ...], controls: np.ndarray) -> np.ndarray:
        """Return the frames (T, V, 3), metres, for controls (T, A)."""
        return pose(_head(identity, self.resolution), controls)


@lru_cache(maxsize=2)  # sentences arrive speaker by speaker
def _head(identity: tuple[float, ...], resolution: str) -> Head:
    return make_head(np.array(identity), resolution)


def build(out: Path | str, profile: Profile, *, seed: int = 0, workers: int | None = None, copies: int = 0) -> None:
    """Make the corpus in the folder ``out``, replacing an earlier data set there.

    Args:
        out: the folder.
        profile: the corpus's size, from :data:`PROFILES` or another.
        seed: the same seed gives the same bytes on one machine with one set of package versions.
        workers: number of processes; all cores by default.
        copies: number of augmented copies to add for each training recording (:mod:`data_prep.corpus.sound_variations`);
            they do not change the originals.

    Raises:
        InputError: the folder cannot be written, or espeak-ng is not installed.
    """
    build_corpus(out, BuiltInFace(profile.resolution), profile, name="built-in corpus",
                 provenance=_provenance(profile, seed, copies), seed=seed, workers=workers, copies=copies)


def _provenance(profile: Profile, seed: int, copies: int) -> dict[str, Any]:
    packages = ("otlib", "numpy", "scipy", "soundfile", "espeakng-loader", *(("torch",) if copies else ()))
    return {"tool": "data_prep synthetic", "seed": seed,
            "head": faces_checksum(BuiltInFace(profile.resolution).topology.faces),
            "parameters": profile.parameters | ({"augmented_copies": copies} if copies else {}),
            "versions": {name: importlib.metadata.version(name) for name in packages},
            "licence": f"heads and {profile.licence}"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep synthetic`."""
    add_size_arguments(parser, PROFILES)
    parser.add_argument("--resolution", choices=RESOLUTIONS,
                        help="faces of the head: low 2,000, medium 9,976, high 46,068 (default: the profile's)")


def run(arguments: argparse.Namespace) -> None:
    """Build the corpus that the options describe.

    Raises:
        InputError: an option is out of range, or the corpus cannot be built.
    """
    build(arguments.out, chosen_profile(arguments, PROFILES), seed=arguments.seed, workers=arguments.workers,
          copies=arguments.augment)
