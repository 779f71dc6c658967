"""Corpora with published splits: which of their clips a folder holds, and why the others are left out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_prep.raw.npy_and_wav import map_motion, read_sound
from data_prep.raw.safe_folder import Folder
from data_prep.sources.conversion import SourceClip
from data_prep.sources.peers_layout import ProcessedLayout
from otlib.errors import InputError


class PublishedClip(NamedTuple):
    """One clip of a published split; ``extras`` go into the manifest."""

    split: str
    subject: str
    sentence: str
    extras: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.subject}_{self.sentence}"


Held = tuple[Path, Callable[[], tuple[np.ndarray, np.ndarray, int]], int]  # file with the motion, reader, missing frames
Look = Callable[[PublishedClip], Held | str]  # a clip that the folder holds, or the reason for leaving it out


def look_in(layout: ProcessedLayout, convert: Callable[[np.ndarray], np.ndarray]) -> Look:
    """Return a function that looks for a clip in the processed layout; ``convert`` changes its frames (T, V, 3)."""
    def look(clip: PublishedClip) -> Held | str:
        if clip.name not in layout.clips:
            return layout.left_out.get(clip.name, "neither motion nor sound")
        (motion, sound), vertex_count = layout.clips[clip.name], len(layout.templates[clip.subject])
        return motion, lambda: (convert(map_motion(motion, vertex_count)), *read_sound(sound)), 0

    return look


def gather(corpus: str, folder: Folder, published: Iterable[PublishedClip],
           look: Look) -> tuple[list[SourceClip], dict[str, str]]:
    """Return the clips that the folder holds, and the names of the others, each with the reason.

    Raises:
        InputError: it holds none, or a file is damaged.
    """
    clips, left_out = [], {}
    for clip in published:
        if isinstance(held := look(clip), str):
            left_out[clip.name] = held
        else:
            origin, read, gaps = held
            extras = dict(clip.extras) | ({"missing_frames": gaps} if gaps else {})
            clips.append(SourceClip(clip.name, clip.subject, clip.sentence, clip.split, origin, read, extras))
    if not clips:
        raise InputError(f"{folder}: no clip of {corpus}'s published splits has motion, sound and a template")
    return clips, left_out


def one_hot(subjects: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return manifest entries for training subjects, which come in the order of their published one-hot codes."""
    return {subject: {"one_hot": number} for number, subject in enumerate(subjects)}
