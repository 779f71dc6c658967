"""The small HuBERT of this project: its shape, its attention over neighbours in time, and its folder.

A HuBERT of the transformers library, with two choices of our own that make it independent of how a long recording is cut:
layer normalisation in the extractor, and attention limited to ``local_attention_radius`` frames. (HuBERT-base depends on
the whole clip, by group normalisation over time and scaling per utterance.) Its features at a frame therefore depend on a
bounded stretch of audio, :func:`context_frames` to each side.
"""

from pathlib import Path

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, HubertConfig

from otlib.speech.recording import SAMPLE_RATE

ENCODERS = Path(__file__).parent / "encoders"  # each folder is an encoder that comes with the project
BUNDLED = ENCODERS / "hubert-small"
HOP = 320  # samples per frame: 50 Hz
WINDOW = 400  # samples that the extractor sees for one frame
ATTENTION = "otlib_local"
_RADIUS = 24  # frames, 0.48 s: about two syllables, as far as a mouth's coarticulation reaches
_POSITION_KERNEL = 32  # frames; HuBERT-base has 128, which no 4 s crop of ours needs
_GAIN_REACH = SAMPLE_RATE // HOP  # frames, one second


def local_attention(module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
                    scaling: float | None = None, dropout: float = 0.0, **_) -> tuple[Tensor, None]:
    """Attend to the frames at most ``config.local_attention_radius`` away.

    Eight arguments, as transformers' attention interface passes them.

    Args:
        module: the calling attention layer; its configuration holds the radius.
        query, key, value: (B, heads, T, channels).
        attention_mask: must be None: clips are cut to equal lengths instead of padded.

    Returns:
        (B, T, heads, channels) and None, as transformers' attention interface demands.
    """
    if attention_mask is not None:
        raise ValueError("attention_mask: local attention takes clips of equal length, without padding")
    time = torch.arange(query.shape[2], device=query.device)
    near = (time[:, None] - time).abs() <= module.config.local_attention_radius
    output = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=near, dropout_p=dropout,
                                                              scale=scaling)
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, local_attention)
AttentionMaskInterface.register(ATTENTION, lambda *_, **__: None)


def small_configuration() -> HubertConfig:
    """Return the shape of the bundled encoder: 6 layers of 256 channels, 5 M parameters, 50 frames a second."""
    return HubertConfig(
        hidden_size=256, num_hidden_layers=6, num_attention_heads=4, intermediate_size=1024,
        conv_dim=(32, 48, 64, 96, 128, 192, 256), conv_bias=True, feat_extract_norm="layer", do_stable_layer_norm=True,
        num_conv_pos_embeddings=_POSITION_KERNEL, num_conv_pos_embedding_groups=16,
        local_attention_radius=_RADIUS, attn_implementation=ATTENTION,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0, layerdrop=0.0,
        final_dropout=0.0, mask_time_prob=0.05, mask_feature_prob=0.0)


def feature_count(samples: int) -> int:
    """Return how many features a recording of ``samples`` samples has: one for each whole window, at least one."""
    return max(0, samples - WINDOW) // HOP + 1


def samples_between(samples: Tensor, first: int, last: int, silence: int = 0) -> Tensor:
    """Return the samples that features ``first`` to ``last - 1`` see.

    Args:
        samples: (S,) at 16 kHz.
        first, last: numbers of features, counted from the start of the silence.
        silence: number of zeros before the samples; zeros also follow samples that are too few for one feature.
    """
    start, end = first * HOP - silence, (last - 1) * HOP + WINDOW - silence
    part = samples[max(0, start): max(0, end)]
    before = max(0, min(0, end) - start)
    return torch.nn.functional.pad(part, (before, end - start - before - len(part)))


def context_frames(configuration: HubertConfig) -> int:
    """Return how many frames away a sound can still change a feature, through the running gain and every layer.

    Args:
        configuration: that of a HuBERT with local attention.
    """
    attention = configuration.num_hidden_layers * configuration.local_attention_radius
    return _GAIN_REACH + configuration.num_conv_pos_embeddings // 2 + attention


def running_gain(samples: Tensor) -> Tensor:
    """Bring speech to an even level by the loudness around each moment.

    It replaces HuBERT-base's scaling per utterance, which needs the whole recording: the gain at a sample depends on one
    second to each side only (our choice: longer than a word, so that consonants stay quieter than vowels).

    Args:
        samples: (..., S) float32 in [-1, 1] at 16 kHz.

    Returns:
        (..., S): about 0.1 root mean square in speech; silence (below -60 dB) is not raised to the level of speech.
    """
    power = samples.square()
    blocks = torch.nn.functional.avg_pool1d(power.reshape(-1, 1, samples.shape[-1]), HOP, HOP, ceil_mode=True,
                                            count_include_pad=False)
    smooth = torch.nn.functional.avg_pool1d(blocks, 2 * _GAIN_REACH + 1, 1, _GAIN_REACH, count_include_pad=False)
    gain = 0.1 / smooth.sqrt().clamp_min(1e-3)
    gain = gain.repeat_interleave(HOP, dim=-1)[..., : samples.shape[-1]]
    return samples * gain.reshape(samples.shape)
