"""Which of many designs are distinct microstructures, by the difference of their descriptors.

Shapes: n designs, F coordinates of a design, which `statistics.difference.coordinates` returns.
"""

from collections.abc import Iterable

import numpy as np

from microdesign.microstructure.statistics.difference import differences

DISTINCT = 0.5
"""Difference from which two microstructures count as distinct: half of the usual one of two realisations of one
material. About that of an image to the nearest other one of near-equal properties in a data set of mixed families."""


def is_distinct(point: np.ndarray, others: np.ndarray, threshold: float = DISTINCT) -> bool:
    """Whether a design `(F,)` differs from all `others` `(n, F)` by at least `threshold`."""
    return not len(others) or bool((differences(point, others) >= threshold).all())


def distinct_best(
    errors: np.ndarray, component: np.ndarray, points: np.ndarray, count: int, good: np.ndarray | None = None
) -> list[int]:
    """Indices of the best designs that are distinct from each other, best first, at most `count`.

    From as many components as have good ones: the best of each comes before the second of any. Components are
    trained to have the same properties by different morphologies, draws of one by similar ones.

    Args:
        errors: Errors `(n,)`.
        component: Prior component of each, `(n,)`.
        points: Coordinates `(n, F)`.
        count: Most designs to choose.
        good: Which are good enough to stand for their component, bool `(n,)`; all when None.
    """

    def extended(chosen: list[int], candidates: Iterable[int], most: int) -> list[int]:
        for index in candidates:
            if len(chosen) < most and is_distinct(points[index], points[chosen]):
                chosen = [*chosen, index]
        return chosen

    ranked = [int(index) for index in np.argsort(errors, kind="stable")]
    chosen: list[int] = []
    for k in dict.fromkeys(component[ranked].tolist()):
        own = [index for index in ranked if component[index] == k and (good is None or good[index])]
        chosen = extended(chosen, own, min(count, len(chosen) + 1))
    chosen = extended(chosen, ranked, count)
    return sorted(chosen, key=lambda index: float(errors[index]))


def basin_of(points: np.ndarray, component: np.ndarray, incumbents: list[int]) -> np.ndarray:
    """For each design, which of the `incumbents` of its own component is nearest: its position, -1 if there is none."""
    basins = np.full(len(component), -1)
    for index in range(len(component)):
        mine = [position for position, incumbent in enumerate(incumbents) if component[incumbent] == component[index]]
        if mine:
            nearest = differences(points[index], points[[incumbents[position] for position in mine]]).argmin()
            basins[index] = mine[int(nearest)]
    return basins
