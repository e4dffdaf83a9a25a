"""Physics as experiments ask for it: the built-in solver in Ray tasks, with everything that it answered on record."""

from collections.abc import Callable, Sequence

import numpy as np

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.experiments.base.ranking import worst_errors
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.evaluator import FFTEvaluator, Values
from microdesign.physics.execution.parallel import evaluate_parallel
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Surrogate

_SAME = 0.005
"""Difference of labels from the judge's values that is no matter: a solver's tolerance, several times."""

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


def check_measurable(dataset: Dataset, dimensions: Sequence[int] = (2,)) -> None:
    """Refuses what the measurements are not made for.

    Raises:
        InputError: The data set has more than two phases, or images of other dimensions.
    """
    manifest = dataset.manifest
    if manifest.n_phases != 2 or len(manifest.shape) not in dimensions:
        expected = " or ".join(f"{number}" for number in dimensions)
        raise InputError(
            f"{dataset.folder}: holds {manifest.n_phases} phases in {len(manifest.shape)} dimensions; "
            f"expected 2 phases in {expected} dimensions."
        )


def labelled_materials(dataset: Dataset) -> Materials:
    """The phases that the data set's labels are of.

    Raises:
        InputError: It is not labelled, or not by materials that are known.
    """
    if dataset.manifest.materials is None:
        raise InputError(f"{dataset.folder}: has no materials; label it with `microdesign data label`.")
    return validate_config(Materials, dataset.manifest.materials, "the data set's materials")


def materials_of(surrogate: Surrogate, dataset: Dataset) -> Materials:
    """The phases that the model was trained on and the data set's labels are of.

    Raises:
        InputError: They are not the same, or not known.
    """
    materials = labelled_materials(dataset)
    if surrogate.describe().get("materials") != dataset.manifest.materials:
        raise InputError("The model was trained on labels of other materials than the data set's; expected the same.")
    return materials


def check_labels(solve: Solve, labels: np.ndarray, known: np.ndarray) -> None:
    """Refuses labels of another physics than the judge's: their difference would count as the model's error.

    Args:
        solve: The judge.
        labels: Images uint8 `(n, *N)`.
        known: Their properties by the data set `(n, P)`.

    Raises:
        InputError: They differ by more than `_SAME` in the median of the worst property.
    """
    off = float(np.median(worst_errors(solve(labels), known)))
    if off > _SAME:
        raise InputError(
            f"The data set's labels are {off:.1%} off the built-in physics (fft, q1) that judges decodes; expected "
            f"{_SAME:.1%} at most: label the images with it."
        )
