"""Figures of numbers: loss against step, lip opening against time, methods against each other."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otlib.phonemes.timed_phoneme import Phoneme
from otlib.viz import palette


def loss_curves(
    curves: Mapping[str, tuple[Integer[np.ndarray, " _"], Float[np.ndarray, " _"]]],
    *,
    ylabel: str = "loss",
    window: int = 1,
) -> Figure:
    """Draw each term of the loss against the training step, on a logarithmic axis.

    Args:
        curves: (steps, values) of each term; values are positive. Names that start with "validation" are drawn dashed.
        ylabel: what the values are, with unit.
        window: number of neighbouring values that the bold line averages; the values themselves stay as a thin line.
            Validation is never averaged.

    Raises:
        ValueError: a curve is empty, or has a value that a logarithmic axis cannot show.
    """
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    for number, (name, (steps, values)) in enumerate(curves.items()):
        if len(values) == 0 or len(steps) != len(values):
            raise ValueError(f"{name}: {len(steps)} steps and {len(values)} values")
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError(f"{name}: a logarithmic axis needs finite values above zero")
        colour = palette.SERIES[number % len(palette.SERIES)]
        validation = name.startswith("validation")
        if not validation and 1 < window < len(values):
            axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.3)
            # a geometric mean, since the axis is logarithmic
            values = np.exp(np.convolve(np.log(values), np.full(window, 1 / window), mode="valid"))
            middle = (window - 1) // 2
            steps = steps[middle : middle + len(values)]
        axes.plot(steps, values, "--" if validation else "-", color=colour, linewidth=1.8, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("training step")
    axes.set_ylabel(ylabel)
    tidy(axes)
    axes.legend(frameon=False, loc="upper right", ncols=2 if len(curves) > 4 else 1, fontsize=9)
    return figure


def lip_gap_curves(
    times: Float[np.ndarray, " _"],
    true_mm: Float[np.ndarray, " _"] | None,
    predicted_mm: Float[np.ndarray, " _"] | None,
    phonemes: Sequence[Phoneme] = (),
    *,
    others: Mapping[str, Float[np.ndarray, " _"]] | None = None,
    keys: Bool[np.ndarray, " _"] | None = None,
) -> Figure:
    """Draw the opening between the lips against time, true and predicted, under the phonemes spoken.

    Args:
        times: (T,) seconds.
        true_mm: (T,) millimetres; None to show only the prediction.
        predicted_mm: (T,) millimetres; None to show only the truth.
        phonemes: with their times; p, b and m are shaded.
        others: further (T,) curves in millimetres, drawn thin and grey.
        keys: (T,) which frames are key; they are dots on the truth, or on a prediction without one.

    Raises:
        ValueError: neither truth nor prediction, or lengths that differ.
    """
    main = {name: curve for name, curve in (("true", true_mm), ("predicted", predicted_mm)) if curve is not None}
    if not main:
        raise ValueError("true_mm and predicted_mm: at least one is needed")
    for name, curve in {**main, **(others or {}), **({} if keys is None else {"keys": keys})}.items():
        if len(curve) != len(times):
            raise ValueError(f"{name}: {len(curve)} values, expected {len(times)} as times")
    seconds = float(times[-1] - times[0])
    figure = Figure(figsize=(float(np.clip(2.2 * seconds, 7.2, 12.0)), 3.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, curve) in enumerate((others or {}).items()):
        axes.plot(times, curve, (":", "-.", "--")[number % 3], color=palette.NEUTRAL, linewidth=1.2, label=name)
    for name, curve in main.items():
        axes.plot(times, curve, color=palette.named(name), linewidth=2.0, label=name)
    if keys is not None:
        name, curve = next(iter(main.items()))
        axes.plot(times[keys], curve[keys], "o", color=palette.named(name), markersize=4, label="key frames")
    axes.set_xlim(times[0], times[-1])
    axes.set_ylim(bottom=min(0.0, *(float(np.min(curve)) for curve in main.values())))
    mark_phonemes(axes, phonemes, times[0], times[-1])
    axes.set_xlabel("time (s)")
    axes.set_ylabel("gap between the lips (mm)")
    tidy(axes, grid=False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return figure


def mark_phonemes(
    axes: Axes, phonemes: Sequence[Phoneme], first: float, last: float, *, named: bool = True
) -> None:
    """Shade p, b and m on an axis of time, draw a line where each phoneme begins, and write its symbol above.

    Args:
        axes: of seconds.
        phonemes: with their times.
        first, last: seconds; phonemes outside are left out.
        named: write the symbols.
    """
    shaded = False
    for phoneme in phonemes:
        start, end = max(phoneme.start, first), min(phoneme.end, last)
        if end <= start:
            continue
        if phoneme.is_bilabial:
            label = None if shaded else "p, b, m"
            axes.axvspan(start, end, color=palette.HIGHLIGHT, alpha=0.35, linewidth=0, label=label)
            shaded = True
        axes.axvline(start, color="0.88", linewidth=0.6, zorder=0)
        if named:
            axes.annotate(
                phoneme.symbol,
                ((start + end) / 2, 1.0),
                (0, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                fontweight="bold" if phoneme.is_bilabial else "normal",
            )


def phoneme_rows(
    samples: Num[np.ndarray, " S"],
    sample_rate: int,
    rows: Mapping[str, Sequence[Phoneme]],
) -> Figure:
    """Draw a waveform once for each aligner, with the phonemes of that aligner above it; p, b and m are shaded.

    Args:
        samples: (S,) of any scale.
        sample_rate: Hz.
        rows: phonemes by the aligner's name.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("rows: at least one is needed")
    seconds = len(samples) / sample_rate
    figure = Figure(figsize=(float(np.clip(4.2 * seconds, 7.2, 18.0)), 0.4 + 1.1 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, phonemes) in zip(panels, rows.items(), strict=True):
        axes.plot(np.arange(len(samples)) / sample_rate, samples, color=palette.NEUTRAL, linewidth=0.4)
        mark_phonemes(axes, phonemes, 0.0, seconds)
        axes.set_xlim(0, seconds)
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        tidy(axes, grid=False)
    panels[-1].set_xlabel("time (s)")
    return figure


def interval_plot(
    names: Sequence[str],
    values: Float[np.ndarray, " _"],
    lows: Float[np.ndarray, " _"],
    highs: Float[np.ndarray, " _"],
    xlabel: str,
    *,
    highlighted: Sequence[str] = (),
    points: Sequence[Sequence[float]] = (),
) -> Figure:
    """Draw one number with its interval for each of several methods, the first on top (a forest plot).

    If anything lies below zero, the numbers are taken as differences, and zero gets a line. Seven arguments, since names,
    values, lows and highs are columns of one table.

    Args:
        names: names of the methods.
        values: (n,) one for each method.
        lows: (n,) lower ends of the intervals.
        highs: (n,) upper ends.
        xlabel: what the number is, with unit, and what the interval is.
        highlighted: names drawn in the colour of predictions; the others are grey.
        points: for each method, the numbers that its value is the mean of, such as one per seed, drawn as small strokes.

    Raises:
        ValueError: lengths that differ, or a value outside its interval.
    """
    count = len(names)
    if not count == len(values) == len(lows) == len(highs):
        raise ValueError(f"values, lows and highs: {len(values)}, {len(lows)}, {len(highs)}, expected {count} as names")
    if points and len(points) != count:
        raise ValueError(f"points: {len(points)}, expected {count} as names")
    for name, value, low, high in zip(names, values, lows, highs, strict=True):
        if not low <= value <= high:
            raise ValueError(f"{name}: {value:g} lies outside its interval [{low:g}, {high:g}]")
    figure = Figure(figsize=(7.2, 0.7 + 0.42 * count), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(count)
    marks = points or [()] * count
    ends = [max([float(high), *own]) for high, own in zip(highs, marks, strict=True)]
    left, right = min([0.0, *map(float, lows), *itertools.chain(*marks)]), max([0.0, *ends])
    span = right - left
    written = ".3g"
    if left < 0.0:
        axes.axvline(0.0, color=palette.NEUTRAL, linewidth=1.0)
        written = f"+.{max(0, 2 - math.floor(math.log10(span)))}f"  # three digits of the whole width
    for row, name, value, low, high, own, end in zip(rows, names, values, lows, highs, marks, ends, strict=True):
        colour = palette.PREDICTED if name in highlighted else palette.NEUTRAL
        axes.plot([low, high], [row, row], color=colour, linewidth=3.0, alpha=0.45, solid_capstyle="butt")
        axes.plot(value, row, "o", color=colour, markersize=7)
        axes.plot(own, [row] * len(own), "|", color=colour, markersize=11)
        axes.annotate(
            f"{value:{written}}", (end, row), (6, 0), textcoords="offset points", va="center", fontsize=9, color=colour
        )
    axes.set_yticks(rows, names)
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xlim(left - 0.02 * span, right + 0.12 * span)
    axes.set_xlabel(xlabel)
    tidy(axes)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    return figure


def tidy(axes: Axes, grid: bool = True) -> None:
    """Remove the parts of the frame that do not help to read numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(visible=True, color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
