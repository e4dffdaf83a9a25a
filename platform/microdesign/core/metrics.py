"""Errors of values against true or wanted ones: the one definition of each number that is reported.

Shapes: N samples, P properties.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def magnitude(reference: ArrayLike) -> NDArray[np.float64]:
    """Returns what an error is relative to, `(...)`: the absolute value, and 1 where that is 0.

    An error against a reference of 0 is thus absolute, which keeps it finite. Of properties that can be 0 (Poisson's
    ratios, couplings) absolute errors in units of 1 are what a tolerance can be set for.
    """
    size = np.abs(np.asarray(reference, float))
    return np.where(size == 0, 1.0, size)


def relative_deviations(values: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """Returns (values - reference) / magnitude(reference), `(...)` with sign; shapes broadcast.

    Example:
        >>> relative_deviations([1.1, -1.8, 0.25], [1.0, -2.0, 0.0]).round(3).tolist()
        [0.1, 0.1, 0.25]
    """
    return np.asarray((np.asarray(values, float) - np.asarray(reference, float)) / magnitude(reference))


def worst_errors(values: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """Returns the relative error of the worst property, `(..., P), (..., P) -> (...)`; inf where a value is not finite.

    Example:
        >>> worst_errors([[1.1, 2.0], [1.0, np.nan]], [1.0, 2.0]).round(3).tolist()
        [0.1, inf]
    """
    errors = np.abs(relative_deviations(values, reference))
    return np.asarray(np.where(np.isfinite(errors), errors, np.inf).max(-1))


def mape(true: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Returns the mean absolute relative error along the first axis, `(N, ...), (N, ...) -> (...)`, as a fraction.

    Of properties that cross zero it says little: judge them by R2.

    Example:
        >>> round(float(mape([1.0, 2.0], [1.1, 2.0])), 6)
        0.05
    """
    return np.asarray(np.abs(relative_deviations(predicted, true)).mean(0))


def r2(true: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Returns the coefficient of determination along the first axis, `(N, ...), (N, ...) -> (...)`.

    1 - sum (p - t)^2 / sum (t - mean t)^2: 1 is a perfect prediction, 0 what predicting the mean of `true` attains. It
    is NaN where `true` does not vary.

    Example:
        >>> float(r2([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])), float(r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]))
        (1.0, 0.0)
    """
    t, p = np.asarray(true, float), np.asarray(predicted, float)
    spread = ((t - t.mean(0)) ** 2).sum(0)
    residual = ((p - t) ** 2).sum(0)
    return np.asarray(1 - residual / np.where(spread > 0, spread, np.nan))


def relative_spread(values: ArrayLike) -> NDArray[np.float64]:
    """Returns the standard deviation over the samples, relative to their mean, `(N, P) -> (P,)`."""
    samples = np.asarray(values, float)
    return np.asarray(samples.std(0) / magnitude(samples.mean(0)))
