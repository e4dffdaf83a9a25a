"""How all charts of a page look, and the parts that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from microdesign.design.report.result import CampaignResult

Spec = dict[str, Any]
WIDTH, HEIGHT = 300, 220
KINDS = {
    "training image": "#c9c9c9",
    "initial design": "#9ecae1",
    "refined": "#3182bd",
    "near miss": "#b30000",
    "candidate": "#e6550d",
}
"""Colour of each kind of point, in the order in which they are drawn."""
CANDIDATES = ("#e6550d", "#3182bd", "#31a354", "#756bb1", "#c51b8a", "#8c6d31", "#17becf", "#636363")
"""Colours of the curves of candidates."""
GOAL, POPULATION = "#2e7d32", "#bdbdbd"
_CONFIG: Spec = {
    "font": "system-ui, sans-serif",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "gridColor": "#eee",
        "domainColor": "#888",
        "tickColor": "#888",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "tickCount": 6,
    },
    "legend": {"orient": "top", "title": None, "labelFontSize": 11, "symbolOpacity": 1, "columns": 3, "padding": 0},
}


@dataclass(frozen=True)
class Chart:
    """A chart and the words around it.

    Attributes:
        title: What it shows.
        spec: Vega-Lite, with its data.
    """

    title: str
    spec: Spec


def chart(title: str, layers: Sequence[Spec], **settings: Any) -> Chart:
    """A chart of layers at the size of all."""
    return Chart(title, {"width": WIDTH, "height": HEIGHT, "config": _CONFIG, "layer": list(layers), **settings})


def axis(field: str, title: str, domain: Sequence[float] | None = None) -> Spec:
    """The channel of a number; without a domain that of the data, zero not included."""
    scale: Spec = {"zero": False} if domain is None else {"domain": list(domain), "nice": False}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale}


def labelled(name: str, unit: str) -> str:
    """Title of an axis: `Ex [GPa]`."""
    return name if unit == "1" or unit.startswith("as ") else f"{name} [{unit}]"


def short(value: float) -> float:
    """A number with five digits, for a page that is not longer than it need be."""
    return float(f"{value:.5g}")


def span(values: Sequence[float], margin: float = 0.05) -> tuple[float, float]:
    """Range of finite values with a margin on both sides."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    wide = (high - low) or abs(high) or 1.0
    return short(low - margin * wide), short(high + margin * wide)


def kinds_of(result: CampaignResult) -> list[str]:
    """Kind of each evaluated design, as in `KINDS`."""
    named = {each.key: "candidate" for each in result.candidates} | {each.key: "near miss" for each in result.misses}
    return [
        named.get(each.key, "initial design" if each.stage == "initial" else "refined")
        for each in result.search.evaluated
    ]


def names_of(result: CampaignResult) -> dict[str, str]:
    """Names of the designs of the answer by their keys."""
    named = {each.key: f"candidate {n}" for n, each in enumerate(result.candidates, start=1)}
    return named | {each.key: f"near miss {n}" for n, each in enumerate(result.misses, start=1)}


def points(rows: Sequence[Mapping[str, Any]], x: Spec, y: Spec, kinds: Sequence[str]) -> Spec:
    """Points of `rows`, each with `x`, `y`, `kind` and what its tooltip shows; later kinds lie above earlier ones."""
    present = [kind for kind in KINDS if kind in kinds]
    rank = {kind: number for number, kind in enumerate(KINDS)}
    scale = {"domain": present, "range": [KINDS[kind] for kind in present]}
    large = {"test": "datum.kind === 'candidate' || datum.kind === 'near miss'", "value": 90}
    return {
        "data": {"values": sorted(rows, key=lambda row: rank[row["kind"]])},
        "mark": {"type": "point", "filled": True, "clip": True, "tooltip": {"content": "data"}, "opacity": 0.85},
        "encoding": {
            "x": x,
            "y": y,
            "color": {"field": "kind", "type": "nominal", "scale": scale, "legend": {"symbolType": "circle"}},
            "size": {"condition": large, "value": 22},
        },
    }
