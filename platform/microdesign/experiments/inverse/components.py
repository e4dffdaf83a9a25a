"""Errors of the draws of each component of a prior.

Shapes: T targets, K components, D latent, P properties.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from microdesign.experiments.base.evaluated_draws import conditions_of, evaluate_draws
from microdesign.experiments.base.ranking import RankedErrors
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.protocol import Draws, Surrogate

LEAST_WEIGHT = 1e-3
"""Weight below which a component is out of use: no training image is encoded in it."""


class ComponentErrors(NamedTuple):
    """A component of a model, its mean weight, and the errors of its draws."""

    model: str
    component: int
    weight: float
    errors: Sequence[RankedErrors]


def component_errors(
    model: str, surrogate: Surrogate, evaluator: TableEvaluator, targets: np.ndarray, n: int, seed: int
) -> list[ComponentErrors]:
    """Errors of n draws of each component in use for each target's properties `(T, P)`, component by component."""
    priors = [surrogate.prior(condition) for condition in conditions_of(surrogate.properties, targets)]
    weights = np.stack([prior.weights for prior in priors])
    found = []
    for k in np.flatnonzero(weights.mean(0) >= LEAST_WEIGHT):
        noise = np.random.default_rng([seed, int(k)]).standard_normal((len(priors), n, priors[0].mean.shape[1]))
        z = [prior.mean[k] + prior.std[k] * each for prior, each in zip(priors, noise, strict=True)]
        draws = [Draws(each, np.full(n, k), prior.log_density(each)) for prior, each in zip(priors, z, strict=True)]
        errors = evaluate_draws(surrogate, evaluator, targets, draws).ranked
        found.append(ComponentErrors(model, int(k), float(weights[:, k].mean()), errors))
    return found
