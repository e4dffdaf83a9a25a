"""A prediction with what is needed to judge it: calibrated bounds, and how unlike the training data the image is."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from microdesign.microstructure.data.container import Microstructures
from microdesign.model.bundle import Bundle
from microdesign.surrogate.local import LocalSurrogate

UNLIKE = 0.99
"""Rank above which an image or a latent counts as unlike the training data."""


def assess(surrogate: LocalSurrogate, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Predicts the properties of phase labels `(n, *N)`.

    Returns:
        `mean` and `std`, `(n, P)`; where the model is calibrated the bounds `lower` and `upper`, `(n, P)`, that hold
        `calibration.level` of new images of the training data's kind; where it has a reference `unlike`, `(n,)`: the
        share of held-out images that are nearer to the training data.
    """
    mean, std = surrogate.predict(labels)
    return {"mean": mean, "std": std, **limits(surrogate.bundle, labels, mean, std)}


def assessed(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the arrays that `assess` gives for a model, in order, by the content of its `model.json`."""
    bounds = ("lower", "upper") if description.get("calibration") else ()
    return ("mean", "std", *bounds, *(("unlike",) if description.get("reference") else ()))


def limits(bundle: Bundle, labels: np.ndarray, mean: np.ndarray, std: np.ndarray) -> dict[str, np.ndarray]:
    """What `assess` adds to a prediction: bounds and rank, where the bundle has what they need."""
    description = bundle.description
    found: dict[str, np.ndarray] = {}
    if description.calibration is not None:
        lower, upper = description.calibration.interval(mean, std, description.standardization)
        found |= {"lower": lower, "upper": upper}
    if bundle.reference is not None:
        images = Microstructures(labels=labels, n_phases=description.model.network.phases)
        found["unlike"] = bundle.reference.image_rank(images) if len(images) else np.zeros(0)
    return found
