"""What a sweep found: one file a cell and seed, read back, averaged over seeds and compared over speakers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from notebooks.experiments.folders import REFERENCE, Folders
from otlib.errors import InputError
from otlib.files import read_json
from otlib.metrics.intervals import IntervalUndefined, PairedComparison, paired_comparison

TABLE = "table.json"
HIGHER_IS_BETTER = frozenset({"closure_recall", "closure_precision", "slcc", "speech_lip_correlation"})
NEARER_ZERO_IS_BETTER = frozenset({"correlation_lag_frames", "lag_frames", "fdd_m2"})


@dataclass(frozen=True)
class CellResult:
    """One training of a sweep, scored.

    Attributes:
        cell: name of the cell in suite.yaml.
        seed: of the training.
        parameters: what the cell's notebook was given.
        scores: {metric: {speaker: number}}; a speaker for whom a metric is not defined is left out.
        record: the file as it stands, provenance and seconds included.
    """

    cell: str
    seed: int
    parameters: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, float]]
    record: Mapping[str, Any]


def read_sweep(folder: Path, *, mixed: bool = False) -> list[CellResult]:
    """Read every result of a sweep, sorted by cell and seed.

    Args:
        folder: of the results.
        mixed: whether results of different code or data are welcome; they do not compare.

    Raises:
        InputError: there is none, a file is not a cell's result, or they are mixed.
    """
    results, origins = [], set()
    for file in sorted(folder.glob("*.json")):
        if file.name == TABLE:
            continue
        record = read_json(file)
        try:
            origins.add((record["code"], record["data"]))
            results.append(CellResult(record["cell"], record["seed"], record["parameters"], record["scores"], record))
        except (KeyError, TypeError) as error:
            raise InputError(f"{file}: is not the result of a sweep's cell; delete it and run the sweep again") from error
    if not mixed and len(origins) > 1:
        raise InputError(f"{folder}: its results come from different code or data; run `make sweep NAME={folder.name}` to "
                         "its end")
    if not results and not mixed:
        raise InputError(f"{folder}: holds no result of a sweep; run `make sweep NAME={folder.name}`")
    return sorted(results, key=lambda result: (result.cell, result.seed))


def common_seeds(results: Iterable[CellResult], cells: Iterable[str]) -> list[int]:
    """Return the seeds for which every one of the cells has been run: what they can be compared on."""
    done = {cell: {result.seed for result in results if result.cell == cell} for cell in cells}
    return sorted(set.intersection(*done.values())) if done else []


def read_run_sweep(folders: Folders, name: str, cells: Iterable[str]) -> tuple[Path, list[CellResult]]:
    """Return the folder and the results of a run's own sweep, or of the reference's where the run has none that can be read.

    A run's own is of one code and data and has all of some cells with a seed in common; one that the reference has taken
    over is the reference's.

    Raises:
        InputError: as :func:`read_sweep`, for the reference's.
    """
    own, reference = folders.sweep(name), REFERENCE / "sweeps" / name
    tables = [folder / TABLE for folder in (own, reference)]
    if tables[0].is_file() and not (tables[1].is_file() and tables[0].read_bytes() == tables[1].read_bytes()):
        results = read_sweep(own, mixed=True)
        origins = {(result.record["code"], result.record["data"]) for result in results}
        if len(origins) == 1 and common_seeds(results, cells):
            return own, results
    return reference, read_sweep(reference)


def by_speaker(results: Iterable[CellResult], cell: str, metric: str, seeds: Iterable[int]) -> dict[str, float]:
    """Return a metric of a cell for each speaker, the mean over seeds; a speaker without one for every seed is left out.

    Raises:
        ValueError: the cell has not been run with one of the seeds.
    """
    wanted = list(seeds)
    tables = [result.scores.get(metric, {}) for result in results if result.cell == cell and result.seed in wanted]
    if not wanted or len(tables) != len(wanted):
        raise ValueError(f"cell {cell!r} has {len(tables)} of the seeds {wanted}")
    speakers = set.intersection(*(set(table) for table in tables))
    return {speaker: float(np.mean([table[speaker] for table in tables])) for speaker in sorted(speakers)}


@dataclass(frozen=True)
class Difference:
    """A cell beside the baseline in one metric.

    Attributes:
        cell, metric: what is compared.
        comparison: cell first, baseline second; the interval is over speakers, each speaker's number the mean over seeds.
            None where so few speakers have no interval.
        by_seed: the mean difference over speakers of each seed that has any: how far chance of training alone moves it.
        undefined: why there is no interval; empty where there is one.
    """

    cell: str
    metric: str
    comparison: PairedComparison | None
    by_seed: tuple[float, ...]
    undefined: str = ""

    @property
    def better(self) -> bool | None:
        """Whether the cell is better than the baseline; None where the interval leaves it open.

        Not defined for what has a sign and is best at zero, lags and FDD, nor without an interval: there it is None, too.
        """
        if self.comparison is None:
            return None
        gap = self.comparison.difference
        if self.metric in NEARER_ZERO_IS_BETTER or not gap.excludes(0.0):
            return None
        return (gap.estimate > 0) == (self.metric in HIGHER_IS_BETTER)


def difference(results: Iterable[CellResult], cell: str, baseline: str, metric: str, seeds: Iterable[int], *,
               generator: np.random.Generator) -> Difference:
    """Compare a cell with the baseline on the same seeds and the same speakers.

    Args:
        results: of the sweep.
        cell, baseline: names of cells.
        metric: of the scores.
        seeds: those that both have.
        generator: of the bootstrap.

    Raises:
        ValueError: a seed is missing.
    """
    results, seeds = list(results), list(seeds)

    def pair(chosen: list[int]) -> tuple[dict[str, float], dict[str, float]]:
        one, two = (by_speaker(results, name, metric, chosen) for name in (cell, baseline))
        return {s: one[s] for s in one if s in two}, {s: two[s] for s in two if s in one}

    gaps = []
    for seed in seeds:
        one, two = pair([seed])
        gaps += [float(np.mean([one[s] - two[s] for s in one]))] if one else []
    try:
        return Difference(cell, metric, paired_comparison(*pair(seeds), generator=generator), tuple(gaps))
    except IntervalUndefined as reason:
        return Difference(cell, metric, None, tuple(gaps), str(reason))


def sweep_table(results: Iterable[CellResult], metrics: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return each cell's means over seeds and speakers, with the seeds they rest on.

    A metric that no speaker has is None.
    """
    results, metrics = list(results), list(metrics)
    table: dict[str, dict[str, Any]] = {}
    for cell in sorted({result.cell for result in results}):
        seeds = sorted(result.seed for result in results if result.cell == cell)
        row: dict[str, Any] = {"seeds": seeds}
        for metric in metrics:
            values = by_speaker(results, cell, metric, seeds)
            row[metric] = float(f"{np.mean(list(values.values())):.5g}") if values else None
        table[cell] = row
    return table
