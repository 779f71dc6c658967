"""A pre-trained HuBERT as it is used here: loaded by one setting, frozen, run over recordings of any length."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor
from transformers import HubertConfig, HubertModel

from otlib import hubert
from otlib.errors import InputError
from otlib.files import sha256

BUNDLED = "bundled"


@dataclass(frozen=True)
class Windows:
    """How a long recording is cut.

    Attributes:
        core: seconds of new features a window gives.
        margin: seconds at a window's inner ends whose features are thrown away.
        fade: seconds over which neighbouring windows are cross-faded.
    """

    core: float
    margin: float
    fade: float


# the bundled encoder sees a bounded stretch, so windows with that margin change nothing; one second is its running gain
LOCAL_WINDOWS = Windows(core=20.0, margin=hubert.RECEPTIVE_SECONDS + 1.1, fade=0.1)
# HuBERT-base looks at the whole clip, so any cut changes its features a little: as long as memory allows, and faded
GLOBAL_WINDOWS = Windows(core=20.0, margin=1.0, fade=1.0)


@dataclass(frozen=True)
class Encoder:
    """A frozen HuBERT with its name, the fingerprint of its weights and the way it wants its input."""

    name: str
    model: HubertModel
    fingerprint: str
    local: bool

    @property
    def layers(self) -> int:
        """How many layers of features there are: the transformer's input and each layer's output."""
        return self.model.config.num_hidden_layers + 1

    @property
    def channels(self) -> int:
        """Channels of each layer."""
        return self.model.config.hidden_size


def load_encoder(name: str = BUNDLED) -> Encoder:
    """Load a pre-trained HuBERT.

    Args:
        name: "bundled" for the small one that comes with the project, a folder in transformers' format, or a name on
            the hub such as "facebook/hubert-base-ls960" (taken from the local cache where the hub is out of reach).

    Raises:
        InputError: no such model, not a HuBERT, or weights that do not fit; never falls back to random weights.
    """
    source = str(hubert.BUNDLED) if name == BUNDLED else name
    transformers.utils.logging.disable_progress_bar()  # it would draw on stderr even where nothing is downloaded
    offline = "use the encoder that comes with the project (encoder = 'bundled')"
    try:
        config = HubertConfig.from_pretrained(source)
        model, report = HubertModel.from_pretrained(source, config=config, dtype=torch.float32, output_loading_info=True,
                                                    attn_implementation=hubert.ATTENTION if _is_local(config)
                                                    else "sdpa")
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        where = "as a folder, in the local cache and on the hub" if name != BUNDLED else f"in {hubert.BUNDLED.name}/"
        raise InputError(f"{name}: no HuBERT of the transformers format found {where}; give the folder of one, or "
                         f"{offline}") from error
    missing = sorted(key for key in report["missing_keys"] if key != "masked_spec_embed")
    if config.model_type != "hubert" or missing or report["mismatched_keys"]:
        raise InputError(f"{name}: its weights do not make a whole HuBERT (missing: {', '.join(missing[:3]) or 'none'}); "
                         f"download it again, or {offline}")
    return Encoder(name, model.eval().requires_grad_(False), _fingerprint(model, source), _is_local(config))


def _is_local(config: HubertConfig) -> bool:
    return getattr(config, "local_attention_radius", None) is not None


def _fingerprint(model: HubertModel, source: str) -> str:
    file = Path(source) / "model.safetensors"
    if file.is_file():
        return sha256(file)
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def encode(encoder: Encoder, samples: Float[Tensor, " S"], windows: Windows | None = None) -> Float[Tensor, "T layers C"]:
    """Return every layer's features of a whole recording, 50 frames a second.

    Args:
        encoder: from :func:`load_encoder`.
        samples: at 16 kHz, in [-1, 1].
        windows: how to cut; by default what fits the encoder.

    Returns:
        (T, layers, C) float32 with T = floor((S - 400) / 320) + 1, at least 1.
    """
    return torch.cat(list(encode_stream(encoder, samples, windows)))


@torch.no_grad()
def encode_stream(encoder: Encoder, samples: Float[Tensor, " S"],
                  windows: Windows | None = None) -> Iterator[Float[Tensor, "T layers C"]]:
    """Yield the features of consecutive stretches; laid end to end they are those of the whole recording.

    Memory is bounded by one window, whatever the length of the recording.
    """
    windows = windows or (LOCAL_WINDOWS if encoder.local else GLOBAL_WINDOWS)
    if samples.ndim != 1:
        raise ValueError(f"samples: expected (S,), got {tuple(samples.shape)}")
    if len(samples) < hubert.WINDOW:
        samples = torch.nn.functional.pad(samples, (0, hubert.WINDOW - len(samples)))
    total = (len(samples) - hubert.WINDOW) // hubert.HOP + 1
    core, margin, fade = (max(1, round(seconds * hubert.SAMPLE_RATE / hubert.HOP))
                          for seconds in (windows.core, windows.margin, windows.fade))
    ramp = torch.arange(1, fade + 1)[:, None, None] / (fade + 1)
    tail = None  # the previous window's view of the first frames of this one
    for first in range(0, total, core):
        last = min(first + core, total)  # exclusive
        end = min(last + fade, total) if last < total else total
        start_seen, end_seen = max(0, first - margin), min(total, end + margin)
        features = _run(encoder, samples[start_seen * hubert.HOP: (end_seen - 1) * hubert.HOP + hubert.WINDOW])
        features = features[first - start_seen: end - start_seen]
        if tail is not None:
            shared = min(len(tail), len(features))
            features[:shared] = torch.lerp(tail[:shared], features[:shared], ramp[:shared])
        tail = features[last - first:].clone()
        yield features[: last - first]


def _run(encoder: Encoder, samples: Tensor) -> Tensor:
    """Return (T, layers, C) for one window, its input scaled as the encoder was trained."""
    if encoder.local:
        scaled = hubert.running_gain(samples)
    else:  # HuBERT-base: zero mean and unit variance over the clip
        scaled = (samples - samples.mean()) / samples.std(correction=0).clamp_min(1e-5)
    states = encoder.model(scaled[None], output_hidden_states=True).hidden_states
    return torch.stack([state[0] for state in states], dim=1)
