"""Write a data set that is either complete or absent.

Everything is written to a hidden folder beside the target; the manifest comes last, then one rename puts the folder in
place (:mod:`otlib.data.whole_folder`).
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile

from otlib.data.check import FARTHEST, is_within_reach, quick_faults
from otlib.data.manifest import FORMAT, MANIFEST, SPLITS, VERSION
from otlib.data.whole_folder import FileTable, FolderFormat, whole_folder
from otlib.errors import InputError
from otlib.files import write_json
from otlib.own_files import writable
from otlib.topology import Topology

DATA_SET = FolderFormat("a data set", MANIFEST, FORMAT, VERSION)

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")  # a valid file name on every system, and never a path


@dataclass(frozen=True, eq=False)
class NewSequence:
    """One sentence by one subject, to be written.

    Attributes:
        id: unique in the data set.
        subject, sentence: ids of the speaker and of the sentence.
        split: "train", "val" or "test".
        vertices: (T, V, 3), metres; stored as float32.
        samples: (S,) int16.
        sample_rate: Hz.
        phonemes: (symbol, start, end), seconds.
        mean_style: the motion in the mean style, like ``vertices``.
        text: the wording.

    Raises:
        ValueError: an id that cannot name a file, an unknown split, or arrays of a wrong shape or dtype.
    """

    id: str
    subject: str
    sentence: str
    split: str
    vertices: np.ndarray
    samples: np.ndarray
    sample_rate: int
    phonemes: Iterable[tuple[str, float, float]] | None = None
    mean_style: np.ndarray | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        _check_names(self.id)
        if self.split not in SPLITS:
            raise ValueError(f"no split {self.split!r}; the splits are {', '.join(SPLITS)}")
        if self.samples.dtype != np.int16 or self.samples.ndim != 1:
            raise ValueError(f"samples have dtype {self.samples.dtype} and shape {self.samples.shape}, expected int16 and "
                             "(S,)")
        if self.mean_style is not None and self.mean_style.shape != self.vertices.shape:
            raise ValueError(f"mean_style has shape {self.mean_style.shape}, vertices have {self.vertices.shape}")


def write_sequence(folder: Path, new: NewSequence) -> tuple[dict[str, Any], FileTable]:
    """Write the files of one sequence; return its manifest entry and its entries in the table of files.

    Worker processes call this with :attr:`DatasetWriter.folder`; the parent passes the result to
    :meth:`DatasetWriter.add_sequence`.
    """
    files: FileTable = {}
    entry: dict[str, Any] = {"id": new.id, "subject": new.subject, "sentence": new.sentence, "split": new.split,
                             "frames": len(new.vertices), "text": new.text, "phonemes": None, "mean_style": None}
    entry["vertices"] = _write_array(folder, f"vertices/{new.id}.npy", new.vertices, np.float32, files)
    entry["audio"] = _write(folder, f"audio/{new.id}.wav", _wav(new.samples, new.sample_rate), files)
    if new.phonemes is not None:
        spans = [{"phoneme": symbol, "start": start, "end": end} for symbol, start, end in new.phonemes]
        encoded = json.dumps(spans, ensure_ascii=False, allow_nan=False).encode()
        entry["phonemes"] = _write(folder, f"phonemes/{new.id}.json", encoded, files)
    if new.mean_style is not None:
        entry["mean_style"] = _write_array(folder, f"mean_style/{new.id}.npy", new.mean_style, np.float32, files)
    return entry, files


class DatasetWriter:
    """Collect a data set and put it in place when the ``with`` block ends without an exception.

    Args:
        path: the folder to make; an existing data set there is replaced at the end.
        name: the data set's name.
        frame_rate: frames a second.
        provenance: tool, versions, seed and parameters.

    Raises:
        InputError: the existing ``path`` is not a data set or contains something that its manifest does not list, another
            run is writing it, or it cannot be written.
    """

    def __init__(self, path: Path | str, *, name: str, frame_rate: float, provenance: Mapping[str, Any]) -> None:
        self.path = Path(os.path.abspath(path))
        self._place = whole_folder(self.path, DATA_SET, self._finish)
        self._manifest: dict[str, Any] = {"format": FORMAT, "version": VERSION, "name": name, "units": "m",
                                          "frame_rate": frame_rate, "provenance": dict(provenance),
                                          "subjects": {}, "sequences": [], "files": {}}
        self._sequence_ids: set[str] = set()

    def __enter__(self) -> "DatasetWriter":  # noqa: PYI034 (the test run's type checker cannot read Self here)
        self.folder = self._place.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._place.__exit__(kind, error, traceback)

    def set_topology(self, topology: Topology) -> None:
        """Write faces, regions and parts."""
        files = self._manifest["files"]
        self._manifest["faces"] = _write_array(self.folder, "faces.npy", topology.faces, np.int32, files)
        for name, lists in (("regions", topology.regions), ("parts", topology.parts)):
            content = json.dumps({key: indices.tolist() for key, indices in lists.items()}, sort_keys=True).encode()
            self._manifest[name] = _write(self.folder, f"{name}.json", content, files)

    def add_subject(self, subject: str, template: np.ndarray, **extras: Any) -> None:
        """Write a subject's template, (V, 3), metres; ``extras`` go into the subject's manifest entry."""
        _check_names(subject)
        if subject in self._manifest["subjects"]:
            raise ValueError(f"two subjects have the name {subject}")
        path = _write_array(self.folder, f"templates/{subject}.npy", template, np.float32, self._manifest["files"])
        self._manifest["subjects"][subject] = {**extras, "template": path}

    def add_sequence(self, entry: dict[str, Any], files: FileTable) -> None:
        """Add a sequence that :func:`write_sequence` has written into :attr:`folder` to the manifest."""
        if entry["id"] in self._sequence_ids:
            raise ValueError(f"two sequences have the id {entry['id']}")
        self._sequence_ids.add(entry["id"])
        self._manifest["sequences"].append(entry)
        self._manifest["files"].update(files)

    def _finish(self) -> None:
        if faults := quick_faults(self.folder, self._manifest):
            raise InputError(f"{self.path}: would not be a valid data set ({faults[0]}), so it is not written")
        write_json(self.folder / MANIFEST, self._manifest)


def _check_names(*names: str) -> None:
    for name in names:
        if not _SAFE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a file: use letters, digits, '_', '-' and '.'")


def _write(folder: Path, relative: str, content: bytes, files: FileTable) -> str:
    path = folder / relative
    with writable(path):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    files[relative] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return relative


def _write_array(folder: Path, relative: str, array: np.ndarray, dtype: type, files: FileTable) -> str:
    if dtype == np.float32 and not is_within_reach(array).all():
        raise ValueError(f"{relative}: holds a value that is not finite, or beyond {FARTHEST:g} m")
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array, dtype=dtype), allow_pickle=False)
    return _write(folder, relative, buffer.getvalue(), files)


def _wav(samples: np.ndarray, sample_rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
