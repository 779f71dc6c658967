"""What a run leaves behind: its scores as a table, and everything they follow from."""

import importlib.metadata
import json
import math
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otlib import __version__
from otlib.data.dataset import Dataset
from otlib.files import read_json, write_json
from otlib.metrics import CorpusScores
from otlib.train.loop import LOG, RUN

__all__ = ["COLUMNS", "ScoreTable", "curves", "run_record", "score_table", "speaker_scores", "write_json"]

COLUMNS = {  # name in the scores: heading, digits, factor
    "lip_max_mm": ("largest lip distance (mm)", 2, 1.0),
    "lip_mean_mm": ("mean lip distance (mm)", 2, 1.0),
    "mve_mm": ("mean vertex distance (mm)", 3, 1.0),
    "mouth_opening_mm": ("mouth opening error (mm)", 2, 1.0),
    "closure_recall": ("closures found (%)", 0, 100.0),
    "closure_precision": ("closures right (%)", 0, 100.0),
    "correlation_lag_frames": ("lag (frames)", 2, 1.0),
    "mtm_frames": ("MTM (frames)", 2, 1.0),
    "slcc": ("SLCC", 2, 1.0),
    "sliced_wasserstein_mm": ("sliced Wasserstein, varifold (mm)", 3, 1.0),
}
_PACKAGES = ("torch", "torchaudio", "transformers", "numpy", "scipy", "numba", "pot", "pyvista")


@dataclass(frozen=True)
class ScoreTable:
    """Scores by method and metric; shows itself as a table in a notebook.

    Attributes:
        rows: {method: {metric: number or None where it is not defined}}, the same metrics in every row; records of
            earlier versions may lack some of :data:`COLUMNS`.
    """

    rows: Mapping[str, Mapping[str, float | None]]

    def markdown(self) -> str:
        """Return the table as GitHub and JupyterLab read it; a column of which no row knows is left out."""
        columns = {name: column for name, column in COLUMNS.items() if any(name in row for row in self.rows.values())}
        lines = ["| method | " + " | ".join(heading for heading, _, _ in columns.values()) + " |",
                 "|---" * (len(columns) + 1) + "|"]
        for method, row in self.rows.items():
            cells = ["–" if row[name] is None else f"{row[name] * factor:.{digits}f}"
                     for name, (_, digits, factor) in columns.items()]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        return self.markdown()


def score_table(scores: Mapping[str, CorpusScores]) -> ScoreTable:
    """Return the means over speakers of the metrics in :data:`COLUMNS`, rounded to five digits.

    A metric that is NaN or missing (closures of a data set without phonemes) is None.
    """
    def rounded(value: float) -> float | None:
        return None if math.isnan(value) else float(f"{value:.5g}")

    return ScoreTable({method: {name: rounded(score.mean.get(name, math.nan)) for name in COLUMNS}
                       for method, score in scores.items()})


def speaker_scores(scores: Mapping[str, CorpusScores]) -> dict[str, dict[str, dict[str, float]]]:
    """Return {method: {metric: {speaker: number}}} of the metrics in :data:`COLUMNS`, rounded to five digits.

    A speaker for whom a metric is not defined is left out.
    """
    return {method: {name: {speaker: float(f"{row[name]:.5g}") for speaker, row in score.speakers.items()
                            if not math.isnan(row.get(name, math.nan))} for name in COLUMNS}
            for method, score in scores.items()}


def curves(models: Path) -> dict[str, dict[str, list[list[float]]]]:
    """Return {training: {"loss": [[step, mean], ...], "validation_lip_mm": [[step, value], ...]}} of a folder of trainings.

    The loss is the mean of so many neighbouring steps that about a hundred numbers remain.
    """
    found = {}
    for file in sorted(models.glob(f"*/{LOG}")):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        count = -(-len(rows) // 100)
        parts = [rows[first: first + count] for first in range(0, len(rows), count)]
        found[file.parent.name] = {
            "loss": [[part[-1]["step"], float(f"{sum(row['total'] for row in part) / len(part):.5g}")] for part in parts],
            "validation_lip_mm": [[row["step"], float(f"{row['validation_lip_mm']:.5g}")] for row in rows
                                  if "validation_lip_mm" in row]}
    return found


def run_record(dataset: Dataset, parameters: Mapping[str, Any], runs: Path) -> dict[str, Any]:
    """Return parameters, seeds, versions, commit and checksums of data and trainings, for run.json."""
    return {
        "parameters": dict(parameters),
        "data": {"name": dataset.name, "checksum": dataset.checksum, "provenance": dict(dataset.provenance)},
        "trainings": {file.parent.name: read_json(file) for file in sorted(runs.glob(f"*/{RUN}"))},
        "versions": {"otlib": __version__, "python": platform.python_version(),
                     **{package: importlib.metadata.version(package) for package in _PACKAGES}},
        "commit": _commit(),
        "machine": {"processor": platform.machine(), "system": platform.system()},
    }


def _commit() -> str | None:
    """Return the commit of the checkout, with "+" where files differ from it, or None outside of one."""
    root = Path(__file__).parents[2]  # git reads paths as relative to where it runs

    def git(*words: str) -> str | None:
        try:
            answer = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--", "otlib", "data_prep", "notebooks/*.py")
    return commit and commit + ("+" if changed else "")
