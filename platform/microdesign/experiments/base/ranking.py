"""How well draws from p(z|c*) reach their targets: the first draw, and the best of several by a ranking.

Shapes: T targets, N draws a target, P properties.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from microdesign.core.metrics import worst_errors
from microdesign.design.search.distinctness import DISTINCT, is_distinct

Ranking = Literal["first", "regressor", "oracle"]
"""What chooses one of several draws: their order, the regressor's predictions, or the evaluator's own values."""


@dataclass(frozen=True)
class RankedErrors:
    """Errors of the draw that a ranking puts first among the first n of each target.

    Attributes:
        ranking: The ranking.
        n: Draws that it chooses from.
        values: Errors of the worst property by the evaluator, `(T,)`.
    """

    ranking: Ranking
    n: int
    values: np.ndarray

    @property
    def name(self) -> str:
        """`first draw` or such as `best of 4 by regressor`."""
        return "first draw" if self.ranking == "first" else f"best of {self.n} by {self.ranking}"


def ranked_errors(error: np.ndarray, score: np.ndarray) -> tuple[RankedErrors, ...]:
    """Errors of the first draw, and of the best of 4 and of all by either ranking.

    Args:
        error: Errors by the evaluator, `(T, N)`.
        score: Errors by the regressor, `(T, N)`.
    """
    most = error.shape[1]
    found = [RankedErrors("first", 1, error[:, 0])]
    for n in sorted({min(4, most), most}):
        found.append(RankedErrors("regressor", n, best_of(error, score, n)))
        found.append(RankedErrors("oracle", n, best_of(error, error, n)))
    return tuple(found)


def best_of(errors: np.ndarray, score: np.ndarray, n: int) -> np.ndarray:
    """Error of the draw that `score` ranks first among the first n, `(T, N), (T, N) -> (T,)`; lowest is first.

    With `score` the errors themselves, the ranking of an oracle.
    """
    chosen = score[:, :n].argmin(1)
    return errors[np.arange(len(errors)), chosen]


def nearest_errors(targets: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Error of the row of `table` `(M, P)` that is nearest to each target, `(T, P) -> (T,)`."""
    return np.array([worst_errors(table, target).min() for target in targets])


def count_distinct(points: np.ndarray, threshold: float = DISTINCT) -> int:
    """How many of the images, given by coordinates `(n, F)`, differ by `threshold` from all those counted before."""
    counted: list[int] = []
    for index in range(len(points)):
        if is_distinct(points[index], points[counted], threshold):
            counted.append(index)
    return len(counted)
