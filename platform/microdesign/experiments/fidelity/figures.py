"""Figures of the experiment `fidelity`."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from microdesign.experiments.fidelity.measure import Fidelity
from microdesign.microstructure.drawing import draw

_SHOWN = 8
"""Targets in the gallery."""
_STYLES = {"first": "-", "regressor": "-", "oracle": "--"}


def figures(fidelity: Fidelity) -> dict[str, Figure]:
    """Distributions of the errors, a gallery of targets with their draws, and the statistics of morphology."""
    return {
        "errors": _errors(fidelity),
        "gallery": _gallery(fidelity),
        "realism": _realism(fidelity.morphology),
    }


def _curves(fidelity: Fidelity) -> Iterator[tuple[str, np.ndarray, str]]:
    """Name, errors `(T,)` and line style of each distribution."""
    yield "reconstruction", fidelity.reconstruction_error, "-"
    for kind, draws in fidelity.draws.items():
        for each in draws.ranked:
            yield f"{kind.prefix}{each.name}", each.values, _STYLES[each.ranking]
    yield "nearest training image", fidelity.nearest_error, ":"


def _errors(fidelity: Fidelity) -> Figure:
    """The share of targets up to each error."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, values, style in _curves(fidelity):
        axes.plot(100 * np.sort(values), (np.arange(len(values)) + 1) / len(values), style, label=name)
    axes.set(xscale="log", xlabel="error of the worst property / %", ylabel="share of targets up to this error")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _gallery(fidelity: Fidelity) -> Figure:
    where = np.linspace(0, len(fidelity.targets) - 1, min(_SHOWN, len(fidelity.targets))).round().astype(int)
    rows = {"target": fidelity.targets, "reconstruction": fidelity.reconstructions, "chosen draw": fidelity.chosen}
    figure = Figure(figsize=(1.5 * len(where), 5), layout="constrained")
    panels = figure.subplots(len(rows), len(where), squeeze=False)
    for line, (title, images) in zip(panels, rows.items(), strict=True):
        for axes, image in zip(line, images[where], strict=True):
            draw(axes, image)
        line[0].set_title(title, fontsize=9)
    return figure


def _realism(statistics: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    figure = Figure(figsize=(9, 2.4 * -(-len(statistics) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(statistics) // 3), 3, squeeze=False).ravel()
    for axes in panels[len(statistics) :]:
        axes.set_axis_off()
    for axes, (name, (decodes, data)) in zip(panels, statistics.items(), strict=False):
        low, high = np.quantile(np.concatenate((decodes, data)), (0.002, 0.998)).tolist()
        bins = np.linspace(low, high, 30) if low < high else np.array([low - 0.5, low + 0.5])
        for label, values in (("data", data), ("decodes", decodes)):
            axes.hist(values, bins, density=True, histtype="step", label=label)
        axes.set_title(name, fontsize=9)
    panels[0].legend(fontsize=8)
    return figure
