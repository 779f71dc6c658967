"""A pre-trained HuBERT as it is used here: loaded by one setting, frozen, run over recordings of any length."""

import contextlib
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from jaxtyping import Float
from torch import Tensor
from transformers import HubertConfig, HubertModel, PreTrainedModel

from otlib.errors import InputError
from otlib.files import is_unicode
from otlib.speech import small_hubert as hubert
from otlib.speech.hub import local_model
from otlib.speech.overlapping_windows import Windows

BUNDLED = "bundled"
CORE = 20 * hubert.SAMPLE_RATE // hubert.HOP  # features per window: 20 seconds, as long as a laptop's memory allows
_OVERLAP = hubert.SAMPLE_RATE // hubert.HOP  # features, one second: margin and cross-fade of an encoder of whole clips


@dataclass(frozen=True)
class Encoder:
    """A frozen HuBERT with its name and fingerprint; ``local`` if a feature depends on the sound near it only."""

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

    @property
    def windows(self) -> Windows:
        """How a long recording is cut, in features.

        A local encoder sees a bounded stretch, so windows with that margin change nothing. HuBERT-base looks at the whole
        clip, so any cut changes its features a little, and neighbouring windows are cross-faded.
        """
        if self.local:
            return Windows(CORE, hubert.context_frames(self.model.config))
        return Windows(CORE, _OVERLAP, _OVERLAP)

    @torch.no_grad()
    def features(self, samples: Float[Tensor, " S"]) -> Float[Tensor, "T layers C"]:
        """Return every layer's features of a stretch of sound, in one pass."""
        return hidden_layers(self.model, scaled_input(samples, self.local))


def encoder_folder(name: str) -> Path:
    """Return the folder of an encoder: "bundled", the name of one that comes with the project, or a path."""
    if name == BUNDLED:
        return hubert.BUNDLED
    own = {folder.name: folder for folder in hubert.ENCODERS.iterdir() if folder.is_dir()}
    return own.get(name, Path(name))


def load_encoder(name: str = BUNDLED) -> Encoder:
    """Load a pre-trained HuBERT.

    Args:
        name: "bundled" for the small one that comes with the project, the name of another one that does (a folder of
            ``otlib/speech/encoders``), a folder in transformers' format, or a name on the hub with its revision, see
            :func:`otlib.speech.hub.local_model`; "facebook/hubert-base-ls960" stands for a fixed revision. The hub is
            asked only for what the local cache lacks.

    Raises:
        InputError: no such model, not a HuBERT, or weights that are damaged or do not fit; it never falls back to random
            weights.
    """
    if name == BUNDLED:
        source, remedy = str(hubert.BUNDLED), "install the project again, or give the folder of another HuBERT"
        missing = f"the encoder that comes with the project is not in {source}"
    else:
        source = str(folder) if name and (folder := encoder_folder(name)).is_dir() else name
        remedy = ("give the folder of a HuBERT in transformers' format, or use the encoder that comes with the project "
                  f"(encoder = '{BUNDLED}')")
        missing = "no HuBERT by that name, neither as a folder, nor in the local cache, nor on the hub"

    def refusal(reason: str) -> InputError:
        return InputError(f"{name or 'no name'}: {reason}; {remedy}")

    folder = local_model(source, missing, refusal)
    with silently():
        try:
            config = HubertConfig.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # whatever transformers raises over a bad file
            raise refusal("its config.json is damaged") from error
        if config.model_type != "hubert":
            raise refusal(f"is a {config.model_type}, not a HuBERT")
        local = getattr(config, "local_attention_radius", None) is not None
        model = pretrained(HubertModel, "HuBERT", folder, refusal, config=config,
                           attn_implementation=hubert.ATTENTION if local else "sdpa")
    encoder = Encoder(name, model, _fingerprint(model), local)
    if _trial(encoder) != (2, encoder.layers, encoder.channels):
        raise refusal(f"does not give a feature every {hubert.HOP} samples and layer, so its config.json is damaged or of "
                      "another network")
    return encoder


def _trial(encoder: Encoder) -> tuple[int, ...] | None:
    """Return the shape of the features of a stretch that has two, or None if the network cannot run."""
    try:
        return tuple(encoder.features(torch.zeros(hubert.WINDOW + hubert.HOP)).shape)
    except Exception:  # whatever torch raises over strides and sizes that anyone may have written
        return None


@contextlib.contextmanager
def silently() -> Iterator[None]:
    """Keep transformers from drawing progress bars and tables of weights, and from using up global random numbers."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about files that are refused anyway
            yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def pretrained(loader: type, kind: str, folder: Path, refusal: Callable[[str], InputError],
               **options: Any) -> PreTrainedModel:
    """Load a frozen model in float32, with all its weights.

    Args:
        loader: the class of transformers that loads it.
        kind: what the model is, for messages.
        folder: where it lies.
        refusal: makes the error from a reason.
        options: further arguments of ``from_pretrained``.

    Raises:
        InputError: weights that are damaged, do not fit, or would be filled with random numbers; a folder whose name is not
            Unicode.
    """
    if not is_unicode(folder):
        raise refusal("has a name that is not Unicode, where transformers reads no weights, so rename the folder")
    try:
        model, report = loader.from_pretrained(folder, dtype=torch.float32, local_files_only=True, output_loading_info=True,
                                               **options)
    except Exception as error:  # whatever safetensors and pickle raise
        raise refusal("its weights are missing, damaged or do not fit its config.json") from error
    missing = set(report["missing_keys"])
    for key in [key for key in missing if key.endswith("masked_spec_embed")]:  # used in pre-training only, often left out
        model.get_parameter(key).data.zero_()
        missing.remove(key)
    if missing:
        raise refusal(f"its weights are not a whole {kind}'s (missing: {', '.join(sorted(missing)[:3])})")
    for key, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise refusal(f"its weights are damaged ({key} holds a value that is not a number)")
    return model.eval().requires_grad_(False)


def _fingerprint(model: HubertModel) -> str:
    """Return a digest of everything that shapes the features: the configuration and the weights as loaded."""
    irrelevant = {"transformers_version", "architectures", "dtype", "_name_or_path"}
    config = {key: value for key, value in model.config.to_diff_dict().items() if key not in irrelevant}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def encode(encoder: Encoder, samples: Float[Tensor, " S"], windows: Windows | None = None,
           keep: Callable[[Tensor], Tensor] = lambda features: features) -> Float[Tensor, "T ..."]:
    """Return every layer's features of a whole recording, 50 a second; beside the result it takes the memory of one window.

    Args:
        encoder: from :func:`load_encoder`.
        samples: at 16 kHz, in [-1, 1].
        windows: how to cut the recording; by default ``encoder.windows``.
        keep: returns what to keep of each stretch (T, layers, C), if all of it is too much.

    Returns:
        (T, layers, C) float32, or what ``keep`` returns, with T = floor((S - 400) / 320) + 1, at least 1.

    Raises:
        ValueError: no samples, or one that is not finite.
    """
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(f"samples: expected (S,) with S > 0, got {tuple(samples.shape)}")
    if not torch.stack(samples.aminmax()).isfinite().all():
        raise ValueError("samples: hold a value that is not a number or infinite")
    stretches = (windows or encoder.windows).over(hubert.feature_count(len(samples)), lambda first, last: encoder.features(
        hubert.samples_between(samples, first, last)))
    return torch.cat([keep(stretch) for stretch in stretches])


def scaled_input(samples: Float[Tensor, " S"], local: bool) -> Float[Tensor, " S"]:
    """Return samples scaled as in training: to an even level (local encoder), or to mean 0 and variance 1 (HuBERT-base)."""
    if local:
        return hubert.running_gain(samples)
    return (samples - samples.mean()) / samples.std(correction=0).clamp_min(1e-5)


def hidden_layers(model: HubertModel, scaled: Float[Tensor, " S"]) -> Float[Tensor, "T layers C"]:
    """Return the transformer's input and each layer's output for samples scaled by :func:`scaled_input`."""
    states = model(scaled[None], output_hidden_states=True).hidden_states
    return torch.stack([state[0] for state in states], dim=1)
