"""Numbers that papers print, as ``results/paper/quoted.json`` holds them: quoted, never reproduced here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otlib.errors import InputError
from otlib.files import read_json

HERE = "here"
"""The mark of a row that this project measured, beside the marks of the file."""

_MINUS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class QuotedMetric:
    """A column of a published table.

    Attributes:
        name, title: as :func:`otlib.metrics.published_scores` calls it, and as papers do.
        factor: a printed value times this is in ``unit``; None where it was not stated.
        squared: whether it is of squared distances.
        unit, formula: in words.
        better: "lower" or "nearer to zero".
    """

    name: str
    title: str
    factor: float | None
    squared: bool
    unit: str
    formula: str
    better: str

    @property
    def heading(self) -> str:
        """The title with the power of ten that the values carry, such as "LVE (10⁻⁴)"."""
        if self.factor is None:
            return f"{self.title} (scale not stated)"
        return f"{self.title} (10{str(round(math.log10(self.factor))).translate(_MINUS)})"


@dataclass(frozen=True)
class QuotedRow:
    """A row of a published table.

    Attributes:
        system: as its authors call it.
        values: a number for each metric as it is printed, before the factor; None where there is none.
        mark: how certain the quotation is, a key of the file's ``marks``, or :data:`HERE`.
        source: where it was read, a key of the file's ``sources``.
    """

    system: str
    values: Mapping[str, float | None]
    mark: str
    source: str


@dataclass(frozen=True)
class QuotedTable:
    """A published table; shows itself as one in a notebook.

    Attributes:
        title: of the table.
        data_set: "biwi" or "vocaset".
        metrics: its columns.
        rows: its rows.
        digits: after the point; what papers print.
    """

    title: str
    data_set: str
    metrics: tuple[QuotedMetric, ...]
    rows: tuple[QuotedRow, ...]
    digits: int = 4

    def with_measured(self, system: str, scores: Mapping[str, float]) -> "QuotedTable":
        """Return the table with a row that was measured here.

        Args:
            system: name of the row.
            scores: in each metric's unit, as :func:`otlib.metrics.published_scores` returns them under the convention
                that the table follows; scores that the table has no column for are left out.

        Raises:
            ValueError: a column without a score, or without a factor to bring it to.
        """
        values: dict[str, float | None] = {}
        for metric in self.metrics:
            if metric.name not in scores or metric.factor is None:
                raise ValueError(f"{system}: {metric.name} cannot stand in the table {self.title!r}: no score, or no factor")
            values[metric.name] = scores[metric.name] / metric.factor
        return replace(self, rows=(*self.rows, QuotedRow(system, values, HERE, HERE)))

    def markdown(self) -> str:
        """Return the table as GitHub and JupyterLab read it, each row with its mark."""
        lines = ["| system | " + " | ".join(metric.heading for metric in self.metrics) + " | read |",
                 "|---" * (len(self.metrics) + 2) + "|"]
        for row in self.rows:
            cells = ["–" if (value := row.values[metric.name]) is None else f"{value:.{self.digits}f}"
                     for metric in self.metrics]
            lines.append(f"| {row.system} | " + " | ".join(cells) + f" | {row.mark} |")
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        return self.markdown()


@dataclass(frozen=True)
class Quoted:
    """All that ``quoted.json`` holds.

    Attributes:
        about: what these numbers are and are not.
        marks: what each mark of certainty means.
        sources: where things were read.
        tables: by name, "biwi_test_a" and "vocaset_test" among them.
        ot_talk: {"stated": [{"part", "text", "mark"}], "not_found": [text]} of this project's paper.
        systems: what its peers are built of, {"system", "encoder", "frozen", "time", "output", "loss", "training"} each.
    """

    about: str
    marks: Mapping[str, str]
    sources: Mapping[str, str]
    tables: Mapping[str, QuotedTable]
    ot_talk: Mapping[str, Any]
    systems: tuple[Mapping[str, str | None], ...]


def read_quoted(path: Path | str) -> Quoted:
    """Read ``results/paper/quoted.json``.

    Raises:
        InputError: no such file, a part is missing, a row without a value for each column, or a mark or source that the
            file does not explain.
    """
    content = read_json(path)
    try:
        quoted = Quoted(content["about"], content["marks"], content["sources"],
                        {name: _table(table) for name, table in content["tables"].items()}, content["ot_talk"],
                        tuple(content["systems"]))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a file of quoted numbers ({error}); take it from the repository again") from error
    for name, table in quoted.tables.items():
        for row in table.rows:
            if row.mark not in quoted.marks or row.source not in quoted.sources:
                raise InputError(f"{path}: {row.system} in {name} has mark {row.mark!r} and source {row.source!r}, which "
                                 "the file does not explain; add them under marks and sources")
            if set(row.values) != {metric.name for metric in table.metrics}:
                raise InputError(f"{path}: {row.system} in {name} has values for {', '.join(sorted(row.values))}; give one "
                                 "for each metric, null where there is none")
    return quoted


def _table(content: Mapping[str, Any]) -> QuotedTable:
    return QuotedTable(content["title"], content["data_set"], tuple(QuotedMetric(**metric) for metric in content["metrics"]),
                       tuple(QuotedRow(**row) for row in content["rows"]))
