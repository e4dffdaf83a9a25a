"""How a campaign searched: errors, best values of optima, and how well the regressor knew."""

from typing import Any

import numpy as np

from microdesign.design.report.charts.style import (
    GOAL,
    Chart,
    Spec,
    axis,
    chart,
    kinds_of,
    labelled,
    points,
    short,
    span,
)
from microdesign.design.report.result import CampaignResult


def search_charts(result: CampaignResult) -> dict[str, Chart]:
    """Charts of the search by name: `convergence`, and for each property `best-NAME` if optimised and `parity-NAME`."""
    if not result.search.evaluated:
        return {}
    found = {"convergence": _convergence(result)}
    for name, values in result.search.best_values.items():
        rows = [{"x": n, "y": short(value)} for n, value in enumerate(values, start=1) if value is not None]
        if rows:
            found[f"best-{_slug(name)}"] = chart(f"Best {name} so far, other goals met", [_steps(rows, name, result)])
    for name in result.target.names:
        if (parity := _parity(result, name)) is not None:
            found[f"parity-{_slug(name)}"] = parity
    return found


def _convergence(result: CampaignResult) -> Chart:
    """Error of each evaluation and the best so far, on an axis of the size of the tolerance."""
    tolerance, history = 100 * result.target.tolerance, [100 * each for each in result.search.history]
    # The initial design may be far off: what matters is how the tolerance was reached.
    top = short(max(4 * tolerance, 1.2 * history[-1]))
    errors = [100 * each.error for each in result.search.evaluated]
    kinds = kinds_of(result)
    rows = [
        {"x": n, "y": short(error), "kind": kind, "evaluation": n}
        for n, (error, kind) in enumerate(zip(errors, kinds, strict=True), start=1)
    ]
    x = _numbers(len(errors))
    y = axis("y", "error of the worst property [%]", (0, top))
    best = [{"x": n, "y": short(error)} for n, error in enumerate(history, start=1)]
    line: Spec = {
        "data": {"values": best},
        "mark": {"type": "line", "interpolate": "step-after", "color": "#444", "clip": True},
        "encoding": {"x": x, "y": y},
    }
    above = sum(error > top for error in errors)
    title = "Error of every evaluation; line: the best so far; dashed: the tolerance"
    if above:
        title += f"; {above} above the axis"
    return chart(title, [_rule(tolerance, y), line, points(rows, x, y, kinds)])


def _rule(value: float, y: Spec) -> Spec:
    return {
        "data": {"values": [{"y": short(value)}]},
        "mark": {"type": "rule", "strokeDash": [5, 4], "color": GOAL, "clip": True},
        "encoding": {"y": y},
    }


def _numbers(n: int) -> Spec:
    """The axis of n evaluations, in whole numbers."""
    return axis("x", "physics evaluations", (0, n + 1)) | {"axis": {"tickMinStep": 1}}


def _steps(rows: list[dict[str, Any]], name: str, result: CampaignResult) -> Spec:
    x = _numbers(len(result.search.evaluated))
    return {
        "data": {"values": rows},
        "mark": {"type": "line", "interpolate": "step-after", "color": "#444", "point": {"size": 12, "color": "#444"}},
        "encoding": {
            "x": x,
            "y": axis("y", labelled(name, result.units[name])),
            "tooltip": [{"field": "x", "title": "evaluation"}, {"field": "y", "title": f"best {name}"}],
        },
    }


def _parity(result: CampaignResult, name: str) -> Chart | None:
    """Prediction against physics; None where the model predicts nothing."""
    rows: list[dict[str, Any]] = []
    kinds: list[str] = []
    for n, (design, kind) in enumerate(zip(result.search.evaluated, kinds_of(result), strict=True), start=1):
        predicted = design.predicted.get(name)
        if predicted is not None:
            pair = {"x": short(design.drawn[name]), "y": short(predicted)}
            rows.append({**pair, "kind": kind, "evaluation": n})
            kinds.append(kind)
    if not rows:
        return None
    numbers = np.array([[row["x"], row["y"]] for row in rows], float)
    low, high = span(numbers.ravel().tolist())
    x = axis("x", f"{labelled(name, result.units[name])} verified", (low, high))
    y = axis("y", "predicted", (low, high))
    equal: Spec = {
        "data": {"values": [{"x": low, "y": low}, {"x": high, "y": high}]},
        "mark": {"type": "line", "color": "#999", "strokeWidth": 1},
        "encoding": {"x": x, "y": y},
    }
    off = float(np.mean(np.abs(numbers[:, 1] - numbers[:, 0]) / np.maximum(np.abs(numbers[:, 0]), 1e-12)))
    title = f"{name}: prediction against physics, mean distance {100 * off:.1f} %"
    return chart(title, [equal, points(rows, x, y, kinds)])


def _slug(name: str) -> str:
    """A property's name in a file's name."""
    return name.replace("/", "_per_")
