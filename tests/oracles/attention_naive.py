"""Attention over time as its definition reads: one loop for each head, frame and neighbour."""

import numpy as np


def local_attention(x, projection, projection_bias, out, out_bias, bias, radius):
    """Attend in one clip.

    Args:
        x: (T, C) signal.
        projection, projection_bias: (3C, C) and (3C,); the rows are those of queries, keys, then values, head by head.
        out, out_bias: (C, C) and (C,).
        bias: (heads, 2 radius + 1), added for each distance from -radius to radius.
        radius: frames beyond it are not heard.
    """
    frames, width = x.shape
    heads = len(bias)
    size = width // heads
    queries, keys, values = np.split(x @ projection.T + projection_bias, 3, axis=1)  # each T C
    mixed = np.zeros_like(x)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for t in range(frames):
            near = [s for s in range(frames) if abs(s - t) <= radius]
            scores = np.array([queries[t, part] @ keys[s, part] / np.sqrt(size) + bias[head, s - t + radius] for s in near])
            shares = np.exp(scores - scores.max())
            mixed[t, part] = sum(share * values[s, part] for share, s in zip(shares / shares.sum(), near, strict=True))
    return mixed @ out.T + out_bias
