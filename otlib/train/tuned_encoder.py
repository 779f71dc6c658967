"""The encoder as a training sees it: frozen, its features read from the cache, or tuned, its upper layers trained too.

FaceXHuBERT and FaceDiffuser (their official code) freeze the convolutional extractor, the feature projection and encoder
layers 0 and 1 of HuBERT, and train the rest with the model by Adam at 1e-4. ``TrainSettings.frozen_layers = 2`` does the
same; by default the whole encoder is frozen, which costs a fraction of the time.

Our choices that differ from theirs: the model reads all hidden layers by learned weights, not the last one alone; the
encoder has a learning rate of its own, since the model's suits weights that begin at random; it has no dropout and no
masks, so that nothing random depends on how processes share out the windows; a step reads windows of the clips with a
margin of one second instead of whole clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import HubertModel

from otlib.data.dataset import Sequence as Sentence
from otlib.errors import InputError
from otlib.files import write_json, write_tensors
from otlib.models.kmtalk import Completed
from otlib.models.ottalk import Geometry
from otlib.speech.encoder import hidden_layers, load_encoder, scaled_input
from otlib.speech.features import (
    FeatureSource,
    align_by_interpolation,
    cached_features,
    encoder_source,
    played_recording,
    sound_between,
    sound_features,
)
from otlib.speech.recording import resampled
from otlib.speech.small_hubert import feature_count, samples_between
from otlib.train.checkpoint import ENCODER, WEIGHTS
from otlib.train.methods import Model

MARGIN = 50  # features, one second, on each side of a window (our choice: twice the attention reach of the bundled encoder)


class FrozenEncoder(nn.Module):
    """An encoder whose features of mesh frames are cached: a clip holds them, and a window is a part of them.

    Args:
        source: what makes the features.
        cache: folder of the features.
    """

    def __init__(self, source: FeatureSource, cache: Path) -> None:
        super().__init__()
        self.source, self.cache = source, cache

    def read(self, sentence: Sentence, speed: float = 1.0) -> Float[Tensor, "T layers C"]:
        """Return the audio of a clip: features in half precision; if the sound ends before the motion, the last is held.

        Args:
            sentence: a sequence of a data set.
            speed: factor by which the sound is played faster; unless it is 1, the clip is as long as the sound.
        """
        features = cached_features(self.source, sentence.audio_path, sentence.frame_rate, self.cache, speed)
        return features[torch.arange(sentence.frames if speed == 1.0 else len(features)).clamp(max=len(features) - 1)]

    def forward(self, windows: Sequence[Tensor]) -> Float[Tensor, "B T layers C"]:
        """Return the features of windows of clips' audio."""
        return torch.stack(tuple(windows))

    def whole(self, audio: Tensor) -> Float[Tensor, "T layers C"]:
        """Return the features of a clip's audio as a user of the model gets them, in half precision."""
        return audio

    def save(self, run: Path) -> tuple[str, str]:
        """Save in a run what a user needs of the encoder; return its name there and its fingerprint."""
        return self.source.name, self.source.fingerprint


@dataclass(frozen=True)
class Sound:
    """The audio of a clip, or of a window of it, for an encoder that changes at each step; its length is in mesh frames.

    Attributes:
        samples: (S,) at 16 kHz, scaled over the whole clip as the encoder was trained.
        skipped: number of features of the recording before the first one of ``samples``.
        frames: (T,) indices of the mesh frames, rising; the last one repeats after the end of the sound.
        frame_rate: frames a second of the mesh.
    """

    samples: Tensor
    skipped: int
    frames: Tensor
    frame_rate: float

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice) -> "Sound":
        """Return some frames of a clip and the samples they need, with up to :data:`MARGIN` features to each side.

        Features next to a cut lack what lies beyond the margin.
        """
        frames = self.frames[part]
        samples, skipped = sound_between(self.samples, int(frames[0]), int(frames[-1]) + 1, self.frame_rate, MARGIN)
        return Sound(samples, skipped, frames, self.frame_rate)

    def to(self, device: torch.device) -> "Sound":
        """Return the sound with its samples on a device."""
        return replace(self, samples=self.samples.to(device))


class TunedEncoder(nn.Module):
    """An encoder whose layers from ``frozen_layers`` on are trained; it has the methods of :class:`FrozenEncoder`.

    Raises:
        InputError: there is no encoder of this name, or it has too few layers.
    """

    def __init__(self, name: str, frozen_layers: int) -> None:
        super().__init__()
        encoder = load_encoder(name)
        count = encoder.model.config.num_hidden_layers
        if frozen_layers >= count:
            raise InputError(f"{name}: frozen_layers {frozen_layers} leaves none of its {count} layers to train; choose 0 "
                             f"to {count - 1}, or leave it out to freeze the whole encoder")
        self.model, self.local, self.source = encoder.model, encoder.local, encoder_source(encoder)
        for parameter in trained_parameters(self.model, frozen_layers).values():
            parameter.requires_grad_(True)

    def train(self, mode: bool = True) -> "TunedEncoder":
        """Change nothing: the encoder has no dropout and no masks in either mode."""
        return self

    def read(self, sentence: Sentence, speed: float = 1.0) -> Sound:
        """Return the audio of a clip, its sound; speed as for :meth:`FrozenEncoder.read`."""
        frames = sentence.frames if speed == 1.0 else None
        return read_sound(sentence.audio_path, sentence.frame_rate, self.local, frames, speed)

    def forward(self, windows: Sequence[Sound]) -> Float[Tensor, "B T layers C"]:
        """Return the features of windows, with gradients to the layers that are trained.

        Windows go through the encoder one by one, since their lengths differ.
        """
        return torch.stack([align_by_interpolation(
            hidden_layers(self.model, window.samples), int(window.frames[-1]) + 1, window.frame_rate,
            first=int(window.frames[0]), skipped=window.skipped)[window.frames - window.frames[0]] for window in windows])

    @torch.no_grad()
    def whole(self, audio: Sound) -> Float[Tensor, "T layers C"]:
        """Return the features of a clip's audio as a user of the model gets them, in half precision."""
        scaled = replace(self.source, extract=lambda samples: hidden_layers(self.model, samples))
        samples = audio.samples.to(next(self.model.parameters()).device)
        return sound_features(scaled, samples, int(audio.frames[-1]) + 1, audio.frame_rate).half()[audio.frames]

    def save(self, run: Path) -> tuple[str, str]:
        """Write the encoder into a run, in transformers' format: another training can start from it by its folder."""
        config = {**self.model.config.to_dict(), "_name_or_path": ""}  # where it came from is in the run's record
        write_json(run / ENCODER / "config.json", config)
        write_tensors(run / ENCODER / WEIGHTS, self.model.state_dict(), {"format": "pt"})
        return ENCODER, load_encoder(str(run / ENCODER)).fingerprint


def read_sound(path: Path, frame_rate: float, local: bool, frames: int | None = None, speed: float = 1.0) -> Sound:
    """Read a sound file for an encoder that changes; see :func:`otlib.speech.features.cached_features`.

    Args:
        path: the sound file.
        frame_rate: frames a second of the meshes.
        local: whether the encoder is local, see :class:`otlib.speech.encoder.Encoder`.
        frames: number of frames; by default those that the recording covers.
        speed: factor by which the sound is played faster.

    Raises:
        InputError: the file cannot be used.
    """
    recording = played_recording(path, frame_rate, speed)
    samples, covered = resampled(recording), recording.frames(frame_rate)
    samples = samples_between(samples, 0, feature_count(len(samples)))  # the rest makes no feature and no gain
    numbers = torch.arange(covered if frames is None else frames).clamp(max=covered - 1)
    return Sound(scaled_input(samples, local), 0, numbers, frame_rate)


def trained_parameters(encoder: HubertModel, frozen_layers: int) -> dict[str, nn.Parameter]:
    """Return the trained parameters: all but the extractor, the projection, the first layers and what affects no feature.

    The position convolution, which lies below the layers, is trained (our reading: FaceXHuBERT and FaceDiffuser are not
    known to freeze it).
    """
    frozen = ["feature_extractor.", "feature_projection.", *(f"encoder.layers.{layer}." for layer in range(frozen_layers)),
              "masked_spec_embed"]  # the last replaces masked frames in pre-training
    if encoder.config.do_stable_layer_norm:
        frozen.append("encoder.layer_norm.")  # comes after the last hidden layer that the model reads
    return {name: parameter for name, parameter in encoder.named_parameters() if not name.startswith(tuple(frozen))}


class WholeModel(nn.Module):
    """An encoder followed by a model: from windows of audio to displacements."""

    def __init__(self, talker: Model, encoder: FrozenEncoder | TunedEncoder) -> None:
        super().__init__()
        self.talker, self.encoder = talker, encoder

    def forward(self, audio: Sequence[Tensor] | Sequence[Sound], geometry: Geometry,
                generators: Sequence[torch.Generator] | None = None, speakers: Sequence[str] | None = None,
                **keyed: Any) -> Float[Tensor, "B T V 3"] | Completed:
        """Return displacements from the template, in metres, as the model does; ``keyed`` is for one with key frames."""
        return self.talker(self.encoder(audio), geometry, generators, speakers, **keyed)
