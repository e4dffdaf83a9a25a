"""Figures of the experiment `inverse`.

Shapes: T targets, `*N` image or volume.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from microdesign.experiments.base.evaluated_draws import EvaluatedDraws
from microdesign.experiments.base.ranking import RankedErrors
from microdesign.microstructure.drawing import draw

_SHOWN = 4
"""Targets in the gallery."""
_PANEL = {2: (1.8, 1.9), 3: (3.0, 1.0)}
"""Width and height in inches of an image of the gallery, and of a volume: three sections and a view, side by side."""
_STYLES = {"first": ":", "regressor": "-", "oracle": "--"}


def error_figure(errors: Mapping[str, Sequence[RankedErrors]]) -> Figure:
    """The share of targets up to each error: first draws and the best of all, by the regressor and by the oracle."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, (model, ranked) in enumerate(errors.items()):
        most = max(each.n for each in ranked)
        for each in ranked:
            if each.ranking == "first" or each.n == most:
                share = (np.arange(len(each.values)) + 1) / len(each.values)
                label = model if len(ranked) == 1 else f"{model}, {each.name}"
                values = 100 * np.sort(each.values)
                axes.plot(values, share, _STYLES[each.ranking], color=f"C{number}", label=label)
    axes.set(xscale="log", xlabel="error of the worst property / %", ylabel="share of targets up to this error")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure


def gallery(targets: np.ndarray, found: Mapping[str, EvaluatedDraws]) -> Figure:
    """Some targets `(T, *N)` and, by model, the draw that the regressor ranks first, with its error by physics."""
    where = np.linspace(0, len(targets) - 1, min(_SHOWN, len(targets))).round().astype(int)
    width, height = _PANEL[targets.ndim - 1]
    figure = Figure(figsize=(width * len(where), height * (1 + len(found))), layout="constrained")
    grid = figure.subplots(1 + len(found), len(where), squeeze=False)
    for column, index in enumerate(where):
        draw(grid[0, column], targets[index], title="target")
        for row, (model, draws) in enumerate(found.items(), 1):
            error = draws.error[index, draws.score[index].argmin()]
            draw(grid[row, column], draws.chosen[index], title=f"{model}: {error:.1%}")
    return figure
