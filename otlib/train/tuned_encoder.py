"""The upper layers of HuBERT trained together with the model: the published recipe, by a switch.

FaceXHuBERT and FaceDiffuser (their official code) freeze the convolutional extractor, the feature projection and encoder
layers 0 and 1 of HuBERT, and train the rest with the model by Adam at 1e-4. Here ``TrainSettings.frozen_layers = 2`` does
so; left out, the whole encoder is frozen and its features are cached, which costs a fraction of the time.

Our choice, where it differs from them: all hidden layers are heard by learned weights, not the last one alone; the
encoder has a learning rate of its own, since the model's is made for weights that begin at random; it drops out and masks
nothing, so that nothing random depends on how windows are shared out among processes; a step reads windows of the clips
with a margin of one second instead of whole clips.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import HubertModel

from otlib.errors import InputError
from otlib.files import write_json
from otlib.meshes.hierarchy import MeshHierarchy
from otlib.models.ottalk import OTTalk
from otlib.speech.encoder import Encoder, encode, hidden_layers, load_encoder, scaled_input
from otlib.speech.features import PAIRS, check_rate, frame_features, held_features, played_recording
from otlib.speech.local_hubert import HOP, SAMPLE_RATE, WINDOW
from otlib.speech.recording import resampled
from otlib.train.checkpoint import WEIGHTS, write_tensors

ENCODER = "encoder"  # folder of the trained encoder in the folder of a run
MARGIN = 50  # features, one second, at each side of a window (our choice: twice what attention of the bundled one reaches)


@dataclass(frozen=True)
class SoundWindow:
    """The part of a recording that some mesh frames are heard from.

    Attributes:
        samples: (S,) at 16 kHz, scaled as the encoder was trained.
        skipped: how many features of the recording come before the first one of ``samples``.
        frames: (T,) numbers of the mesh frames, rising; the last one again and again where the sound has ended.
        alignment: of features to frames.
        frame_rate: of the mesh.
    """

    samples: Tensor
    skipped: int
    frames: Tensor
    alignment: str
    frame_rate: float

    def to(self, device: torch.device) -> "SoundWindow":
        """Return it with its samples on a device."""
        return replace(self, samples=self.samples.to(device))


@dataclass(frozen=True)
class Sound:
    """What a clip is heard from, in the place of features: the length is in mesh frames.

    Attributes:
        samples: (S,) of the recording at 16 kHz, as many as its features see.
        frames: of the clip.
        heard: mesh frames that the recording covers; after the last of them it is held.
        alignment: of features to frames.
        frame_rate: of the mesh.
        local: whether the encoder sees a bounded stretch and wants its input scaled by it.
    """

    samples: Tensor
    frames: int
    heard: int
    alignment: str
    frame_rate: float
    local: bool

    def __len__(self) -> int:
        return self.frames

    def window(self, start: int, count: int) -> SoundWindow:
        """Return what ``count`` mesh frames are heard from, with :data:`MARGIN` features to each side that there are.

        The input is scaled over the whole clip as in use; features next to a cut lack what lies beyond the margin.
        """
        frames = torch.arange(start, start + count).clamp(max=self.heard - 1)
        last = (len(self.samples) - WINDOW) // HOP  # feature of the recording
        begin, end = (self._feature(int(frame)) for frame in (frames[0], frames[-1]))
        begin = min(max(0, begin - MARGIN), last)
        end = min(end + 1 + MARGIN, last)  # inclusive; the feature after a moment, or the second of a pair, counts too
        scaled = scaled_input(self.samples, self.local)
        return SoundWindow(scaled[begin * HOP: end * HOP + WINDOW], begin, frames, self.alignment, self.frame_rate)

    def _feature(self, frame: int) -> int:
        """Return the feature at or before a mesh frame; negative before the first."""
        if self.alignment == PAIRS:
            return 2 * frame
        return int((frame / self.frame_rate * SAMPLE_RATE - WINDOW / 2) // HOP)


def read_sound(path: Path, alignment: str, frame_rate: float, local: bool, frames: int | None = None,
               speed: float = 1.0) -> Sound:
    """Read a sound file to hear it with an encoder that changes; see :func:`otlib.speech.features.cached_features`.

    Args:
        path: of the sound file.
        alignment: "interpolation" or "pairs".
        frame_rate: of the meshes.
        local: of the encoder.
        frames: of the clip; by default those that the recording covers.
        speed: play the sound that much faster.

    Raises:
        InputError: the file cannot be used, or pairs were asked for at other than 25 frames a second.
    """
    check_rate(alignment, frame_rate)
    recording = played_recording(path, frame_rate, speed)
    samples, heard = resampled(recording), recording.frames(frame_rate)
    if len(samples) < WINDOW:
        samples = nn.functional.pad(samples, (0, WINDOW - len(samples)))
    samples = samples[: (len(samples) - WINDOW) // HOP * HOP + WINDOW]  # what is left over makes no feature, and no gain
    return Sound(samples, heard if frames is None else frames, heard, alignment, frame_rate, local)


def load_tunable(name: str, frozen_layers: int) -> Encoder:
    """Load an encoder whose layers from ``frozen_layers`` on can be trained.

    Raises:
        InputError: there is no such encoder, or it has not so many layers.
    """
    encoder = load_encoder(name)
    count = encoder.model.config.num_hidden_layers
    if frozen_layers >= count:
        raise InputError(f"{name}: frozen_layers {frozen_layers} leaves none of its {count} layers to train; choose 0 to "
                         f"{count - 1}, or leave it out to freeze the whole encoder")
    return encoder


def trained_parameters(encoder: HubertModel, frozen_layers: int) -> dict[str, nn.Parameter]:
    """Return what is trained: everything but the extractor, the projection, the first layers and what no feature sees.

    The position convolution, which lies below the layers, is trained (our reading: it is not among what FaceXHuBERT and
    FaceDiffuser are known to freeze).
    """
    frozen = ["feature_extractor.", "feature_projection.", *(f"encoder.layers.{layer}." for layer in range(frozen_layers)),
              "masked_spec_embed"]  # the last stands for hidden frames in pre-training
    if encoder.config.do_stable_layer_norm:
        frozen.append("encoder.layer_norm.")  # comes after the last hidden layer, which is the last that the model hears
    return {name: parameter for name, parameter in encoder.named_parameters() if not name.startswith(tuple(frozen))}


class TunedModel(nn.Module):
    """OT-Talk with the encoder below it; called as :class:`otlib.models.ottalk.OTTalk`, with windows of sound for
    features."""

    def __init__(self, talker: OTTalk, encoder: Encoder, frozen_layers: int) -> None:
        super().__init__()
        self.talker, self.encoder = talker, encoder.model
        self._in_use = replace(encoder, fingerprint="in training")  # the same network, whose weights change
        for parameter in trained_parameters(self.encoder, frozen_layers).values():
            parameter.requires_grad_(True)

    def train(self, mode: bool = True) -> "TunedModel":
        """Set the mode of the model; the encoder drops out and masks nothing in either."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, heard: Sequence[SoundWindow], signal: Float[Tensor, "B M C2"], hierarchy: MeshHierarchy,
                generators: Sequence[torch.Generator] | None = None,
                speakers: Sequence[str] | None = None) -> Float[Tensor, "B T V 3"]:
        """Return displacements from the template, in metres; windows are heard one by one, since their lengths differ."""
        features = torch.stack([self.hear(window) for window in heard])
        return self.talker(features, signal, hierarchy, generators, speakers)

    def hear(self, window: SoundWindow) -> Float[Tensor, "T layers C"]:
        """Return the features of a window's mesh frames, with gradients to the layers that are trained."""
        first, last = int(window.frames[0]), int(window.frames[-1])
        features = frame_features(hidden_layers(self.encoder, window.samples), window.alignment, window.frame_rate, last + 1,
                                  first=first, skipped=window.skipped)
        return features[window.frames - first]

    def hear_clip(self, sound: Sound) -> Float[Tensor, "T layers C"]:
        """Return the features of a whole clip as they are in use, rounded to half precision as the cache rounds them."""
        samples = sound.samples.to(next(self.encoder.parameters()).device)
        features = frame_features(encode(self._in_use, samples), sound.alignment, sound.frame_rate, sound.heard)
        return held_features(features.half().float(), sound.frames)


def parameter_groups(model: OTTalk | TunedModel, peak: float, encoder_peak: float) -> list[dict[str, Any]]:
    """Return the optimiser's groups of parameters, each with the ``peak`` of its learning rate."""
    def group(parameters: Iterable[nn.Parameter], highest: float) -> dict[str, Any]:
        return {"params": [parameter for parameter in parameters if parameter.requires_grad], "peak": highest}

    if isinstance(model, OTTalk):
        return [group(model.parameters(), peak)]
    return [group(model.talker.parameters(), peak), group(model.encoder.parameters(), encoder_peak)]


def save_encoder(encoder: HubertModel, run: Path) -> None:
    """Write the encoder beside the model, in transformers' format: another training can start from it by its folder."""
    config = {**encoder.config.to_dict(), "_name_or_path": ""}  # where it came from is in the run's record
    write_json(run / ENCODER / "config.json", config)
    write_tensors(run / ENCODER / WEIGHTS, encoder.state_dict(), {"format": "pt"})


def saved_encoder(run: Path) -> str:
    """Return the folder of the encoder that was trained with a run's model.

    Raises:
        InputError: it is not there.
    """
    if not (run / ENCODER / WEIGHTS).is_file():
        raise InputError(f"{run}: the encoder that was trained with the model is not there ({ENCODER}/{WEIGHTS} is "
                         "missing); delete the folder and train again")
    return str(run / ENCODER)
