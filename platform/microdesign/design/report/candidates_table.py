"""The one table of candidates and baselines: on a terminal, in Markdown for MLflow, in HTML for report and notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from microdesign.core.tables import markdown_table
from microdesign.design.report.result_parts import (
    BaselineResult,
    CandidateResult,
    ReferenceResult,
    TrainingImageResult,
)
from microdesign.design.target.target import Target


@dataclass(frozen=True)
class CandidatesTable:
    """Titles and rows of text: the target, the candidates (best first), the baselines, the reference.

    Attributes:
        titles: One a column.
        rows: As many cells each.
        candidates: How many of the rows, after the first, are candidates.
    """

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    candidates: int

    def __str__(self) -> str:
        """In columns of equal width."""
        lines = [self.titles, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.titles))]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def markdown(self) -> str:
        """As a Markdown table."""
        return markdown_table(self.titles, self.rows)

    def html(self, pictures: Sequence[str] = ()) -> str:
        """As an HTML table, each candidate with its picture (a URI) if there are any."""
        shown = ["", *pictures, *[""] * (len(self.rows) - 1 - len(pictures))] if pictures else []
        head = "".join(f"<th>{escape(title)}</th>" for title in self.titles) + ("<th></th>" if pictures else "")
        body = ""
        for number, row in enumerate(self.rows):
            cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
            if pictures:
                cells += f'<td><img src="{shown[number]}" alt=""></td>' if shown[number] else "<td></td>"
            body += f"<tr>{cells}</tr>\n"
        return f"<table>\n<tr>{head}</tr>\n{body}</table>\n"


def candidates_table(
    target: Target,
    units: Mapping[str, str],
    candidates: Sequence[CandidateResult],
    misses: Sequence[CandidateResult],
    from_data: Sequence[TrainingImageResult],
    baselines: Mapping[str, BaselineResult | None],
    reference: ReferenceResult | None = None,
) -> CandidatesTable:
    """The table of a campaign's result: of each property what the regressor predicted and what physics gives.

    Physics' values carry their distance from those of another discretization, where there is one. Where these left
    doubt, the values on twice the pixels stand beside them.
    """
    names = target.names
    robust = any(each.as_drawn is not None for each in (*candidates, *misses))
    verified = "worst case (as drawn)" if robust else "verified"
    properties = (f"{name}{_unit(units[name])} predicted / {verified}" for name in names)
    titles = ["", "component", *properties, "error", "novelty", "realism"]
    rows = [["target", "", *(str(goal) for goal in target.goals), "", "", ""]]
    for what, designs in (("candidate", candidates), ("miss", misses)):
        for number, each in enumerate(designs, start=1):
            values = (f"{_number(each.predicted.get(name))} / {verified_text(each, name)}" for name in names)
            compared = ("" if value is None else f"{value:.2f}" for value in (each.novelty, each.realism))
            rows.append([f"{what} {number}", str(each.component), *values, error_text(each), *compared])
    for number, image in enumerate(from_data, start=1):
        values = (f"{image.verified[name]:.4g}" for name in names)
        rows.append([f"from the data {number}", "", *values, f"{image.error:.2%}", "0.00", ""])
    for name, best in baselines.items():
        if best is not None:
            values = (f"{best.verified[each]:.4g}" for each in names)
            rows.append([baseline_title(name, best.of), "", *values, f"{best.error:.2%}", "", ""])
    if reference is not None:
        own = (reference.properties.get(each) for each in names)
        rows.append([reference.name, "", *("" if value is None else f"{value:.4g}" for value in own), "", "", ""])
    return CandidatesTable(tuple(titles), tuple(tuple(row) for row in rows), len(candidates))


def baseline_title(name: str, of: int) -> str:
    """What a baseline is called: `best of 64, training set`."""
    return f"best of {of}, {name.replace('_', ' ')}"


def _unit(unit: str) -> str:
    """A unit in brackets; nothing where the materials name none (`as E in the materials`)."""
    return "" if unit.startswith("as ") else f" [{unit}]"


def verified_text(each: CandidateResult, name: str) -> str:
    """`2.349 ± 0.012`, with the distance of another discretization; `-> 2.31 ± 0.005` on twice the pixels.

    Of a robust campaign `2.31 ± 0.012 (2.349)`, the value as drawn in brackets.
    """
    value = _with_gap(each.verified[name], (each.discretization_gap or {}).get(name))
    if each.refined is not None:
        value += f" -> {_with_gap(each.refined.verified[name], each.refined.discretization_gap[name])}"
    return value if each.as_drawn is None else f"{value} ({each.as_drawn[name]:.4g})"


def _with_gap(value: float, gap: float | None) -> str:
    return f"{value:.4g}" if gap is None else f"{value:.4g} ± {abs(value or 1.0) * gap:.2g}"


def error_text(each: CandidateResult) -> str:
    """The error of the worst property by which a design counts, and whether another discretization changes more."""
    best = each.refined or each
    gap = max((best.discretization_gap or {"": 0.0}).values())
    certain = best.error >= gap or (best.error == 0 and each.holds_by_both)  # bounds that hold by both
    return f"{each.error_by_both:.2%}" + ("" if certain else ", within discretization")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
