"""What a campaign is measured against: the best of the training set, and the best of as many random draws."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from microdesign.core.errors import InputError
from microdesign.design.campaign.runners.evaluation import Evaluate
from microdesign.design.search.distinctness import distinct_best
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.surrogate.protocol import Surrogate, decode_labels

MOST_COMPARED = 64
"""Training images that meet a target best, among which distinct ones are chosen."""

MOST_WORST_CASES = 16
"""Training images, the best as drawn, whose worst cases a robust campaign compares itself with."""


@dataclass(frozen=True)
class Baseline:
    """The best design of a baseline: image uint8 `(*N)`, physics values, error of the worst property, of how many."""

    labels: np.ndarray
    verified: dict[str, float]
    error: float
    of: int


@dataclass(frozen=True)
class AdmittedImages:
    """The training images that satisfy a target's constraints, with its properties.

    Attributes:
        data: All training images.
        rows: Places of the admitted ones, `(m,)`.
        values: The target's properties of these, `(m, P)`, finite.
        errors: Errors by which they count, `(m,)`: by the worse of two discretizations where a second was asked.
    """

    data: Microstructures
    rows: np.ndarray
    values: np.ndarray
    errors: np.ndarray


def admitted_images(data: Microstructures, target: Target) -> AdmittedImages | None:
    """The training images that satisfy the constraints; None when the labels lack a property of the target."""
    try:
        table = target.table(data.properties)
    except InputError:
        return None
    rows = np.flatnonzero(np.isfinite(table).all(1))
    rows = rows[target.admits(data.labels[rows])]
    return AdmittedImages(data, rows, table[rows], target.errors(table[rows]))


def checked_by(
    admitted: AdmittedImages, target: Target, n: int, errors: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> AdmittedImages:
    """The training images with the n distinct ones that meet the target best checked, as designs are.

    Args:
        admitted: They, by their labels.
        target: What was asked.
        n: How many.
        errors: Errors `(m,)` by two discretizations of images `(m, X, Y)` with values `(m, P)` by the first.
    """
    known = np.zeros(len(admitted.rows), dtype=bool)
    while True:
        found = [int(np.searchsorted(admitted.rows, row)) for row, _ in met_by_training_images(admitted, target, n)]
        new = [index for index in found if not known[index]]
        judged = admitted.errors.copy()
        if not new:
            return admitted
        if known.sum() >= MOST_COMPARED:
            judged[~known & (judged <= target.tolerance)] += 1.001 * target.tolerance
            return replace(admitted, errors=judged)
        judged[new] = errors(admitted.data.labels[admitted.rows[new]], admitted.values[new])
        known[new] = True
        admitted = replace(admitted, errors=judged)


def worst_cases(admitted: AdmittedImages, target: Target, evaluate: Evaluate) -> AdmittedImages:
    """Those of the training images that are the best as drawn, with the worst cases of their properties.

    Args:
        admitted: Training images with the properties of their labels.
        target: What was asked.
        evaluate: Physics of all variants of an image.
    """
    if not len(admitted.rows):
        return admitted
    rows = admitted.rows[np.sort(np.argsort(target.ranks(admitted.values), kind="stable")[:MOST_WORST_CASES])]
    values = target.table(evaluate(admitted.data.labels[rows]))
    solved = np.isfinite(values).all(1)
    return AdmittedImages(admitted.data, rows[solved], values[solved], target.errors(values[solved]))


def best_of_training_set(admitted: AdmittedImages, target: Target) -> Baseline | None:
    """The labelled image that comes closest; None when none satisfies the constraints."""
    return _best(admitted.data.labels, admitted.rows, admitted.values, target, admitted.errors)


def met_by_training_images(admitted: AdmittedImages, target: Target, n: int) -> list[tuple[int, np.ndarray]]:
    """Training images that meet the target, at most n, distinct, best first: their places and properties `(P,)`."""
    met = np.flatnonzero(admitted.errors <= target.tolerance)
    ranks = target.ranks(admitted.values[met], admitted.errors[met])
    best = met[np.argsort(ranks, kind="stable")[:MOST_COMPARED]] if len(met) else met
    if not len(best):
        return []
    points = target.coordinates(admitted.data.labels[admitted.rows[best]])
    chosen = distinct_best(np.arange(len(best)), np.zeros(len(best)), points, n)
    return [(int(admitted.rows[best[i]]), admitted.values[best[i]]) for i in chosen]


def best_of_random_draws(
    data: Microstructures,
    surrogate: Surrogate,
    target: Target,
    evaluate: Evaluate,
    n: int,
    seed: int,
) -> Baseline | None:
    """The best of n latents drawn blindly from the model: each from p(z|c) at the properties c of a random image.

    It says what the same number of physics evaluations gives when the target is not used.

    Args:
        data: Labelled training images.
        surrogate: The model.
        target: What was asked.
        evaluate: Physics.
        n: How many draws.
        seed: Of the draws.
    """
    stream = np.random.default_rng([seed, 1])
    rows = stream.integers(len(data), size=n)
    z = []
    for row in rows:
        properties = {name: float(data.properties[name][row]) for name in surrogate.properties}
        z.append(surrogate.sample(properties, 1, seed=int(stream.integers(2**31))).z[0])
    labels = decode_labels(surrogate, np.array(z))
    table = target.table(evaluate(labels))
    possible = np.flatnonzero(np.isfinite(table).all(1))
    possible = possible[target.admits(labels[possible])]
    return _best(labels, possible, table[possible], target)


def _best(
    labels: np.ndarray, rows: np.ndarray, values: np.ndarray, target: Target, errors: np.ndarray | None = None
) -> Baseline | None:
    if not len(rows):
        return None
    best = int(target.ranks(values, errors).argmin())
    verified = dict(zip(target.names, values[best].tolist(), strict=True))
    return Baseline(labels[rows[best]], verified, float(target.errors(values[best])), len(labels))
