"""How well draws from the prior have the properties that they were drawn for, by the regressor or by physics.

Shapes: n targets, m draws each, P properties, `*N` image.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from microdesign.core.config import load_named
from microdesign.core.errors import InputError
from microdesign.surrogate.protocol import Surrogate, decode_labels

Verifier = Callable[[np.ndarray, Mapping[str, Any] | None], Mapping[str, np.ndarray]]
"""Computes properties: (labels uint8 `(n, *N)`, materials as `dataset.json` has them) -> values `(n,)` by name."""


def load_verifier(name: str) -> Verifier:
    """Imports the function that `module:name` names.

    Raises:
        InputError: There is no such function.
    """
    found = load_named(name, f"verifier = '{name}'", "module:name")
    if not callable(found):
        raise InputError(f"verifier = '{name}' is a {type(found).__name__}; expected a function.")
    return found


def inverse_errors(
    surrogate: Surrogate,
    targets: np.ndarray,
    draws: int,
    seed: int,
    verifier: Verifier | None = None,
    materials: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Relative error of the worst property of draws from p(z|c*), decoded and cut, `(n, m)`.

    Args:
        surrogate: The model.
        targets: Properties to draw for, `(n, P)`, physical units.
        draws: m.
        seed: Seed of the draws.
        verifier: What computes the properties of the decodes. Without one the regressor judges them: fast, and too
            kind, for the decoder was trained to please it.
        materials: What the verifier is given.

    Returns:
        Infinite where the verifier has no answer.
    """
    names = surrogate.properties
    z = np.concatenate(
        [
            surrogate.sample(dict(zip(names, target.tolist(), strict=True)), draws, seed + number).z
            for number, target in enumerate(targets)
        ]
    )
    labels = decode_labels(surrogate, z)
    if verifier is None:
        found = surrogate.predict(labels)[0]
    else:
        values = verifier(labels, materials)
        missing = [name for name in names if name not in values]
        if missing:
            raise InputError(f"The verifier gives no '{missing[0]}'; it gives {', '.join(values) or 'nothing'}.")
        found = np.stack([np.asarray(values[name], float) for name in names], axis=1)
    wanted = np.repeat(targets, draws, axis=0)
    errors = (np.abs(found - wanted) / np.abs(wanted)).max(1)
    return np.where(np.isfinite(errors), errors, np.inf).reshape(len(targets), draws)
