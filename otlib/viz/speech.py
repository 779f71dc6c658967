"""From sound to movement: a waveform with its phonemes, and what they ask of jaw and lips."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num
from matplotlib.figure import Figure

from otlib.viz import palette
from otlib.viz.curves import mark_phonemes, tidy


def speech_panels(
    samples: Num[np.ndarray, " S"],
    sample_rate: int,
    phonemes: Sequence[Mapping[str, Any]],
    times: Float[np.ndarray, " _"],
    controls: Mapping[str, Float[np.ndarray, " _"]],
) -> Figure:
    """Draw a waveform and, under it on the same axis of time, one panel for each control of a face.

    Args:
        samples: (S,) of any scale.
        sample_rate: Hz.
        phonemes: {"phoneme": IPA symbol, "start": seconds, "end": seconds} each; the spans of p, b and m are shaded.
        times: (T,) seconds, of the controls.
        controls: (T,) values from 0 to 1 by name, in the order of the panels.

    Raises:
        ValueError: no controls, or one of another length than ``times``.
    """
    for name, curve in controls.items():
        if len(curve) != len(times):
            raise ValueError(f"{name}: {len(curve)} values, expected {len(times)} as times")
    if not controls:
        raise ValueError("controls: at least one is needed")
    heights = [2.0, *[1.0] * len(controls)]
    seconds = len(samples) / sample_rate
    figure = Figure(figsize=(float(np.clip(4.2 * seconds, 7.2, 12.0)), 0.5 + 0.62 * sum(heights)), layout="constrained")
    wave, *panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    wave.plot(np.arange(len(samples)) / sample_rate, samples, color=palette.NEUTRAL, linewidth=0.4)
    wave.set_xlim(0, seconds)
    wave.set_ylabel("sound", rotation=0, ha="right", va="center")
    for panel, (name, curve) in zip(panels, controls.items(), strict=True):
        panel.plot(times, curve, color=palette.TRUE, linewidth=1.8)
        panel.set_ylim(-0.05, 1.05)
        panel.set_ylabel(name, rotation=0, ha="right", va="center")
    for axes in (wave, *panels):
        mark_phonemes(axes, phonemes, 0.0, seconds, named=axes is wave)
        axes.set_yticks([])
        tidy(axes, grid=False)
    panels[-1].set_xlabel("time (s)")
    return figure
