"""Sections of the fidelity table: accuracy (a to c) and realism (d).

Shapes: T targets, X Y image.
"""

from collections.abc import Mapping

import numpy as np
import torch

from microdesign.core.metrics import worst_errors
from microdesign.design.target.training_images import TrainingImages
from microdesign.experiments.base.evaluated_draws import EvaluatedDraws
from microdesign.experiments.fidelity.draws import DrawKind
from microdesign.experiments.fidelity.measurement import PER_CENT, Measurement
from microdesign.experiments.fidelity.realism import UNITS, distribution_shifts, largest_cross_correlation
from microdesign.model.losses.two_point import excess_cess
from microdesign.physics.evaluators.table import TableEvaluator

_FARTHEST = 1e3
Statistics = Mapping[str, np.ndarray]


def accuracy(
    reconstruction_error: np.ndarray, draws: Mapping[DrawKind, EvaluatedDraws], regressor_on_data: float
) -> list[Measurement]:
    """Sections a, b and c: errors of reconstructions, of draws, and of the regressor on the decodes of draws.

    Args:
        reconstruction_error: `(T,)`.
        draws: Draws by kind.
        regressor_on_data: Median error of the regressor on held-out images.
    """
    rows = [Measurement.of("a", "reconstruction", reconstruction_error, unit=PER_CENT)]
    for kind, each in draws.items():
        rows += [Measurement.of("b", f"{kind.prefix}{r.name}", r.values, unit=PER_CENT) for r in each.ranked]
    for kind, each in draws.items():
        errors = each.regressor_error[np.isfinite(each.regressor_error)]
        name = f"regressor on decodes{kind.suffix}"
        rows.append(Measurement.of("c", name, errors, regressor_on_data, unit=PER_CENT))
        if len(errors):
            ratio = float(np.median(errors) / max(regressor_on_data, 1e-12))
            rows.append(Measurement("c", f"regressor on decodes over on data{kind.suffix}", value=ratio))
    return rows


def reconstruction_statistics(reconstructions: np.ndarray, targets: np.ndarray) -> list[Measurement]:
    """Section d: errors of the two-point statistics and volume fractions of reconstructions; both `(T, X, Y)`."""
    images, copies = (torch.from_numpy(labels).float()[:, None] for labels in (targets, reconstructions))
    fraction = (images.mean((1, 2, 3)) - copies.mean((1, 2, 3))).abs()
    return [
        Measurement.of("d", "excess CESS of reconstruction", excess_cess(images, copies).numpy()),
        Measurement.of("d", "volume fraction error of reconstruction", fraction.numpy(), unit=PER_CENT),
    ]


def realism(
    draws: Mapping[DrawKind, EvaluatedDraws],
    images: np.ndarray,
    statistics: Mapping[DrawKind, Statistics],
    data_statistics: Statistics,
    realism_draws: int,
) -> list[Measurement]:
    """Section d: morphology and similarity of draws beside held-out images.

    Args:
        draws: Draws by kind.
        images: Held-out images `(n, X, Y)`.
        statistics: Morphology of the first draws of each target, by kind.
        data_statistics: Morphology of the images.
        realism_draws: How many first draws of each target that is.
    """
    rows = []
    similarity = float(np.median(largest_cross_correlation(images)))
    for kind, each in draws.items():
        some = some_draws(each, realism_draws)
        group = len(some) // len(each.labels)
        for name, shift in distribution_shifts(statistics[kind], data_statistics, group).items():
            pairs = {
                "mean": (shift.decode_mean, shift.data_mean, UNITS[name]),
                "distance": (shift.distance, shift.null_distance, "std"),
                "inside": (shift.inside, shift.data_inside, PER_CENT),
            }
            for what, (value, data, unit) in pairs.items():
                rows.append(Measurement("d", f"{name}, {what}{kind.suffix}", value=value, data=data, unit=unit))
        name = f"largest cross-correlation of draws{kind.suffix}"
        rows.append(Measurement.of("d", name, largest_cross_correlation(some), similarity))
    return rows


def likeness(
    training: TrainingImages,
    reconstructions: np.ndarray,
    draws: Mapping[DrawKind, EvaluatedDraws],
    images: np.ndarray,
    realism_draws: int,
) -> list[Measurement]:
    """Section d: distances from the training images as a population; empty where they are too few to be one.

    Args:
        training: The training images.
        reconstructions: `(T, X, Y)`.
        draws: Draws by kind.
        images: Held-out images `(n, X, Y)`.
        realism_draws: How many first draws of each target take part.
    """
    if training.population is None:
        return []
    data = training.population.distance(images)
    sets = {"reconstructions": reconstructions}
    sets |= {f"draws{kind.suffix}": some_draws(each, realism_draws) for kind, each in draws.items()}
    rows = []
    for name, labels in sets.items():
        # Images of one phase are infinitely far: they count in the share, and in the quantiles where they are many.
        found = np.minimum(training.population.distance(labels), _FARTHEST)
        rows.append(Measurement.of("d", f"distance from training images, {name}", found, float(np.median(data))))
        share, own = float((found <= 1).mean()), float((data <= 1).mean())
        rows.append(Measurement("d", f"as alike as training images, {name}", value=share, data=own, unit=PER_CENT))
    return rows


def discretization_gaps(
    draws: Mapping[DrawKind, EvaluatedDraws], targets: np.ndarray, evaluator: TableEvaluator
) -> list[Measurement]:
    """Section d: the gap of two discretizations on draws and on images of targets `(T, X, Y)`; empty if there is one.

    The gap is the relative difference of the worst property; it is large where pixels touch at corners only.
    """
    other = evaluator.alternative
    if other is None:
        return []

    def gap(labels: np.ndarray) -> np.ndarray:
        return worst_errors(other.evaluate(labels), evaluator.evaluate(labels))

    of_data = gap(targets)
    median = float(np.median(of_data))
    sets = {f"gap q1 rotated{kind.suffix}": each.labels[:, 0] for kind, each in draws.items()}
    sets["gap q1 rotated of chosen"] = draws[DrawKind.CORRECTED].chosen
    rows = [Measurement.of("d", name, gap(labels), median, unit=PER_CENT) for name, labels in sets.items()]
    return [*rows, Measurement.of("d", "gap q1 rotated of held-out data", of_data, unit=PER_CENT)]


def some_draws(draws: EvaluatedDraws, n: int) -> np.ndarray:
    """The first n draws of each target, uint8 `(T * n, X, Y)`."""
    labels = draws.labels[:, :n]
    return labels.reshape(-1, *labels.shape[2:])
