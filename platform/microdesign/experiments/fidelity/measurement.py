"""A line of the fidelity table: what was measured, in which unit, and its value."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from microdesign.experiments.base.result import metric_name

PER_CENT = "%"
"""The unit of shares and relative errors: they are fractions in a measurement, and per cent in the table."""


@dataclass(frozen=True)
class Measurement:
    """A line of the table.

    Attributes:
        section: Letter of the table's section.
        name: What was measured.
        median, q90: Median and 90th percentile over images or targets; None where there is no distribution.
        value: A single number: a share, a count, a distance, a ratio.
        data: The same measurement on held-out images, where there is one.
        unit: Of all four; empty for counts and ratios.
    """

    section: str
    name: str
    median: float | None = None
    q90: float | None = None
    value: float | None = None
    data: float | None = None
    unit: str = ""

    @classmethod
    def of(cls, section: str, name: str, values: np.ndarray, data: float | None = None, unit: str = "") -> Self:
        """The line for a distribution; NaN for an empty one."""
        if not len(values):
            return cls(section, name, np.nan, np.nan, data=data, unit=unit)
        q50, q90 = float(np.median(values)), float(np.quantile(values, 0.9))
        return cls(section, name, q50, q90, data=data, unit=unit)

    @property
    def numbers(self) -> dict[str, float | None]:
        """The four numbers by name."""
        return {"median": self.median, "q90": self.q90, "value": self.value, "data": self.data}

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that there are as MLflow metrics, such as `b_best_of_16_by_regressor_median`."""
        return {
            metric_name(self.section, self.name, kind): value
            for kind, value in self.numbers.items()
            if value is not None
        }
