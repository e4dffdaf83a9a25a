"""Fidelity of a model in property space: do decodes carry the properties that they were asked for?

Held-out images of a labelled data set are the targets. Measured, by physics: (a) binarised reconstructions, (b) direct
draws from p(z|c*), (c) the regressor on decodes, (d) realism of decodes, (e) components and distinct morphologies,
(f) novelty, (g) the nearest training image as the rival. Errors are relative errors of the worst property.

Shapes: T targets, N draws a target, P properties, X Y image.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import Field

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.core.files import digest_json
from microdesign.design.search.condition_correction import aimed_sample
from microdesign.design.search.distinctness import DISTINCT
from microdesign.experiments.base.cached import kept_arrays
from microdesign.experiments.base.draws import VerifiedDraws, best_errors, verified
from microdesign.experiments.base.physics import check_labels, check_measurable
from microdesign.experiments.base.ranking import count_distinct, nearest_errors, worst_errors
from microdesign.experiments.fidelity.realism import Comparison, compare, kinship, morphology
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import SplitName
from microdesign.microstructure.statistics.similarity import distance_to_nearest, two_point_of
from microdesign.model.losses.two_point import excess_cess
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.protocol import Draws, Surrogate, decode_labels
from microdesign.surrogate.symmetry_averaging import SymmetryAveraged

_GAP = "gap q1 rotated"
_TOLD = 20
"""Targets between two lines of progress."""


class FidelityConfig(Config):
    """How much to measure."""

    split: SplitName = Field("test", description="held-out split that the targets are taken from")
    targets: int = Field(100, ge=1, description="held-out images whose properties become targets")
    draws: int = Field(16, ge=1, description="draws from p(z|c*) for each target")
    aim_rounds: int = Field(3, ge=0, description="rounds in which a draw corrects its aim by the regressor")
    aim_steps: int = Field(3, ge=0, description="steps down the model's slopes after these")
    averaged: bool = Field(True, description="predictions are means over the turns and flips of an image")
    realism_draws: int = Field(4, ge=1, description="draws of each target whose morphology is measured")
    realism_images: int = Field(400, ge=2, description="held-out images, at most, whose morphology is measured")
    seed: int = Field(0, ge=0, description="seed of the choice of targets and of the draws")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        figure: The letter of the measurement.
        name: What was measured.
        median, q90: Median and 90th percentile over images or targets; None where they mean nothing.
        value: A number that is no distribution: a share, a count, a distance, a ratio.
        data: The same measurement on held-out images, where there is one.
    """

    figure: str
    name: str
    median: float | None = None
    q90: float | None = None
    value: float | None = None
    data: float | None = None

    @classmethod
    def of(cls, figure: str, name: str, values: np.ndarray, data: float | None = None) -> Self:
        """A line for a distribution; NaN of none."""
        if not len(values):
            return cls(figure, name, np.nan, np.nan, data=data)
        return cls(figure, name, float(np.median(values)), float(np.quantile(values, 0.9)), data=data)


@dataclass(frozen=True)
class Fidelity:
    """What was measured: the table, and what the figures show.

    Attributes:
        rows: The table.
        targets: Images whose properties were asked for, uint8 `(T, X, Y)`.
        reconstructions, chosen: Their binarised reconstructions, and the aimed draws that the regressor ranks first.
        errors: Errors by name, each `(T,)`, for a plot of their distributions.
        morphology: Statistics of draws and of held-out images, by name.
    """

    rows: tuple[Row, ...]
    targets: np.ndarray
    reconstructions: np.ndarray
    chosen: np.ndarray
    errors: dict[str, np.ndarray]
    morphology: dict[str, tuple[np.ndarray, np.ndarray]]

    @property
    def metrics(self) -> dict[str, float]:
        """The table as numbers by name, such as `b_best_of_16_by_regressor_median`."""
        return {
            f"{row.figure}_{row.name}_{column}".replace(" ", "_").replace(",", ""): value
            for row in self.rows
            for column in ("median", "q90", "value", "data")
            if (value := getattr(row, column)) is not None
        }


def measure(
    surrogate: Surrogate,
    dataset: Dataset,
    evaluator: TableEvaluator,
    config: FidelityConfig,
    progress: Callable[[str], None] = lambda line: None,
    kept: Path | None = None,
) -> Fidelity:
    """Measures a model on a data set; labels of held-out images are the data set's own.

    Args:
        surrogate: The model.
        dataset: The data set whose training split the model has seen, and whose other splits it has not.
        evaluator: Computes the model's properties of decodes.
        config: How much to measure.
        progress: Called with a line at each stage.
        kept: Folder of aimed draws, which take longest: those in it are not made again.

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
    wanted = targets.property_table(names)

    check_labels(evaluator, targets.labels, wanted)
    progress(f"{len(targets)} targets: reconstructions")
    reconstructions = decode_labels(surrogate, surrogate.encode(targets.labels)[0])
    reconstruction_error = worst_errors(evaluator.evaluate(reconstructions), wanted)

    progress(f"{config.draws} draws a target")
    conditions = [dict(zip(names, row.tolist(), strict=True)) for row in wanted]
    seeds = [config.seed + number for number in range(len(wanted))]
    pairs = list(zip(conditions, seeds, strict=True))
    direct = verified(surrogate, evaluator, wanted, [surrogate.sample(c, config.draws, seed) for c, seed in pairs])
    aimed_draws = []
    for number, (c, seed) in enumerate(pairs):
        if number % _TOLD == 0:
            progress(f"aimed draws of {number} of {len(pairs)} targets")
        aimed_draws.append(_aimed(surrogate, c, seed, config, kept))
    aimed = verified(surrogate, evaluator, wanted, aimed_draws)
    on_data = worst_errors(surrogate.predict(held_out.labels)[0], held_out.property_table(names))
    nearest = nearest_errors(wanted, training.property_table(names))
    errors = {"reconstruction": reconstruction_error, **best_errors("", direct), **best_errors("aimed, ", aimed)}
    errors["nearest training image"] = nearest

    rows = [Row.of("a", "reconstruction", reconstruction_error)]
    rows += [Row.of("b", name, values) for name, values in errors.items() if "draw" in name or "best" in name]
    for kind, draws in (("", direct), (", aimed", aimed)):
        regressor = draws.regressor_error[np.isfinite(draws.regressor_error)]
        rows.append(Row.of("c", f"regressor on decodes{kind}", regressor, float(np.median(on_data))))
        if len(regressor):
            ratio = float(np.median(regressor) / max(np.median(on_data), 1e-12))
            rows.append(Row("c", f"regressor on decodes over on data{kind}", value=ratio))
    progress("realism")
    like = held_out.labels[np.random.default_rng([config.seed, 1]).permutation(len(held_out))[: config.realism_images]]
    data_statistics, gap_of_data = morphology(like), _gap(evaluator, targets.labels)
    rows += _copy_rows(reconstructions, targets)
    shown: dict[str, dict[str, np.ndarray]] = {}
    for kind, draws in (("", direct), (", aimed", aimed)):
        some = draws.labels[:, : config.realism_draws]
        images = some.reshape(-1, *targets.labels.shape[1:])
        shown[kind] = morphology(images)
        rows += _realism_rows(kind, compare(shown[kind], data_statistics, some.shape[1]))
        rows.append(Row.of("d", f"kinship of draws{kind}", kinship(images), float(np.median(kinship(like)))))
        gap = _gap(evaluator, draws.labels[:, 0])
        rows.append(Row.of("d", f"{_GAP}{kind}", gap, float(np.median(gap_of_data))))
    gap = _gap(evaluator, aimed.chosen)
    rows.append(Row.of("d", f"{_GAP} of chosen", gap, float(np.median(gap_of_data))))
    rows.append(Row.of("d", f"{_GAP} of held-out data", gap_of_data))
    if evaluator.alternative is None:
        rows = [row for row in rows if not row.name.startswith(_GAP)]
    progress("components and novelty")
    rows += _diversity_rows(direct, len(surrogate.prior(conditions[0]).weights))
    components = distinct_components(surrogate, conditions)
    rows.append(Row.of("e", "distinct components", components))
    rows.append(Row("e", "targets with three distinct components", value=float((components >= 3).mean())))
    rows.append(Row.of("f", "novelty of chosen", distance_to_nearest(aimed.chosen, two_point_of(training.labels))))
    rows.append(Row.of("g", f"nearest of {len(training)} training images", nearest))
    return Fidelity(
        rows=tuple(rows),
        targets=targets.labels,
        reconstructions=reconstructions,
        chosen=aimed.chosen,
        errors=errors,
        morphology={name: (values, data_statistics[name]) for name, values in shown[""].items()},
    )


def _aimed(
    surrogate: Surrogate, condition: Mapping[str, float], seed: int, config: FidelityConfig, kept: Path | None
) -> Draws:
    """A target's aimed draws, made once where there is a folder to keep them in."""

    def make() -> dict[str, np.ndarray]:
        return vars(aimed_sample(surrogate, condition, config.draws, seed, config.aim_rounds, config.aim_steps))

    if kept is None:
        return Draws(**make())
    settings = [config.draws, seed, config.aim_rounds, config.aim_steps, config.averaged]
    name = digest_json([surrogate.digest, dict(condition), *settings])
    return Draws(**kept_arrays(kept / f"{name[:24]}.npz", make))


def _copy_rows(reconstructions: np.ndarray, targets: Microstructures) -> list[Row]:
    images, copies = (torch.from_numpy(labels).float()[:, None] for labels in (targets.labels, reconstructions))
    fraction = (images.mean((1, 2, 3)) - copies.mean((1, 2, 3))).abs()
    return [
        Row.of("d", "excess CESS of reconstruction", excess_cess(images, copies).numpy()),
        Row.of("d", "volume fraction error of reconstruction", fraction.numpy()),
    ]


def _realism_rows(kind: str, comparisons: Mapping[str, Comparison]) -> list[Row]:
    rows = []
    for name, each in comparisons.items():
        rows.append(Row("d", f"{name}, mean{kind}", value=each.decodes, data=each.data))
        rows.append(Row("d", f"{name}, distance{kind}", value=each.distance, data=each.chance))
        rows.append(Row("d", f"{name}, inside{kind}", value=each.inside, data=each.data_inside))
    return rows


def _gap(evaluator: TableEvaluator, labels: np.ndarray) -> np.ndarray:
    """Relative difference of the worst property between the two discretisations, `(n,)`; NaN where there is one."""
    other = evaluator.alternative
    if other is None:
        return np.full(len(labels), np.nan)
    return worst_errors(other.evaluate(labels), evaluator.evaluate(labels))


def distinct_components(surrogate: Surrogate, conditions: Sequence[Mapping[str, float]]) -> np.ndarray:
    """How many components in use answer each condition with a morphology of their own, `(T,)`.

    In use are those of at least half an equal share of the weight; their answers are the decodes of their means.
    """
    counts = []
    for condition in conditions:
        prior = surrogate.prior(condition)
        used = prior.mean[prior.weights >= 0.5 / len(prior.weights)]
        counts.append(count_distinct(two_point_of(decode_labels(surrogate, used)), DISTINCT))
    return np.array(counts)


def _diversity_rows(draws: VerifiedDraws, components: int) -> list[Row]:
    shares = np.bincount(draws.component.ravel()) / draws.component.size
    return [
        Row("e", "components in use", value=float((shares > 0.5 / components).sum())),
        Row.of("e", "components per target", np.array([len(set(row)) for row in draws.component.tolist()])),
        Row.of("e", "distinct morphologies", draws.distinct()),
        Row.of("e", "distinct morphologies within a tenth", draws.distinct(within=0.1)),
    ]
