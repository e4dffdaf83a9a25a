"""The table of the experiment `latent`.

Shapes: S steps, P properties.
"""

from collections.abc import Sequence

import numpy as np

from microdesign.experiments.base.result import Cell, Table


def path_table(names: Sequence[str], target: np.ndarray, found: np.ndarray, errors: np.ndarray) -> Table:
    """Properties `(S, P)` of a path's decodes by physics, and their errors `(S,)` against the constant ones `(P,)`."""
    rows: list[list[Cell]] = [["target", *target.tolist(), 0.0]]
    for step, (row, error) in enumerate(zip(found, errors, strict=True)):
        rows.append([step, *row.tolist(), float(100 * error)])
    return Table.of(("step", *names, "error of the worst property / %"), rows)
