"""Clips to train and to validate on: features and motion side by side, in memory, with their templates."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.dataset import Dataset, Sequence
from otlib.errors import InputError
from otlib.features import FeatureSource, cached_features
from otlib.hierarchy import MeshHierarchy
from otlib.model import ModelSettings, prepare_geometry


@dataclass(frozen=True)
class Clip:
    """One sentence: features (T, layers, C), displacements (T, V, 3) in metres, and the speaker's number."""

    id: str
    features: Tensor
    displacements: Tensor
    speaker: int


@dataclass(frozen=True)
class ClipSet:
    """All clips of some speakers.

    Attributes:
        clips: in the data set's order.
        templates: (speakers, V, 3) metres.
        signals: (speakers, M, C), the geometry of each template.
        hierarchy: shared by all, since they share their faces; see :func:`shared_hierarchy`.
    """

    clips: tuple[Clip, ...]
    templates: Tensor
    signals: Tensor
    hierarchy: MeshHierarchy


def read_clips(dataset: Dataset, split: str, source: FeatureSource, cache: Path, settings: ModelSettings,
               hierarchy: MeshHierarchy | None = None) -> ClipSet:
    """Read every clip of a split with its features.

    Args:
        dataset: to read from.
        split: "train", "val" or "test".
        source, cache: of the features.
        settings: of the model.
        hierarchy: of :func:`shared_hierarchy`, where it has been made before.

    Raises:
        InputError: the data set has no clips of that split, or none to train on.
    """
    speakers, templates = _templates(dataset, split)
    hierarchy = hierarchy or shared_hierarchy(dataset, settings)
    faces = torch.from_numpy(dataset.faces)
    signals = torch.stack([prepare_geometry(template, faces, settings, hierarchy=hierarchy).signal
                           for template in templates])
    clips = tuple(
        Clip(sequence.id, clip_features(source, sequence, cache),
             torch.from_numpy(np.array(sequence.vertices)) - templates[speakers.index(sequence.subject)],
             speakers.index(sequence.subject)) for sequence in dataset.select(split=split))
    return ClipSet(clips, templates, signals, hierarchy)


def shared_hierarchy(dataset: Dataset, settings: ModelSettings) -> MeshHierarchy:
    """Return the mesh hierarchy for all templates of a data set, made from the mean one of the training speakers.

    Raises:
        InputError: the data set has no clips to train on.
    """
    _, templates = _templates(dataset, "train")
    lips = torch.from_numpy(dataset.regions["lips"])
    return prepare_geometry(templates.mean(0), torch.from_numpy(dataset.faces), settings, lips).hierarchy


def clip_features(source: FeatureSource, sequence: Sequence, cache: Path) -> Float[Tensor, "T layers C"]:
    """Return the features of each frame of a clip; where the sound ends before the motion, its last ones are held."""
    features = cached_features(source, sequence.audio_path, sequence.frame_rate, cache)
    return features[torch.arange(sequence.frames).clamp(max=len(features) - 1)]


def _templates(dataset: Dataset, split: str) -> tuple[list[str], Float[Tensor, "speakers V 3"]]:
    """Return the speakers of a split, sorted, and their templates."""
    speakers = sorted({sequence.subject for sequence in dataset.select(split=split)})
    if not speakers:
        raise InputError(f"{dataset.path}: has no clips of the split {split!r}; prepare a data set that has")
    return speakers, torch.from_numpy(np.stack([dataset.template(speaker) for speaker in speakers]))


@dataclass(frozen=True)
class Batch:
    """Windows of clips: features (B, T, layers, C), displacements (B, T, V, 3), templates (B, V, 3), signals (B, M, C)."""

    features: Tensor
    displacements: Tensor
    templates: Tensor
    signals: Tensor


def draw_batch(clips: ClipSet, size: int, window: int, generator: torch.Generator) -> Batch:
    """Return ``size`` windows, each second of speech as likely as any other."""
    starts = torch.tensor([len(clip.features) - window + 1 for clip in clips.clips], dtype=torch.float32)
    chosen = torch.multinomial(starts, size, replacement=True, generator=generator)
    features, displacements, speakers = [], [], []
    for index in chosen.tolist():
        clip = clips.clips[index]
        start = int(torch.randint(int(starts[index]), (1,), generator=generator))
        features.append(clip.features[start: start + window])
        displacements.append(clip.displacements[start: start + window])
        speakers.append(clip.speaker)
    return Batch(torch.stack(features), torch.stack(displacements), clips.templates[speakers], clips.signals[speakers])


def lip_error_mm(predicted: Float[Tensor, "T V 3"], truth: Float[Tensor, "T V 3"], lips: Tensor) -> float:
    """Return the mean over frames of the largest distance of a lip vertex, in mm; what validation looks at."""
    return float((predicted[:, lips] - truth[:, lips]).norm(dim=-1).amax(-1).mean() * 1000)
