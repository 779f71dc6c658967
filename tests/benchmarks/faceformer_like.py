"""A FaceFormer-like baseline for timings alone, written here from what its paper and code say; it is trained nowhere.

Kept of FaceFormer: one transformer decoder layer of 4 heads with a causal mask whose bias falls by periods (periodic
ALiBi), 64 channels at 5,023 vertices and 128 at 23,370, audio aligned frame by frame, autoregressive over displacements
that go through a 3V -> C layer and come out of a C -> 3V layer. Its own code runs the decoder anew over all frames so far
for each frame, in training as in inference; so does this.
"""

import torch
from torch import Tensor, nn

HEADS = 4


class FaceFormerLike(nn.Module):
    """Audio features in, displacements out, one frame after the other.

    Args:
        features: channels of the audio encoder.
        vertices: V.
        width: C, 64 (VOCASET) or 128 (BIWI).
        period: frames after which the bias falls by one step, 30 or 25.
    """

    def __init__(self, features: int, vertices: int, width: int, period: int) -> None:
        super().__init__()
        self.audio = nn.Linear(features, width)
        self.into = nn.Linear(3 * vertices, width)
        layer = nn.TransformerDecoderLayer(width, HEADS, dim_feedforward=2 * width, batch_first=True)
        self.decoder = nn.TransformerDecoder(layer, num_layers=1)
        self.out = nn.Linear(width, 3 * vertices)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.style = nn.Parameter(torch.zeros(width))
        self.period = period

    def mask(self, frames: int) -> Tensor:
        """Return (heads, T, T): minus infinity for what is to come, else a penalty by the periods that lie between."""
        time = torch.arange(frames)
        distance = (time[:, None] - time) // self.period
        slopes = 2.0 ** (-8.0 / HEADS * torch.arange(1, HEADS + 1))
        bias = -slopes[:, None, None] * distance
        return bias.masked_fill(time > time[:, None], float("-inf"))

    def forward(self, features: Tensor) -> Tensor:
        """Return (1, T, V, 3) from (1, T, features)."""
        memory = self.audio(features)  # 1 T C
        frames = memory.shape[1]
        mask = self.mask(frames)
        aligned = torch.full((frames, frames), float("-inf")).fill_diagonal_(0.0)  # frame t hears frame t
        tokens = self.style[None, None]
        for time in range(1, frames + 1):
            hidden = self.decoder(tokens, memory, tgt_mask=mask[:, :time, :time], memory_mask=aligned[:time])
            motion = self.out(hidden)  # 1 t 3V
            if time < frames:
                tokens = torch.cat([tokens, (self.into(motion[:, -1]) + self.style)[:, None]], 1)
        return motion.unflatten(2, (-1, 3))
