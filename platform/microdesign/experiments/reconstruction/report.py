"""What the reconstruction experiment found, for people: tables and figures.

Shapes: M models, N images, X Y image.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from microdesign.experiments.base.outcome import Cell, Table
from microdesign.experiments.reconstruction.scores import SCORES, Scores
from microdesign.learning.evaluation.comparison import Comparison
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.drawing import draw
from microdesign.microstructure.statistics.two_point import two_point
from microdesign.model.losses.two_point import EPS
from microdesign.surrogate.protocol import Surrogate, decode_labels

OUTLIERS = 6
"""Worst reconstructions of each model that are shown."""


def tables(scores: Scores, data: Microstructures) -> dict[str, Table]:
    """Medians and means of each score, the pairwise matrices, and every image's scores."""
    titles = [f"{name}, {kind}" for name in SCORES for kind in ("median", "mean")]
    rows: list[list[Cell]] = []
    for m, model in enumerate(scores.models):
        values = [float(of(scores.values[name][m])) for name in SCORES for of in (np.median, np.mean)]
        rows.append([model, *values])
    made = {"models": Table(("model", *titles), rows)}
    for name in ("excess_cess", "excess_cess_soft"):
        wins = comparison(scores, name).wins.tolist()
        lines = [[model, *line] for model, line in zip(scores.models, wins, strict=True)]
        made[f"wins_{name}"] = Table(("lower than", *scores.models), lines)
    columns = [(model, name) for model in scores.models for name in SCORES]
    samples = [
        [
            index,
            data.classes[index],
            *(float(scores.values[name][scores.models.index(m), index]) for m, name in columns),
        ]
        for index in range(len(data))
    ]
    made["samples"] = Table(("image", "class", *(f"{model}: {name}" for model, name in columns)), samples)
    return made


def metrics(scores: Scores) -> dict[str, float]:
    """The medians, and the share of images on which each model beats the first, by name."""
    values = {}
    for name, each in scores.values.items():
        values |= {
            f"{model}_{name}_median": float(np.median(row)) for model, row in zip(scores.models, each, strict=True)
        }
    for name in ("excess_cess", "excess_cess_soft"):
        wins = comparison(scores, name).wins[:, 0]
        first = scores.models[0]
        values |= {f"{m}_beats_{first}_{name}": float(w) for m, w in zip(scores.models[1:], wins[1:], strict=True)}
    return {name.replace("+", "_and_").replace(">", ""): value for name, value in values.items()}


def comparison(scores: Scores, name: str) -> Comparison:
    """The models side by side by one score."""
    medians = np.median(scores.values[name], axis=1)
    return Comparison(
        {model: {name: float(value)} for model, value in zip(scores.models, medians, strict=True)}, scores.values[name]
    )


def figures(scores: Scores, surrogates: Mapping[str, Surrogate], data: Microstructures) -> dict[str, Figure]:
    """Histograms with the pairwise matrix, reconstructions of an image of each class, and the worst of each model."""
    made = {
        "comparison": comparison(scores, "excess_cess").figure(),
        "comparison_soft": comparison(scores, "excess_cess_soft").figure(),
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
    n = min(OUTLIERS, len(data))
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
    """Targets uint8 `(B, X, Y)` and, by loss, the binarised images laid over them, with how far off they are."""
    figure = Figure(figsize=(1.7 * len(targets) + 0.6, 1.9 * (1 + len(found))), layout="constrained")
    grid = figure.subplots(1 + len(found), len(targets), squeeze=False)
    for column, target in enumerate(targets):
        draw(grid[0, column], target, title="target")
        for row, (loss, (copies, off)) in enumerate(found.items(), 1):
            draw(grid[row, column], copies[column], title=f"{loss}: {off[column]:.1%} off")
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


def circles_table(found: Mapping[str, tuple[np.ndarray, np.ndarray]], grey: Mapping[str, float]) -> Table:
    """How far off the discs each loss ends, image by image, and the share of grey pixels before the cut."""
    count: Sequence[int] = range(len(next(iter(found.values()))[1]))
    return Table(
        ("loss", "off, median", *(f"image {index}" for index in count), "grey pixels"),
        [[loss, float(np.median(off)), *map(float, off), grey[loss]] for loss, (_, off) in found.items()],
    )
