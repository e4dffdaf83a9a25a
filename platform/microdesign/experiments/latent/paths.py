"""A path in latent space between two microstructures of near-equal properties, along which the properties stay.

Shapes: D latent, P properties, S steps.
"""

import numpy as np

from microdesign.core.metrics import worst_errors
from microdesign.design.search.gauss_newton import gauss_newton
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.statistics.difference import coordinates, differences
from microdesign.surrogate.protocol import Surrogate, decode_labels

_CLOSE = 0.03
_STEPS = 3
"""Gauss-Newton steps from the straight line to the constant properties."""


def dissimilar_pair(data: Microstructures, table: np.ndarray) -> tuple[int, int]:
    """The two images of near-equal properties `(n, P)` that differ most.

    Near-equal is within 3 % of the worst property, or the smallest difference of any two images.
    """
    best = (-1.0, 0, 1)
    gaps = np.stack([worst_errors(table, row) for row in table])
    np.fill_diagonal(gaps, np.inf)
    points, limit = coordinates(data.labels), max(_CLOSE, float(gaps.min()))
    for a, row in enumerate(gaps):
        near = np.flatnonzero(row <= limit)
        if len(near):
            far = differences(points[a], points[near])
            best = max(best, (float(far.max()), a, int(near[far.argmax()])))
    return best[1], best[2]


def straight_path(
    surrogate: Surrogate, pair: Microstructures, table: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """A straight path of latents `(S, D)` between two images at their mean properties, and these properties `(P,)`.

    Each image's latent is, in its most likely component, mean_k(c) + std_k(c) e. The path's ends have the same noise e
    at the mean properties c*: mean_k(c*) + std_k(c*) e.

    Args:
        surrogate: The model.
        pair: The two images.
        table: Their properties `(2, P)`.
        steps: S.
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


def corrected_path(surrogate: Surrogate, path: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Latents `(S, D)` moved by Gauss-Newton steps until the regressor predicts the properties `(P,)` of their decodes.

    The decodes along a straight line between two latents of these properties have them only approximately.
    """
    prior = surrogate.prior(dict(zip(surrogate.properties, target.tolist(), strict=True)))
    std = np.broadcast_to(prior.std.mean(0), path.shape)
    found = surrogate.predict(decode_labels(surrogate, path))[0]
    return gauss_newton(surrogate, path, found, std, target, target, _STEPS)
