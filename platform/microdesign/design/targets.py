"""What a campaign is asked for: property values, a tolerance, constraints on the microstructure; and what data reach.

Shapes: n designs, P target properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field, field_validator
from scipy.spatial import cKDTree

from microdesign.config import Config


class Target(Config):
    """Target properties and constraints."""

    properties: Mapping[str, float] = Field(min_length=1, description="value of each property, in the materials' units")
    tolerance: float = Field(0.05, gt=0, description="relative error of the worst property up to which a design counts")
    volume_fraction: tuple[float, float] = Field((0.0, 1.0), description="least and most of phase 1")

    @field_validator("properties")
    @classmethod
    def _check_properties(cls, values: Mapping[str, float]) -> Mapping[str, float]:
        for name, value in values.items():
            if not np.isfinite(value) or value == 0:
                raise ValueError(f"{name} = {value}: expected a finite number other than 0")
        return values

    @field_validator("volume_fraction")
    @classmethod
    def _check_volume_fraction(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] < value[1] <= 1:
            raise ValueError("expected [low, high] with 0 <= low < high <= 1")
        return value

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the target properties, in the order of every property axis of a campaign."""
        return tuple(self.properties)

    @property
    def values(self) -> np.ndarray:
        """Target values `(P,)`."""
        return np.array(list(self.properties.values()), float)

    def deviations(self, properties: np.ndarray) -> np.ndarray:
        """Signed relative deviations from the target, `(n, P) -> (n, P)`."""
        return (np.asarray(properties, float) - self.values) / np.abs(self.values)

    def errors(self, properties: np.ndarray) -> np.ndarray:
        """Relative error of the worst property, `(n, P) -> (n,)`."""
        return np.abs(self.deviations(properties)).max(-1)

    def admits(self, labels: np.ndarray) -> np.ndarray:
        """Whether two-phase images uint8 `(n, X, Y)` satisfy the constraints, bool `(n,)`."""
        fraction = labels.mean((1, 2))
        return (fraction >= self.volume_fraction[0]) & (fraction <= self.volume_fraction[1])


@dataclass(frozen=True)
class Reach:
    """How far a target lies from the properties of a data set, in standard deviations of their logarithms.

    Attributes:
        distance: To the nearest sample.
        usual: The 99th percentile of that distance over the samples themselves.
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
    """Compares a target with the properties `(n, P)` of a data set, columns in the target's order."""
    scale = np.abs(table).mean(0)
    signs = np.sign(table) * np.log1p(np.abs(table) / scale)
    point = np.sign(target.values) * np.log1p(np.abs(target.values) / scale)
    spread = signs.std(0)
    tree = cKDTree(signs / spread)
    usual = np.quantile(tree.query(signs / spread, k=2)[0][:, 1], 0.99)
    return Reach(float(tree.query(point / spread)[0]), float(usual))
