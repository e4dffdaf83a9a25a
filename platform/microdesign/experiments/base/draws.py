"""Draws for targets, decoded and judged by physics: errors, rankings, and how many different answers there are.

Shapes: T targets, N draws a target, P properties, `*N` image or volume.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microdesign.design.search.distinctness import DISTINCT
from microdesign.experiments.base.ranking import best_of, count_distinct, worst_errors
from microdesign.microstructure.statistics.similarity import two_point_of
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.protocol import Draws, Surrogate, decode_labels


@dataclass(frozen=True)
class VerifiedDraws:
    """Draws of all targets, decoded and homogenized.

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

    def distinct(self, within: float = np.inf) -> np.ndarray:
        """How many of a target's draws with at most such an error are distinct morphologies, `(T,)`."""
        return np.array(
            [
                count_distinct(two_point_of(images[misses <= within]), DISTINCT)
                for images, misses in zip(self.labels, self.error, strict=True)
            ]
        )


def verified(
    surrogate: Surrogate, evaluator: TableEvaluator, wanted: np.ndarray, draws: Sequence[Draws]
) -> VerifiedDraws:
    """Decodes draws and evaluates them by physics.

    Args:
        surrogate: The model.
        evaluator: Physics of the model's properties.
        wanted: The targets' properties `(T, P)`.
        draws: Those of each target, T times N.
    """
    labels = decode_labels(surrogate, np.concatenate([draw.z for draw in draws]))
    shape = (len(draws), len(draws[0].z))
    predicted, true = surrogate.predict(labels)[0], evaluator.evaluate(labels)
    goal = np.repeat(wanted, shape[1], axis=0)
    return VerifiedDraws(
        labels=labels.reshape(*shape, *labels.shape[1:]),
        component=np.stack([draw.component for draw in draws]),
        error=worst_errors(true, goal).reshape(shape),
        score=worst_errors(predicted, goal).reshape(shape),
        regressor_error=worst_errors(predicted, true).reshape(shape),
    )


def best_errors(kind: str, draws: VerifiedDraws) -> dict[str, np.ndarray]:
    """Errors of the first draw and of the best of 4 and of all, by either ranking, each `(T,)`; `kind` goes before."""
    errors = {f"{kind}first draw": draws.error[:, 0]}
    most = draws.error.shape[1]
    for n in sorted({min(4, most), most}):
        errors[f"{kind}best of {n} by regressor"] = best_of(draws.error, draws.score, n)
        errors[f"{kind}best of {n} by oracle"] = best_of(draws.error, draws.error, n)
    return errors
