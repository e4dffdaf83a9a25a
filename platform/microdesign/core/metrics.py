"""How well predictions fit: R2 and MAPE, each defined here once.

Shapes: N samples; further axes, such as properties, are kept.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def r2(true: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Coefficient of determination along the first axis, `(N, ...) -> (...)`: 1 - sum (p - t)^2 / sum (t - mean t)^2.

    1 is a perfect prediction, 0 what predicting the mean of `true` attains. NaN where `true` does not vary.

    Example:
        >>> float(r2([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])), float(r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]))
        (1.0, 0.0)
    """
    t, p = np.asarray(true, float), np.asarray(predicted, float)
    spread = ((t - t.mean(0)) ** 2).sum(0)
    residual = ((p - t) ** 2).sum(0)
    return np.asarray(1 - residual / np.where(spread > 0, spread, np.nan))


def mape(true: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Mean absolute relative error along the first axis, `(N, ...) -> (...)`, as a fraction: mean |p - t| / |t|.

    Infinite where a true value is 0: judge properties that cross zero by R2.

    Example:
        >>> round(float(mape([1.0, 2.0], [1.1, 2.0])), 6)
        0.05
    """
    t, p = np.asarray(true, float), np.asarray(predicted, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(p == t, 0.0, np.abs(p - t) / np.abs(t)).mean(0))
