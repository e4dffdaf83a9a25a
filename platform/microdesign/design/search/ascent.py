"""Steps of latents towards an optimum by what the model predicts of their decodes; no physics is asked.

A step follows the model's Jacobian: the shortest change of a latent, in standard deviations of its component, that
makes the optimised properties a tenth better and brings the others to their goals. Of a few lengths and directions
around it the best is taken that keeps the constraints and stays where the prior has density; where none is better the
next one is shorter. Errors of the model remain, but from the best training images of the demo (kx/ky 2.6, encoded and
decoded again 2.1) sixteen steps lead to 2.9, where 3.0 is the bound.

Shapes: n draws, m trials of a step, D latent, P properties of the target, M of them optimised.
"""

import numpy as np

from microdesign.design.search.gauss_newton import least_norm
from microdesign.design.search.prediction import predict_target, target_jacobian
from microdesign.design.search.sampling import Strata
from microdesign.design.target.target import Target
from microdesign.surrogate.protocol import Surrogate, decode_labels

_FIRST, _LONGER, _SHORTER = 0.3, 1.3, 0.5
"""First length of a step in each axis, in standard deviations, and what it is multiplied by after a success or not."""
_TRIALS = ((0.5, 0.0), (1.0, 0.0), (0.7, 0.5))
"""Share of the step and size of the scatter around it, relative to its length, of each trial."""
_PENALTY = 10.0
"""What an error beyond the tolerance costs, relative to an objective that doubles."""
_BETTER = 0.1
"""Improvement of an optimum that a step aims at."""


def ascend(
    target: Target,
    surrogate: Surrogate,
    strata: Strata,
    z: np.ndarray,
    component: np.ndarray,
    rounds: int,
    quantile: float,
    seed: int,
) -> np.ndarray:
    """Returns latents `(n, D)` whose decodes are, by the model, no worse than those of z.

    Of several optima each draw follows a mixture of its own, so that together they spread along the front.

    Args:
        target: With at least one optimum.
        surrogate: The model; z itself comes back if it is not in process, and so has no Jacobian.
        strata: Where latents lie.
        z: Latents `(n, D)`.
        component: Component of each, int `(n,)`.
        rounds: Steps.
        quantile: Share of a component's own draws that its density limit admits.
        seed: Of the scatter and the mixtures.
    """
    if not len(z) or surrogate.jacobian(z[:0]) is None:
        return z
    stream = np.random.default_rng([seed, 6])
    n, size = z.shape
    std = strata.std[strata.nearest(z, component)]
    weights = stream.dirichlet(np.ones(int(np.count_nonzero(target.senses))), n)
    labels = decode_labels(surrogate, z)
    found = predict_target(target, surrogate, labels)[0]
    scale = np.maximum(np.abs(np.nan_to_num(found)).mean(0), 1e-12)
    merit = np.where(target.admits(labels), _merit(target, found, scale, weights), -np.inf)
    z, length = z.copy(), np.full(n, _FIRST * np.sqrt(size))
    steps, moved = np.zeros_like(z), np.ones(n, bool)
    for _ in range(rounds):
        some = np.flatnonzero(moved)  # the others stand where they were
        if len(some):
            steps[some] = _steps(target, surrogate, z[some], found[some], std[some], scale, weights[some])
        trials = []
        for share, scatter in _TRIALS:
            noise = stream.standard_normal((n, size)) / np.sqrt(size)
            trials.append(z + std * length[:, None] * (share * steps + scatter * noise))
        there = np.stack(trials)
        flat, owner = there.reshape(-1, size), np.tile(component, len(trials))
        labels = decode_labels(surrogate, flat)
        allowed = strata.typical(flat, owner, quantile) & target.admits(labels)
        then = predict_target(target, surrogate, labels)[0]
        merits = np.where(allowed, _merit(target, then, scale, np.tile(weights, (len(trials), 1))), -np.inf)
        merits, then = merits.reshape(len(trials), n), then.reshape(len(trials), n, -1)
        chosen, rows = merits.argmax(0), np.arange(n)
        moved = better = merits[chosen, rows] > merit
        z = np.where(better[:, None], there[chosen, rows], z)
        found = np.where(better[:, None], then[chosen, rows], found)
        merit = np.where(better, merits[chosen, rows], merit)
        length *= np.where(better, _LONGER, _SHORTER)
    return z


def _merit(target: Target, values: np.ndarray, scale: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What is to be maximised, `(n,)`: the mixture of the objectives, less what errors beyond the tolerance cost."""
    optimised = np.flatnonzero(target.senses)
    gains = np.nan_to_num(target.objectives(values) / scale[optimised])
    return (weights * gains).sum(1) - _PENALTY * np.maximum(target.errors(values) - target.tolerance, 0)


def _steps(
    target: Target,
    surrogate: Surrogate,
    z: np.ndarray,
    found: np.ndarray,
    std: np.ndarray,
    scale: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Directions `(n, D)` of length 1, or 0 where nothing is known, in standard deviations."""
    jacobian = target_jacobian(target, surrogate, z)
    assert jacobian is not None
    change = np.nan_to_num(np.clip(found, target.lows, target.highs) - found)
    share = np.zeros_like(change)
    share[:, target.senses != 0] = weights / weights.max(1, keepdims=True)
    change = np.where(change == 0, _BETTER * scale * target.senses * share, change)
    # A value that is met stays, a bound that is kept may be approached.
    active = (change != 0) | np.array([goal.equals is not None for goal in target.goals])
    scaled = np.nan_to_num(jacobian) * std[:, None, :] / scale[:, None] * active[:, :, None]
    steps = least_norm(scaled, change / scale)
    return steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-12)
