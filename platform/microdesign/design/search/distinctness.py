"""Which of many designs are distinct microstructures, by the distance of their two-point statistics.

Shapes: n designs, X Y image, `*N` image or volume.
"""

from collections.abc import Iterable

import numpy as np
import torch

from microdesign.microstructure.statistics.similarity import distances

DISTINCT = 0.1
"""Distance from which two microstructures count as distinct: about that of an image to the nearest other one of
near-equal properties in a data set of mixed families."""


def is_distinct(statistics: torch.Tensor, others: torch.Tensor, threshold: float = DISTINCT) -> bool:
    """Whether statistics `(X, Y)` differ from all `others` `(n, X, Y)` by at least `threshold`."""
    return not len(others) or bool((distances(statistics, others) >= threshold).all())


def distinct_best(
    errors: np.ndarray, component: np.ndarray, statistics: torch.Tensor, count: int, good: np.ndarray | None = None
) -> list[int]:
    """Indices of the best designs that are distinct from each other, best first, at most `count`.

    From as many components as have good ones: the best of each comes before the second of any. Components are
    trained to have the same properties by different morphologies, draws of one by similar ones.

    Args:
        errors: Errors `(n,)`.
        component: Prior component of each, `(n,)`.
        statistics: Two-point statistics `(n, X, Y)`.
        count: Most designs to choose.
        good: Which are good enough to stand for their component, bool `(n,)`; all when None.
    """

    def extended(chosen: list[int], candidates: Iterable[int], most: int) -> list[int]:
        for index in candidates:
            if len(chosen) < most and is_distinct(statistics[index], statistics[chosen]):
                chosen = [*chosen, index]
        return chosen

    ranked = [int(index) for index in np.argsort(errors, kind="stable")]
    chosen: list[int] = []
    for k in dict.fromkeys(component[ranked].tolist()):
        own = [index for index in ranked if component[index] == k and (good is None or good[index])]
        chosen = extended(chosen, own, min(count, len(chosen) + 1))
    chosen = extended(chosen, ranked, count)
    return sorted(chosen, key=lambda index: float(errors[index]))


def basin_of(statistics: torch.Tensor, component: np.ndarray, incumbents: list[int]) -> np.ndarray:
    """For each design, which of the `incumbents` of its own component is nearest: its position, -1 if there is none."""
    basins = np.full(len(component), -1)
    for index in range(len(component)):
        mine = [position for position, incumbent in enumerate(incumbents) if component[incumbent] == component[index]]
        if mine:
            nearest = distances(statistics[index], statistics[[incumbents[position] for position in mine]]).argmin()
            basins[index] = mine[int(nearest)]
    return basins
