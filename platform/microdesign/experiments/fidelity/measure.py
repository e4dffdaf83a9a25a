"""Fidelity of a model in property space: do its decodes have the properties that they are drawn for?

The properties of held-out images of a labelled data set are the targets. Physics evaluates (a) binarised
reconstructions, (b) draws from p(z|c*), directly and after condition correction, (c) the regressor on decodes; beside
these stand (d) the realism of decodes, (e) components and distinct morphologies, (f) novelty, (g) the nearest training
image as the baseline, and (h, i) the classifiers that judge decodes. Errors are relative errors of the worst property.

Shapes: T targets, N draws a target, P properties, X Y image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.metrics import worst_errors
from microdesign.core.progress import Progress, silent
from microdesign.design.target.training_images import TrainingImages
from microdesign.experiments.base.evaluated_draws import EvaluatedDraws, conditions_of
from microdesign.experiments.base.physics import check_labels, check_measurable
from microdesign.experiments.base.ranking import nearest_errors
from microdesign.experiments.fidelity.config import FidelityConfig
from microdesign.experiments.fidelity.diversity import diversity
from microdesign.experiments.fidelity.draws import DrawKind, draws_of_targets
from microdesign.experiments.fidelity.judges import judge
from microdesign.experiments.fidelity.measurement import PER_CENT, Measurement
from microdesign.experiments.fidelity.realism import morphology
from microdesign.experiments.fidelity.sections import (
    accuracy,
    discretization_gaps,
    likeness,
    realism,
    reconstruction_statistics,
    some_draws,
)
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.protocol import Surrogate, decode_labels
from microdesign.surrogate.symmetry_averaging import SymmetryAveraged


@dataclass(frozen=True)
class Fidelity:
    """What was measured: the table, and what the figures show.

    Attributes:
        measurements: The table.
        targets: Images whose properties are the targets, uint8 `(T, X, Y)`.
        classes: Names of their classes, empty where unknown, `(T,)`.
        reconstructions: Their binarised reconstructions.
        reconstruction_error, nearest_error: Errors of these, and of the nearest training images, `(T,)`.
        draws: The draws of each kind.
        morphology: Statistics of direct draws and of held-out images, by name.
    """

    measurements: tuple[Measurement, ...]
    targets: np.ndarray
    classes: tuple[str, ...]
    reconstructions: np.ndarray
    reconstruction_error: np.ndarray
    nearest_error: np.ndarray
    draws: Mapping[DrawKind, EvaluatedDraws]
    morphology: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @property
    def chosen(self) -> np.ndarray:
        """The corrected draw of each target that the regressor ranks first, uint8 `(T, X, Y)`."""
        return self.draws[DrawKind.CORRECTED].chosen

    @property
    def metrics(self) -> dict[str, float]:
        """The table's numbers by name, such as `b_best_of_16_by_regressor_median`."""
        return {name: value for each in self.measurements for name, value in each.metrics.items()}


def measure(
    surrogate: Surrogate,
    dataset: Dataset,
    evaluator: TableEvaluator,
    config: FidelityConfig,
    progress: Progress = silent,
    cache: Path | None = None,
) -> Fidelity:
    """Evaluates a model on a data set; properties of held-out images are the data set's own labels.

    Args:
        surrogate: The model.
        dataset: The data set; the model was trained on its training split and on no other.
        evaluator: Computes the model's properties of decodes; it should store results, for some are needed twice.
        config: How much to evaluate.
        progress: Called with a line at each stage.
        cache: Folder of corrected draws and of the judges' results, which take longest: those in it are reused.

    Raises:
        InputError: The data set lacks a property of the model, has fewer held-out images than two, is not of two phases
            in two dimensions, or is labelled by another physics.
    """
    check_measurable(dataset)
    surrogate = SymmetryAveraged(surrogate) if config.averaged else surrogate
    names = surrogate.properties
    held_out = dataset.load(config.split).with_known(names)
    if len(held_out) < 2:
        raise InputError(f"The {config.split} split holds {len(held_out)} usable sample; expected at least 2.")
    training = dataset.load("train").with_known(names)
    chosen = np.sort(np.random.default_rng(config.seed).permutation(len(held_out))[: config.targets])
    targets = held_out.select(chosen)
    table = targets.property_table(names)
    check_labels(evaluator, targets.labels, table)

    progress(f"{len(targets)} targets: reconstructions")
    reconstructions = decode_labels(surrogate, surrogate.encode(targets.labels)[0])
    reconstruction_error = worst_errors(evaluator.evaluate(reconstructions), table)
    draws = draws_of_targets(surrogate, evaluator, table, config, progress, cache)
    nearest_error = nearest_errors(table, training.property_table(names))
    regressor_error = worst_errors(surrogate.predict(held_out.labels)[0], held_out.property_table(names))
    progress("realism")
    order = np.random.default_rng([config.seed, 1]).permutation(len(held_out))
    images = held_out.labels[order[: config.realism_images]]
    statistics = {kind: morphology(some_draws(each, config.realism_draws)) for kind, each in draws.items()}
    data_statistics = morphology(images)
    measurements = [
        *accuracy(reconstruction_error, draws, float(np.median(regressor_error))),
        *reconstruction_statistics(reconstructions, targets.labels),
        *realism(draws, images, statistics, data_statistics, config.realism_draws),
        *discretization_gaps(draws, targets.labels, evaluator),
    ]
    progress("components and novelty")
    measurements += diversity(surrogate, draws[DrawKind.DIRECT], conditions_of(names, table))
    chosen_draws, known = draws[DrawKind.CORRECTED].chosen, TrainingImages(training)
    measurements += likeness(known, reconstructions, draws, images, config.realism_draws)
    measurements += [
        Measurement.of("f", "novelty of chosen", known.novelty(chosen_draws)),
        Measurement.of("g", f"nearest of {len(training)} training images", nearest_error, unit=PER_CENT),
        *judge(training, held_out, targets, reconstructions, draws, config, progress, cache),
    ]
    direct = statistics[DrawKind.DIRECT]
    return Fidelity(
        measurements=tuple(measurements),
        targets=targets.labels,
        classes=targets.classes,
        reconstructions=reconstructions,
        reconstruction_error=reconstruction_error,
        nearest_error=nearest_error,
        draws=draws,
        morphology={name: (direct[name], data_statistics[name]) for name in direct},
    )
