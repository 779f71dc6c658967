"""A data set on disk: one folder, memory-mapped, nothing pickled.

::

    manifest.json         format, version, name, units "m", frame_rate, provenance, subjects, sequences, and the
                          SHA-256 and size of every other file; written last, so that a half-written folder has none
    faces.npy             (F, 3) int32
    regions.json          named lists of vertices: lips, upper_face, lip_gap [upper, lower] and others
    parts.json            named lists of faces (skin, lips, eyes, ...) for colouring; version 1 of the format had them
                          in regions.json, under "face_parts"
    templates/<id>.npy    (V, 3) float32, metres: a subject at rest, mouth closed
    vertices/<id>.npy     (T, V, 3) float32, metres; frame t is at the time t / frame_rate
    audio/<id>.wav        16-bit PCM, mono, at its own rate
    phonemes/<id>.json    [{"phoneme": IPA, "start": s, "end": s}, ...], optional; "" is a pause
    mean_style/<id>.npy   like vertices: the same sentence without the speaker's own style, optional

All subjects share one topology. x points to the head's left, y up, z out of the face.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from otlib.data.check import named_lists, quick_faults, read_phonemes, validate
from otlib.data.manifest import MANIFEST, SPLITS, read_manifest
from otlib.errors import InputError
from otlib.files import map_array, opened, read_array
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.topology import Topology

__all__ = ["MANIFEST", "SPLITS", "Dataset", "Sequence", "validate"]


@dataclass(frozen=True)
class Sequence:
    """One sentence spoken by one subject; its arrays are read from disk at each access.

    Attributes:
        id: unique in the data set.
        subject, sentence: who says what; ``text`` is the wording, if it is known.
        split: "train", "val" or "test".
        frames: number of frames T.
        frame_rate: frames a second.
    """

    folder: Path
    id: str
    subject: str
    sentence: str
    split: str
    frames: int
    frame_rate: float
    text: str | None
    _paths: Mapping[str, str | None]

    @property
    def vertices(self) -> np.memmap:
        """The motion, (T, V, 3) float32, metres, mapped read-only."""
        return self._map("vertices")

    @property
    def template(self) -> np.ndarray:
        """The subject at rest, (V, 3) float32, metres."""
        return read_array(self.folder / self._paths["template"])

    @property
    def mean_style(self) -> np.memmap | None:
        """The motion with the mean style in place of the speaker's, (T, V, 3) float32, metres, if the data set has it."""
        return self._map("mean_style")

    @property
    def audio(self) -> tuple[np.ndarray, int]:
        """The samples, (S,) float32 in [-1, 1), and their rate in Hz."""
        with opened(self.audio_path) as file:
            return soundfile.read(file, dtype="float32")

    @property
    def audio_path(self) -> Path:
        """The sound file."""
        return self.folder / self._paths["audio"]

    @property
    def phonemes(self) -> tuple[Phoneme, ...] | None:
        """The phonemes in order of time, if they are known."""
        path = self._paths["phonemes"]
        return None if path is None else read_phonemes(self.folder / path)

    def _map(self, name: str) -> np.memmap | None:
        path = self._paths[name]
        return None if path is None else map_array(self.folder / path)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set opened for reading.

    Attributes:
        path: its folder.
        name: its name.
        frame_rate: frames a second, of all sequences.
        provenance: tool, versions, seed and parameters that made the data set.
        subjects: the manifest's entry of each subject.
        sequences: all sequences, in the manifest's order.
        topology: faces, regions and parts, which all subjects share; no parts if the data set has no colours.
        checksum: hex SHA-256 of everything but name and provenance: equal content gives equal checksums.
    """

    path: Path
    name: str
    frame_rate: float
    provenance: Mapping[str, Any]
    subjects: Mapping[str, Mapping[str, Any]]
    sequences: tuple[Sequence, ...]
    topology: Topology
    checksum: str

    @classmethod
    def open(cls, path: Path | str) -> "Dataset":
        """Open the data set in a folder after a check of manifest, sizes and headers (:func:`validate` reads everything).

        Raises:
            InputError: the folder is missing, half written or differs from its manifest.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        if faults := quick_faults(folder, manifest):
            others = f" (and {len(faults) - 1} more; `python -m data_prep validate` lists them)" if faults[1:] else ""
            raise InputError(f"{folder}: {faults[0]}{others}; prepare the data set again")
        rate, subjects = float(manifest["frame_rate"]), manifest["subjects"]
        vertex_count = len(map_array(folder / next(iter(subjects.values()))["template"]))
        topology = Topology(read_array(folder / manifest["faces"]),
                            named_lists(folder, manifest, "regions"), named_lists(folder, manifest, "parts"), vertex_count)
        return cls(folder, manifest["name"], rate, manifest["provenance"], subjects,
                   tuple(_sequence(folder, entry, subjects, rate) for entry in manifest["sequences"]),
                   topology, _checksum(manifest))

    def select(self, split: str | None = None, subject: str | None = None) -> tuple[Sequence, ...]:
        """Return the sequences of a split, of a subject, or of both.

        Raises:
            ValueError: there is no such split or subject.
        """
        if split is not None and split not in SPLITS:
            raise ValueError(f"no split {split!r}; the splits are {', '.join(SPLITS)}")
        if subject is not None and subject not in self.subjects:
            raise ValueError(f"no subject {subject!r} in {self.path}")
        return tuple(sequence for sequence in self.sequences
                     if split in (None, sequence.split) and subject in (None, sequence.subject))

    def template(self, subject: str) -> np.ndarray:
        """Return a subject at rest, (V, 3) float32, metres."""
        return read_array(self.path / self.subjects[subject]["template"])


def _sequence(folder: Path, entry: Mapping[str, Any], subjects: Mapping[str, Any], frame_rate: float) -> Sequence:
    paths = {name: entry.get(name) for name in ("vertices", "audio", "phonemes", "mean_style")}
    paths["template"] = subjects[entry["subject"]]["template"]
    return Sequence(folder, entry["id"], entry["subject"], entry["sentence"], entry["split"], entry["frames"],
                    frame_rate, entry.get("text"), paths)


def _checksum(manifest: Mapping[str, Any]) -> str:
    content = {name: value for name, value in manifest.items() if name not in ("name", "provenance")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
