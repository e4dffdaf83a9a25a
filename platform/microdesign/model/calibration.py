"""Calibrated intervals: the property head's standard deviations, scaled by images that it was not trained on.

Shapes: n samples, P properties. Split conformal prediction with normalised residuals (Papadopoulos et al. 2002; Lei et
al. 2018, doi 10.1080/01621459.2017.1307116): the share of new images of the same kind whose property lies within its
interval is at least `level`, however wrong the head's own deviations are. It does not hold for images of another kind.
"""

import math

import numpy as np
from pydantic import Field, NonNegativeFloat

from microdesign.core.config import Config
from microdesign.model.standardization import Standardization

LEVEL = 0.9
"""Share of images whose property lies within its interval."""


class Calibration(Config):
    """Half the width of each property's interval, in predicted standard deviations of its standardised value.

    Change `level` where another share of misses is tolerable; intervals widen quickly towards 1.
    """

    level: float = Field(gt=0, lt=1, description="share of new images that the interval holds")
    factors: tuple[NonNegativeFloat, ...] = Field(description="half width in standard deviations, one per property")
    samples: int = Field(ge=1, description="held-out images behind them")

    @classmethod
    def fit(
        cls, true: np.ndarray, mean: np.ndarray, std: np.ndarray, standardization: Standardization, level: float = LEVEL
    ) -> "Calibration":
        """Fits the factors to held-out images: `true`, `mean`, `std` are `(n, P)`, physical.

        The factor is the ceil((n + 1) level)-th smallest |residual| / std; with fewer than level / (1 - level) samples
        the largest, which guarantees n / (n + 1) only.

        Args:
            true: Properties of images that the model was not trained on, `(n, P)`.
            mean: Their predicted means.
            std: Their predicted standard deviations.
            standardization: Of the model; intervals are symmetric on its scale.
            level: Share of new images that an interval shall hold.
        """
        centre, spread = _standardized(mean, std, standardization)
        scores = np.sort(np.abs(standardization.forward(true) - centre) / spread, axis=0)
        place = min(math.ceil((len(scores) + 1) * level), len(scores)) - 1
        return cls(level=level, factors=tuple(scores[place].tolist()), samples=len(scores))

    def interval(
        self, mean: np.ndarray, std: np.ndarray, standardization: Standardization
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds, each `(n, P)`, for predicted `mean` and `std` `(n, P)`, all physical."""
        centre, spread = _standardized(mean, std, standardization)
        half = np.array(self.factors) * spread
        return standardization.inverse(centre - half), standardization.inverse(centre + half)


def _standardized(mean: np.ndarray, std: np.ndarray, standardization: Standardization) -> tuple[np.ndarray, np.ndarray]:
    return standardization.forward(mean), std / standardization.inverse_std(mean, np.ones_like(std))
