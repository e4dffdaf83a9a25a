"""The figure of the experiment `forward`.

Shapes: N images, P properties.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure


def parity(names: Sequence[str], true: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Figure:
    """Predicted over true values `(N, P)`, a row for each model and a column for each property."""
    figure = Figure(figsize=(2.4 * len(names), 2.4 * len(predictions)), layout="constrained")
    grid = figure.subplots(len(predictions), len(names), squeeze=False)
    for line, (model, predicted) in zip(grid, predictions.items(), strict=True):
        for column, (axes, name) in enumerate(zip(line, names, strict=True)):
            axes.plot(true[:, column], predicted[:, column], ".", markersize=2, alpha=0.6)
            axes.axline((true[:, column].mean(),) * 2, slope=1, color="black", linewidth=0.6)
            axes.set_title(f"{model}: {name}", fontsize=8)
            axes.tick_params(labelsize=6)
    return figure
