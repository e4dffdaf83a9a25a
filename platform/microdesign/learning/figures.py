"""Figures of an evaluation, as matplotlib objects that no global state owns."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def parity(names: Sequence[str], true: np.ndarray, predicted: np.ndarray, std: np.ndarray) -> Figure:
    """Predicted against true values with one standard deviation, a panel for each of P properties, all `(N, P)`."""
    figure = Figure(figsize=(4 * len(names), 4), layout="constrained")
    for axes, name, x, y, error in zip(
        figure.subplots(1, len(names), squeeze=False)[0], names, true.T, predicted.T, std.T, strict=True
    ):
        axes.errorbar(x, y, error, fmt=".", markersize=3, elinewidth=0.4, alpha=0.6)
        axes.axline((x.mean(), x.mean()), slope=1, color="black", linewidth=0.8)
        axes.set(xlabel=f"{name}, physics", ylabel=f"{name}, predicted")
    return figure


def gallery(images: np.ndarray, decodes: np.ndarray) -> Figure:
    """Images above their decodes, both `(n, X, Y)`; x to the right, y up."""
    figure = Figure(figsize=(1.5 * len(images), 3.2), layout="constrained")
    for row, (title, batch) in zip(
        figure.subplots(2, len(images), squeeze=False), (("image", images), ("decode", decodes)), strict=True
    ):
        for axes, image in zip(row, batch, strict=True):
            _show(axes, image)
        row[0].set_title(title)
    return figure


def component_gallery(decodes: np.ndarray) -> Figure:
    """One decode for each of K prior components at one target, `(K, X, Y)`."""
    figure = Figure(figsize=(2 * len(decodes), 2.3), layout="constrained")
    for number, (axes, image) in enumerate(
        zip(figure.subplots(1, len(decodes), squeeze=False)[0], decodes, strict=True)
    ):
        _show(axes, image)
        axes.set_title(f"component {number}")
    return figure


def latent_map(latent: np.ndarray, values: np.ndarray, name: str, component: np.ndarray) -> Figure:
    """Two principal axes of the latents `(N, D)`, coloured by a property `(N,)` and by component `(N,)`."""
    centred = latent - latent.mean(0)
    # One more axis of zeros, for a latent of one number has no second principal axis.
    axes = np.linalg.svd(np.pad(centred, ((0, 0), (0, 1))), full_matrices=False)[2][:2, :-1]
    plane = centred @ axes.T
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.colorbar(left.scatter(*plane.T, c=values, s=8), ax=left, label=name)
    right.scatter(*plane.T, c=component, s=8, cmap="tab10")
    right.set_title("component")
    return figure


def _show(axes: object, image: np.ndarray) -> None:
    axes.imshow(image.T, origin="lower", cmap="gray_r", vmin=0, vmax=1)
    axes.set_axis_off()
