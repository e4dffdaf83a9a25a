"""Of designs to choose from, those that look like the training images."""

import numpy as np
import pytest

from microdesign.design.search.likeness import more_alike
from microdesign.design.search.screening import Designs


def designs(n: int) -> Designs:
    labels = np.zeros((n, 8, 8), np.uint8)
    labels[:, 0, 0] = np.arange(n)  # tells them apart
    empty = np.zeros((n, 1))
    return Designs(np.zeros((n, 2)), np.zeros(n, int), labels, empty, empty, ("",) * n)


@pytest.mark.parametrize(
    ("distances", "kept"),
    [
        ([0.2, 0.9, 1.0, 0.5], [0, 1, 2, 3]),  # all are as alike as the population's members
        ([0.2, 3.0, 0.8, 0.9, 5.0], [0, 2, 3]),  # most are; the others are left out
        ([2.0, 5.0, 3.0, 4.0], [0, 2]),  # none is: the nearer half
        ([np.inf, 2.0, 3.0, np.nan], [1]),  # the median of those that have a distance counts
        ([np.inf, np.nan], [0, 1]),  # none has one
    ],
)
def test_the_less_alike_are_left_out(distances: list[float], kept: list[int]) -> None:
    found = more_alike(designs(len(distances)), lambda labels: np.array(distances)[labels[:, 0, 0]])
    assert found.labels[:, 0, 0].tolist() == kept


def test_without_a_population_all_are_left() -> None:
    assert len(more_alike(designs(3), None)) == 3
    assert len(more_alike(designs(0), lambda labels: np.empty(0))) == 0
