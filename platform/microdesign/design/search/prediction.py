"""What a model says of the target's properties: predictions of images, and their Jacobian with respect to latents.

Shapes: n designs, D latent, P properties of the target.
"""

from collections.abc import Mapping

import numpy as np

from microdesign.core.errors import InputError
from microdesign.design.target.target import Target
from microdesign.physics.properties import property_values
from microdesign.surrogate.protocol import Surrogate, decode_labels

_STEP = 1e-3
"""Step of finite differences, in standard deviations."""


def predict_target(target: Target, surrogate: Surrogate, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The regressor's mean and standard deviation of the target's properties, each `(n, P)`.

    NaN for a property that those of the model do not determine. The deviation of a computed one is to first order, as
    if the model's errors were independent.

    Args:
        target: What is asked.
        surrogate: The model.
        labels: Images uint8 `(n, X, Y)`.
    """
    mean, std = (dict(zip(surrogate.properties, array.T, strict=True)) for array in surrogate.predict(labels))
    known = [_predicted(name, mean, std, len(labels)) for name in target.names]
    return np.stack([m for m, _ in known], axis=-1), np.stack([s for _, s in known], axis=-1)


def target_jacobian(target: Target, surrogate: Surrogate, z: np.ndarray) -> np.ndarray | None:
    """Derivatives `(n, P, D)` of what `predict_target` says of the decodes of latents `(n, D)`; None if not in process.

    Those of a property that the model's own do not determine are NaN.
    """
    own = surrogate.jacobian(z)
    if own is None:
        return None
    means = surrogate.predict(decode_labels(surrogate, z))[0]
    mean = dict(zip(surrogate.properties, means.T, strict=True))
    rows = []
    for name in target.names:
        partial = [_derivative(name, mean, each) for each in surrogate.properties]
        rows.append(np.einsum("mi,imd->id", np.stack(partial), own))
    return np.stack(rows, axis=1)


def _predicted(
    name: str, mean: Mapping[str, np.ndarray], std: Mapping[str, np.ndarray], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a property, each `(n,)`, NaN if the model's own do not determine it."""
    if name in mean:
        return mean[name], std[name]
    try:
        values = property_values(mean, name)
    except InputError:
        return np.full(n, np.nan), np.full(n, np.nan)
    variance = np.zeros(n)
    for each in mean:  # first-order propagation by finite differences, whatever the formula
        shifted = {**mean, each: mean[each] + _STEP * std[each]}
        variance += ((property_values(shifted, name) - values) / _STEP) ** 2
    return values, np.sqrt(variance)


def _derivative(name: str, mean: Mapping[str, np.ndarray], by: str) -> np.ndarray:
    """Derivative of a property with respect to one of the model's own, `(n,)`; NaN if these do not determine it."""
    if name in mean:
        return np.full(len(mean[by]), float(name == by))
    try:
        values = property_values(mean, name)
        step = _STEP * np.abs(mean[by]).clip(1e-9)
        return (property_values({**mean, by: mean[by] + step}, name) - values) / step
    except InputError:
        return np.full(len(mean[by]), np.nan)
