"""Pareto fronts of designs of which several things are to be maximised.

Shapes: n designs, M objectives.
"""

import numpy as np


def front_numbers(objectives: np.ndarray) -> np.ndarray:
    """Number of the front that each design is in, int `(n, M) -> (n,)`.

    Front 0 are the designs that no other one dominates (as good in every objective, better in one), front 1 those that
    only designs of front 0 dominate, and so on: the non-dominated sorting of Deb et al., IEEE Trans. Evol. Comput. 6
    (2002), by BoTorch's `is_non_dominated`. A design with an objective that is not known (NaN) is dominated by none and
    dominates none: it is in front 0.
    """
    import torch  # BoTorch takes seconds to import, and few targets have a front
    from botorch.utils.multi_objective.pareto import is_non_dominated

    values = torch.from_numpy(np.asarray(objectives, float))
    # BoTorch takes a row with NaN for dominated, so that it would never have a front.
    fronts = np.where(values.isnan().any(1).numpy(), 0, -1)
    number = 0
    while (fronts < 0).any():
        left = np.flatnonzero(fronts < 0)
        fronts[left[is_non_dominated(values[left], deduplicate=False).numpy()]] = number
        number += 1
    return fronts


def crowding(objectives: np.ndarray) -> np.ndarray:
    """How alone each design stands among all, `(n, M) -> (n,)`: inf at the ends of an objective's range.

    The sum over the objectives of the distance between the two neighbours, relative to the range (crowding distance of
    Deb et al. 2002).
    """
    objectives = np.asarray(objectives, float)
    total = np.zeros(len(objectives))
    for column in objectives.T:
        order = np.argsort(column, kind="stable")
        sorted_column = column[order]
        extent = max(float(sorted_column[-1] - sorted_column[0]), 1e-300)
        total[order[1:-1]] += (sorted_column[2:] - sorted_column[:-2]) / extent
        total[order[[0, -1]]] = np.inf
    return total
