"""Draws for the targets of a fidelity experiment: directly from p(z|c*), and after condition correction.

Shapes: T targets, P properties.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import numpy as np

from microdesign.core.files import digest_json
from microdesign.core.progress import Progress
from microdesign.design.search.condition_correction import corrected_sample
from microdesign.experiments.base.cached_arrays import cached_arrays
from microdesign.experiments.base.evaluated_draws import EvaluatedDraws, conditions_of, evaluate_draws
from microdesign.experiments.fidelity.config import FidelityConfig
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.protocol import Draws, Surrogate


class DrawKind(Enum):
    """Draws directly from p(z|c*), or after condition correction; the value stands in names of measurements."""

    DIRECT = ""
    CORRECTED = "corrected"

    @property
    def prefix(self) -> str:
        """Before the name of a measurement."""
        return f"{self.value}, " if self.value else ""

    @property
    def suffix(self) -> str:
        """After the name of a measurement."""
        return f", {self.value}" if self.value else ""


def draws_of_targets(
    surrogate: Surrogate,
    evaluator: TableEvaluator,
    targets: np.ndarray,
    config: FidelityConfig,
    progress: Progress,
    cache: Path | None,
) -> dict[DrawKind, EvaluatedDraws]:
    """Draws of both kinds for each target's properties `(T, P)`; a target's draws of both kinds share their seed."""
    conditions = conditions_of(surrogate.properties, targets)
    seeds = [config.seed + number for number in range(len(targets))]
    pairs = list(zip(conditions, seeds, strict=True))
    progress(f"{config.draws} draws a target")
    direct = [surrogate.sample(condition, config.draws, seed) for condition, seed in pairs]
    evaluated = {DrawKind.DIRECT: evaluate_draws(surrogate, evaluator, targets, direct)}
    corrected = []
    for number, (condition, seed) in enumerate(pairs, 1):
        corrected.append(_corrected(surrogate, condition, seed, config, cache))
        progress.count(number, len(pairs), "targets with corrected draws")
    return evaluated | {DrawKind.CORRECTED: evaluate_draws(surrogate, evaluator, targets, corrected)}


def _corrected(
    surrogate: Surrogate, condition: Mapping[str, float], seed: int, config: FidelityConfig, cache: Path | None
) -> Draws:
    """A target's corrected draws, from the cache where they are in it."""
    effort = (config.correction_rounds, config.gauss_newton_steps)

    def compute() -> dict[str, np.ndarray]:
        return vars(corrected_sample(surrogate, condition, config.draws, seed, *effort))

    if cache is None:
        return Draws(**compute())
    settings = [config.draws, seed, *effort, config.averaged]
    name = digest_json([surrogate.digest, dict(condition), *settings])
    return Draws(**cached_arrays(cache / f"{name[:24]}.npz", compute))
