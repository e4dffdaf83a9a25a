"""Statistics of the candidates beside those of the training images: two-point curves and chords."""

from typing import Any

import numpy as np

from microdesign.core.units import shown_unit
from microdesign.design.report.charts.style import CANDIDATES, POPULATION, Chart, Spec, axis, chart, short
from microdesign.design.report.result import CampaignResult
from microdesign.design.report.result_parts import Band
from microdesign.design.report.statistics_curves import chord_curves, two_point_curves

_REFERENCE = "#000"
_NEARLY_ALL = 0.995


def statistics_charts(result: CampaignResult) -> dict[str, Chart]:
    """Charts `two-point` and `chords` of the candidates, or else of the near misses; none without designs."""
    shown = [(f"candidate {n}", each) for n, each in enumerate(result.candidates, start=1)]
    shown = shown or [(f"near miss {n}", each) for n, each in enumerate(result.misses, start=1)]
    if not shown:
        return {}
    names = [name for name, _ in shown]
    labels = np.stack([result.labels(each.files["npy"])[0] for _, each in shown])
    curves = {
        "two-point": dict(zip(names, two_point_curves(labels), strict=True)),
        "chords": dict(zip(names, chord_curves(labels), strict=True)),
    }
    if result.reference is not None:
        image = result.labels(result.reference.image)
        curves["two-point"][result.reference.name] = two_point_curves(image, periodic=False)[0]
        curves["chords"][result.reference.name] = chord_curves(image)[0]
    population = result.population
    return {
        "two-point": _curves(
            result,
            "Two-point correlation of phase 1",
            ("distance", "autocovariance / φ(1 − φ)"),
            curves["two-point"],
            None if population is None else population.two_point,
            labels.shape[1] // 2,
        ),
        "chords": _curves(
            result,
            "Chords of phase 1: share up to a length",
            ("chord length", "share of chords"),
            curves["chords"],
            None if population is None else population.chords,
            _longest(curves["chords"].values()),
        ),
    }


def _longest(curves: Any) -> int:
    """Length up to which nearly all chords of every image are."""
    return max(
        (int(np.argmax(curve >= _NEARLY_ALL)) or len(curve) - 1 for curve in curves if np.isfinite(curve).all()),
        default=1,
    )


def _curves(
    result: CampaignResult,
    title: str,
    axes: tuple[str, str],
    curves: dict[str, np.ndarray],
    band: Band | None,
    longest: int,
) -> Chart:
    edge, unit = result.pixel_size, shown_unit(result.length_unit) if result.length_unit else "pixels"
    x = axis("x", f"{axes[0]} [{unit}]", (0, short(edge * longest)))
    y: Spec = {"field": "y", "type": "quantitative", "title": axes[1]}
    layers: list[Spec] = []
    if band is not None:
        within = [
            {"x": short(edge * n), "y": short(low), "y2": short(high)}
            for n, (low, high) in enumerate(zip(band.low, band.high, strict=True))
            if n <= longest and low is not None and high is not None
        ]
        layers.append(
            {
                "data": {"values": within},
                "mark": {"type": "area", "color": POPULATION, "opacity": 0.5, "clip": True},
                "encoding": {"x": x, "y": y, "y2": {"field": "y2"}},
            }
        )
    rows = [
        {"x": short(edge * n), "y": short(value), "of": name}
        for name, curve in curves.items()
        for n, value in enumerate(curve.tolist())
        if n <= longest and np.isfinite(value)
    ]
    colours = {name: CANDIDATES[n % len(CANDIDATES)] for n, name in enumerate(curves)}
    if result.reference is not None:
        colours[result.reference.name] = _REFERENCE
    scale = {"domain": list(colours), "range": list(colours.values())}
    layers.append(
        {
            "data": {"values": rows},
            "mark": {"type": "line", "strokeWidth": 1.5, "clip": True, "point": {"size": 40, "opacity": 0}},
            "encoding": {
                "x": x,
                "y": y,
                "color": {"field": "of", "type": "nominal", "scale": scale, "legend": {"symbolType": "stroke"}},
                "tooltip": [
                    {"field": "of", "title": "of"},
                    {"field": "x", "title": f"{axes[0]} [{unit}]"},
                    {"field": "y", "title": axes[1]},
                ],
            },
        }
    )
    return chart(title, layers)
