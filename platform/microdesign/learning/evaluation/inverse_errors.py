"""How well draws from the prior have the properties that they were drawn for, by the regressor or by an evaluator.

Shapes: n targets, m draws each, P properties, `*N` image.
"""

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.metrics import worst_errors
from microdesign.physics.evaluators.protocol import Evaluator, evaluate_table
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Surrogate, decode_labels


def inverse_errors(
    surrogate: Surrogate,
    targets: np.ndarray,
    draws: int,
    seed: int,
    evaluator: Evaluator | None = None,
    materials: Materials | None = None,
) -> np.ndarray:
    """Relative error of the worst property of draws from p(z|c*), decoded and binarized, `(n, m)`.

    Args:
        surrogate: The model.
        targets: Properties to draw for, `(n, P)`, physical units.
        draws: m.
        seed: Seed of the draws.
        evaluator: What computes the properties of the decodes. Without one the regressor predicts them: fast, and
            optimistic, because the decoder was trained against it.
        materials: The phases; needed with an evaluator.

    Returns:
        Infinite where the evaluator has no answer.

    Raises:
        InputError: The evaluator does not give one of the properties, or the materials are not known.
    """
    names = surrogate.properties
    z = np.concatenate(
        [
            surrogate.sample(dict(zip(names, target.tolist(), strict=True)), draws, seed + number).z
            for number, target in enumerate(targets)
        ]
    )
    labels = decode_labels(surrogate, z)
    if evaluator is None:
        found = surrogate.predict(labels)[0]
    elif materials is None:
        raise InputError("The materials are not known, so that no evaluator can compute properties of decodes.")
    else:
        found = evaluate_table(evaluator, labels, materials, names)
    wanted = np.repeat(targets, draws, axis=0)
    return worst_errors(found, wanted).reshape(len(targets), draws)
