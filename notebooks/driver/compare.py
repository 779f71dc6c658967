"""Set two runs side by side: scores with their intervals, curves of training, settings that differ, both videos.

    python -m notebooks.driver.compare mine reference

A run is named as --run names it; `reference` is the committed one. The page goes to results/runs/compare/A_B and is printed.
Exit status: 0 done, 2 a run is not there or cannot be read.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from notebooks.experiments.folders import REFERENCE, ROOT, Folders
from notebooks.experiments.record import COLUMNS
from notebooks.experiments.record_forms import record_of
from notebooks.experiments.sweep_results import HIGHER_IS_BETTER, NEARER_ZERO_IS_BETTER
from otlib.commands import Parser, command
from otlib.errors import InputError
from otlib.files import atomic_write
from otlib.metrics.intervals import IntervalUndefined, paired_comparison, speaker_interval
from otlib.own_files import claim
from otlib.viz import palette

OURS = "OT-Talk"
HEADLINE = "lip_max_mm"
_STYLES = ("-", "--")


def folder_of(name: str, root: Path = ROOT) -> Path:
    """Return the folder of a run, or of the reference, that has been scored.

    Raises:
        InputError: there is none.
    """
    folder = REFERENCE if name == "reference" else Folders(run=name, root=root).results
    for file in ("metrics.json", "run.json"):
        if not (folder / file).is_file():
            raise InputError(f"{folder / file}: no such file; run `make demo RUN={name}`, or name a run that is done")
    return folder


def target_of(first: str, second: str, root: Path) -> Path:
    """Return the folder of a page about two runs."""
    return Folders(root=root).results.with_name("compare") / f"{first}_{second}"


def cell(metric: str, values: Mapping[str, float], mean: float | None) -> str:
    """Return a mean with its interval over speakers, as text in the metric's unit."""
    _, digits, factor = COLUMNS[metric]
    if not values:
        return "–" if mean is None else f"{mean * factor:.{digits}f}"
    mean = float(np.mean(list(values.values())))
    try:
        found = speaker_interval(values, generator=np.random.default_rng(0))
    except IntervalUndefined:
        return f"{mean * factor:.{digits}f}"
    return f"{mean * factor:.{digits}f} [{found.low * factor:.{digits}f}, {found.high * factor:.{digits}f}]"


def change(metric: str, first: Mapping[str, float], second: Mapping[str, float]) -> str:
    """Return second minus first with its interval over the speakers that both scored, and what it says."""
    _, digits, factor = COLUMNS[metric]
    both = sorted(first.keys() & second.keys())
    try:
        gap = paired_comparison({s: second[s] for s in both}, {s: first[s] for s in both},
                                generator=np.random.default_rng(0)).difference
    except IntervalUndefined:
        return "no speakers in common" if not both else f"{len(both)} speakers are too few"
    text = f"{gap.estimate * factor:+.{digits}f} [{gap.low * factor:+.{digits}f}, {gap.high * factor:+.{digits}f}]"
    if not gap.excludes(0.0):
        return f"{text}, cannot be told from chance"
    if metric in NEARER_ZERO_IS_BETTER:
        return text
    return f"{text}, {'better' if (gap.estimate > 0) == (metric in HIGHER_IS_BETTER) else 'worse'}"


def score_lines(names: tuple[str, str], metrics: tuple[dict, dict], paired: bool) -> list[str]:
    """Return the table of scores: OT-Talk in every metric, other methods in the headline's."""
    lines = [f"| method | metric | {names[0]} | {names[1]} | {names[1]} minus {names[0]} |", "|---|---|---|---|---|"]
    methods = [name for name in metrics[0]["table"] if name in metrics[1]["table"]]
    rows = [(OURS, metric) for metric in COLUMNS if OURS in methods]
    rows += [(method, HEADLINE) for method in methods if method != OURS]
    for method, metric in rows:
        values = [one.get("speakers", {}).get(method, {}).get(metric, {}) for one in metrics]
        means = [one["table"][method].get(metric) for one in metrics]
        cells = [cell(metric, of, mean) for of, mean in zip(values, means, strict=True)]
        gap = change(metric, *values) if paired and all(values) else "–"
        lines.append(f"| {method} | {COLUMNS[metric][0]} | {cells[0]} | {cells[1]} | {gap} |")
    return lines


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return what a nested record holds, {"outer.inner": value}."""
    if not isinstance(value, dict):
        return {name: value}
    return {key: leaf for inner, deeper in value.items()
            for key, leaf in flat(deeper, f"{name}.{inner}" if name else inner).items()}


def setting_lines(names: tuple[str, str], records: tuple[dict, dict]) -> list[str]:
    """Return the table of what differs in parameters, data, settings of the trainings, versions and code."""
    both = [flat({part: record.get(part) for part in ("parameters", "data", "versions", "commit")}
                 | {"trainings": {name: {key: one.get(key) for key in ("settings", "encoder", "code")}
                                  for name, one in record["trainings"].items()}}) for record in records]
    keys = sorted(both[0].keys() | both[1].keys())
    rows = [(key, *(one.get(key, "–") for one in both)) for key in keys if both[0].get(key, "–") != both[1].get(key, "–")]
    if not rows:
        return ["No setting differs."]
    return [f"| setting | {names[0]} | {names[1]} |", "|---|---|---|",
            *(f"| {key} | `{first}` | `{second}` |" for key, first, second in rows)]


def draw_curves(names: tuple[str, str], curves: tuple[dict, dict]) -> Figure:
    """Return a figure of both runs' losses and validation errors: a colour for each training, the second run dashed."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    trainings = sorted(curves[0].keys() | curves[1].keys())
    for axes, part, label in zip(figure.subplots(1, 2), ("loss", "validation_lip_mm"),
                                 ("loss", "lip error on unseen speakers (mm)"), strict=True):
        for name, of_run, style in zip(names, curves, _STYLES, strict=True):
            for training in of_run:
                colour = palette.SERIES[trainings.index(training) % len(palette.SERIES)]
                steps, values = np.array(of_run[training][part]).reshape(-1, 2).T
                axes.plot(steps, values, style, color=colour, label=f"{training}, {name}")
        axes.set(xlabel="step", ylabel=label, yscale="log")
        axes.legend(fontsize=8)
    return figure


def compare(first: str, second: str, root: Path = ROOT) -> str:
    """Write the page of two runs and return its text.

    Raises:
        InputError: a run is not there or its records cannot be read, or both are the same.
    """
    names, folders = (first, second), (folder_of(first, root), folder_of(second, root))
    if first == second:
        raise InputError(f"{first} and {second} are one run; name two")
    target = target_of(first, second, root)
    metrics = tuple(record_of(folder, "metrics.json", "table") for folder in folders)
    records = tuple(record_of(folder, "run.json", "data", "trainings") for folder in folders)
    curves = tuple(record_of(folder, "curves.json") if os.path.lexists(folder / "curves.json") else {} for folder in folders)
    same = records[0]["data"]["checksum"] == records[1]["data"]["checksum"]
    scores, settings = score_lines(names, metrics, same), setting_lines(names, records)
    claim(target)
    lines = [f"# {first} and {second}", "", *scores, ""]
    if not same:
        lines += ["The runs have other corpora, so their numbers cannot be compared.", ""]
    elif lacking := [name for name, one in zip(names, metrics, strict=True) if "speakers" not in one]:
        lines += [f"No scores of single speakers in {' and '.join(lacking)}, so nothing is paired.", ""]
    if any(curves):
        with atomic_write(target / "curves.png") as temporary:
            draw_curves(names, curves).savefig(temporary, dpi=120, format="png", metadata={"Software": None})
        lines += ["![Loss and validation error of both runs against the step](curves.png)", ""]
    lines += [f"No curves in {name}." for name, one in zip(names, curves, strict=True) if not one]
    lines += ["", *settings, ""]
    videos = {name: folder / "talking_head.mp4" for name, folder in zip(names, folders, strict=True)}
    lines += [f"- [the talking head of {name}]({Path(os.path.relpath(file, target)).as_posix()})"
              for name, file in videos.items() if file.is_file()]
    text = "\n".join(lines) + "\n"
    with atomic_write(target / "README.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return f"{text}\nwritten to {target.relative_to(root)}"


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = Parser(prog="python -m notebooks.driver.compare", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs=2, metavar="RUN", help="names of two runs, or `reference`")
    options = parser.parse_args(arguments)
    print(compare(*options.runs))
    return 0
