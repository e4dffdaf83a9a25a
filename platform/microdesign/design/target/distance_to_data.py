"""How far a target is from the properties of the training data.

Shapes: N samples, P target properties.
"""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import cKDTree

from microdesign.design.target.target import Target

_CONSTANT = 1e-3
"""Standard deviation of a property's logarithm below which it is constant, up to the solver's tolerance."""


class DistanceToData(BaseModel):
    """How far a target lies from the properties of a data set, in standard deviations of their logarithms."""

    model_config = ConfigDict(frozen=True)

    distance: float = Field(description="from the nearest sample to what meets the goals")
    usual: float = Field(description="99th percentile of the samples' distance to their nearest neighbour")

    @property
    def is_outside(self) -> bool:
        """Whether the target is farther out than nearly all samples are from each other."""
        return self.distance > self.usual

    def __str__(self) -> str:
        """One sentence for people."""
        where = "OUTSIDE" if self.is_outside else "within the range of"
        return (
            f"The target is {where} the training data: its nearest training sample is {self.distance:.3f} standard "
            f"deviations away (99 % of the samples have a neighbour within {self.usual:.3f})."
        )


def distance_to_data(target: Target, table: np.ndarray) -> DistanceToData:
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
        return DistanceToData(distance=0.0, usual=0.0)
    wanted = place(target.lows), place(target.highs)
    points, low, high = (each[..., varies] / spread[varies] for each in (points, *wanted))
    usual = np.quantile(cKDTree(points).query(points, k=2)[0][:, 1], 0.99)
    distance = np.linalg.norm(points - np.clip(points, low, high), axis=1).min()
    return DistanceToData(distance=float(distance), usual=float(usual))
