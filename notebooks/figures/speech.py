"""From sound to movement: a waveform with its phonemes, what they ask of jaw and lips, and how alike its moments are."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Num
from matplotlib.figure import Figure
from scipy.signal import find_peaks

from otlib.phonemes import Phoneme
from otlib.viz import palette
from otlib.viz.curves import mark_phonemes, tidy


def speech_panels(
    samples: Num[np.ndarray, " S"],
    sample_rate: int,
    phonemes: Sequence[Phoneme],
    times: Float[np.ndarray, " _"],
    controls: Mapping[str, Float[np.ndarray, " _"]],
) -> Figure:
    """Draw a waveform and, under it on the same axis of time, one panel for each control of a face.

    Args:
        samples: (S,) of any scale.
        sample_rate: Hz.
        phonemes: with their times; p, b and m are shaded.
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



def self_similarity(
    similarity: Float[np.ndarray, "T T"],
    phonemes: Sequence[Phoneme],
    seconds: float,
    *,
    limits: tuple[float, float] = (-0.2, 1.0),
) -> Figure:
    """Draw how alike the features of each two moments of a sentence are, with its phonemes along both edges.

    Args:
        similarity: (T, T) cosine of the angle between the features of two frames.
        phonemes: with their times.
        seconds: length of the recording.
        limits: the values that get the first and the last colour.
    """
    figure = Figure(figsize=(7.4, 6.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(similarity, cmap=palette.COST_COLOURMAP, vmin=limits[0], vmax=limits[1], interpolation="nearest",
                        extent=(0, seconds, seconds, 0))
    for phoneme in phonemes:
        weight = "bold" if phoneme.is_bilabial else "normal"
        for place, coordinates in (((phoneme.middle, 1.0), ("data", "axes fraction")),
                                   ((0.0, phoneme.middle), ("axes fraction", "data"))):
            vertical = coordinates[0] == "data"
            axes.annotate(phoneme.symbol, place, (0, 3) if vertical else (-3, 0), xycoords=coordinates, fontsize=8,
                          textcoords="offset points", fontweight=weight, ha="center" if vertical else "right",
                          va="bottom" if vertical else "center")
        for line in (axes.axvline, axes.axhline):
            line(phoneme.start, color="white", linewidth=0.3, alpha=0.6)
    axes.set_yticks([])
    axes.set_xlabel("time (s)")
    figure.colorbar(image, ax=axes, label="cosine of the angle between two frames", shrink=0.7)
    return figure


def closed_and_open(gap_mm: Float[np.ndarray, " T"], count: int) -> list[int]:
    """Return frames of a sentence worth looking at, in order of time: half its tightest closures, half its widest openings.

    A closure lies between two openings, so the silence before and after a sentence is none. A curve with fewer turns of
    at least a quarter of its range gives fewer frames, one without any its first.

    Args:
        gap_mm: (T,) millimetres between the lips.
        count: of frames, at most.
    """
    least = np.ptp(gap_mm) / 4  # of a turn that the eye sees as one (our choice)
    closures, openings = (find_peaks(curve, prominence=least)[0] for curve in (-gap_mm, gap_mm))
    tightest = closures[np.argsort(gap_mm[closures], kind="stable")][: count // 2]
    widest = openings[np.argsort(-gap_mm[openings], kind="stable")][: count - count // 2]
    return sorted(map(int, [*tightest, *widest])) or [0]


def probe_layers(
    curves: Mapping[str, Float[np.ndarray, " _"]],
    lines: Mapping[str, float],
    ylabel: str = "frames named right (%)",
) -> Figure:
    """Draw what a probe reads off each layer of some encoders, beside what it reads off other features.

    Args:
        curves: by the encoder's name, (layers,) percent; layer 0 is what the transformer is fed.
        lines: by name, one percentage each, drawn across.
        ylabel: what the values are.

    Raises:
        ValueError: no curves.
    """
    if not curves:
        raise ValueError("curves: at least one is needed")
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, values) in enumerate(curves.items()):
        colour = palette.SERIES[number % len(palette.SERIES)]
        axes.plot(np.arange(len(values)), values, "os^D"[number % 4] + "-", color=colour, linewidth=1.8, label=name)
    for number, (name, value) in enumerate(lines.items()):
        axes.axhline(value, linestyle=("--", ":", "-.")[number % 3], color=palette.NEUTRAL, linewidth=1.4, label=name)
    axes.set_xticks(np.arange(max(len(values) for values in curves.values())))
    axes.set_ylim(0, 100)
    axes.set_xlabel("layer (0 is the transformer's input)")
    axes.set_ylabel(ylabel)
    tidy(axes)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def feature_tracks(
    tracks: Mapping[str, tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"]]],
    phonemes: Sequence[Phoneme],
    ylabel: str,
) -> Figure:
    """Draw one feature at several frame rates against time; the first track is a grey line, the others are marks.

    Args:
        tracks: by name, times in seconds and values.
        phonemes: with their times.
        ylabel: what the feature is.

    Raises:
        ValueError: no tracks, or a track whose times and values differ in number.
    """
    if not tracks:
        raise ValueError("tracks: at least one is needed")
    figure = Figure(figsize=(10.0, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, (times, values)) in enumerate(tracks.items()):
        if len(times) != len(values):
            raise ValueError(f"{name}: {len(values)} values, expected {len(times)} as times")
        if number == 0:
            axes.plot(times, values, ".-", color=palette.NEUTRAL, linewidth=1.0, markersize=3, label=name)
        else:
            axes.plot(times, values, "os^"[number % 3], color=palette.SERIES[number - 1], markersize=5, label=name)
    times, _ = next(iter(tracks.values()))
    first, last = float(np.min(times)), float(np.max(times))
    mark_phonemes(axes, phonemes, first, last)
    axes.set_xlim(first, last)
    axes.set_xlabel("time (s)")
    axes.set_ylabel(ylabel)
    tidy(axes, grid=False)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
