"""Property against property: what was asked, what the training images have, what was reached."""

from collections.abc import Mapping
from itertools import pairwise
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

FRACTION = "volume fraction"
"""Name of the axis beside a single property."""
_MOST = 3
"""Pairs of properties that are shown."""


def property_charts(result: CampaignResult) -> dict[str, Chart]:
    """Charts of the target's properties in pairs by name, `reached-1` and so on; of one beside the volume fraction."""
    if not result.search.evaluated:
        return {}
    names = result.target.names
    pairs = list(pairwise(names)) if len(names) > 1 else [(FRACTION, names[0])]
    front = result.search.front
    if front is not None:  # the trade-off first
        own = (front.names[0], front.names[1])
        pairs = [own, *(pair for pair in pairs if set(pair) != set(own))]
    return {f"reached-{n}": _pair(result, *pair) for n, pair in enumerate(pairs[:_MOST], start=1)}


def _pair(result: CampaignResult, first: str, second: str) -> Chart:
    rows: list[dict[str, Any]] = []
    data: Mapping[str, tuple[float, ...]] = {} if result.population is None else result.population.values
    known = zip(data.get(first, ()), data.get(second, ()), strict=False)
    rows += [{"x": short(a), "y": short(b), "kind": "training image"} for a, b in known]
    trained = len(rows)
    for n, (design, kind) in enumerate(zip(result.search.evaluated, kinds_of(result), strict=True), start=1):
        values = {**design.verified, FRACTION: design.volume_fraction}
        rows.append({"x": short(values[first]), "y": short(values[second]), "kind": kind, "evaluation": n})
    limits = [_limits(result, name) for name in (first, second)]
    domains = []
    for key, (low, high) in zip("xy", limits, strict=True):
        numbers = [row[key] for row in rows[trained:]]
        if trained:  # a few training images far away must not press everything else into a corner
            numbers += np.percentile([row[key] for row in rows[:trained]], (1, 99)).tolist()
        domains.append(span([*numbers, low, high]))
    x = axis("x", _title(result, first), domains[0])
    y = axis("y", _title(result, second), domains[1])
    kinds = [row["kind"] for row in rows]
    layers = [*_asked(limits, domains, x, y), points(rows, x, y, kinds)]
    title = f"{second} against {first}" + ("; green: what is asked" if len(layers) > 1 else "")
    if result.search.front is not None and {first, second} == set(result.search.front.names[:2]):
        layers.append(_front(result, (first, second), x, y))
        title += "; line: the Pareto front"
    return chart(title, layers)


def _title(result: CampaignResult, name: str) -> str:
    return "volume fraction of phase 1" if name == FRACTION else labelled(name, result.units[name])


def _limits(result: CampaignResult, name: str) -> tuple[float, float]:
    """Least and largest value that counts as met."""
    if name == FRACTION:
        return next(
            ((c.low, c.high or 1.0) for c in result.constraints if c.name == "volume_fraction"), (-np.inf, np.inf)
        )
    goal = result.target.properties[name]
    own = goal.tolerance if goal.tolerance is not None else result.target.tolerance if goal.equals is not None else 0.0
    low, high = (
        bound + sign * own * abs(bound) if np.isfinite(bound) else bound
        for bound, sign in ((goal.low, -1), (goal.high, 1))
    )
    return low, high


def _asked(limits: list[tuple[float, float]], domains: list[tuple[float, float]], x: Spec, y: Spec) -> list[Spec]:
    """The region that meets the goals of both axes."""
    edges = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(limits, domains, strict=True)]
    if all(edge == domain for edge, domain in zip(edges, domains, strict=True)):
        return []
    (left, right), (bottom, top) = edges
    region = {"x": short(left), "x2": short(right), "y": short(bottom), "y2": short(top)}
    return [
        {
            "data": {"values": [region]},
            "mark": {"type": "rect", "color": GOAL, "opacity": 0.18, "stroke": GOAL, "strokeWidth": 1, "clip": True},
            "encoding": {
                "x": x,
                "x2": {"field": "x2"},
                "y": y,
                "y2": {"field": "y2"},
            },
        }
    ]


def _front(result: CampaignResult, pair: tuple[str, str], x: Spec, y: Spec) -> Spec:
    """The Pareto front as a line."""
    front = result.search.front
    assert front is not None
    places = [front.names.index(name) for name in pair]
    shown = [row for row, chosen in zip(front.values, front.on_front, strict=True) if chosen]
    rows = sorted((short(row[places[0]]), short(row[places[1]])) for row in shown)
    return {
        "data": {"values": [{"x": a, "y": b} for a, b in rows]},
        "mark": {"type": "line", "color": "#000", "strokeWidth": 1, "clip": True},
        "encoding": {"x": x, "y": y},
    }
