"""The metrics that models are compared by: their names, meaning and direction."""

from collections.abc import Mapping
from typing import Literal

Metric = Literal["loss", "mape", "r2", "excess_cess", "inverse_error"]
LARGER_IS_BETTER = ("r2",)
NEEDS_PROPERTIES = ("mape", "r2", "inverse_error")
MEANING: Mapping[Metric, str] = {
    "loss": "the trial's own loss",
    "mape": "mean relative error of the predicted properties",
    "r2": "mean R2 of the predicted properties",
    "excess_cess": "median excess cross entropy of the reconstructions' two-point statistics",
    "inverse_error": "median relative error of the worst property of draws from the prior",
}
