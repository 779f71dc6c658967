"""Figures of motions completed between key frames: against time, and against what is wrong with the keys."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from otlib.phonemes import Phoneme
from otlib.viz import palette
from otlib.viz.curves import mark_phonemes, tidy

# of the completions, in their order: the first is what the others are held against
_LOOKS = ((palette.NEUTRAL, "--", "s"), (palette.PREDICTED, "-", "o"), (palette.SERIES[2], "-.", "^"),
          (palette.SERIES[5], "--", "v"), (palette.SERIES[3], ":", "D"))


def completed_curves(
    times: Float[np.ndarray, " T"],
    true_mm: Float[np.ndarray, " T"],
    keys: Bool[np.ndarray, " T"],
    completed_mm: Mapping[str, Float[np.ndarray, " T"]],
    phonemes: Sequence[Phoneme] = (),
) -> Figure:
    """Draw the opening between the lips against time, its key frames as dots, and what completions make of them.

    Args:
        times: (T,) seconds.
        true_mm: (T,) millimetres.
        keys: (T,) which frames are key.
        completed_mm: (T,) millimetres by the completion's name, at most five; the first is grey.
        phonemes: with their times; p, b and m are shaded.

    Raises:
        ValueError: more than five completions, or a length that is not that of ``times``.
    """
    for name, curve in {"true motion": true_mm, "key frames": keys, **completed_mm}.items():
        if len(curve) != len(times):
            raise ValueError(f"{name}: {len(curve)} values, expected {len(times)} as times")
    _check_count(completed_mm)
    figure = Figure(figsize=(float(np.clip(3.6 * float(times[-1] - times[0]), 7.2, 11.0)), 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(times, true_mm, color=palette.TRUE, linewidth=2.2, label="true motion")
    for (name, curve), (colour, dashes, _) in zip(completed_mm.items(), _LOOKS, strict=False):
        axes.plot(times, curve, dashes, color=colour, linewidth=1.6, label=name)
    axes.plot(times[keys], true_mm[keys], "o", color=palette.TRUE, markersize=4.5, label="key frames")
    mark_phonemes(axes, phonemes, times[0], times[-1])
    axes.set_xlim(times[0], times[-1])
    axes.set_xlabel("time (s)")
    axes.set_ylabel("gap between the lips (mm)")
    tidy(axes, grid=False)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def dial_panels(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    settings: Mapping[str, Sequence[float]],
    *,
    xlabels: Sequence[str],
    ylabel: str,
) -> Figure:
    """Draw errors of completions against a dial, a panel for each dial, all with one axis of errors that begins at zero.

    Args:
        panels: by title, the errors of each completion, at most five; the first is grey.
        settings: by the same titles, where the dial stood.
        xlabels: what the dials are, with unit.
        ylabel: what the errors are, with unit.

    Raises:
        ValueError: no panel, titles or labels that are not one for each, more than five completions, or as many errors as
            there are not settings.
    """
    if not panels or settings.keys() != panels.keys() or len(xlabels) != len(panels):
        raise ValueError(f"settings and xlabels: need {len(panels)} (and at least 1) of each, one for a panel")
    figure = Figure(figsize=(max(3.6 * len(panels) + 1.6, 6.0), 3.6), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, curves), xlabel in zip(row, panels.items(), xlabels, strict=True):
        _check_count(curves)
        for (name, errors), (colour, dashes, mark) in zip(curves.items(), _LOOKS, strict=False):
            if len(errors) != len(settings[title]):
                raise ValueError(f"{title}: {name}: {len(errors)} errors, expected {len(settings[title])} as settings")
            axes.plot(settings[title], errors, mark + dashes, color=colour, linewidth=1.8, markersize=5, label=name)
        axes.set_xticks(settings[title])
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(xlabel)
        tidy(axes)
    row[0].set_ylim(bottom=0.0)
    row[0].set_ylabel(ylabel)
    row[-1].legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _check_count(completions: Mapping[str, Sequence[float]]) -> None:
    if len(completions) > len(_LOOKS):
        raise ValueError(f"{len(completions)} completions: there are looks for {len(_LOOKS)}")
