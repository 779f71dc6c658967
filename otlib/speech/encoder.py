"""A pre-trained HuBERT as it is used here: loaded by one setting, frozen, run over recordings of any length."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from jaxtyping import Float
from torch import Tensor
from transformers import HubertConfig, HubertModel

from otlib.errors import InputError
from otlib.speech import local_hubert as hubert

BUNDLED = "bundled"
_CHECKED = 1 << 20  # samples looked at at once: an hour's answers alone would take 58 MB


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
            the hub such as "facebook/hubert-base-ls960" (the hub is asked only for what the local cache lacks).

    Raises:
        InputError: no such model, not a HuBERT, or weights that are damaged or do not fit; never falls back to random
            weights.
    """
    if name == BUNDLED:
        source, remedy = str(hubert.BUNDLED), "install the project again, or give the folder of another HuBERT"
        missing = f"the encoder that comes with the project is not in {source}"
    else:
        source, remedy = name, ("give the folder of a HuBERT in transformers' format, or use the encoder that comes with "
                                f"the project (encoder = '{BUNDLED}')")
        missing = "no HuBERT by that name, neither as a folder, nor in the local cache, nor on the hub"
    if Path(source).is_dir():
        missing = "its config.json is missing or damaged"

    def refusal(reason: str) -> InputError:
        return InputError(f"{name}: {reason}; {remedy}")

    with silently():
        try:
            config = local_first(HubertConfig.from_pretrained, source)
        except Exception as error:  # whatever transformers, json and the hub raise over a file that is not as it should be
            raise refusal(missing) from error
        if config.model_type != "hubert":
            raise refusal(f"is a {config.model_type}, not a HuBERT")
        attention = hubert.ATTENTION if _is_local(config) else "sdpa"
        try:
            model, report = local_first(HubertModel.from_pretrained, source, config=config, dtype=torch.float32,
                                         output_loading_info=True, attn_implementation=attention)
        except Exception as error:  # likewise, of safetensors and pickle
            raise refusal("its weights are missing, damaged or do not fit its config.json") from error
    _check_weights(model, set(report["missing_keys"]), refusal)
    return Encoder(name, model.eval().requires_grad_(False), _fingerprint(model), _is_local(config))


def local_first(load: Callable, source: str, **settings: Any) -> Any:
    """Call ``from_pretrained`` without the network and only then with it: what is cached waits for no hub."""
    try:
        return load(source, local_files_only=True, **settings)
    except OSError:
        if Path(source).is_dir():
            raise
        return load(source, **settings)


@contextlib.contextmanager
def silently() -> Iterator[None]:
    """Keep transformers from drawing progress bars and tables of weights, and from using up global random numbers."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def _check_weights(model: HubertModel, missing: set[str], refusal: Callable[[str], InputError]) -> None:
    """Refuse what transformers has filled with random numbers, and what is not a number."""
    if "masked_spec_embed" in missing:  # stands for hidden frames in pre-training alone: some releases leave it out
        model.masked_spec_embed.data.zero_()
        missing.remove("masked_spec_embed")
    if missing:
        raise refusal(f"its weights are not a whole HuBERT's (missing: {', '.join(sorted(missing)[:3])})")
    for key, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise refusal(f"its weights are damaged ({key} holds a value that is not a number)")


def _is_local(config: HubertConfig) -> bool:
    return getattr(config, "local_attention_radius", None) is not None


def _fingerprint(model: HubertModel) -> str:
    """Return a digest of everything that shapes the features: the configuration and the weights as loaded."""
    irrelevant = {"transformers_version", "architectures", "dtype", "_name_or_path"}
    config = {key: value for key, value in model.config.to_diff_dict().items() if key not in irrelevant}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def default_windows(encoder: Encoder) -> Windows:
    """Return how a long recording is cut for ``encoder``.

    A local encoder sees a bounded stretch, so that windows with that margin change nothing.
    """
    if not encoder.local:
        return GLOBAL_WINDOWS
    margin = hubert.context_frames(encoder.model.config) * hubert.HOP / hubert.SAMPLE_RATE
    return Windows(core=20.0, margin=margin, fade=0.1)


@torch.no_grad()
def encode(encoder: Encoder, samples: Float[Tensor, " S"], windows: Windows | None = None) -> Float[Tensor, "T layers C"]:
    """Return every layer's features of a whole recording, 50 frames a second.

    Args:
        encoder: from :func:`load_encoder`.
        samples: at 16 kHz, in [-1, 1].
        windows: how to cut; by default what fits the encoder.

    Returns:
        (T, layers, C) float32 with T = floor((S - 400) / 320) + 1, at least 1.

    Raises:
        ValueError: no samples, or one that is not a number.
    """
    return torch.cat(list(encode_stream(encoder, samples, windows)))


@torch.no_grad()
def encode_stream(encoder: Encoder, samples: Float[Tensor, " S"], windows: Windows | None = None,
                  silence: int = 0) -> Iterator[Float[Tensor, "T layers C"]]:
    """Yield the features of consecutive stretches; laid end to end they are those of the whole recording.

    Memory is bounded by one window, whatever the length of the recording.

    Args:
        encoder, samples, windows: as for :func:`encode`.
        silence: zeros that are heard before the samples; they are not laid before them in memory.
    """
    windows = windows or default_windows(encoder)
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(f"samples: expected (S,) with S > 0, got {tuple(samples.shape)}")
    if not all(part.isfinite().all() for part in samples.split(_CHECKED)):
        raise ValueError("samples: hold a value that is not a number or infinite")
    if silence + len(samples) < hubert.WINDOW:
        samples = torch.nn.functional.pad(samples, (0, hubert.WINDOW - silence - len(samples)))
    total = (silence + len(samples) - hubert.WINDOW) // hubert.HOP + 1
    core, margin, fade = (max(1, round(seconds * hubert.SAMPLE_RATE / hubert.HOP))
                          for seconds in (windows.core, windows.margin, windows.fade))
    ramp = (torch.arange(1, fade + 1, device=samples.device) / (fade + 1)).to(samples.dtype)[:, None, None]
    tail = None  # the previous window's view of the first frames of this one
    for first in range(0, total, core):
        last = min(first + core, total)  # exclusive
        end = min(last + fade, total) if last < total else total
        start_seen, end_seen = max(0, first - margin), min(total, end + margin)
        seen = _stretch(samples, start_seen * hubert.HOP - silence, (end_seen - 1) * hubert.HOP + hubert.WINDOW - silence)
        features = hidden_layers(encoder.model, scaled_input(seen, encoder.local))
        features = features[first - start_seen: end - start_seen]
        if tail is not None:
            shared = min(len(tail), len(features))
            features[:shared] = torch.lerp(tail[:shared], features[:shared], ramp[:shared])
        tail = features[last - first:].clone()
        yield features[: last - first]


def _stretch(samples: Float[Tensor, " S"], start: int, end: int) -> Float[Tensor, " S2"]:
    """Return samples from ``start`` to ``end``; before the first one there are zeros."""
    return torch.nn.functional.pad(samples[max(0, start): max(0, end)], (max(0, min(0, end) - start), 0))


def scaled_input(samples: Float[Tensor, " S"], local: bool) -> Float[Tensor, " S"]:
    """Return samples as a local encoder or, zero mean and unit variance over all of them, HuBERT-base was trained on."""
    if local:
        return hubert.running_gain(samples)
    return (samples - samples.mean()) / samples.std(correction=0).clamp_min(1e-5)


def hidden_layers(model: HubertModel, scaled: Float[Tensor, " S"]) -> Float[Tensor, "T layers C"]:
    """Return the transformer's input and each layer's output for samples that :func:`scaled_input` has scaled."""
    states = model(scaled[None], output_hidden_states=True).hidden_states
    return torch.stack([state[0] for state in states], dim=1)
