"""The experiment `latent`: what each latent dimension and component draws, and a path between two materials.

Shapes: D latent, K components, P properties, S steps, `*N` image.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from pydantic import Field

from microdesign.core.progress import Progress
from microdesign.design.search.gauss_newton import follow
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.measured import MeasuredModel
from microdesign.experiments.base.outcome import Outcome, Table
from microdesign.experiments.base.physics import check_measurable
from microdesign.experiments.base.ranking import worst_errors
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import SplitName
from microdesign.microstructure.drawing import draw
from microdesign.microstructure.statistics.similarity import distances, two_point_of
from microdesign.surrogate.protocol import Prior, Surrogate, decode_labels

_DEVIATIONS = (-2.0, -1.0, 0.0, 1.0, 2.0)
_CLOSE = 0.03
_STEPS = 3
"""Steps down the model's slopes from the straight line to the constant properties."""


class LatentExperiment(ExperimentConfig, MeasuredModel):
    """A trained model, and what to draw of its latents."""

    what: Literal["latent"] = "latent"
    folder: str = Field("runs/latent", description="where tables, figures and results of physics go")
    split: SplitName = Field("test", description="held-out split that the two materials are taken from")
    dimensions: int = Field(12, ge=1, description="latent dimensions in the traversals: those that change images most")
    steps: int = Field(7, ge=2, description="images on the path from one material to the other, both ends included")


def run_latent(config: LatentExperiment, folder: Path, uri: str, progress: Progress) -> Outcome:
    """Traversals of each component at the median target, and the path between two held-out materials.

    Raises:
        InputError: The model or the data set cannot be had, or the materials differ.
    """
    check_measurable(Dataset.open(config.dataset), (2, 3))
    measured = config.opened(folder, uri, progress)
    surrogate, names = measured.surrogate, measured.surrogate.properties
    data = measured.dataset.load(config.split).with_known(names)
    table = data.property_table(names)
    prior = surrogate.prior(dict(zip(names, np.median(table, axis=0).tolist(), strict=True)))
    progress(f"traversals of {len(prior.weights)} components")
    figures = {
        f"traversal_{k}": _traversal_figure(surrogate, prior, k, config.dimensions)
        for k in np.flatnonzero(prior.weights >= 1e-3)
    }
    a, b = twins(data, table)
    progress(f"path from image {a} to image {b}")
    path, target = between(surrogate, data.select([a, b]), table[[a, b]], config.steps)
    path = held(surrogate, path, target)
    images = decode_labels(surrogate, path)
    found = measured.evaluator.evaluate(images)
    errors = worst_errors(found, target)
    figures["path"] = _path_figure(data.labels[a], data.labels[b], images, errors)
    rows = [
        [step, *row.tolist(), float(100 * error)] for step, (row, error) in enumerate(zip(found, errors, strict=True))
    ]
    return Outcome(
        tables={"path": Table(("step", *names, "off the constant properties / %"), [["wanted", *target, 0.0], *rows])},
        figures=figures,
        metrics={"path_error_median": float(np.median(errors)), "path_error_max": float(errors.max())},
        tags=measured.tags,
    )


def traversal(prior: Prior, component: int, dimension: int) -> np.ndarray:
    """Latents through a component's mean along one dimension, at -2 to 2 of its standard deviations, `(5, D)`."""
    z = np.repeat(prior.mean[component][None], len(_DEVIATIONS), axis=0)
    z[:, dimension] += np.array(_DEVIATIONS) * prior.std[component, dimension]
    return z


def twins(data: Microstructures, table: np.ndarray) -> tuple[int, int]:
    """Two images whose properties `(n, P)` are close and whose two-point statistics are as far apart as can be.

    Close is within 3 % of the worst property, or as near as any two images are.
    """
    best = (-1.0, 0, 1)
    gaps = np.stack([worst_errors(table, row) for row in table])
    np.fill_diagonal(gaps, np.inf)
    statistics, limit = two_point_of(data.labels), max(_CLOSE, float(gaps.min()))
    for a, row in enumerate(gaps):
        near = np.flatnonzero(row <= limit)
        if len(near):
            far = distances(statistics[a], statistics[near])
            best = max(best, (float(far.max()), a, int(near[far.argmax()])))
    return best[1], best[2]


def between(
    surrogate: Surrogate, pair: Microstructures, table: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """A path of latents `(S, D)` between two materials at their mean properties `(P,)`, which it is returned with.

    Each material's latent is, in its most likely component, mean_k(c) + std_k(c) e. At the mean properties c* the same
    noise e gives the material's twin of these properties; the path is the straight line between the twins.
    """
    names = surrogate.properties
    target = table.mean(0)
    goal = surrogate.prior(dict(zip(names, target.tolist(), strict=True)))
    ends = []
    for z, row in zip(surrogate.encode(pair.labels)[0], table, strict=True):
        prior = surrogate.prior(dict(zip(names, row.tolist(), strict=True)))
        distances = ((z - prior.mean) / prior.std) ** 2 / 2 + np.log(prior.std)
        k = int((np.log(np.maximum(prior.weights, 1e-300)) - distances.sum(1)).argmax())
        ends.append(goal.mean[k] + goal.std[k] * (z - prior.mean[k]) / prior.std[k])
    share = np.linspace(0, 1, steps)[:, None]
    return (1 - share) * ends[0] + share * ends[1], target


def held(surrogate: Surrogate, path: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Latents `(S, D)` that the model's slopes have moved to where it says that they have the properties `(P,)`.

    What a straight line between two latents of these properties goes through has them only nearly.
    """
    prior = surrogate.prior(dict(zip(surrogate.properties, target.tolist(), strict=True)))
    std = np.broadcast_to(prior.std.mean(0), path.shape)
    found = surrogate.predict(decode_labels(surrogate, path))[0]
    return follow(surrogate, path, found, std, target, target, _STEPS)


def _traversal_figure(surrogate: Surrogate, prior: Prior, component: int, most: int) -> Figure:
    dimensions = prior.mean.shape[1]
    latents = np.concatenate([traversal(prior, component, d) for d in range(dimensions)])
    images = decode_labels(surrogate, latents)
    images = images.reshape(dimensions, len(_DEVIATIONS), *images.shape[1:])
    change = np.array([float(distances(f[0], f[-1:])) for f in map(two_point_of, images)])
    order = np.argsort(-change, kind="stable")[:most]
    figure = Figure(figsize=(1.3 * len(_DEVIATIONS), 1.35 * len(order)), layout="constrained")
    grid = figure.subplots(len(order), len(_DEVIATIONS), squeeze=False)
    for line, d in zip(grid, order, strict=True):
        for axes, image, deviation in zip(line, images[d], _DEVIATIONS, strict=True):
            draw(axes, image, title=f"z{d}: {deviation:+g}")
    figure.suptitle(f"component {component}, weight {prior.weights[component]:.2f}", fontsize=10)
    return figure


def _path_figure(first: np.ndarray, last: np.ndarray, images: np.ndarray, errors: np.ndarray) -> Figure:
    figure = Figure(figsize=(1.5 * (len(images) + 2), 1.9), layout="constrained")
    panels = figure.subplots(1, len(images) + 2)
    draw(panels[0], first, title="material a")
    for axes, image, error in zip(panels[1:-1], images, errors, strict=True):
        draw(axes, image, title=f"off by {error:.1%}")
    draw(panels[-1], last, title="material b")
    return figure
