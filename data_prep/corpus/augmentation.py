"""Make clean synthetic speech sound recorded: room, microphone, noise and level, all drawn from one generator.

Each effect is applied to a whole batch in the frequency domain. The ranges are our choice: from a quiet studio to a
reverberant room with traffic outside.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How often and how strongly to augment; pairs are lower and upper bounds of a uniform distribution.

    Attributes:
        clean: fraction of clips left unchanged.
        reverberation: seconds until the echo has decayed by 60 dB.
        echo_gain: strength of the echo relative to the direct sound.
        noise: signal-to-noise ratio in dB.
        noise_slope: colour of the noise, exponent of 1 / frequency (0 white, 1 pink, 2 brown).
        tone: largest gain of the microphone's smooth frequency response, in dB.
        band_limit: upper edge of the recorded band, in Hz.
        level: overall gain, in dB.
    """

    clean: float = 0.2
    reverberation: tuple[float, float] = (0.05, 0.5)
    echo_gain: tuple[float, float] = (0.0, 0.7)
    noise: tuple[float, float] = (5.0, 40.0)
    noise_slope: tuple[float, float] = (0.0, 1.5)
    tone: float = 9.0
    band_limit: tuple[float, float] = (3400.0, 8000.0)
    level: tuple[float, float] = (-20.0, 6.0)


def augment(samples: Tensor, sample_rate: int, generator: torch.Generator,
            settings: Augmentation = Augmentation()) -> Tensor:
    """Return ``samples`` as if each were recorded in a different room by a different microphone.

    Args:
        samples: (B, S) float32 in [-1, 1].
        sample_rate: Hz.
        generator: the only source of randomness; the same state gives the same result.

    Returns:
        (B, S) float32; not clipped. The direct sound keeps its timing.
    """
    batch, length = samples.shape

    def uniform(bounds: tuple[float, float]) -> Tensor:
        return bounds[0] + (bounds[1] - bounds[0]) * torch.rand(batch, 1, generator=generator)

    padded = length + sample_rate // 2  # the echo must not wrap around
    spectrum = torch.fft.rfft(samples, padded)
    frequency = torch.fft.rfftfreq(padded, 1 / sample_rate)
    room = _room_response(batch, padded, sample_rate, uniform(settings.reverberation), uniform(settings.echo_gain),
                          generator)
    microphone = _microphone_response(batch, frequency, settings, uniform, generator)
    recorded = torch.fft.irfft(spectrum * room * microphone, padded)[:, :length]
    power = recorded.square().mean(1, keepdim=True)
    noise = _coloured_noise(batch, padded, frequency, uniform(settings.noise_slope), generator)[:, :length]
    recorded = recorded + noise * (power * 10 ** (-uniform(settings.noise) / 10)).sqrt()
    recorded = recorded * 10 ** (uniform(settings.level) / 20)
    clean = torch.rand(batch, 1, generator=generator) < settings.clean
    return torch.where(clean, samples, recorded)


def _room_response(batch: int, length: int, sample_rate: int, decay: Tensor, gain: Tensor, generator) -> Tensor:
    count = sample_rate // 2
    time = torch.arange(count) / sample_rate
    echo = torch.randn(batch, count, generator=generator) * torch.exp(-6.9 * time / decay)  # 60 dB is a factor e^6.9
    echo[:, : int(0.002 * sample_rate)] = 0.0
    echo = gain * echo / echo.norm(dim=1, keepdim=True).clamp_min(1e-6)
    echo[:, 0] += 1.0
    return torch.fft.rfft(echo, length)


def _microphone_response(batch: int, frequency: Tensor, settings: Augmentation, uniform, generator) -> Tensor:
    octave = torch.log2(frequency.clamp_min(40.0) / 40.0)[None]
    phase = 2 * torch.pi * torch.rand(3, batch, 1, generator=generator)
    waves = sum(torch.sin(2 * torch.pi * octave * (k + 1) / 8 + phase[k]) for k in range(3)) / 3
    gain = 10 ** (waves * settings.tone * torch.rand(batch, 1, generator=generator) / 20)
    edge = uniform(settings.band_limit)
    return gain / (1 + (frequency[None] / edge) ** 8)


def _coloured_noise(batch: int, length: int, frequency: Tensor, slope: Tensor, generator) -> Tensor:
    white = torch.fft.rfft(torch.randn(batch, length, generator=generator))
    noise = torch.fft.irfft(white * frequency.clamp_min(40.0)[None] ** (-slope / 2), length)
    return noise / noise.square().mean(1, keepdim=True).sqrt()
