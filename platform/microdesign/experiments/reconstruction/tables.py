"""Tables and metrics of the experiment `reconstruction`.

Shapes: M models, N images, S spacings.
"""

from collections.abc import Mapping

import numpy as np

from microdesign.experiments.base.result import Cell, Table, metric_name
from microdesign.experiments.reconstruction.config import LinesConfig
from microdesign.experiments.reconstruction.scores import PAIRWISE, SCORES, Scores
from microdesign.microstructure.data.container import Microstructures


def model_table(scores: Scores) -> Table:
    """Medians and means of each score, a row for each model."""
    titles = [f"{name}, {kind}" for name in SCORES for kind in ("median", "mean")]
    rows: list[list[Cell]] = []
    for m, model in enumerate(scores.models):
        values = [float(of(scores.values[name][m])) for name in SCORES for of in (np.median, np.mean)]
        rows.append([model, *values])
    return Table.of(("model", *titles), rows)


def win_table(scores: Scores, name: str) -> Table:
    """The share of images on which a row's model has a lower score than a column's."""
    wins = scores.comparison(name).wins.tolist()
    rows = [[model, *line] for model, line in zip(scores.models, wins, strict=True)]
    return Table.of(("lower than", *scores.models), rows)


def sample_table(scores: Scores, data: Microstructures) -> Table:
    """All scores of each image, a row for each."""
    columns = [(model, name) for model in scores.models for name in SCORES]
    values = [scores.values[name][scores.models.index(model)].tolist() for model, name in columns]
    rows = [[index, data.classes[index], *row] for index, row in enumerate(zip(*values, strict=True))]
    return Table.of(("image", "class", *(f"{model}: {name}" for model, name in columns)), rows)


def circles_table(found: Mapping[str, tuple[np.ndarray, np.ndarray]], grey: Mapping[str, float]) -> Table:
    """The error of the discs that each loss reconstructs, image by image, and the share of undecided pixels."""
    count = range(len(next(iter(found.values()))[1]))
    rows: list[list[Cell]] = [
        [loss, float(100 * np.median(error)), *(100 * error).tolist(), 100 * grey[loss]]
        for loss, (_, error) in found.items()
    ]
    errors = (f"error of image {index} / %" for index in count)
    return Table.of(("loss", "median error / %", *errors, "grey pixels / %"), rows)


def spacing_table(config: LinesConfig, spacings: np.ndarray, values: Mapping[str, np.ndarray]) -> Table:
    """The losses `(S,)` at the spacings that the configuration names."""
    rows: list[list[Cell]] = [
        [int(spacing), *(float(each[spacings == spacing][0]) for each in values.values())]
        for spacing in (config.spacing, *config.named)
    ]
    return Table.of(("spacing / px", *values), rows)


def metrics(scores: Scores) -> dict[str, float]:
    """The medians, and the share of images on which each model has a lower score than the first, by name."""
    values = {
        metric_name(model, name, "median"): float(np.median(row))
        for name, each in scores.values.items()
        for model, row in zip(scores.models, each, strict=True)
    }
    first, *others = scores.models
    for name in PAIRWISE:
        wins = scores.comparison(name).wins[1:, 0]
        values |= {metric_name(m, "beats", first, name): float(w) for m, w in zip(others, wins, strict=True)}
    return values
