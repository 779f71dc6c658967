"""From an encoder's features to the sound of each frame: weighted layers and one linear layer, stored in a small file.

The file lies beside the encoder and belongs to it alone: it holds a digest of the encoder's weights, and another encoder
is refused. It holds two heads of the same shape, one trained on the sound of each frame and one by CTC, and how often
each sound follows each other sound.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from otlib.errors import InputError
from otlib.files import parsed_json, read_tensors, write_tensors
from otlib.speech.encoder import Encoder, encode, encoder_folder

FILE = "phonemes.safetensors"
COMMAND = "python -m data_prep.encoder.phoneme_classifiers"


class FrameClassifier(nn.Module):
    """Standardises layers, weights them (softmax), and scores each label by one linear layer over some frames."""

    def __init__(self, layers: int, channels: int, labels: int, reach: int = 0) -> None:
        """Make a classifier that gives all labels the same score.

        Args:
            layers, channels: shape of one frame's features.
            labels: number of labels.
            reach: how many frames to each side the linear layer sees.
        """
        super().__init__()
        self.layer_weights = nn.Parameter(torch.zeros(layers))
        self.convolution = nn.Conv1d(channels, labels, 2 * reach + 1, padding=reach)
        nn.init.zeros_(self.convolution.weight)
        nn.init.zeros_(self.convolution.bias)
        self.register_buffer("mean", torch.zeros(layers, channels))
        self.register_buffer("deviation", torch.ones(layers, channels))

    def forward(self, features: Float[Tensor, "B T layers C"]) -> Float[Tensor, "B T labels"]:
        """Return scores before the softmax."""
        return self.convolution(self.weighed(features).transpose(1, 2)).transpose(1, 2)

    def weighed(self, features: Float[Tensor, "... layers C"]) -> Float[Tensor, "... C"]:
        """Return one vector per frame: the weighted sum of its standardised layers."""
        weights = self.layer_weights.softmax(0) * len(self.layer_weights) ** 0.5  # equal weights keep a deviation of one
        return torch.einsum("...lc,l->...c", (features.float() - self.mean) / self.deviation, weights)

    def standardise(self, mean: Float[Tensor, "layers C"], deviation: Float[Tensor, "layers C"]) -> None:
        """Set the mean and the deviation of the features."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp_min(1e-4))


@dataclass(frozen=True)
class PhonemeHeads:
    """Classifiers trained on top of one encoder.

    Attributes:
        labels: IPA letters; label 0 is a pause for ``frames`` and the blank for ``ctc``.
        frames: names the sound of each frame.
        ctc: trained by CTC: spikes between blanks.
        prior: (labels,) logarithm of the share of frames with each sound.
        transitions: (labels, labels) logarithm of how often a row's sound is followed by a column's a frame later.
        encoder_digest: digest of the encoder's weights.
    """

    labels: tuple[str, ...]
    frames: FrameClassifier
    ctc: FrameClassifier
    prior: Float[Tensor, " labels"]
    transitions: Float[Tensor, "labels labels"]
    encoder_digest: str

    @property
    def digest(self) -> str:
        """Digest of the heads and of the encoder that they belong to."""
        own = [self.prior, self.transitions, *self.frames.state_dict().values(), *self.ctc.state_dict().values()]
        return hashlib.sha256(self.encoder_digest.encode() + b"".join(one.numpy().tobytes() for one in own)).hexdigest()

    def save(self, file: Path) -> None:
        """Write everything to a safetensors file, the weights of the linear layers in half precision."""
        tensors = {"prior": self.prior, "transitions": self.transitions}
        for name, head in (("frames", self.frames), ("ctc", self.ctc)):
            tensors |= {f"{name}.{key}": value.detach().clone() for key, value in head.state_dict().items()}
            tensors[f"{name}.convolution.weight"] = tensors[f"{name}.convolution.weight"].half()
        metadata = {"labels": json.dumps(self.labels, ensure_ascii=False), "encoder_digest": self.encoder_digest}
        write_tensors(file, tensors, metadata)


def weights_digest(encoder: Encoder) -> str:
    """Return a digest of the encoder's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_heads(encoder: Encoder) -> PhonemeHeads:
    """Load the heads of an encoder, which :func:`otlib.speech.encoder.load_encoder` has loaded, from its folder.

    Raises:
        InputError: no such file, damaged, or trained on another encoder.
    """
    file = encoder_folder(encoder.name) / FILE
    remedy = f"`{COMMAND} --encoder {encoder.name}` trains them"
    if not os.path.lexists(file):
        raise InputError(f"{file}: no phoneme heads for the encoder {encoder.name!r}; {remedy}")
    try:
        stored, metadata = read_tensors(file)
    except InputError as error:
        raise InputError(f"{error}; {remedy} again") from error
    try:
        heads = _heads({name: tensor.float() for name, tensor in stored.items()}, metadata, file)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{file}: the phoneme heads are damaged; {remedy} again") from error
    if heads.encoder_digest != weights_digest(encoder):
        raise InputError(f"{file}: the phoneme heads were trained on another encoder than {encoder.name!r}; {remedy} anew")
    return heads


def _heads(tensors: dict[str, Tensor], metadata: dict[str, str], file: Path) -> PhonemeHeads:
    labels = tuple(parsed_json(metadata["labels"], file))
    frames, ctc = (_classifier(tensors, name) for name in ("frames", "ctc"))
    prior, transitions = tensors["prior"], tensors["transitions"]
    count = len(labels)
    if not all(isinstance(label, str) for label in labels) or labels[0] or len(set(labels)) != count or not (
            len(frames.convolution.bias) == len(ctc.convolution.bias) == count and prior.shape == (count,)
            and transitions.shape == (count, count)):
        raise ValueError("labels and tensors do not belong together")
    if not all(tensor.isfinite().all() for tensor in (prior, *frames.state_dict().values(), *ctc.state_dict().values())):
        raise ValueError("a value is not finite")
    return PhonemeHeads(labels, frames, ctc, prior, transitions, metadata["encoder_digest"])


def _classifier(tensors: dict[str, Tensor], name: str) -> FrameClassifier:
    own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
    labels, channels, width = own["convolution.weight"].shape
    classifier = FrameClassifier(len(own["layer_weights"]), channels, labels, width // 2)
    classifier.load_state_dict(own)
    return classifier.eval().requires_grad_(False)


@torch.no_grad()
def log_probabilities(encoder: Encoder, head: FrameClassifier, samples: Float[Tensor, " S"]) -> Float[Tensor, "T labels"]:
    """Return the logarithm of each label's probability at each frame; layers are weighted early, to save memory."""
    weighed = encode(encoder, samples, keep=head.weighed)
    return head.convolution(weighed.T[None])[0].T.log_softmax(-1)
