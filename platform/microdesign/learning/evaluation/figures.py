"""Figures of an evaluation, as matplotlib objects that no global state owns. Shapes as in `evaluation`."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from microdesign.core.pixels import Pixel
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.drawing import draw
from microdesign.microstructure.statistics.two_point import two_point


def parity(
    names: Sequence[str],
    true: np.ndarray,
    predicted: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    what: str,
) -> Figure:
    """Predicted against true values with their bounds, a panel for each of P properties, all `(N, P)`."""
    figure = Figure(figsize=(4 * len(names), 4), layout="constrained")
    for column, (axes, name) in enumerate(zip(_row(figure, len(names)), names, strict=True)):
        x, y = true[:, column], predicted[:, column]
        errors = np.maximum([y - bounds[0][:, column], bounds[1][:, column] - y], 0)
        axes.errorbar(x, y, errors, fmt=".", markersize=3, elinewidth=0.4, alpha=0.6)
        axes.axline((x.mean(), x.mean()), slope=1, color="black", linewidth=0.8)
        axes.set(xlabel=f"{name}, physics", ylabel=f"{name}, predicted ({what})")
    return figure


def calibration(names: Sequence[str], scores: np.ndarray, factors: Sequence[float] | None, level: float) -> Figure:
    """Share of test images within an interval against the share that it is meant to hold, two lines a property.

    Args:
        names: The P properties.
        scores: Size of the test residuals in predicted standard deviations, `(N, P)`.
        factors: The calibrated half widths at `level`; without them the intervals of the Gaussian head alone are shown.
        level: The level that the model's intervals state.
    """
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    meant = np.linspace(0.01, 0.99, 99)
    normal = norm.ppf((1 + meant) / 2)
    for column, name in enumerate(names):
        raw = (scores[:, column, None] <= normal).mean(0)
        axes.plot(meant, raw, color=f"C{column}", linestyle=":", label=f"{name}, as predicted")
        if factors is not None:
            scale = factors[column] / norm.ppf((1 + level) / 2)
            got = (scores[:, column, None] <= scale * normal).mean(0)
            axes.plot(meant, got, color=f"C{column}", label=f"{name}, calibrated at {level:g}")
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    axes.axvline(level, color="grey", linestyle="--", linewidth=0.8)
    axes.set(xlabel="share meant to be inside", ylabel="share of test images inside", xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=8)
    return figure


def reconstructions(images: Microstructures, decodes: Microstructures) -> Figure:
    """Images above their decodes, and the two-point maps of both: phase 1, offset 0 in the middle, of volumes z = 0."""
    figure = Figure(figsize=(1.6 * len(images) + 0.6, 6.6), layout="constrained")
    grid = figure.subplots(4, len(images), squeeze=False)
    maps = [_two_point_map(batch) for batch in (images, decodes)]
    pixel = Pixel.of(images.physical)
    for column in range(len(images)):
        draw(grid[0, column], images.labels[column], images.n_phases, images.classes[column], pixel)
        draw(grid[1, column], decodes.labels[column], images.n_phases, pixel=pixel)
        top = max(float(each[column].max()) for each in maps)
        for row, each in zip((2, 3), maps, strict=True):
            grid[row, column].imshow(each[column].T, origin="lower", cmap="viridis", vmin=0, vmax=top)
            grid[row, column].set_axis_off()
    for row, text in enumerate(("image", "decode", "two-point, image", "two-point, decode")):
        grid[row, 0].text(-0.05, 0.5, text, rotation=90, va="center", ha="right", transform=grid[row, 0].transAxes)
    return figure


def prior_gallery(draws: Microstructures, weights: np.ndarray) -> Figure:
    """Draws from each of K components at one target, a row a component: `draws` holds K x m images, in order."""
    rows, columns = len(weights), len(draws) // len(weights)
    figure = Figure(figsize=(1.6 * columns + 0.8, 1.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for number, (axes, labels) in enumerate(zip(grid.flat, draws.labels, strict=True)):
        draw(axes, labels, draws.n_phases, pixel=Pixel.of(draws.physical))
        if number % columns == 0:
            k = number // columns
            axes.text(
                -0.05, 0.5, f"{k}: {weights[k]:.2f}", rotation=90, va="center", ha="right", transform=axes.transAxes
            )
    return figure


def latent_map(latent: np.ndarray, colours: Mapping[str, np.ndarray]) -> Figure:
    """Two principal axes of the latents `(N, D)`, a panel for each way to colour them `(N,)`: numbers or names."""
    centred = latent - latent.mean(0)
    # One more axis of zeros, for a latent of one number has no second principal axis.
    axes = np.linalg.svd(np.pad(centred, ((0, 0), (0, 1))), full_matrices=False)[2][:2, :-1]
    plane = centred @ axes.T
    figure = Figure(figsize=(4.5 * len(colours), 4), layout="constrained")
    for panel, (title, values) in zip(_row(figure, len(colours)), colours.items(), strict=True):
        if values.dtype.kind == "f":
            figure.colorbar(panel.scatter(plane[:, 0], plane[:, 1], c=values, s=8), ax=panel)
        else:
            for number, kind in enumerate(np.unique(values)):
                x, y = plane[values == kind].T
                panel.scatter(x, y, s=8, color=f"C{number % 10}", label=str(kind))
            panel.legend(fontsize=6, markerscale=2)
        panel.set_title(title)
    return figure


def component_use(weights: np.ndarray, responsibilities: np.ndarray, classes: Sequence[str]) -> Figure:
    """Mean prior weight and mean responsibility of each of K components, and the share of each in every class."""
    k = weights.shape[1]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = _row(figure, 2)
    left.bar(np.arange(k) - 0.2, weights.mean(0), 0.4, label="prior weight")
    left.bar(np.arange(k) + 0.2, responsibilities.mean(0), 0.4, label="responsibility")
    left.axhline(1 / k, color="grey", linestyle="--", linewidth=0.8)
    left.set(xlabel="component", ylabel="mean over test images")
    left.legend(fontsize=8)
    names = sorted(set(classes))
    shares = np.stack([responsibilities[np.array(classes) == name].mean(0) for name in names])
    right.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    right.set_yticks(range(len(names)), names)
    right.set_xticks(range(k))
    right.set_xlabel("component")
    return figure


def _row(figure: Figure, columns: int) -> list[Axes]:
    return list(figure.subplots(1, columns, squeeze=False)[0])


def _two_point_map(images: Microstructures) -> np.ndarray:
    """Autocorrelation of phase 1 with offset 0 in the middle, `(n, X, Y)`; of volumes the plane z = 0."""
    indicator = torch.from_numpy((images.labels == 1).astype(np.float32))
    f = two_point(indicator, len(images.shape))
    plane = f if f.ndim == 3 else f[..., 0]
    return torch.fft.fftshift(plane, dim=(1, 2)).numpy()
