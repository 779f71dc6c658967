"""The transformer over time: every frame attends to the frames around it, before and after."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def drop(x: Float[Tensor, "B T C"], share: float, generators: Sequence[torch.Generator] | None) -> Float[Tensor, "B T C"]:
    """Set a share of the numbers to zero and scale up the others, so that the mean is kept (dropout).

    Args:
        x: signal.
        share: probability of a zero, below 1.
        generators: one for each clip, on the CPU, so that what a clip loses does not depend on its batch or its device;
            None drops nothing.
    """
    if generators is None or share == 0:
        return x
    mask = torch.stack([torch.rand(x.shape[1:], generator=generator) >= share for generator in generators])
    return x * mask.to(x) / (1 - share)


class LocalAttention(nn.Module):
    """Self-attention over time with a learned bias for each distance, and nothing beyond a radius.

    The peers bias attention by periodic ALiBi (FaceFormer, causal). Here the bias of each attention head and distance is
    learned and tells before from after. It starts with slopes of 1/2, 1/4 and so on, each half the one before, as in ALiBi
    with eight attention heads; for four ALiBi would take 1/4 to 1/256. The radius lets a recording of any length be cut
    into windows that overlap (our choice).

    Args:
        width: channels C, divisible by ``heads``.
        heads: attention heads.
        radius: frames to each side.
    """

    def __init__(self, width: int, heads: int, radius: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not divisible by heads {heads}")
        self.heads, self.radius = heads, radius
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        distance = torch.arange(-radius, radius + 1).abs()
        slopes = 2.0 ** -torch.arange(1, heads + 1)
        self.bias = nn.Parameter(-slopes[:, None] * distance)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return the attended signal, same shape."""
        batch, frames, _ = x.shape
        query, key, value = self.project(x).view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # B H T c
        return self._attend(query, key, value, self._bias(frames))

    def _bias(self, frames: int) -> Float[Tensor, "H T T"]:
        time = torch.arange(frames, device=self.bias.device)
        offset = time[None] - time[:, None]  # T T
        bias = self.bias[:, offset.clamp(-self.radius, self.radius) + self.radius]  # H T T
        return bias.masked_fill(offset.abs() > self.radius, float("-inf"))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Float[Tensor, "B T C"]:
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.out(attended.transpose(1, 2).flatten(2))


class LocalCrossAttention(LocalAttention):
    """Attention of one signal over time to another, with the same bias for each distance; some frames can be hidden."""

    def forward(self, x: Float[Tensor, "B T C"], memory: Float[Tensor, "B T C"],
                visible: Bool[Tensor, "B T"] | None = None) -> Float[Tensor, "B T C"]:
        """Return what each frame of ``x`` reads from the frames of ``memory`` around it.

        Args:
            x: the signal that asks.
            memory: the signal that answers.
            visible: which frames of ``memory`` may answer; each frame may always read its own.
        """
        batch, frames, width = x.shape
        weight, bias = self.project.weight, self.project.bias
        query = nn.functional.linear(x, weight[:width], bias[:width]).view(batch, frames, self.heads, -1).transpose(1, 2)
        key, value = nn.functional.linear(memory, weight[width:], bias[width:]).view(
            batch, frames, 2, self.heads, -1).permute(2, 0, 3, 1, 4)  # B H T c
        distance = self._bias(frames)
        if visible is not None:
            own = torch.eye(frames, dtype=torch.bool, device=x.device)
            distance = distance.masked_fill(~(visible[:, None, None] | own), float("-inf"))  # B H T T
        return self._attend(query, key, value, distance)


class TemporalTransformer(nn.Module):
    """Pre-norm transformer blocks of :class:`LocalAttention`, not autoregressive.

    Args:
        width: channels C.
        layers: blocks; a frame sees ``layers * radius`` frames to each side in all.
        heads, radius: attention heads and radius of each block.
        dropout: share of numbers dropped after attention, inside the feed-forward part and after it.
    """

    def __init__(self, width: int, layers: int, heads: int, radius: int, dropout: float) -> None:
        super().__init__()
        self.reach, self.dropout = layers * radius, dropout
        self.attentions = nn.ModuleList(LocalAttention(width, heads, radius) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.widen = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU()) for _ in range(layers))
        self.narrow = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B T C"],
                generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B T C"]:
        """Return each frame's signal after attention to its neighbours, same shape.

        Args:
            x: signal.
            generators: for dropout, one for each clip, in training; None drops nothing.
        """
        for norm, attention, widen, narrow in zip(self.norms, self.attentions, self.widen, self.narrow, strict=True):
            x = x + drop(attention(norm(x)), self.dropout, generators)
            x = x + drop(narrow(drop(widen(x), self.dropout, generators)), self.dropout, generators)
        return self.last_norm(x)
