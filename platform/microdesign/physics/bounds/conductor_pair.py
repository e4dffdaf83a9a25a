"""What two conductors can do in the plane: the bounds that tie kx and ky of a microstructure together.

For volume fractions f of two isotropic phases k_1 < k_2, with the harmonic and arithmetic means h and a, the principal
conductivities l_1, l_2 of every microstructure satisfy h <= l_i <= a and

    1/(l_1 - k_1) + 1/(l_2 - k_1) <= 1/(h - k_1) + 1/(a - k_1)
    1/(k_2 - l_1) + 1/(k_2 - l_2) <= 1/(k_2 - h) + 1/(k_2 - a)

and every such pair is reached (K. A. Lurie, A. V. Cherkaev, Proc. R. Soc. Edinburgh A 99 (1984); L. Tartar 1985;
isotropic ones give Hashin's and Shtrikman's bounds). The set is convex, of the conductivities as of the resistivities,
and does not change when x and y are swapped; so it also holds for kx = 1/(K^-1)_xx and ky of a turned tensor.

Shapes: F volume fractions, X values of kx.
"""

from typing import NamedTuple

import numpy as np

Interval = tuple[float, float]

_EQUAL = 1e-9
"""Relative difference of two conductivities up to which they are one: the bounds divide by it."""


class Lens(NamedTuple):
    """The pairs (kx, ky) at volume fractions `(F,)` and values of kx `(F, X)`: ky from `low` to `high`, `(F, X)`."""

    kx: np.ndarray
    low: np.ndarray
    high: np.ndarray


def pair_lens(conductivities: tuple[float, float], fractions: np.ndarray, kx: Interval, steps: int = 65) -> Lens:
    """Returns the range of ky for values of kx in an interval; NaN at fractions that do not reach the interval.

    Args:
        conductivities: k of phase 0 and of phase 1, not negative; where they are equal, kx = ky = k.
        fractions: Volume fractions of phase 1, `(F,)`.
        kx: The interval.
        steps: Values of kx in it.
    """
    f = np.clip(np.asarray(fractions, float), 1e-12, 1 - 1e-12)
    k_0, k_1 = conductivities
    low, high = min(conductivities), max(conductivities)
    if high - low <= _EQUAL * high:
        x = np.full((len(f), steps), low if kx[0] <= high and low <= kx[1] else np.nan)
        return Lens(x, x, x)
    a = (1 - f) * k_0 + f * k_1
    h = np.zeros_like(f) if low == 0 else 1 / ((1 - f) / k_0 + f / k_1)
    start, end = np.maximum(h, kx[0]), np.minimum(a, kx[1])
    reached = start <= end
    x = np.where(reached, start, np.nan)[:, None] + np.linspace(0, 1, steps) * (end - start)[:, None]
    with np.errstate(divide="ignore"):
        least = low + 1 / (1 / (h - low) + 1 / (a - low) - (1 / (x - low).T)).T if low > 0 else np.zeros_like(x)
        most = high - 1 / (1 / (high - h) + 1 / (high - a) - (1 / (high - x).T)).T
    return Lens(x, np.maximum(least, h[:, None]), np.minimum(most, a[:, None]))
