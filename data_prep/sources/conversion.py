"""Write the clips of a source as a data set of this project, and report what was written."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.raw.npy_and_wav import check_finite
from data_prep.writer import DatasetWriter, NewSequence, write_sequence
from otlib.data.check import AUDIO_TOLERANCE_FRAMES, FARTHEST, is_within_reach
from otlib.data.manifest import SPLITS
from otlib.errors import InputError
from otlib.topology import Topology

_LARGEST_RATIO = 1.5  # of the lengths of sound and motion: beyond it a rate is wrong, not an end cut by hand
_NAMES_SHOWN = 6  # of the clips left out for one reason


@dataclass(frozen=True)
class SourceClip:
    """One sentence of a source.

    Attributes:
        name: its id.
        subject, sentence, split: as in a data set.
        origin: the file with its motion, named in messages.
        read: returns the frames (T, V, 3) in metres, the samples (S,) int16 and their rate in Hz.
        extras: further entries for the manifest.
    """

    name: str
    subject: str
    sentence: str
    split: str
    origin: Path
    read: Callable[[], tuple[np.ndarray, np.ndarray, int]]
    extras: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Source:
    """The contents of a source; only its templates are in memory.

    Attributes:
        name: the data set's name.
        frame_rate: frames a second of the clips' motion.
        topology: the topology of all templates and clips; see :func:`with_lips`.
        templates: subject to (V, 3), metres.
        clips: in the order of the data set.
        left_out: the names of the clips that are not converted, each with the reason.
        subject_extras: further entries for a subject in the manifest.
        provenance: what made it, and how.
    """

    name: str
    frame_rate: float
    topology: Topology
    templates: Mapping[str, np.ndarray]
    clips: Sequence[SourceClip]
    left_out: Mapping[str, str]
    subject_extras: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]


def with_lips(faces: np.ndarray, regions: Mapping[str, np.ndarray]) -> Topology:
    """Return the topology of faces (F, 3) and named vertices; faces with all corners on the lips form the part "lips"."""
    lips = np.flatnonzero(np.isin(faces, regions["lips"]).all(axis=1))
    return Topology(faces, regions, {"lips": lips} if len(lips) else {})


def convert(source: Source, out: Path | str, *, thorough: bool = False) -> str:
    """Write the data set; it is whole or absent.

    Args:
        source: what to write.
        out: the folder to make.
        thorough: if a clip is faulty, check the others too and report every fault, one line each.

    Returns:
        a report in sentences for people.

    Raises:
        InputError: a clip cannot be read, holds a value that is not finite, or sound and motion of very different lengths;
            the folder cannot be written.
    """
    versions = {package: importlib.metadata.version(package) for package in ("otlib", "numpy", "soundfile", "trimesh")}
    provenance = dict(source.provenance) | {"left_out": dict(source.left_out), "versions": versions}
    cut: dict[str, float] = {}
    problems: list[str] = []
    with DatasetWriter(out, name=source.name, frame_rate=source.frame_rate, provenance=provenance) as writer:
        writer.set_topology(source.topology)
        for subject in dict.fromkeys(clip.subject for clip in source.clips):
            if not is_within_reach(source.templates[subject]).all():
                raise InputError(f"{source.name}: the template of {subject} holds a value that is not finite, or beyond "
                                 f"{FARTHEST:g} m; see that its unit is right")
            writer.add_subject(subject, source.templates[subject], **source.subject_extras.get(subject, {}))
        for clip in tqdm(source.clips, desc=source.name, unit="clip"):
            try:
                frames, samples, rate, surplus = read_clip(clip, source.frame_rate)
            except InputError as error:
                if not thorough:
                    raise
                problems.append(str(error))
            if problems:
                continue  # check the others, but write nothing more
            new = NewSequence(clip.name, clip.subject, clip.sentence, clip.split, frames, samples, rate)
            entry, files = write_sequence(writer.folder, new)
            entry |= clip.extras
            if surplus:
                entry["cut_seconds"] = cut[clip.name] = round(surplus, 4)
            writer.add_sequence(entry, files)
        if problems:
            raise InputError(*problems)
    return _report(source, cut)


def read_clip(clip: SourceClip, frame_rate: float) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Return the frames, samples and sample rate of a clip, and by how many seconds they were cut (:func:`fit`).

    Raises:
        InputError: as :func:`convert` says.
    """
    frames, samples, rate = clip.read()
    name = f"{clip.origin} ({clip.name})"
    frames, samples, surplus = fit(check_finite(frames, name), samples, rate, frame_rate, name)
    return frames, samples, rate, surplus


def faulty_clips(clips: Sequence[SourceClip], frame_rate: float | None) -> dict[str, str]:
    """Return the fault of each faulty clip; the lengths of sound and motion are compared only if the rate is known."""
    faults = {}
    for clip in tqdm(clips, desc="checking", unit="clip"):
        try:
            if frame_rate is None:
                check_finite(clip.read()[0], f"{clip.origin} ({clip.name})")
            else:
                read_clip(clip, frame_rate)
        except InputError as error:
            faults[clip.name] = str(error)
    return faults


def listed(folder: Path, problems: Sequence[str]) -> list[str]:
    """Return one problem alone, or several below a line that counts them."""
    if len(problems) == 1:
        return list(problems)
    return [f"{folder}: {len(problems)} problems, so nothing was written", *(f"  {problem}" for problem in problems)]


def fit(frames: np.ndarray, samples: np.ndarray, rate: int, frame_rate: float,
        name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Cut the longer of motion and sound to the shorter where their lengths differ by more than the format allows.

    Returns:
        frames, samples, and by how many seconds the sound was longer (negative: the motion); 0 where nothing was cut.

    Raises:
        InputError: one is over 1.5 times as long as the other.
    """
    motion, sound = len(frames) / frame_rate, len(samples) / rate
    if max(motion, sound) > _LARGEST_RATIO * min(motion, sound):
        raise InputError(f"{name}: has {motion:.2f} s of motion at {frame_rate:g} frames a second and {sound:.2f} s of "
                         "sound, so a rate is wrong or the two do not belong together")
    if abs(sound - motion) * frame_rate <= AUDIO_TOLERANCE_FRAMES:
        return frames, samples, 0.0
    return frames[:max(1, round(sound * frame_rate))], samples[:round(motion * rate)], sound - motion


def _report(source: Source, cut: Mapping[str, float]) -> str:
    numbers = {split: sum(clip.split == split for clip in source.clips) for split in SPLITS}
    lines = [f"{source.name}: {len(source.clips)} clips at {source.frame_rate:g} frames a second, {numbers['train']} to "
             f"train, {numbers['val']} to validate, {numbers['test']} to test"]
    if cut:
        longest = max(cut, key=lambda name: abs(cut[name]))
        lines.append(f"in {len(cut)} clips sound and motion were of different lengths and were cut to the shorter, by "
                     f"{abs(cut[longest]):.2f} s at most ({longest})")
    if gaps := [clip.name for clip in source.clips if clip.extras.get("missing_frames")]:
        lines.append(f"in {len(gaps)} clips the frames' numbers have gaps, and the frames were taken as if they had none: "
                     + ", ".join(gaps))
    for reason in dict.fromkeys(source.left_out.values()):
        names = [name for name in source.left_out if source.left_out[name] == reason]
        more = f" and {len(names) - _NAMES_SHOWN} more, which the manifest names" if len(names) > _NAMES_SHOWN else ""
        lines.append(f"left out for {reason}: {', '.join(names[:_NAMES_SHOWN])}{more}")
    return "\n".join(lines)
