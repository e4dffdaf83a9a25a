"""The physics of an experiment, and what is checked of materials and labels before decodes are evaluated by it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.metrics import worst_errors
from microdesign.core.pixels import check_edges
from microdesign.core.progress import Progress, silent
from microdesign.experiments.base.config import PhysicsConfig
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.physics.execution.parallel import ParallelEvaluator
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials, materials_from
from microdesign.surrogate.protocol import Surrogate

_SAME = 0.005
"""Difference of labels from the evaluator's values that is tolerated: several times a solver's tolerance."""


def physics_of(config: PhysicsConfig, folder: Path, progress: Progress = silent) -> ParallelEvaluator:
    """The evaluator of an experiment in Ray tasks; its results are stored in the folder, or in `store`.

    `progress` takes the number of images of each call that are evaluated.

    Raises:
        InputError: There is no such evaluator.
    """
    store = ResultStore(config.store or folder / "results")
    return ParallelEvaluator(load_evaluator(config.evaluator), store, progress)


def check_measurable(dataset: Dataset, dimensions: Sequence[int] = (2,)) -> None:
    """Refuses a data set that an experiment does not support.

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
    return materials_from(dataset.manifest.materials, "the data set's materials")


def materials_of(surrogate: Surrogate, dataset: Dataset) -> Materials:
    """The phases that the model was trained on and the data set's labels are of.

    Raises:
        InputError: They are not the same, or not known, or the data set's images have other pixels than the model's.
    """
    materials = labelled_materials(dataset)
    check_edges(dataset.manifest.edges, surrogate.describe().get("aspect", ()), str(dataset.folder))
    if surrogate.describe().get("materials") != dataset.manifest.materials:
        raise InputError("The model was trained on labels of other materials than the data set's; expected the same.")
    return materials


def check_labels(evaluator: TableEvaluator, labels: np.ndarray, known: np.ndarray) -> None:
    """Refuses labels of another physics than the evaluator's: their difference would count as the model's error.

    Args:
        evaluator: The physics of decodes.
        labels: Images uint8 `(n, *N)`.
        known: Their properties by the data set `(n, P)`.

    Raises:
        InputError: They differ by more than `_SAME` in the median of the worst property.
    """
    off = float(np.median(worst_errors(evaluator.evaluate(labels), known)))
    if off > _SAME:
        raise InputError(
            f"The data set's labels are {off:.1%} off the physics that evaluates decodes; expected {_SAME:.1%} at "
            "most: label the images with the same evaluator."
        )
