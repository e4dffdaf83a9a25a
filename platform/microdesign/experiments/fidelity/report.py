"""The answer of a fidelity experiment for people: a table and figures."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from microdesign.experiments.base.outcome import Table
from microdesign.experiments.fidelity.measure import Fidelity, Row
from microdesign.microstructure.drawing import draw

SHOWN = 8
"""Targets in the gallery."""
TITLES = ("figure", "measurement", "median", "90 %", "value", "held-out data")
"""Columns of the table."""
_SHARES = ("error", "draw", "best of", "reconstruction", "regressor on decodes", "gap", "training image")


def table(rows: Sequence[Row]) -> Table:
    """The table as text; errors in per cent."""
    return Table(
        TITLES,
        [
            [row.figure, row.name, *(_cell(row.name, v) for v in (row.median, row.q90, row.value, row.data))]
            for row in rows
        ],
    )


def figures(fidelity: Fidelity) -> dict[str, Figure]:
    """Distributions of the errors, a gallery of targets with their answers, and the statistics of morphology."""
    return {
        "errors": _errors(fidelity.errors),
        "gallery": _gallery(fidelity),
        "realism": _realism(fidelity.morphology),
    }


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    share = any(word in name for word in _SHARES) and not any(word in name for word in ("CESS", "over on data"))
    return f"{100 * value:.2f} %" if share else f"{value:.4g}"


def _errors(errors: dict[str, np.ndarray]) -> Figure:
    """The share of targets up to each error."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, values in errors.items():
        style = ":" if "nearest" in name else "--" if "oracle" in name else "-"
        axes.plot(100 * np.sort(values), (np.arange(len(values)) + 1) / len(values), style, label=name)
    axes.set(xscale="log", xlabel="error of the worst property / %", ylabel="share of targets up to this error")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _gallery(fidelity: Fidelity) -> Figure:
    where = np.linspace(0, len(fidelity.targets) - 1, min(SHOWN, len(fidelity.targets))).round().astype(int)
    rows = {"target": fidelity.targets, "reconstruction": fidelity.reconstructions, "chosen draw": fidelity.chosen}
    figure = Figure(figsize=(1.5 * len(where), 5), layout="constrained")
    panels = figure.subplots(len(rows), len(where), squeeze=False)
    for line, (title, images) in zip(panels, rows.items(), strict=True):
        for axes, image in zip(line, images[where], strict=True):
            draw(axes, image)
        line[0].set_title(title, fontsize=9)
    return figure


def _realism(statistics: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    figure = Figure(figsize=(9, 2.4 * -(-len(statistics) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(statistics) // 3), 3, squeeze=False).ravel()
    for axes in panels[len(statistics) :]:
        axes.set_axis_off()
    for axes, (name, (decodes, data)) in zip(panels, statistics.items(), strict=False):
        bins = np.linspace(*np.quantile(np.concatenate((decodes, data)), (0.002, 0.998)), 30)
        if bins[0] == bins[-1]:
            bins = np.array([bins[0] - 0.5, bins[0] + 0.5])
        for label, values in (("data", data), ("decodes", decodes)):
            axes.hist(values, bins, density=True, histtype="step", label=label)
        axes.set_title(name, fontsize=9)
    panels[0].legend(fontsize=8)
    return figure
