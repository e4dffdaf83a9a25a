"""Draws that correct their own aim: where the decode misses the target, the condition of the prior is moved against it.

Shapes: n draws, D latent, P properties.
"""

from collections.abc import Mapping

import numpy as np

from microdesign.experiments.ranking import worst_errors
from microdesign.model.standardization import is_signed
from microdesign.model.surrogate import Draws, Surrogate, decode_labels

STEP = 0.8
"""Share of the miss that a round takes back; a little less than 1, for the regressor's noise."""


def aim(surrogate: Surrogate, target: Mapping[str, float], n: int, seed: int, rounds: int = 3) -> Draws:
    """Draws n latents from p(z|c') whose decodes have, by the regressor, the properties of the target c*.

    Each draw keeps its component k and its noise e: z = mu_k(c') + S_k(c') e. A round decodes it, asks the regressor
    for its properties c, and moves its own condition c' by what c misses: c' <- c' (c* / c)^STEP, or by a sum where
    the property can be negative. That is a fixed point iteration for r(decode(z(c'))) = c*; it converges as far as
    training has made decodes follow their condition. A draw's best round counts. No physics is asked, so what the
    regressor does not see remains. With no rounds these are the draws of `surrogate.sample`.

    Raises:
        InputError: The target does not fit the model.
    """
    names = surrogate.properties
    prior = surrogate.prior(target)
    stream = np.random.default_rng(seed)
    component = stream.choice(len(prior.weights), size=n, p=prior.weights / prior.weights.sum())
    noise = stream.standard_normal((n, prior.mean.shape[1]))
    wanted = np.array([[float(target[name]) for name in names]])
    condition = wanted.repeat(n, axis=0)
    z = prior.mean[component] + prior.std[component] * noise
    best, miss = z, np.full(n, np.inf)
    for turn in range(rounds + 1):
        found = surrogate.predict(decode_labels(surrogate, z))[0]
        error = worst_errors(found, wanted)
        best = np.where((error < miss)[:, None], z, best)
        miss = np.minimum(error, miss)
        if turn < rounds:
            condition = _moved(condition, wanted, found, names)
            priors = [surrogate.prior(dict(zip(names, row.tolist(), strict=True))) for row in condition]
            pairs = list(zip(priors, component, strict=True))
            z = np.stack([p.mean[k] for p, k in pairs]) + np.stack([p.std[k] for p, k in pairs]) * noise
    return Draws(best, component, prior.log_density(best))


def _moved(condition: np.ndarray, wanted: np.ndarray, found: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    signed = is_signed(tuple(names))
    ratio = np.where(signed, 1.0, wanted / np.where(signed, 1.0, found))
    return np.where(signed, condition + STEP * (wanted - found), condition * ratio**STEP)
