"""Draws for targets, decoded and evaluated by physics: errors, rankings, and how many distinct morphologies there are.

Shapes: T targets, N draws a target, P properties, `*N` image or volume.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from microdesign.core.metrics import worst_errors
from microdesign.experiments.base.ranking import RankedErrors, count_distinct, ranked_errors
from microdesign.microstructure.statistics.difference import coordinates
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.protocol import Draws, Surrogate, decode_labels


@dataclass(frozen=True)
class EvaluatedDraws:
    """Draws of all targets, decoded and evaluated.

    Attributes:
        labels: uint8 `(T, N, *N)`.
        component: `(T, N)`.
        error, score: Error of the worst property by physics, and by the regressor, `(T, N)`.
        regressor_error: Error of the regressor itself, `(T, N)`; inf where physics has no answer.
    """

    labels: np.ndarray
    component: np.ndarray
    error: np.ndarray
    score: np.ndarray
    regressor_error: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """The draw of each target that the regressor ranks first, `(T, *N)`."""
        return self.labels[np.arange(len(self.labels)), self.score.argmin(1)]

    @property
    def ranked(self) -> tuple[RankedErrors, ...]:
        """See `ranked_errors`."""
        return ranked_errors(self.error, self.score)

    def distinct(self, within: float = np.inf) -> np.ndarray:
        """How many of a target's draws with at most such an error are distinct morphologies, `(T,)`."""
        return np.array(
            [
                count_distinct(coordinates(images[errors <= within]))
                for images, errors in zip(self.labels, self.error, strict=True)
            ]
        )


def evaluate_draws(
    surrogate: Surrogate, evaluator: TableEvaluator, targets: np.ndarray, draws: Sequence[Draws]
) -> EvaluatedDraws:
    """Decodes and evaluates draws.

    Args:
        surrogate: The model.
        evaluator: Physics of the model's properties.
        targets: Their properties `(T, P)`.
        draws: Those of each target, T times N.
    """
    labels = decode_labels(surrogate, np.concatenate([draw.z for draw in draws]))
    shape = (len(draws), len(draws[0].z))
    predicted, true = surrogate.predict(labels)[0], evaluator.evaluate(labels)
    goal = np.repeat(targets, shape[1], axis=0)
    return EvaluatedDraws(
        labels=labels.reshape(*shape, *labels.shape[1:]),
        component=np.stack([draw.component for draw in draws]),
        error=worst_errors(true, goal).reshape(shape),
        score=worst_errors(predicted, goal).reshape(shape),
        regressor_error=worst_errors(predicted, true).reshape(shape),
    )


def conditions_of(names: Sequence[str], table: np.ndarray) -> list[Mapping[str, float]]:
    """The rows of a table of properties `(T, P)` as the model takes them: by name."""
    return [dict(zip(names, row, strict=True)) for row in table.tolist()]
