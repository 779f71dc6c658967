"""The way back from motion: what the vertices of a coarse graph do in a frame, as one vector."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from otlib.models.decoder import DISPLACEMENT_UNIT


class MotionEncoder(nn.Module):
    """Every vertex's displacement, seen by its shape, then the mean and the largest over the vertices (our choice).

    No parameter depends on the number of vertices.

    Args:
        width: channels of a frame's vector.
        channels: channels of the templates' features.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.observe = nn.Linear(3, channels)
        self.summarise = nn.Linear(2 * channels, width)

    def forward(self, motion: Float[Tensor, "B T M 3"], shape: Float[Tensor, "B M C"]) -> Float[Tensor, "B T W"]:
        """Return one vector a frame.

        Args:
            motion: displacements of the finest coarse graph's vertices, metres.
            shape: features of the templates at these vertices.
        """
        local = nn.functional.gelu(self.observe(motion / DISPLACEMENT_UNIT) * (1 + shape[:, None]))  # B T M C
        return self.summarise(torch.cat([local.mean(2), local.amax(2)], -1))
