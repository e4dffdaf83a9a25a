"""Figures of the experiment `reconstruction`.

Shapes: M models, N images, X Y image.
"""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from microdesign.experiments.reconstruction.scores import Scores
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.drawing import draw
from microdesign.microstructure.statistics.two_point import two_point
from microdesign.model.losses.config import EPS
from microdesign.surrogate.protocol import Surrogate, decode_labels

_OUTLIERS = 6
"""Worst reconstructions of each model that are shown."""


def figures(scores: Scores, surrogates: Mapping[str, Surrogate], data: Microstructures) -> dict[str, Figure]:
    """Histograms with the pairwise matrix, reconstructions of an image of each class, and the worst of each model."""
    made = {
        "comparison": scores.comparison("excess_cess").figure(),
        "comparison_soft": scores.comparison("excess_cess_soft").figure(),
        "outliers": outliers(scores, surrogates, data),
    }
    for name in sorted(set(data.classes)):
        image = data.select([data.classes.index(name)])
        decodes = {model: _reconstructed(surrogate, image.labels) for model, surrogate in surrogates.items()}
        made[f"class_{name or 'images'}"] = two_point_maps(image.labels[0], {m: d[0] for m, d in decodes.items()}, name)
    return made


def two_point_maps(image: np.ndarray, decodes: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """An image `(X, Y)` and its reconstructions, their two-point maps, and the difference of the maps' logarithms."""
    columns: dict[str, np.ndarray] = {title or "image": image, **decodes}
    maps = [_two_point(each) for each in columns.values()]
    changes = [np.log(np.maximum(each, EPS)) - np.log(np.maximum(maps[0], EPS)) for each in maps]
    most = max(float(np.abs(change).max()) for change in changes) or 1.0
    figure = Figure(figsize=(1.7 * len(columns), 5.4), layout="constrained")
    grid = figure.subplots(3, len(columns), squeeze=False)
    for column, (name, labels) in enumerate(columns.items()):
        draw(grid[0, column], labels, title=name)
        _show(grid[1, column], maps[column], 0, float(maps[0].max()), "viridis")
        _show(grid[2, column], changes[column], -most, most, "RdBu")
    grid[2, 0].set_title(f"log difference, up to {most:.2g}", fontsize=7)
    return figure


def outliers(scores: Scores, surrogates: Mapping[str, Surrogate], data: Microstructures) -> Figure:
    """The images that each model reconstructs worst, above the reconstructions with their excess CESS."""
    n = min(_OUTLIERS, len(data))
    figure = Figure(figsize=(1.6 * n + 0.6, 3.4 * len(scores.models)), layout="constrained")
    grid = figure.subplots(2 * len(scores.models), n, squeeze=False)
    for m, model in enumerate(scores.models):
        worst = scores.worst(model, n)
        images = data.select(worst)
        decodes = _reconstructed(surrogates[model], images.labels)
        for column, index in enumerate(worst):
            draw(grid[2 * m, column], images.labels[column], title=images.classes[column])
            value = scores.values["excess_cess"][m, index]
            draw(grid[2 * m + 1, column], decodes[column], title=f"{model}: {value:.3g}")
    return figure


def circles_figure(targets: np.ndarray, found: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Targets uint8 `(B, X, Y)` and, by loss, the binarised images aligned with them, with their errors."""
    figure = Figure(figsize=(1.7 * len(targets) + 0.6, 1.9 * (1 + len(found))), layout="constrained")
    grid = figure.subplots(1 + len(found), len(targets), squeeze=False)
    for column, target in enumerate(targets):
        draw(grid[0, column], target, title="target")
        for row, (loss, (copies, error)) in enumerate(found.items(), 1):
            draw(grid[row, column], copies[column], title=f"{loss}: error {error[column]:.1%}")
    return figure


def lines_figure(spacings: np.ndarray, values: Mapping[str, np.ndarray], spacing: int) -> Figure:
    """Each loss over the spacing of the lines, relative to its largest value."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, each in values.items():
        axes.plot(spacings, each / max(float(each.max()), 1e-30), label=name)
    axes.axvline(spacing, color="black", linewidth=0.6)
    axes.set(xlabel="spacing of the lines / pixels", ylabel="loss over its largest value")
    axes.legend(fontsize=8)
    return figure


def _reconstructed(surrogate: Surrogate, labels: np.ndarray) -> np.ndarray:
    return decode_labels(surrogate, surrogate.encode(labels)[0])


def _two_point(labels: np.ndarray) -> np.ndarray:
    return torch.fft.fftshift(two_point(torch.from_numpy((labels == 1).astype(np.float32)))).numpy()


def _show(axes: Axes, values: np.ndarray, low: float, high: float, colours: str) -> None:
    axes.imshow(values.T, origin="lower", vmin=low, vmax=high, cmap=colours)
    axes.set_axis_off()
