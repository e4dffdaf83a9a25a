"""The table of the experiment `forward`.

Shapes: N images, P properties.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from microdesign.core.metrics import mape, r2
from microdesign.experiments.base.result import Cell, Table


def error_table(names: Sequence[str], true: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Table:
    """MAPE of each property and their mean, in per cent, and the mean R2; predictions `(N, P)` by model."""
    rows: list[list[Cell]] = []
    for model, predicted in predictions.items():
        errors = 100 * mape(true, predicted)
        rows.append([model, float(errors.mean()), *errors.tolist(), float(r2(true, predicted).mean())])
    return Table.of(("model", "mean MAPE / %", *(f"MAPE of {name} / %" for name in names), "mean R2"), rows)
