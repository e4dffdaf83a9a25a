"""What a campaign is measured against: the best of the training set, and the best of as many random draws."""

from dataclasses import dataclass

import numpy as np

from microdesign.core.errors import InputError
from microdesign.design.campaign.runners.evaluation import Evaluate
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.surrogate.protocol import Surrogate, decode_labels


@dataclass(frozen=True)
class Baseline:
    """The best design of a baseline: image uint8 `(X, Y)`, physics values, error of the worst property, of how many."""

    labels: np.ndarray
    verified: dict[str, float]
    error: float
    of: int


def best_of_training_set(data: Microstructures, target: Target) -> Baseline | None:
    """The labelled image that comes closest; None when the labels lack a property or none satisfies the constraints."""
    try:
        table = target.table(data.properties)
    except InputError:
        return None
    return _best(data.labels, table, target)


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
    return _best(labels, target.table(evaluate(labels)), target)


def _best(labels: np.ndarray, table: np.ndarray, target: Target) -> Baseline | None:
    possible = np.flatnonzero(np.isfinite(table).all(1))
    possible = possible[target.admits(labels[possible])]
    if not len(possible):
        return None
    index = possible[target.ranks(table[possible]).argmin()]
    verified = dict(zip(target.names, table[index].tolist(), strict=True))
    return Baseline(labels[index], verified, float(target.errors(table[index])), len(labels))
