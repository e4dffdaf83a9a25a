"""How well draws from p(z|c*) hit their targets: the first draw, and the best of several by a ranking.

Shapes: T targets, N draws a target, P properties.
"""

import numpy as np
import torch

from microdesign.microstructure.statistics.similarity import distances


def worst_errors(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Relative error of the worst property, `(..., P), (..., P) -> (...)`; inf where a value is not finite."""
    error = (np.abs(values - targets) / np.abs(targets)).max(-1)
    return np.where(np.isfinite(error), error, np.inf)


def best_of(errors: np.ndarray, score: np.ndarray, n: int) -> np.ndarray:
    """Error of the draw that `score` ranks first among the first n, `(T, N), (T, N) -> (T,)`; lowest is first.

    With `score` the errors themselves, the ranking of an oracle.
    """
    chosen = score[:, :n].argmin(1)
    return errors[np.arange(len(errors)), chosen]


def nearest_errors(targets: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Error of the row of `table` `(M, P)` that hits each target best, `(T, P) -> (T,)`."""
    return np.array([worst_errors(table, target).min() for target in targets])


def count_distinct(statistics: torch.Tensor, threshold: float) -> int:
    """How many of the two-point statistics `(n, X, Y)` are farther than `threshold` from all those counted before."""
    counted: list[int] = []
    for index in range(len(statistics)):
        if not counted or bool((distances(statistics[index], statistics[counted]) >= threshold).all()):
            counted.append(index)
    return len(counted)
