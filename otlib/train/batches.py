"""Clips to train and to validate on: features and motion side by side, in memory, with their templates."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.data.dataset import Dataset, Sequence
from otlib.errors import InputError
from otlib.meshes.hierarchy import MeshHierarchy
from otlib.models.ottalk import ModelSettings, prepare_geometry
from otlib.speech.features import FeatureSource, cached_features, held_features
from otlib.train.tuned_encoder import Sound, SoundWindow


@dataclass(frozen=True)
class Clip:
    """One sentence in one voice.

    Attributes:
        id: of the sequence.
        features: (T, layers, C) in half precision, as they are cached; many clips in many voices fill the memory else. A
            sound where the encoder is trained too.
        displacements: (T2, V, 3) metres; T2 = T unless the voice is another.
        speaker: number of the speaker in the set.
        speed: how much faster the sound is played; frame t of the features is frame ``speed * t`` of the motion.
    """

    id: str
    features: Tensor | Sound
    displacements: Tensor
    speaker: int
    speed: float = 1.0

    def window(self, start: int, frames: int) -> tuple[Tensor | SoundWindow, Tensor]:
        """Return features, or their sound, and displacements of ``frames`` frames; between two frames motion is linear."""
        time = self.speed * torch.arange(start, start + frames, dtype=torch.float64)
        left = time.floor().long().clamp(max=len(self.displacements) - 1)
        right = (left + 1).clamp(max=len(self.displacements) - 1)
        weight = (time - left).to(self.displacements.dtype)[:, None, None]
        moved = torch.lerp(self.displacements[left], self.displacements[right], weight)
        if isinstance(self.features, Sound):
            return self.features.window(start, frames), moved
        return self.features[start: start + frames].float(), moved


@dataclass(frozen=True)
class SharedGeometry:
    """What the model knows of some templates with the same faces.

    Attributes:
        hierarchy: of all of them, see :func:`shared_hierarchy`.
        signals: (speakers, M, C), the geometry of each template.
    """

    hierarchy: MeshHierarchy
    signals: Tensor


@dataclass(frozen=True)
class ClipSet:
    """All clips of some speakers.

    Attributes:
        clips: in the data set's order.
        templates: (speakers, V, 3) metres.
        geometries: the plain one first; the variations behind it stand for meshes with other faces.
        speakers: their names.
    """

    clips: tuple[Clip, ...]
    templates: Tensor
    geometries: tuple[SharedGeometry, ...]
    speakers: tuple[str, ...]

    @property
    def hierarchy(self) -> MeshHierarchy:
        """The plain one."""
        return self.geometries[0].hierarchy

    @property
    def signals(self) -> Tensor:
        """Those on the plain hierarchy."""
        return self.geometries[0].signals


def read_clips(dataset: Dataset, split: str, source: FeatureSource, cache: Path, settings: ModelSettings,
               hierarchy: MeshHierarchy | None = None, speeds: tuple[float, ...] = (1.0,),
               sound: Callable[[Sequence, float], Sound] | None = None, variations: int = 0) -> ClipSet:
    """Read every clip of a split with its features.

    Args:
        dataset: to read from.
        split: "train", "val" or "test".
        source, cache: of the features.
        settings: of the model.
        hierarchy: of :func:`shared_hierarchy`, where it has been made before.
        speeds: each clip is there once for each: the same sentence in voices with other vocal tracts.
        sound: reads a clip's sound at a speed, to be kept instead of features where the encoder is trained too.
        variations: how many more hierarchies to make, see :func:`otlib.meshes.hierarchy.build_hierarchy`.

    Raises:
        InputError: the data set has no clips of that split, or none to train on.
    """
    speakers, templates = _templates(dataset, split)
    hierarchies = [hierarchy or shared_hierarchy(dataset, settings),
                   *(shared_hierarchy(dataset, settings, seed) for seed in range(variations))]
    geometries = tuple(_shared_geometry(templates, torch.from_numpy(dataset.faces), settings, one) for one in hierarchies)
    clips = []
    for sequence in dataset.select(split=split):
        speaker = speakers.index(sequence.subject)
        displacements = torch.from_numpy(np.array(sequence.vertices)) - templates[speaker]
        for speed in speeds:
            heard = sound(sequence, speed) if sound else clip_features(source, sequence, cache, speed).half()
            clips.append(Clip(sequence.id, heard, displacements, speaker, speed))
    return ClipSet(tuple(clips), templates, geometries, tuple(speakers))


def _shared_geometry(templates: Float[Tensor, "speakers V 3"], faces: Tensor, settings: ModelSettings,
                     hierarchy: MeshHierarchy) -> SharedGeometry:
    signals = [prepare_geometry(template, faces, settings, hierarchy=hierarchy).signal for template in templates]
    return SharedGeometry(hierarchy, torch.stack(signals))


def shared_hierarchy(dataset: Dataset, settings: ModelSettings, variation: int | None = None) -> MeshHierarchy:
    """Return a mesh hierarchy for all templates of a data set, made from the mean one of the training speakers.

    Args:
        dataset: whose templates.
        settings: of the model.
        variation: of :func:`otlib.meshes.hierarchy.build_hierarchy`.

    Raises:
        InputError: the data set has no clips to train on.
    """
    _, templates = _templates(dataset, "train")
    lips = torch.from_numpy(dataset.regions["lips"])
    faces = torch.from_numpy(dataset.faces)
    return prepare_geometry(templates.mean(0), faces, settings, lips, variation=variation).hierarchy


def clip_features(source: FeatureSource, sequence: Sequence, cache: Path, speed: float = 1.0) -> Float[Tensor, "T layers C"]:
    """Return the features of each frame of a clip; where the sound ends before the motion, its last ones are held."""
    features = cached_features(source, sequence.audio_path, sequence.frame_rate, cache, speed)
    return held_features(features, sequence.frames if speed == 1.0 else len(features))


def _templates(dataset: Dataset, split: str) -> tuple[list[str], Float[Tensor, "speakers V 3"]]:
    """Return the speakers of a split, sorted, and their templates."""
    speakers = sorted({sequence.subject for sequence in dataset.select(split=split)})
    if not speakers:
        raise InputError(f"{dataset.path}: has no clips of the split {split!r}; prepare a data set that has")
    return speakers, torch.from_numpy(np.stack([dataset.template(speaker) for speaker in speakers]))


@dataclass(frozen=True)
class Batch:
    """Windows of clips: features (B, T, layers, C), displacements (B, T, V, 3), templates (B, V, 3), signals (B, M, C).

    The speakers' names go with them, and which of the set's geometries the signals are of. Where the encoder is trained too
    there are B windows of sound for features.
    """

    features: Tensor | tuple[SoundWindow, ...]
    displacements: Tensor
    templates: Tensor
    signals: Tensor
    speakers: tuple[str, ...]
    geometry: int = 0

    def share(self, part: slice, device: torch.device) -> "Batch":
        """Return some of the windows, on a device."""
        features = self.features[part]
        heard = features.to(device) if isinstance(features, Tensor) else tuple(window.to(device) for window in features)
        tensors = (self.displacements, self.templates, self.signals)
        return Batch(heard, *(tensor[part].to(device) for tensor in tensors), self.speakers[part], self.geometry)


def draw_batch(clips: ClipSet, size: int, window: int, generator: torch.Generator) -> Batch:
    """Return ``size`` windows, each second of speech as likely as any other, with one geometry.

    Where there are variations, half of all batches are with the plain one: most of what is shown has its faces.
    """
    starts = torch.tensor([len(clip.features) - window + 1 for clip in clips.clips], dtype=torch.float32)
    chosen = torch.multinomial(starts, size, replacement=True, generator=generator)
    features, displacements, speakers = [], [], []
    for index in chosen.tolist():
        clip = clips.clips[index]
        start = int(torch.randint(int(starts[index]), (1,), generator=generator))
        heard, moved = clip.window(start, window)
        features.append(heard)
        displacements.append(moved)
        speakers.append(clip.speaker)
    geometry = _draw_geometry(len(clips.geometries), generator)
    signals = clips.geometries[geometry].signals[speakers]
    heard = tuple(features) if isinstance(features[0], SoundWindow) else torch.stack(features)
    return Batch(heard, torch.stack(displacements), clips.templates[speakers], signals,
                 tuple(clips.speakers[speaker] for speaker in speakers), geometry)


def _draw_geometry(count: int, generator: torch.Generator) -> int:
    return max(0, int(torch.randint(2 * (count - 1), (1,), generator=generator)) - (count - 2)) if count > 1 else 0
