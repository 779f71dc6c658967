"""A linear probe: how much of the sounds can be read off features by a weighted sum, and no more.

Multinomial logistic regression by AdamW: :class:`otlib.phonemes.frame_classifier.FrameClassifier` fitted on
standardised features. What is learned besides one linear layer is how to weigh an encoder's layers against each other.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from otlib.phonemes.frame_classifier import FrameClassifier


@dataclass(frozen=True)
class Fit:
    """How a probe is fitted: passes over the frames, frames a step, peak learning rate, weight decay, seed of the order."""

    passes: int = 12
    batch: int = 512
    learning_rate: float = 4e-3
    weight_decay: float = 1e-3
    seed: int = 0


def fit_probe(features: Float[Tensor, "N T layers C"], labels: Int[Tensor, " N"], classes: int,
              fit: Fit | None = None) -> FrameClassifier:
    """Fit a probe to frames that each come with their neighbours.

    Args:
        features: of N frames; T is odd, the frame itself in the middle; one layer or several; half precision is fine.
        labels: 0 to classes - 1.
        classes: how many there are.
        fit: how.

    Raises:
        ValueError: not as many labels as frames, or none.
    """
    if len(features) != len(labels) or len(labels) == 0:
        raise ValueError(f"labels: {len(labels)} for {len(features)} frames")
    fit = fit or Fit()
    generator = torch.Generator().manual_seed(fit.seed)
    width, layers, channels = features.shape[1:]
    probe = FrameClassifier(layers, channels, classes, width // 2)
    middle = features[:, width // 2].float()
    probe.standardise(middle.mean(0), middle.std(0))
    optimiser = torch.optim.AdamW(probe.parameters(), lr=fit.learning_rate, weight_decay=fit.weight_decay)
    steps = fit.passes * -(-len(labels) // fit.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    for _ in range(fit.passes):
        for chosen in torch.randperm(len(labels), generator=generator).split(fit.batch):
            loss = nn.functional.cross_entropy(scores(probe, features[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return probe.eval().requires_grad_(False)


def scores(probe: FrameClassifier, features: Float[Tensor, "N T layers C"]) -> Float[Tensor, "N classes"]:
    """Return the scores of the frame in the middle."""
    kernel = probe.convolution.weight.transpose(1, 2)  # (classes, T, C)
    return probe.weighed(features).flatten(1) @ kernel.flatten(1).T + probe.convolution.bias


def accuracy(probe: FrameClassifier, features: Float[Tensor, "N T layers C"], labels: Int[Tensor, " N"]) -> float:
    """Return the share of frames named right."""
    named = torch.cat([scores(probe, part).argmax(1) for part in features.split(4096)])
    return float((named == labels).float().mean())


def with_context(features: Float[Tensor, "T layers C"], reach: int) -> Float[Tensor, "T wide layers C"]:
    """Lay each frame beside its ``reach`` neighbours to either side; the first and last frames are held beyond the ends."""
    ends = [features[:1].expand(reach, -1, -1), features, features[-1:].expand(reach, -1, -1)]
    return torch.cat(ends).unfold(0, 2 * reach + 1, 1).permute(0, 3, 1, 2)
