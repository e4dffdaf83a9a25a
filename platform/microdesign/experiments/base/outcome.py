"""What an experiment found, and how it is kept: tables, figures and numbers, in a folder and in MLflow."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from microdesign.core.config import Config, dump_yaml
from microdesign.core.files import replacing, write_json, write_text
from microdesign.tracking import Run

Cell = str | int | float | None
_LONGEST = 60
"""Rows that a table shows to people; its file has them all."""


@dataclass(frozen=True)
class Table:
    """Titles of columns, and rows of as many cells; None is an empty one."""

    titles: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def texts(self) -> list[list[str]]:
        """The titles and the rows as people read them, numbers to four digits."""
        return [list(self.titles), *([_text(cell) for cell in row] for row in self.rows)]

    def markdown(self) -> str:
        """The table as Markdown."""
        titles, *rows = self.texts()
        lines = [titles, ["---"] * len(titles), *rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def csv(self) -> str:
        """The table as comma-separated values, numbers in full."""
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows([self.titles, *self.rows])
        return buffer.getvalue()


@dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        tables: By name; the first is what the command line prints.
        figures: By name.
        metrics: Numbers by name, for MLflow.
        details: What else the JSON document holds.
        tags: What else MLflow can find the run by.
    """

    tables: Mapping[str, Table]
    figures: Mapping[str, Figure]
    metrics: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def markdown(self) -> str:
        """The tables that are short enough to be read, each under its name."""
        shown = {name: table for name, table in self.tables.items() if len(table.rows) <= _LONGEST}
        return "\n".join(f"## {name}\n\n{table.markdown()}" for name, table in shown.items())

    @property
    def document(self) -> dict[str, Any]:
        """The outcome as JSON takes it, with None for what is not finite; `table` is the first table as text."""
        table = next(iter(self.tables.values())).texts()
        document: dict[str, Any] = _finite({"metrics": self.metrics, "table": table, **self.details, **self.tags})
        return document


def keep(outcome: Outcome, config: Config, name: str, folder: Path, run: Run) -> None:
    """Writes `NAME.json`, `NAME.md`, a CSV for each table, a PNG for each figure and `config.yaml`; logs them all."""
    run.log_tags(outcome.tags)
    files = {"config.yaml": dump_yaml(config), f"{name}.md": outcome.markdown}
    files |= {f"{title}.csv": table.csv() for title, table in outcome.tables.items()}
    for file, text in files.items():
        write_text(folder / file, text)
    for title, figure in outcome.figures.items():
        with replacing(folder / f"{title}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=100)
    run.log_metrics({key: value for key, value in outcome.metrics.items() if np.isfinite(value)})
    # Last, for it says that the rest is there.
    write_json(folder / f"{name}.json", outcome.document)
    for file in (*files, f"{name}.json", *(f"{title}.png" for title in outcome.figures)):
        run.log_file(folder / file)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _text(cell: Cell) -> str:
    return "" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell)
