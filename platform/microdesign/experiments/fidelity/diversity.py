"""Whether a model's components and draws differ from each other.

Shapes: T targets.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from microdesign.experiments.base.evaluated_draws import EvaluatedDraws
from microdesign.experiments.base.ranking import count_distinct
from microdesign.experiments.fidelity.measurement import PER_CENT, Measurement
from microdesign.microstructure.statistics.difference import coordinates
from microdesign.surrogate.protocol import Surrogate, decode_labels


def distinct_components(surrogate: Surrogate, conditions: Sequence[Mapping[str, float]]) -> np.ndarray:
    """How many components in use decode each condition to a morphology of their own, `(T,)`.

    In use are those of at least half an equal share of the weight; the decodes are those of their means.
    """
    counts = []
    for condition in conditions:
        prior = surrogate.prior(condition)
        used = prior.mean[prior.weights >= 0.5 / len(prior.weights)]
        counts.append(count_distinct(coordinates(decode_labels(surrogate, used))))
    return np.array(counts)


def diversity(
    surrogate: Surrogate, draws: EvaluatedDraws, conditions: Sequence[Mapping[str, float]]
) -> list[Measurement]:
    """Section e: components in use, components of a target's draws, and distinct morphologies.

    Args:
        surrogate: The model.
        draws: Draws for T targets.
        conditions: The targets.
    """
    components = distinct_components(surrogate, conditions)
    per_target = np.array([len(set(row)) for row in draws.component.tolist()])
    in_use = components_in_use(draws.component, len(surrogate.prior(conditions[0]).weights))
    return [
        Measurement("e", "components in use", value=float(in_use)),
        Measurement.of("e", "components per target", per_target),
        Measurement.of("e", "distinct morphologies", draws.distinct()),
        Measurement.of("e", "distinct morphologies of error below 10 %", draws.distinct(within=0.1)),
        Measurement.of("e", "distinct components", components),
        Measurement(
            "e", "targets with three distinct components", value=float((components >= 3).mean()), unit=PER_CENT
        ),
    ]


def components_in_use(component: np.ndarray, count: int) -> int:
    """How many of `count` components give at least half an equal share of the draws `(T, N)`."""
    shares = np.bincount(component.ravel()) / component.size
    return int((shares > 0.5 / count).sum())
