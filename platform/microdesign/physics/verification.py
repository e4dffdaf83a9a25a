"""The built-in solver as one plain function: what judges decodes where physics is named but not imported."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from microdesign.config import validate_config
from microdesign.errors import InputError
from microdesign.physics.evaluator import Values, evaluate_each, load_evaluator
from microdesign.physics.materials import Materials


def verify(labels: np.ndarray, materials: Mapping[str, Any] | None) -> Values:
    """Returns the properties of labels uint8 `(n, *N)`, each `(n,)`; NaN where the solver has no answer.

    Args:
        labels: Phase labels.
        materials: The phases, as a data set's `dataset.json` or a bundle's `model.json` has them.

    Raises:
        InputError: There are no materials.
    """
    if materials is None:
        raise InputError("The data set names no materials; physics cannot judge decodes without them.")
    return evaluate_each(load_evaluator("fft"), labels, validate_config(Materials, materials, "the materials"))
