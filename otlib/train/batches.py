"""Clips for training and validation, in memory: audio, motion and templates."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.meshes.hierarchy import MeshHierarchy
from otlib.models.ottalk import Geometry, ModelSettings, prepare_geometry
from otlib.phonemes.key_frames import KeyFinder
from otlib.train.tuned_encoder import FrozenEncoder, Sound, TunedEncoder


@dataclass(frozen=True)
class Clip:
    """One sentence in one voice.

    Attributes:
        id: the sequence's id.
        audio: features (T, layers, C) in half precision, as cached: in float32 the training set would fill the memory. If
            the encoder is trained too, the sound.
        vertices: (T2, V, 3) metres; T2 = T unless ``speed`` makes another voice.
        speaker: index of the speaker in the :class:`ClipSet`.
        speed: factor by which the sound is played faster; frame t of the audio is frame ``speed * t`` of the motion.
        keys: (T,) which frames are key; None for a method without key frames.
    """

    id: str
    audio: Tensor | Sound
    vertices: Tensor
    speaker: int
    speed: float = 1.0
    keys: Tensor | None = None

    def window(self, start: int, frames: int) -> tuple[Tensor | Sound, Tensor]:
        """Return audio and vertices of ``frames`` frames; motion between two frames is linear."""
        time = self.speed * torch.arange(start, start + frames, dtype=torch.float64)
        left = time.floor().long().clamp(max=len(self.vertices) - 1)
        right = (left + 1).clamp(max=len(self.vertices) - 1)
        weight = (time - left).to(self.vertices.dtype)[:, None, None]
        return self.audio[start: start + frames], torch.lerp(self.vertices[left], self.vertices[right], weight)


@dataclass(frozen=True)
class ClipSet:
    """All clips of some speakers.

    Attributes:
        clips: in the data set's order.
        templates: (speakers, V, 3) metres.
        geometries: geometries of all the speakers' templates: first the plain one, then the variations, which stand for
            meshes with other faces.
        speakers: names of the speakers.
    """

    clips: tuple[Clip, ...]
    templates: Tensor
    geometries: tuple[Geometry, ...]
    speakers: tuple[str, ...]

    def to(self, device: torch.device) -> "ClipSet":
        """Return the set with its geometries on a device; clips and templates stay where they are."""
        return replace(self, geometries=tuple(geometry.to(device) for geometry in self.geometries))


def read_clips(dataset: Dataset, split: str, encoder: FrozenEncoder | TunedEncoder, settings: ModelSettings,
               hierarchy: MeshHierarchy | None = None, speeds: tuple[float, ...] = (1.0,), variations: int = 0,
               finder: KeyFinder | None = None) -> ClipSet:
    """Read every clip of a split with its audio.

    Eight arguments, of which the last four are for training alone, validation alone, or methods with key frames.

    Args:
        dataset: the data set.
        split: "train", "val" or "test".
        encoder: what reads the audio of a clip.
        settings: model settings.
        hierarchy: from :func:`shared_hierarchy`, if it is already known.
        speeds: each clip is read once for each speed: the same sentence in voices with other vocal tracts.
        variations: number of further hierarchies, see :func:`otlib.meshes.hierarchy.build_hierarchy`.
        finder: what finds key frames; None finds none.

    Raises:
        InputError: the data set has no clips of that split, or none for training, or a clip's key frames are not found.
    """
    speakers, templates = _templates(dataset, split)
    hierarchies = [hierarchy or shared_hierarchy(dataset, settings),
                   *(shared_hierarchy(dataset, settings, seed) for seed in range(variations))]
    geometries = tuple(Geometry(one, torch.cat([prepare_geometry(template, dataset.topology, settings, hierarchy=one).signal
                                                for template in templates])) for one in hierarchies)
    clips = []
    for sequence in dataset.select(split=split):
        vertices = torch.from_numpy(np.array(sequence.vertices))
        if not vertices.isfinite().all():
            raise InputError(f"{sequence.vertices.filename}: holds numbers that are not finite; convert the data set again")
        for speed in speeds:
            audio = encoder.read(sequence, speed)
            keys = None if finder is None else torch.from_numpy(finder.of_clip(
                sequence.audio_path, len(audio), sequence.frame_rate, sequence.phonemes, speed))
            clips.append(Clip(sequence.id, audio, vertices, speakers.index(sequence.subject), speed, keys))
    return ClipSet(tuple(clips), templates, geometries, tuple(speakers))


def shared_hierarchy(dataset: Dataset, settings: ModelSettings, variation: int | None = None) -> MeshHierarchy:
    """Return a mesh hierarchy for all templates of a data set, made from the mean template of the training speakers.

    Args:
        dataset: the data set.
        settings: model settings.
        variation: see :func:`otlib.meshes.hierarchy.build_hierarchy`.

    Raises:
        InputError: the data set has no clips for training.
    """
    _, templates = _templates(dataset, "train")
    return prepare_geometry(templates.mean(0), dataset.topology, settings, variation=variation).hierarchy


def _templates(dataset: Dataset, split: str) -> tuple[list[str], Float[Tensor, "speakers V 3"]]:
    """Return the speakers of a split, sorted, and their templates."""
    speakers = sorted({sequence.subject for sequence in dataset.select(split=split)})
    if not speakers:
        raise InputError(f"{dataset.path}: has no clips of the split {split!r}; prepare a data set that has some")
    return speakers, torch.from_numpy(np.stack([dataset.template(speaker) for speaker in speakers]))


@dataclass(frozen=True)
class Batch:
    """Windows of clips with one geometry.

    Attributes:
        audio: B windows of features (T, layers, C) in half precision, or of sound.
        vertices: (B, T, V, 3) metres.
        templates: (B, V, 3) metres.
        geometry: geometry of these templates.
        speakers: names of the windows' speakers.
        keys: (B, T) which frames are key; None for a method without key frames.
    """

    audio: tuple[Tensor, ...] | tuple[Sound, ...]
    vertices: Tensor
    templates: Tensor
    geometry: Geometry
    speakers: tuple[str, ...]
    keys: Tensor | None = None

    def share(self, part: slice, device: torch.device) -> "Batch":
        """Return some of the windows, on ``device``, where the geometry already is."""
        return Batch(tuple(window.to(device) for window in self.audio[part]), self.vertices[part].to(device),
                     self.templates[part].to(device), self.geometry.of(part), self.speakers[part],
                     None if self.keys is None else self.keys[part].to(device))


def draw_batch(clips: ClipSet, size: int, window: int, generator: torch.Generator) -> Batch:
    """Return ``size`` windows with one geometry; each second of speech is as likely as any other.

    If there are variations, half of all batches have the plain geometry, since most heads in use have its faces.

    Raises:
        ValueError: a window that is longer than a clip.
    """
    for clip in clips.clips:
        if len(clip.audio) < window:
            raise ValueError(f"a window of {window} frames does not fit into clip {clip.id!r}, which has {len(clip.audio)}")
    starts = torch.tensor([len(clip.audio) - window + 1 for clip in clips.clips], dtype=torch.float32)
    drawn = [clips.clips[index] for index in torch.multinomial(starts, size, replacement=True, generator=generator).tolist()]
    firsts = [int(torch.randint(len(clip.audio) - window + 1, (1,), generator=generator)) for clip in drawn]
    audio, vertices = zip(*(clip.window(first, window) for clip, first in zip(drawn, firsts, strict=True)), strict=True)
    keys = None if drawn[0].keys is None else torch.stack(
        [clip.keys[first: first + window] for clip, first in zip(drawn, firsts, strict=True)])
    speakers = [clip.speaker for clip in drawn]
    geometry = clips.geometries[_draw_geometry(len(clips.geometries), generator)]
    return Batch(audio, torch.stack(vertices), clips.templates[speakers], geometry.of(speakers),
                 tuple(clips.speakers[speaker] for speaker in speakers), keys)


def _draw_geometry(count: int, generator: torch.Generator) -> int:
    """Return 0 half of the time, otherwise any other index below ``count``, each as likely."""
    return max(0, int(torch.randint(2 * (count - 1), (1,), generator=generator)) - (count - 2)) if count > 1 else 0
