"""What a model says of the target's properties: predictions of images, and their Jacobian with respect to latents.

Shapes: n designs, D latent, P properties of the target.
"""

from collections.abc import Mapping

import numpy as np

from microdesign.core.errors import InputError
from microdesign.design.target.target import Target
from microdesign.physics.properties import property_values
from microdesign.surrogate.further_properties import FurtherProperties, PropertyRegression
from microdesign.surrogate.protocol import Surrogate, decode_labels

Regressions = Mapping[str, PropertyRegression]

_STEP = 1e-3
"""Step of finite differences, in standard deviations."""


def predict_target(target: Target, surrogate: Surrogate, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The regressor's mean and standard deviation of the target's properties, each `(n, P)`.

    NaN for a property that those of the model do not determine, unless the model comes with a regression of it
    (`surrogate.further_properties`). The deviation of a computed one is to first order, as if errors were independent;
    the density of an image is exact.

    Args:
        target: What is asked.
        surrogate: The model.
        labels: Images uint8 `(n, *N)`.
    """
    mean, std = (dict(zip(surrogate.properties, array.T, strict=True)) for array in surrogate.predict(labels))
    further = _further(surrogate)
    exact = surrogate.of_images(labels) if isinstance(surrogate, FurtherProperties) else {}
    mean, std = exact | mean, dict.fromkeys(exact, np.zeros(len(labels))) | std
    known = [_predicted(name, target.dims, mean, std, len(labels), further) for name in target.names]
    return np.stack([m for m, _ in known], axis=-1), np.stack([s for _, s in known], axis=-1)


def target_jacobian(target: Target, surrogate: Surrogate, z: np.ndarray) -> np.ndarray | None:
    """Derivatives `(n, P, D)` of what `predict_target` says of the decodes of latents `(n, D)`; None if not in process.

    Those of a property that neither the model's own determine nor a regression are NaN.
    """
    own = surrogate.jacobian(z)
    if own is None:
        return None
    means = surrogate.predict(decode_labels(surrogate, z))[0]
    mean = dict(zip(surrogate.properties, means.T, strict=True))
    rows, further = [], _further(surrogate)
    for name in target.names:
        partial = [_derivative(name, target.dims, mean, each, further) for each in surrogate.properties]
        rows.append(np.einsum("mi,imd->id", np.stack(partial), own))
    return np.stack(rows, axis=1)


def _further(surrogate: Surrogate) -> Regressions:
    return surrogate.regressions if isinstance(surrogate, FurtherProperties) else {}


def _predicted(
    name: str, dims: int, mean: Mapping[str, np.ndarray], std: Mapping[str, np.ndarray], n: int, further: Regressions
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a property, each `(n,)`, NaN if nothing determines it."""
    if name in mean:
        return mean[name], std[name]
    try:
        values = _values(mean, name, dims, further)
    except InputError:
        return np.full(n, np.nan), np.full(n, np.nan)
    variance = np.zeros(n)
    if name in further and not _determined(mean, name, dims):
        variance += (further[name].deviation * (np.abs(values) if further[name].is_positive else 1.0)) ** 2
    for each in mean:  # first-order propagation by finite differences, whatever the formula
        shifted = {**mean, each: mean[each] + _STEP * std[each]}
        variance += ((_values(shifted, name, dims, further) - values) / _STEP) ** 2
    return values, np.sqrt(variance)


def _derivative(name: str, dims: int, mean: Mapping[str, np.ndarray], by: str, further: Regressions) -> np.ndarray:
    """Derivative of a property with respect to one of the model's own, `(n,)`; NaN if nothing determines it."""
    if name in mean:
        return np.full(len(mean[by]), float(name == by))
    try:
        values = _values(mean, name, dims, further)
        step = _STEP * np.abs(mean[by]).clip(1e-9)
        return (_values({**mean, by: mean[by] + step}, name, dims, further) - values) / step
    except InputError:
        return np.full(len(mean[by]), np.nan)


def _values(mean: Mapping[str, np.ndarray], name: str, dims: int, further: Regressions) -> np.ndarray:
    if name in further and not _determined(mean, name, dims):
        return further[name].values(mean)
    return property_values(mean, name, dims)


def _determined(mean: Mapping[str, np.ndarray], name: str, dims: int) -> bool:
    """Whether the properties at hand determine one: a regression of it is for where they do not."""
    try:
        property_values(mean, name, dims)
    except InputError:
        return False
    return True
