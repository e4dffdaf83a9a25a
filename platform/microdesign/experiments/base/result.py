"""The result of an experiment: tables with named columns and units, numbers, and the files of its figures."""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, Field, model_validator

from microdesign.core.files import replacing
from microdesign.core.tables import cell, markdown_table

Cell = str | int | float | None
"""An entry of a table; None is empty."""
_LONGEST = 60
"""Rows of the longest table that text shows; the CSV file and the JSON document hold all rows."""


class Column(BaseModel):
    """A column of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: str = Field("", description="unit of the numbers below, such as %; empty for counts, names and ratios")

    @property
    def title(self) -> str:
        """Name and unit as a heading."""
        return f"{self.name} / {self.unit}" if self.unit else self.name


class Table(BaseModel):
    """Columns, and rows of as many cells.

    Example:
        >>> table = Table.of(("model", "error / %"), [["mixture", 4.25], ["none", None]])
        >>> table.columns[1].unit
        '%'
        >>> print(table.markdown(), end="")
        | model | error / % |
        | --- | --- |
        | mixture | 4.25 |
        | none |  |
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(row)} cells; expected {len(self.columns)}, one a column")
        return self

    @classmethod
    def of(cls, titles: Any, rows: Any) -> Self:
        """A table of headings, `name` or `name / unit`, and rows."""
        columns = []
        for title in titles:
            name, _, unit = title.partition(" / ")
            columns.append(Column(name=name, unit=unit))
        return cls(columns=tuple(columns), rows=tuple(tuple(row) for row in rows))

    @property
    def titles(self) -> tuple[str, ...]:
        """The headings."""
        return tuple(column.title for column in self.columns)

    def texts(self) -> list[list[str]]:
        """The headings and the rows as text, numbers to four digits."""
        return [list(self.titles), *([cell(value) for value in row] for row in self.rows)]

    def markdown(self) -> str:
        """The table in Markdown."""
        return markdown_table(self.titles, self.rows)

    def csv(self) -> str:
        """The table as comma-separated values, numbers in full."""
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows([self.titles, *self.rows])
        return buffer.getvalue()


class ExperimentResult(BaseModel):
    """What an experiment returns; JSON holds null for numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    tables: Mapping[str, Table] = Field(min_length=1, description="by name; the command line prints the first")
    metrics: Mapping[str, float] = Field(description="numbers by name, logged to MLflow where they are finite")
    figures: Mapping[str, str] = Field(description="PNG files by name, relative to the experiment's folder")
    details: Mapping[str, Any] = Field(default_factory=dict, description="other facts, such as the models' digests")
    tags: Mapping[str, str] = Field(default_factory=dict, description="MLflow tags that identify models and data")
    folder: str = Field("", description="the experiment's folder; set when it is saved")
    tracking_uri: str = Field("", description="the MLflow server; set when it is saved")

    @property
    def table(self) -> Table:
        """The first table."""
        return next(iter(self.tables.values()))

    def markdown(self) -> str:
        """The tables of at most 60 rows, each below its name."""
        shown = {name: table for name, table in self.tables.items() if len(table.rows) <= _LONGEST}
        return "\n".join(f"## {name}\n\n{table.markdown()}" for name, table in shown.items())


def save_figures(figures: Mapping[str, Figure], folder: Path) -> dict[str, str]:
    """Writes `NAME.png` for each figure and returns the files by name, relative to the folder."""
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=100)
    return {name: f"{name}.png" for name in figures}


def metric_name(*parts: object) -> str:
    """A name that MLflow accepts, made of words.

    Example:
        >>> metric_name("b", "best of 4, by regressor", "median")
        'b_best_of_4_by_regressor_median'
        >>> metric_name("mse+cess", "r2")
        'mse_and_cess_r2'
    """
    text = "_".join(str(part) for part in parts).replace("+", "_and_")
    return re.sub(r"[^\w./:-]+", "_", text)
