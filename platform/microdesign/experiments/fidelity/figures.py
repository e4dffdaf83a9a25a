"""Figures of the experiment `fidelity`."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from microdesign.experiments.fidelity.draws import DrawKind
from microdesign.experiments.fidelity.measure import Fidelity
from microdesign.microstructure.drawing import draw

_SHOWN = 8
"""Targets in the gallery."""
_PER_CLASS, _MOST_CLASSES = 4, 24
"""Images of a class on the contact sheet, and classes."""
_STYLES = {"first": "-", "regressor": "-", "oracle": "--"}


def figures(fidelity: Fidelity) -> dict[str, Figure]:
    """Distributions of the errors, a gallery of targets with their draws, statistics, and a sheet of each class."""
    return {
        "errors": _errors(fidelity),
        "gallery": _gallery(fidelity),
        "realism": _realism(fidelity.morphology),
        "contact_sheet": _contact_sheet(fidelity),
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


def _contact_sheet(fidelity: Fidelity) -> Figure:
    """A row for each class: images, their reconstructions, and a draw for the properties of each."""
    by_class: dict[str, list[int]] = {}
    for index, name in enumerate(fidelity.classes):
        by_class.setdefault(name, []).append(index)
    rows = [(name, numbers[:_PER_CLASS]) for name, numbers in sorted(by_class.items())][:_MOST_CLASSES]
    if len(rows) == 1:  # no classes: as many rows of targets
        name, every = rows[0][0], by_class[rows[0][0]]
        rows = [(name, every[i : i + _PER_CLASS]) for i in range(0, min(len(every), _PER_CLASS**2), _PER_CLASS)]
    draws = fidelity.draws[DrawKind.DIRECT].labels[:, 0]
    groups = {"data": fidelity.targets, "reconstructions": fidelity.reconstructions, "draws": draws}
    figure = Figure(figsize=(1.2 * 3 * _PER_CLASS + 0.6, 1.25 * len(rows) + 0.4), layout="constrained")
    parts = figure.subfigures(1, len(groups), squeeze=False)[0]
    for part, (title, images) in zip(parts, groups.items(), strict=True):
        part.suptitle(title, fontsize=10)
        panels = part.subplots(len(rows), _PER_CLASS, squeeze=False)
        for line, (name, numbers) in zip(panels, rows, strict=True):
            for axes in line:
                axes.set_axis_off()
            for axes, number in zip(line, numbers, strict=False):
                draw(axes, images[number])
            line[0].set_title(name, fontsize=8, loc="left")
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
