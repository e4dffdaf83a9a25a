"""Physics as experiments ask for it: the built-in solver in Ray tasks, with everything that it answered on record."""

from collections.abc import Callable, Sequence

import numpy as np

from microdesign.config import validate_config
from microdesign.errors import InputError
from microdesign.microstructure.dataset import Dataset
from microdesign.model.surrogate import Surrogate
from microdesign.physics.evaluator import FFTEvaluator, Values
from microdesign.physics.materials import Materials
from microdesign.physics.parallel import evaluate_parallel
from microdesign.physics.store import ResultStore

Physics = Callable[[np.ndarray, str], Values]
"""Maps images uint8 `(n, *N)` and a discretisation, `q1` or `rotated`, to their properties."""

Solve = Callable[..., np.ndarray]
"""Maps images uint8 `(n, *N)`, and a discretisation (`q1` when left out), to a table of properties `(n, P)`."""


def stored_physics(materials: Materials, store: ResultStore) -> Physics:
    """The built-in solver in Ray tasks, by discretisation; every answer goes to the store."""

    def physics(labels: np.ndarray, discretization: str) -> Values:
        evaluator = validate_config(FFTEvaluator, {"discretization": discretization}, "the discretization")
        return evaluate_parallel(evaluator, labels, materials, store=store)

    return physics


def solver_of(physics: Physics, names: Sequence[str]) -> Solve:
    """The physics of some properties, in their order."""

    def solve(labels: np.ndarray, discretization: str = "q1") -> np.ndarray:
        values = physics(labels, discretization)
        return np.stack([values[name] for name in names], axis=1)

    return solve


def materials_of(surrogate: Surrogate, dataset: Dataset) -> Materials:
    """The phases that the model was trained on and the data set's labels are of.

    Raises:
        InputError: They are not the same.
    """
    if surrogate.describe().get("materials") != dataset.manifest.materials:
        raise InputError("The model was trained on labels of other materials than the data set's; expected the same.")
    return validate_config(Materials, dataset.manifest.materials, "the data set's materials")
