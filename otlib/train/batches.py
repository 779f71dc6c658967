"""Clips to train and to validate on: audio and motion side by side, in memory, with their templates."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.meshes.hierarchy import MeshHierarchy
from otlib.models.ottalk import Geometry, ModelSettings, prepare_geometry
from otlib.train.tuned_encoder import FrozenEncoder, Sound, TunedEncoder


@dataclass(frozen=True)
class Clip:
    """One sentence in one voice.

    Attributes:
        id: of the sequence.
        audio: features (T, layers, C) in half precision, as cached: in float32 the training set would fill the memory. The
            sound where the encoder is trained too.
        vertices: (T2, V, 3) metres; T2 = T unless the voice is another.
        speaker: number of the speaker in the set.
        speed: how much faster the sound is played; frame t of the audio is frame ``speed * t`` of the motion.
    """

    id: str
    audio: Tensor | Sound
    vertices: Tensor
    speaker: int
    speed: float = 1.0

    def window(self, start: int, frames: int) -> tuple[Tensor | Sound, Tensor]:
        """Return audio and vertices of ``frames`` frames; between two frames motion is linear."""
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
        geometries: of all the speakers' templates; the plain one first, the variations behind it stand for meshes with other
            faces.
        speakers: their names.
    """

    clips: tuple[Clip, ...]
    templates: Tensor
    geometries: tuple[Geometry, ...]
    speakers: tuple[str, ...]

    def to(self, device: torch.device) -> "ClipSet":
        """Return the set with its geometries on a device; clips and templates stay where they are."""
        return replace(self, geometries=tuple(geometry.to(device) for geometry in self.geometries))


def read_clips(dataset: Dataset, split: str, encoder: FrozenEncoder | TunedEncoder, settings: ModelSettings,
               hierarchy: MeshHierarchy | None = None, speeds: tuple[float, ...] = (1.0,), variations: int = 0) -> ClipSet:
    """Read every clip of a split with its audio.

    Seven arguments, of which the last three are what only training or only validation asks for.

    Args:
        dataset: to read from.
        split: "train", "val" or "test".
        encoder: what reads the audio of a clip.
        settings: of the model.
        hierarchy: of :func:`shared_hierarchy`, where it has been made before.
        speeds: each clip is there once for each: the same sentence in voices with other vocal tracts.
        variations: how many more hierarchies to make, see :func:`otlib.meshes.hierarchy.build_hierarchy`.

    Raises:
        InputError: the data set has no clips of that split, or none to train on.
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
        clips += [Clip(sequence.id, encoder.read(sequence, speed), vertices, speakers.index(sequence.subject), speed)
                  for speed in speeds]
    return ClipSet(tuple(clips), templates, geometries, tuple(speakers))


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
    return prepare_geometry(templates.mean(0), dataset.topology, settings, variation=variation).hierarchy


def _templates(dataset: Dataset, split: str) -> tuple[list[str], Float[Tensor, "speakers V 3"]]:
    """Return the speakers of a split, sorted, and their templates."""
    speakers = sorted({sequence.subject for sequence in dataset.select(split=split)})
    if not speakers:
        raise InputError(f"{dataset.path}: has no clips of the split {split!r}; prepare a data set that has")
    return speakers, torch.from_numpy(np.stack([dataset.template(speaker) for speaker in speakers]))


@dataclass(frozen=True)
class Batch:
    """Windows of clips with one geometry.

    Attributes:
        audio: B windows of features (T, layers, C) in half precision, or of sound.
        vertices: (B, T, V, 3) metres.
        templates: (B, V, 3) metres.
        geometry: of these templates.
        speakers: their names.
    """

    audio: tuple[Tensor, ...] | tuple[Sound, ...]
    vertices: Tensor
    templates: Tensor
    geometry: Geometry
    speakers: tuple[str, ...]

    def share(self, part: slice, device: torch.device) -> "Batch":
        """Return some of the windows, on the device where the geometry is."""
        return Batch(tuple(window.to(device) for window in self.audio[part]), self.vertices[part].to(device),
                     self.templates[part].to(device), self.geometry.of(part), self.speakers[part])


def draw_batch(clips: ClipSet, size: int, window: int, generator: torch.Generator) -> Batch:
    """Return ``size`` windows, each second of speech as likely as any other, with one geometry.

    Where there are variations, half of all batches are with the plain one: most of what is shown has its faces.

    Raises:
        ValueError: a window that is longer than a clip.
    """
    for clip in clips.clips:
        if len(clip.audio) < window:
            raise ValueError(f"a window of {window} frames does not fit into clip {clip.id!r}, which has {len(clip.audio)}")
    starts = torch.tensor([len(clip.audio) - window + 1 for clip in clips.clips], dtype=torch.float32)
    drawn = [clips.clips[index] for index in torch.multinomial(starts, size, replacement=True, generator=generator).tolist()]
    windows = [clip.window(int(torch.randint(len(clip.audio) - window + 1, (1,), generator=generator)), window)
               for clip in drawn]
    audio, vertices = zip(*windows, strict=True)
    speakers = [clip.speaker for clip in drawn]
    geometry = clips.geometries[_draw_geometry(len(clips.geometries), generator)]
    return Batch(audio, torch.stack(vertices), clips.templates[speakers], geometry.of(speakers),
                 tuple(clips.speakers[speaker] for speaker in speakers))


def _draw_geometry(count: int, generator: torch.Generator) -> int:
    return max(0, int(torch.randint(2 * (count - 1), (1,), generator=generator)) - (count - 2)) if count > 1 else 0
