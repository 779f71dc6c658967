"""Loudness and pitch alone: what a model can learn from the melody of speech, without its sounds.

The control for every claim that HuBERT's features carry phonemes: the same model, fed these three channels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW, feature_count

_PITCH_WINDOW = 640  # samples, 40 ms; the longest lag, a period of 60 Hz, is added to each side
_SIDE = (_PITCH_WINDOW - WINDOW) // 2 + SAMPLE_RATE // 60
MARGIN = -(-_SIDE // HOP)  # features to each side of a frame that its pitch depends on
_BLOCK = 1000  # frames at a time: their spectra take 33 MB; those of a long recording would take gigabytes


def prosody(samples: Float[Tensor, " S"]) -> Float[Tensor, "T 1 3"]:
    """Return loudness (dB / 20 above -60 dB), pitch (octaves above 100 Hz) and voicing (0 to 1), 50 frames a second.

    Frames lie where the encoder's lie. Pitch is the peak of the normalised autocorrelation between 60 and 400 Hz.
    The shape matches :func:`otlib.speech.encoder.encode` with one layer.
    """
    if len(samples) < WINDOW:
        samples = torch.nn.functional.pad(samples, (0, WINDOW - len(samples)))
    frames = feature_count(len(samples))
    loudness = samples.unfold(0, WINDOW, HOP)[:frames].square().mean(1).clamp_min(1e-6).log10() / 2 + 3
    padded = torch.nn.functional.pad(samples, (_SIDE, _SIDE))
    lags = torch.arange(SAMPLE_RATE // 400, SAMPLE_RATE // 60, device=samples.device)
    windows = padded.unfold(0, WINDOW + 2 * _SIDE, HOP)[:frames]
    size = 1 << (windows.shape[1] * 2 - 1).bit_length()
    peaks = []
    for block in windows.split(_BLOCK):
        spectrum = torch.fft.rfft(block - block.mean(1, keepdim=True), size)
        correlation = torch.fft.irfft(spectrum.abs().square(), size)
        ratio = correlation[:, lags] / correlation[:, :1].clamp_min(1e-8)
        peaks.append(ratio.clamp(0, 1).max(1))
    voicing, best = (torch.cat(part) for part in zip(*peaks, strict=True))
    pitch = torch.log2(SAMPLE_RATE / lags[best].to(samples.dtype) / 100)
    return torch.stack([loudness, pitch * (voicing > 0.3), voicing], 1)[:, None]
