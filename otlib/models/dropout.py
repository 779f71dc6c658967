"""What training hides or disguises, so that a model copes with new speakers: their sound, and who speaks."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def perturb(features: Float[Tensor, "B T C"], lost: float, shift: float,
            generators: Sequence[torch.Generator] | None) -> Float[Tensor, "B T C"]:
    """Zero some channels of each clip and shift all of them, in the same way in all of the clip's frames.

    What distinguishes one speaker or recording from another is mostly constant over a sentence; what distinguishes one
    sound from another is not, and is kept. A model that relies on a few channels, or on their level, copes with no voice
    but those it was trained on. Our choice, after measurements on recordings of people.

    Args:
        features: normalised, so that a shift of one is a channel's standard deviation.
        lost: probability that a channel is set to zero, below 1; the others are scaled up, so that the mean is kept.
        shift: standard deviation of the number added to each channel.
        generators: one for each clip, on the CPU; None changes nothing.
    """
    if generators is None or lost == shift == 0:
        return features
    channels = features.shape[-1]
    mask = torch.stack([torch.rand(channels, generator=generator) >= lost for generator in generators])
    offset = torch.stack([torch.randn(channels, generator=generator) for generator in generators])
    return features * (mask.to(features) / (1 - lost))[:, None] + shift * offset.to(features)[:, None]


def forget(style: Float[Tensor, "B C"], share: float, generators: Sequence[torch.Generator] | None) -> Float[Tensor, "B C"]:
    """Set the style of a share of the clips to zero and scale up the others', so that the mean is kept.

    Args:
        style: one vector for each clip.
        share: probability of a zero, below 1.
        generators: one for each clip, on the CPU; None changes nothing.
    """
    if generators is None or share == 0:
        return style
    mask = torch.stack([torch.rand((), generator=generator) >= share for generator in generators])
    return style * (mask.to(style) / (1 - share))[:, None]
