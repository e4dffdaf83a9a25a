"""Condition correction: where a draw's decode misses the goals, the condition of its prior is moved against the error.

A draw keeps its component k and its noise e: z = mu_k(c) + S_k(c) e. A round decodes it, asks the regressor for its
properties r, and moves the draw's own condition by what r misses of the wanted values w: c <- c (w / r)^STEP, or by a
sum where the property can be negative (`model.condition_correction`, on the scale that the model is linear in). It is a
fixed-point iteration for r(decode(z(c))) = w, which converges as far as training has made decodes follow their
condition. The best round of a draw counts. Gauss-Newton steps follow where the model is in process
(`gauss_newton.py`). Physics is not used, so that errors of the regressor remain.

Shapes: n draws, D latent, P properties of the model.
"""

from collections.abc import Mapping

import numpy as np

from microdesign.core.properties import is_signed
from microdesign.design.search.gauss_newton import gauss_newton, missed, worst
from microdesign.design.search.sampling import Strata
from microdesign.design.target.target import Target
from microdesign.model.condition_correction import corrected
from microdesign.surrogate.protocol import Draws, Surrogate, decode_labels


def correct_conditions(
    surrogate: Surrogate,
    z: np.ndarray,
    component: np.ndarray,
    condition: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    rounds: int,
    steps: int = 0,
) -> np.ndarray:
    """Returns latents `(n, D)` whose decodes have, by the regressor, properties between `low` and `high`.

    Args:
        surrogate: The model.
        z: Draws `(n, D)` of p(z|c).
        component: Which component each is of, int `(n,)`.
        condition: The c of each, `(n, P)`.
        low: Least values that are wanted, `(P,)`; -inf where any will do.
        high: Largest ones; equal to `low` for a value.
        rounds: How often to correct the condition; with none, and no steps, these are the draws.
        steps: Gauss-Newton steps after that.
    """
    names = surrogate.properties
    mean, std = first = _gaussians(surrogate, condition, component)
    noise = (z - mean) / std
    best, known, least = z, np.full(condition.shape, np.nan), np.full(len(z), np.inf)
    for turn in range(rounds + 1):
        found = surrogate.predict(decode_labels(surrogate, z))[0]
        miss = worst(missed(found, low, high))
        nearer = (miss < least)[:, None]
        best, known, least = np.where(nearer, z, best), np.where(nearer, found, known), np.minimum(miss, least)
        if turn == rounds or not least.any():
            break
        condition = _moved(condition, np.clip(found, low, high), found, names)
        mean, std = _gaussians(surrogate, condition, component)
        z = mean + std * noise
    return gauss_newton(surrogate, best, known, first[1], low, high, steps)


def correct_towards(
    target: Target,
    surrogate: Surrogate,
    strata: Strata,
    z: np.ndarray,
    component: np.ndarray,
    rounds: int,
    steps: int = 0,
) -> np.ndarray:
    """As `correct_conditions`, for draws of the strata and a target's goals for the model's own properties."""
    goals = [target.properties.get(name) for name in surrogate.properties]
    low = np.array([-np.inf if goal is None else goal.low for goal in goals])
    high = np.array([np.inf if goal is None else goal.high for goal in goals])
    condition = strata.condition[strata.nearest(z, component)]
    return correct_conditions(surrogate, z, component, condition, low, high, rounds, steps)


def corrected_sample(
    surrogate: Surrogate, target: Mapping[str, float], n: int, seed: int, rounds: int = 3, steps: int = 0
) -> Draws:
    """The draws of `surrogate.sample`, corrected towards the target's values of all the model's properties.

    Raises:
        InputError: The target does not fit the model.
    """
    draws, prior = surrogate.sample(target, n, seed), surrogate.prior(target)
    wanted = np.array([float(target[name]) for name in surrogate.properties])
    z = correct_conditions(
        surrogate, draws.z, draws.component, wanted[None].repeat(n, axis=0), wanted, wanted, rounds, steps
    )
    return Draws(z, draws.component, prior.log_density(z))


def _gaussians(surrogate: Surrogate, condition: np.ndarray, component: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each draw's component at its condition, `(n, D)` each."""
    rows, index = np.unique(condition, axis=0, return_inverse=True)
    priors = [surrogate.prior(dict(zip(surrogate.properties, row.tolist(), strict=True))) for row in rows]
    pairs = [(priors[i], k) for i, k in zip(index.ravel(), component, strict=True)]
    return np.stack([p.mean[k] for p, k in pairs]), np.stack([p.std[k] for p, k in pairs])


def _moved(condition: np.ndarray, wanted: np.ndarray, found: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Conditions `(n, P)` after a round, see `corrected`; of properties that are positive, of their logarithms."""
    signed = np.array([is_signed(name) for name in names], bool)
    c, w, r = (np.where(signed, values, np.log(np.where(signed, 1.0, values))) for values in (condition, wanted, found))
    moved = corrected(c, w, r)
    return np.where(signed, moved, np.exp(np.where(signed, 0.0, moved)))
