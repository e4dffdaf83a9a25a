"""Gauss-Newton steps of latents to the goals by the model's Jacobian: of least norm, in a trust region.

The chain latent -> decode -> regressor has more latents than properties, so many steps would do; the one of least norm,
in standard deviations of the prior's component, keeps a draw as much itself as can be. A step that does not help is not
taken, and the next one is shorter (Levenberg-Marquardt by trust radius; Nocedal and Wright, Numerical Optimization,
2006, section 10.3). No physics is asked.

Shapes: n draws, D latent, P properties of the model.
"""

import numpy as np

from microdesign.core.metrics import magnitude, relative_deviations
from microdesign.surrogate.protocol import Surrogate, decode_labels

_DAMPING = 1e-3
"""Share of a step's mean curvature that is added to it: nearly parallel rows of a Jacobian are not told apart."""
_RADIUS, _LARGEST, _SHORTER, _LONGER = 1.0, 3.0, 0.35, 1.5


def gauss_newton(
    surrogate: Surrogate,
    z: np.ndarray,
    found: np.ndarray,
    std: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    rounds: int,
) -> np.ndarray:
    """Returns latents `(n, D)` no farther from the goals than z, by the model's predictions of their decodes.

    Args:
        surrogate: The model; z itself comes back if it is not in process, and so has no Jacobian.
        z: Latents `(n, D)`.
        found: What the model predicts of their decodes, `(n, P)`.
        std: Standard deviations of the Gaussian that each was drawn from, `(n, D)`.
        low: Least values that are wanted, `(P,)`; -inf where any will do.
        high: Largest ones; equal to `low` for a value.
        rounds: Most steps.
    """
    if not rounds or surrogate.jacobian(z[:0]) is None:
        return z
    z, found, radius = z.copy(), found.copy(), np.full(len(z), _RADIUS)
    for _ in range(rounds):
        miss = missed(found, low, high)
        moving = np.flatnonzero(np.isfinite(miss).all(1) & miss.any(1))
        jacobian = surrogate.jacobian(z[moving])
        if jacobian is None or not len(moving):
            break
        scaled = jacobian / magnitude(np.clip(found[moving], low, high))[:, :, None] * std[moving, None, :]
        step = least_norm(scaled * (miss[moving] != 0)[:, :, None], -miss[moving])  # what is not missed may move
        length = np.linalg.norm(step, axis=1)
        step *= np.minimum(1, radius[moving] / np.maximum(length, 1e-12))[:, None]
        there = z[moving] + std[moving] * step
        then = surrogate.predict(decode_labels(surrogate, there))[0]
        better = worst(missed(then, low, high)) < worst(miss[moving])
        taken = moving[better]
        z[taken], found[taken] = there[better], then[better]
        shorter = _SHORTER * np.minimum(radius[moving], length)
        radius[moving] = np.where(better, np.minimum(_LONGER * radius[moving], _LARGEST), shorter)
    return z


def missed(found: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """By how much values `(n, P)` miss what is wanted, relative to that, with sign; 0 between the bounds."""
    return relative_deviations(found, np.clip(found, low, high))


def worst(miss: np.ndarray) -> np.ndarray:
    """The worst property's miss `(n,)`, without sign; inf where one is NaN."""
    return np.nan_to_num(np.abs(miss), nan=np.inf).max(1)


def least_norm(jacobian: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The shortest steps `(n, D)` that make changes `(n, P)` by a Jacobian `(n, P, D)`, damped."""
    curvature = jacobian @ jacobian.mT
    size = curvature.shape[-1]
    damping = _DAMPING * np.trace(curvature, axis1=1, axis2=2) / size
    curvature = curvature + np.maximum(damping, 1e-12)[:, None, None] * np.eye(size)
    return (jacobian.mT @ np.linalg.solve(curvature, change[:, :, None]))[:, :, 0]
