"""HuBERT models of the transformers format, small enough to make, save and load in a test."""

import otlib  # noqa: F401  # isort: skip  (first: its guard lets transformers be imported beside any torch)

from pathlib import Path

import torch
from transformers import HubertConfig, HubertForCTC, HubertModel, PreTrainedModel, Wav2Vec2Config, Wav2Vec2Model

from otlib.hubert import ATTENTION

_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
          "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}


def whole_clip_hubert(seed: int = 0, **changes) -> HubertModel:
    """Return one in the manner of HuBERT-base: group normalisation over time, attention to the whole clip."""
    return _made(HubertConfig(**_SMALL | changes), seed)


def local_hubert(seed: int = 0, radius: int = 3) -> HubertModel:
    """Return one in the manner of the bundled encoder: layer normalisation, attention to near frames."""
    return _made(HubertConfig(**_SMALL, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True,
                              local_attention_radius=radius, attn_implementation=ATTENTION), seed)


def as_recogniser(model: HubertModel) -> HubertForCTC:
    """Return the same HuBERT under a head that names letters."""
    recogniser = HubertForCTC(model.config)
    recogniser.hubert = model
    return recogniser


def as_wav2vec2(model: HubertModel) -> Wav2Vec2Model:
    """Return a wav2vec 2.0 of the same shape with the same weights."""
    other = Wav2Vec2Model(Wav2Vec2Config(**{name: getattr(model.config, name) for name in _SMALL}))
    other.load_state_dict(model.state_dict())
    return other


def saved(model: PreTrainedModel, folder: Path) -> str:
    """Write ``model`` in transformers' format and return the folder as a setting."""
    model.save_pretrained(folder)
    return str(folder)


def _made(config: HubertConfig, seed: int) -> HubertModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return HubertModel(config).eval().requires_grad_(False)
