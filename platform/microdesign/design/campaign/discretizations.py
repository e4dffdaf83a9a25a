"""What two discretizations say together of a design: its gap, whether it meets the target, how far it may be off.

The evaluator's own discretization guides the search. A design that seems to meet the target is checked by a second one
(`Evaluator.alternative`): it counts only if the target is met by both. Where these leave doubt, it is refined: the same
image on twice the pixels, each pixel as 2 x 2, is evaluated by both, and these values count instead. The shape stays
the same; to draw the latent with more pixels would draw more of the material at the same resolution, with the same gap.
Goals relative to an image are judged by each discretization beside the image's own value by the same one.

Shapes: n trials, P target properties.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from microdesign.core.metrics import relative_deviations
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.runners.evaluation import evaluate_images
from microdesign.design.campaign.runners.protocol import RunnerTask, open_runner
from microdesign.design.campaign.trials import Trial
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.protocol import Evaluator, Values, evaluate_each
from microdesign.physics.execution.store import ResultStore, evaluate_stored, evaluation_keys
from microdesign.physics.materials import Materials

FINER = 2
"""Pixels of the refined image along each edge of a pixel."""
_IN_PROCESS = 5.0
"""Seconds of physics that are not worth the start of a runner's processes."""


def errors_by_both(target: Target, trials: Sequence[Trial]) -> np.ndarray:
    """The error of the worst property by the worse of the two discretizations, `(n,)`; before a check the only one.

    It is at most the target's tolerance where the target is met by both.
    """
    if not trials:
        return np.empty(0)
    errors = target.errors(np.array([_row(target, trial.verified) for trial in trials]))
    for index, trial in enumerate(trials):
        if trial.is_checked:
            errors[index] = target.errors(_judged(target, _row(target, trial.verified), trial)).max()
    return errors


def holds_by_both(target: Target, trial: Trial) -> bool | None:
    """Whether the target is met by both discretizations; None where there is no second value."""
    if not trial.is_checked or not np.isfinite(_row(target, trial.second)).all():
        return None
    return bool(errors_by_both(target, [trial])[0] <= target.tolerance)


def gap(target: Target, trial: Trial, fine: bool = False) -> dict[str, float] | None:
    """How far two discretizations are apart, relative to the first one's value; None without values of the second.

    Of goals relative to an image it is how far they are apart in how the design compares with the image.

    Args:
        target: The target.
        trial: A design.
        fine: Whether on twice the pixels.
    """
    one, other = _judged_fine(target, trial) if fine else _judged_coarse(target, _row(target, trial.verified), trial)
    found = np.abs(relative_deviations(other, one))
    return dict(zip(target.names, found.tolist(), strict=True)) if np.isfinite(found).all() else None


def refined_error(target: Target, trial: Trial) -> float:
    """The error of the worst property of a trial on twice the pixels, by the evaluator's own discretization."""
    return float(target.errors(_judged_fine(target, trial)[:1])[0])


def leaves_doubt(target: Target, one: np.ndarray, other: np.ndarray) -> bool:
    """Whether values `(P,)` of two discretizations leave open if a design meets the target.

    Either it does by one of them alone, or a gap is larger than the tolerance of its property.
    """
    if not np.isfinite(other).all():
        return False
    met = target.errors(np.stack([one, other])) <= target.tolerance
    return bool(met[0] != met[1] or (np.abs(relative_deviations(other, one)) > target.tolerances).any())


def on_twice_the_pixels(labels: np.ndarray) -> np.ndarray:
    """The same image `(X, Y)` or volume with each pixel as 2 x 2, or each voxel as 2 x 2 x 2.

    Example:
        >>> on_twice_the_pixels(np.array([[0, 1]])).tolist()
        [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    for axis in range(labels.ndim):
        labels = labels.repeat(FINER, axis)
    return labels


@dataclass(frozen=True)
class Look:
    """What a second look at a design has found, as `Trial` holds it."""

    second: dict[str, float]
    fine: dict[str, float] = field(default_factory=dict)
    fine_second: dict[str, float] = field(default_factory=dict)


class SecondDiscretization:
    """Checks designs by an evaluator's `alternative`, and on twice the pixels where that leaves doubt.

    Results are stored: none is computed twice, also not by another campaign of the same store.

    Args:
        config: The campaign's.
        evaluator: The physics.
        materials: The phases.
        store: Results that are known already.

    Attributes:
        evaluations: How many evaluations it has asked for, those on twice the pixels included.
    """

    def __init__(
        self, config: CampaignConfig, evaluator: Evaluator, materials: Materials, store: ResultStore | None
    ) -> None:
        self._config, self._materials, self._store = config, materials, store
        self._evaluator, self._alternative = evaluator, getattr(evaluator, "alternative", None)
        self.evaluations = 0

    @property
    def exists(self) -> bool:
        """Whether the evaluator has a second discretization."""
        return self._alternative is not None

    def check(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials with what a second look finds; those that have it already are not looked at again."""
        target, new = self._config.target, [trial for trial in trials if not trial.is_checked]
        if not new:
            return list(trials)
        started = time.monotonic()
        own = np.array([_row(target, trial.verified) for trial in new])
        each = float(np.mean([trial.timings.get("evaluating", 0.0) for trial in new]))
        looks = self._look(np.stack([trial.labels for trial in new]), own, each)
        share = (time.monotonic() - started) / len(new)
        checked = {
            trial.key: replace(trial, **vars(look), timings={**trial.timings, "checking": share})
            for trial, look in zip(new, looks, strict=True)
        }
        return [checked.get(trial.key, trial) for trial in trials]

    def errors(self, images: np.ndarray, own: np.ndarray) -> np.ndarray:
        """As `errors_by_both`, `(n,)`, of images uint8 `(n, X, Y)` with values `(n, P)` by the evaluator itself."""
        looks = self._look(images, own, 0.0) if len(images) else []
        judged = (_judged(self._config.target, row, look) for row, look in zip(own, looks, strict=True))
        return np.array([self._config.target.errors(rows).max() for rows in judged])

    def _look(self, images: np.ndarray, own: np.ndarray, each: float) -> list[Look]:
        """Looks at images again whose values are `own`, `(n, P)`; an evaluation takes about `each` seconds."""
        target = self._config.target
        looks = [Look(found) for found in self._ask(self._alternative, images, each)]
        rows = [row for row, look in enumerate(looks) if leaves_doubt(target, *_judged_coarse(target, own[row], look))]
        if rows and not self._config.robust:  # whose images are evaluated on twice the pixels anyway
            fine = np.stack([on_twice_the_pixels(images[row]) for row in rows])
            cost = each * FINER ** (images.ndim - 1)
            by_each = (self._ask(evaluator, fine, cost) for evaluator in (self._evaluator, self._alternative))
            for row, one, other in zip(rows, *by_each, strict=True):
                looks[row] = Look(looks[row].second, one, other)
        return looks

    def _ask(self, evaluator: Evaluator | None, images: np.ndarray, seconds: float) -> list[dict[str, float]]:
        """Values by name of each image, the target's properties among them; `seconds` is what one may take."""
        assert evaluator is not None
        config, materials, store = self._config, self._materials, self._store
        self.evaluations += len(images) * config.images_per_design
        if seconds * len(images) <= _IN_PROCESS and not getattr(evaluator, "uses_gpu", False):
            known = None if store is None else evaluate_stored(evaluator, images, materials, store)
            values = known or evaluate_each(evaluator, images, materials)
            del values["error"]
        else:
            task = RunnerTask(evaluator, materials, config.cpus, config.time_limit)
            runner = open_runner(config.runner, task, config.runner_settings)
            try:
                keys = evaluation_keys(images, materials, evaluator)
                values = evaluate_images(runner, images, keys, materials, store, config.retries)
            finally:
                runner.stop()
        return _by_image(values, config.target)


def _by_image(values: Values, target: Target) -> list[dict[str, float]]:
    values = values | dict(zip(target.names, target.table(values).T, strict=True))
    return [
        {name: float(array[row]) for name, array in values.items()} for row in range(len(next(iter(values.values()))))
    ]


def _row(target: Target, values: Mapping[str, float]) -> np.ndarray:
    return np.array([values.get(name, np.nan) for name in target.names])


def _judged(target: Target, own: np.ndarray, look: Look | Trial) -> np.ndarray:
    """The values that count, `(2, P)`: of both discretizations, on twice the pixels where the design was refined."""
    fine = _judged_fine(target, look)
    return fine if np.isfinite(fine).all() else _judged_coarse(target, own, look)


def _judged_coarse(target: Target, own: np.ndarray, look: Look | Trial) -> np.ndarray:
    """By both discretizations on the image's own pixels, `(2, P)`; NaN without a second value."""
    return np.array([own, target.like_with_like(_row(target, look.second), "second")])


def _judged_fine(target: Target, look: Look | Trial) -> np.ndarray:
    """The same on twice the pixels."""
    return np.array(
        [
            target.like_with_like(_row(target, look.fine), "fine"),
            target.like_with_like(_row(target, look.fine_second), "fine_second"),
        ]
    )
