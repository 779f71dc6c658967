"""The transformer over time: every frame listens to its neighbours, before and after."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LocalAttention(nn.Module):
    """Self-attention over time with a learned bias for each distance, and nothing beyond a radius.

    The peers bias attention by periodic ALiBi (FaceFormer, causal). Here the bias of each head and distance is learned,
    starts as ALiBi's slopes, and tells before from after; the radius lets a recording of any length be cut in windows
    that overlap (our choice).

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
        batch, frames, width = x.shape
        query, key, value = self.project(x).view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # B H T c
        time = torch.arange(frames, device=x.device)
        offset = time[None] - time[:, None]  # T T
        bias = self.bias[:, offset.clamp(-self.radius, self.radius) + self.radius]  # H T T
        bias = bias.masked_fill(offset.abs() > self.radius, float("-inf"))
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.out(attended.transpose(1, 2).reshape(batch, frames, width))


class TemporalTransformer(nn.Module):
    """Pre-norm transformer blocks of :class:`LocalAttention`, not autoregressive.

    Args:
        width: channels C.
        layers: blocks; a frame sees ``layers * radius`` frames to each side in all.
        heads, radius: of each block.
        dropout: after attention and inside the feed-forward part.
    """

    def __init__(self, width: int, layers: int, heads: int, radius: int, dropout: float) -> None:
        super().__init__()
        self.reach = layers * radius
        self.attentions = nn.ModuleList(LocalAttention(width, heads, radius) for _ in range(layers))
        self.feeds = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout),
                          nn.Linear(2 * width, width)) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.last_norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return what each frame knows of itself and its neighbours, same shape."""
        for norm, attention, feed in zip(self.norms, self.attentions, self.feeds, strict=True):
            x = x + self.dropout(attention(norm(x)))
            x = x + self.dropout(feed(x))
        return self.last_norm(x)
