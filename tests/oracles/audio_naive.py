"""Attention, gains, masks and resampling of the audio side, written out with loops over frames and samples."""

import math

import torch


def attention_within(query, key, value, radius):
    """Softmax over the keys at most ``radius`` frames away, one query at a time; (B, heads, T, C) to (B, T, heads, C)."""
    batch, heads, frames, channels = query.shape
    output = torch.zeros(batch, frames, heads, value.shape[-1], dtype=value.dtype)
    for b in range(batch):
        for h in range(heads):
            for t in range(frames):
                near = [s for s in range(frames) if abs(s - t) <= radius]
                weights = [math.exp(float(query[b, h, t] @ key[b, h, s]) / math.sqrt(channels)) for s in near]
                for s, weight in zip(near, weights, strict=True):
                    output[b, t, h] += value[b, h, s] * weight / sum(weights)
    return output


def gain_of_neighbourhood(samples, block, reach):
    """Divide by ten times the root of the mean of the blocks' powers, up to ``reach`` blocks to each side."""
    blocks = [samples[start:start + block] for start in range(0, len(samples), block)]
    powers = [float((part**2).mean()) for part in blocks]
    scaled = []
    for index, part in enumerate(blocks):
        near = powers[max(0, index - reach): index + reach + 1]
        scaled.append(part * 0.1 / max(math.sqrt(sum(near) / len(near)), 1e-3))
    return torch.cat(scaled)


def spans_from(starts, length):
    """Mark ``length`` frames from each start on."""
    mask = torch.zeros_like(starts)
    for clip, frame in starts.nonzero().tolist():
        mask[clip, frame:frame + length] = True
    return mask


def regression_slope(values, reach=2):
    """Slope over ``reach`` frames to each side (the "delta" of speech recognition), ends held; (T, C)."""
    last = len(values) - 1
    slopes = torch.zeros_like(values)
    for t in range(len(values)):
        for n in range(1, reach + 1):
            slopes[t] += n * (values[min(t + n, last)] - values[max(t - n, 0)])
    return slopes / (2 * sum(n * n for n in range(1, reach + 1)))


def cross_faded(windows, core, fade):
    """Join features of overlapping windows: window k starts at frame k * core, its first ``fade`` frames fade in."""
    joined = list(windows[0][:core])
    for before, window in zip(windows, windows[1:], strict=False):
        for t in range(min(core, len(window))):
            if t < fade and core + t < len(before):
                share = (t + 1) / (fade + 1)
                joined.append((1 - share) * before[core + t] + share * window[t])
            else:
                joined.append(window[t])
    return torch.stack(joined)
