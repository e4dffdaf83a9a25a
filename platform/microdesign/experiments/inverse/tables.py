"""Tables of the experiment `inverse`.

Shapes: T targets.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from microdesign.experiments.base.evaluated_draws import EvaluatedDraws
from microdesign.experiments.base.ranking import RankedErrors
from microdesign.experiments.base.result import Cell, Table
from microdesign.experiments.inverse.components import ComponentErrors


def inverse_table(errors: Mapping[str, Sequence[RankedErrors]], draws: Mapping[str, EvaluatedDraws]) -> Table:
    """Median and 90 % of the errors over targets, in per cent, and morphologies, a row for each model."""
    names = list(dict.fromkeys(each.name for ranked in errors.values() for each in ranked))
    rows: list[list[Cell]] = []
    for model, ranked in errors.items():
        known = {each.name: (100 * np.quantile(each.values, (0.5, 0.9))).tolist() for each in ranked}
        cells: list[Cell] = [model, *(cell for name in names for cell in known.get(name, [None, None]))]
        if model in draws:
            found = draws[model]
            cells += [float(np.median(found.distinct())), float(np.median(found.distinct(within=0.1)))]
            cells += [float(np.median(100 * found.regressor_error))]
        else:
            cells += [None] * 3
        rows.append(cells)
    columns = [f"{name}, {at} / %" for name in names for at in ("median", "90 %")]
    others = ("distinct morphologies", "distinct morphologies of error below 10 %", "regressor error on decodes / %")
    return Table.of(("model", *columns, *others), rows)


def component_table(components: Sequence[ComponentErrors]) -> Table:
    """Medians over targets, in per cent, a row for each component."""
    rows: list[list[Cell]] = [
        [c.model, c.component, c.weight, *(float(100 * np.median(each.values)) for each in c.errors)]
        for c in components
    ]
    names = [f"{each.name} / %" for each in components[0].errors] if components else []
    return Table.of(("model", "component", "mean weight", *names), rows)


def local_search_table(found: Mapping[str, Mapping[str, np.ndarray]], budget: int) -> Table:
    """Evaluations `(T,)` by model and start: median, quartiles, share that converged, ratio to random starts."""
    rows: list[list[Cell]] = []
    for model, starts in found.items():
        medians = {start: float(np.median(values)) for start, values in starts.items()}
        for start, values in starts.items():
            low, high = np.quantile(values, (0.25, 0.75)).tolist()
            ratio = medians[start] / medians["random starts"]
            rows.append([model, start, medians[start], low, high, 100 * float((values <= budget).mean()), ratio])
    quartiles = ("evaluations, median", "evaluations, 25 %", "evaluations, 75 %")
    return Table.of(("model", "start", *quartiles, "converged within the budget / %", "ratio to random starts"), rows)
