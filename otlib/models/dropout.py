"""What training withholds or disguises, so that a model knows more than its own speakers: their sound, and who speaks."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def perturb(features: Float[Tensor, "B T C"], lost: float, shift: float,
            generators: Sequence[torch.Generator] | None) -> Float[Tensor, "B T C"]:
    """Lose some channels of each clip and shift all of them, in the same way in all of the clip's frames.

    What parts one speaker or recording from another is mostly constant over a sentence; what parts one sound from another
    is not, and is kept. A model that leans on a few channels, or on their level, knows the voices that it was trained on
    and no others. Our choice, after measuring on recordings of people.

    Args:
        features: normalised, so that a shift of one is a channel's deviation.
        lost: probability that a channel is set to zero, below 1; the others are scaled up, so that the mean is kept.
        shift: standard deviation of what is added to each channel.
        generators: one for each clip, on the CPU; None changes nothing.
    """
    if generators is None or lost == shift == 0:
        return features
    channels = features.shape[-1]
    kept = torch.stack([torch.rand(channels, generator=generator) >= lost for generator in generators])
    moved = torch.stack([torch.randn(channels, generator=generator) for generator in generators])
    return features * (kept.to(features) / (1 - lost))[:, None] + shift * moved.to(features)[:, None]


def forget(style: Float[Tensor, "B C"], share: float, generators: Sequence[torch.Generator] | None) -> Float[Tensor, "B C"]:
    """Set the style of a share of the clips to zero and scale up the others', so that the mean is kept.

    Args:
        style: one vector for each clip.
        share: probability of a zero, below 1.
        generators: one for each clip, on the CPU; None forgets nothing.
    """
    if generators is None or share == 0:
        return style
    kept = torch.stack([torch.rand((), generator=generator) >= share for generator in generators])
    return style * (kept.to(style) / (1 - share))[:, None]
