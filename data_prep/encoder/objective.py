"""Masked prediction of hidden units: HuBERT's pre-training objective (Hsu et al. 2021, sections II-A to II-C).

Differs from the paper in three ways, all our choice for a model trained for an hour on a CPU: a linear layer gives the
logits (paper: cosine similarity to learned code vectors, temperature 0.1); units are 50 a second like the features
(paper: MFCC units at 100 Hz, every second one kept); and the frames that are seen count in the loss as much as the hidden
ones (paper: hidden ones only, best after 100,000s of steps; seen frames teach the extractor from the first step).
"""

from dataclasses import dataclass

import torch
import torchaudio
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import HubertModel

from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW

_COEFFICIENTS = 13


@dataclass(frozen=True)
class Masking:
    """Spans hidden from the transformer.

    Attributes:
        start_probability: chance of a frame to begin a span (paper: 0.08).
        span: frames a span (paper: 10).
    """

    start_probability: float = 0.08
    span: int = 10


def mfcc(samples: Float[Tensor, "B S"]) -> Float[Tensor, "B T 39"]:
    """Return MFCC with first and second differences, one frame for each frame of the encoder.

    Args:
        samples: speech at 16 kHz.

    Returns:
        13 coefficients, 13 deltas and 13 delta-deltas, each with mean zero over the clip and deviations of 1, 1/2 and 1/4
        (our choice: it takes the voice out of the units and lets spectra count more than their changes),
        T = floor((S - 400) / 320) + 1 frames.

    Raises:
        ValueError: fewer than two frames, of which there is no deviation.
    """
    if frame_count(samples.shape[1]) < 2:
        raise ValueError(f"samples: {samples.shape[1]} of them make less than the 2 frames that a deviation needs")
    transform = torchaudio.transforms.MFCC(
        SAMPLE_RATE, _COEFFICIENTS, melkwargs={"n_fft": WINDOW, "win_length": WINDOW, "hop_length": HOP, "n_mels": 40,
                                               "center": False}).to(samples.device)
    coefficients = transform(samples[:, None])[:, 0]  # (B, 13, T); as one channel a clip's floor is below its own peak
    first = torchaudio.functional.compute_deltas(coefficients)
    stacked = torch.cat([coefficients, first, torchaudio.functional.compute_deltas(first)], 1).transpose(1, 2)
    weight = torch.tensor([1.0, 0.5, 0.25], device=samples.device).repeat_interleave(_COEFFICIENTS)
    return weight * (stacked - stacked.mean(1, keepdim=True)) / stacked.std(1, keepdim=True).clamp_min(1e-3)


def frame_count(samples: int) -> int:
    """Return how many frames the encoder and :func:`mfcc` make of that many samples at 16 kHz."""
    return max(0, (samples - WINDOW) // HOP + 1)


def draw_mask(batch: int, frames: int, masking: Masking, generator: torch.Generator) -> Bool[Tensor, "B T"]:
    """Return which frames are hidden: spans that may overlap, at least one in each clip."""
    starts = torch.rand(batch, frames, generator=generator) < masking.start_probability
    starts[torch.arange(batch), torch.randint(frames, (batch,), generator=generator)] = True
    ends = starts.long().cumsum(1)
    before = torch.nn.functional.pad(ends, (masking.span, 0))[:, :frames]
    return ends > before


class MaskedUnitPrediction(nn.Module):
    """A HuBERT and a linear layer that names the hidden unit of every frame; with a teacher, one that says its features."""

    def __init__(self, encoder: HubertModel, units: int, taught: int = 0) -> None:
        """Take an encoder.

        Args:
            encoder: to train.
            units: how many there are.
            taught: channels of the teacher's features; 0 for no teacher.
        """
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, units)
        self.pupil = nn.Linear(encoder.config.hidden_size, taught) if taught else None

    def forward(self, samples: Float[Tensor, "B S"], units: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"],
                lesson: Float[Tensor, "B T C"] | None = None) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the loss and the share of hidden frames named right.

        The loss is the cross-entropy (hidden frames' mean plus seen frames' mean); with a teacher, plus the mean squared
        distance to its features (deviation 1 in each channel), hidden frames and seen ones alike (our choice: the features
        say more than the names, as in DistilHuBERT, Chang et al. 2022). Frames with a negative unit (-100, torch's own
        mark) count in no cross-entropy, frames whose lesson is not a number in no distance.

        Raises:
            ValueError: no frame is hidden, or none is seen, or there is a lesson without a teacher or the other way round.
        """
        if (lesson is None) != (self.pupil is None):
            raise ValueError("lesson: goes with the channels of a teacher, and they with it")
        if mask.all() or not mask.any():
            raise ValueError("mask: needs hidden frames and seen ones")
        heard = self.encoder(samples, mask_time_indices=mask).last_hidden_state
        logits = self.head(heard).float()
        hidden, seen = (nn.functional.cross_entropy(logits[chosen], units[chosen]) for chosen in (mask, ~mask))
        judged = mask & (units >= 0)
        distance = 0.0
        if self.pupil is not None:
            given = lesson.isfinite().all(-1)
            distance = (self.pupil(heard).float()[given] - lesson[given]).square().sum() / max(1, lesson[given].numel())
        return hidden + seen + distance, (logits[judged].argmax(-1) == units[judged]).float().mean()
