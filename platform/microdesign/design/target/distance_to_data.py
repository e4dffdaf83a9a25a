"""How far a target is from what the training data reach.

Shapes: N samples, P target properties.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from microdesign.design.target.targets import Target

_CONSTANT = 1e-3
"""Standard deviation of a property's logarithm below which it is constant, up to the solver's tolerance."""


@dataclass(frozen=True)
class Reach:
    """How far a target lies from the properties of a data set, in standard deviations of their logarithms.

    Attributes:
        distance: From the nearest sample to what meets the goals.
        usual: The 99th percentile of the samples' distance to each other's nearest.
    """

    distance: float
    usual: float

    @property
    def outside(self) -> bool:
        """Whether the target is farther out than nearly all samples are from each other."""
        return self.distance > self.usual

    def __str__(self) -> str:
        """One sentence for people."""
        verdict = "OUTSIDE what the training data reach" if self.outside else "within the reach of the training data"
        return (
            f"The target is {verdict}: its nearest training sample is {self.distance:.3f} standard deviations away "
            f"(99 % of the samples have a neighbour within {self.usual:.3f})."
        )


def reach(target: Target, table: np.ndarray) -> Reach:
    """Compares a target with the properties `(N, P)` of a data set, columns in the target's order.

    A sample's distance to a bound that it keeps is 0, and so it is to an optimum.
    """
    scale = np.abs(table).mean(0)
    scale[scale == 0] = 1

    def place(values: np.ndarray) -> np.ndarray:
        return np.sign(values) * np.log1p(np.abs(values) / scale)

    points = place(table)
    spread = points.std(0)
    # A property that all samples share tells nothing of nearness; whether the phases allow its goal, the bounds say.
    varies = spread > _CONSTANT
    if not varies.any():
        return Reach(0.0, 0.0)
    wanted = place(target.lows), place(target.highs)
    points, low, high = (each[..., varies] / spread[varies] for each in (points, *wanted))
    usual = np.quantile(cKDTree(points).query(points, k=2)[0][:, 1], 0.99)
    distance = np.linalg.norm(points - np.clip(points, low, high), axis=1).min()
    return Reach(float(distance), float(usual))
