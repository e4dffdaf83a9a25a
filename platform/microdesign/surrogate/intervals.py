"""Predictions with calibrated bounds and an out-of-distribution score."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from microdesign.microstructure.data.container import Microstructures
from microdesign.model.bundle import Bundle
from microdesign.surrogate.local import LocalSurrogate

OUT_OF_DISTRIBUTION = 0.99
"""Score above which an image or a latent counts as outside the distribution of the training data."""


def calibrated_prediction(surrogate: LocalSurrogate, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Predicts the properties of phase labels `(n, *N)`, in physical units.

    Returns:
        `mean` and `std`, `(n, P)`; if the model is calibrated the bounds `lower` and `upper`, `(n, P)`, which hold the
        share `calibration.level` of new images like the training data's; if it has a reference set
        `out_of_distribution`, `(n,)`: the score, the share of held-out images that are nearer to the training data.
        A prediction with a score above `OUT_OF_DISTRIBUTION` is an extrapolation.

    Raises:
        InputError: The images do not fit the model.
    """
    mean, std = surrogate.predict(labels)
    return {"mean": mean, "std": std, **bounds_and_score(surrogate.bundle, labels, mean, std)}


def prediction_fields(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the arrays that `calibrated_prediction` gives, in order, by the content of a `model.json`."""
    bounds = ("lower", "upper") if description.get("calibration") else ()
    return ("mean", "std", *bounds, *(("out_of_distribution",) if description.get("reference_set") else ()))


def bounds_and_score(bundle: Bundle, labels: np.ndarray, mean: np.ndarray, std: np.ndarray) -> dict[str, np.ndarray]:
    """What `calibrated_prediction` adds to `mean` and `std` `(n, P)`, if the bundle has what it needs."""
    description = bundle.description
    found: dict[str, np.ndarray] = {}
    if description.calibration is not None:
        lower, upper = description.calibration.interval(mean, std, description.standardization)
        found |= {"lower": lower, "upper": upper}
    if bundle.reference_set is not None:
        images = Microstructures(labels=labels, n_phases=description.model.network.phases)
        found["out_of_distribution"] = bundle.reference_set.image_score(images) if len(images) else np.zeros(0)
    return found
