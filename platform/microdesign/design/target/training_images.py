"""The training images as what designs are compared with: how new these are, and how alike.

Shapes: m training images, n designs, `*N` image or volume, F coordinates.
"""

from functools import cached_property

import numpy as np

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.statistics.difference import coordinates, differences
from microdesign.microstructure.statistics.population import MOST_MEMBERS, Population


class TrainingImages:
    """Novelty and realism of designs beside the images that a model was trained on.

    Args:
        data: The images, one at least.
    """

    def __init__(self, data: Microstructures) -> None:
        self._data = data

    @cached_property
    def points(self) -> np.ndarray:
        """Coordinates of the images, `(m, F)`, whose distances are differences."""
        return coordinates(self._data.labels, self._data.n_phases)

    @cached_property
    def population(self) -> Population | None:
        """Their population, each class a group; None where they are too few or too small to be one."""
        flat = self._data.labels.reshape(len(self._data), -1)
        two = np.flatnonzero((flat != flat[:, :1]).any(1))
        data = self._data.select(np.sort(np.random.default_rng(0).permutation(two)[:MOST_MEMBERS]))
        try:
            return Population.fit(data.labels, data.n_phases, periodic=data.periodic, classes=data.classes)
        except InputError:
            return None

    def novelty(self, labels: np.ndarray) -> np.ndarray:
        """Difference of images uint8 `(n, *N)` from the nearest training image, `(n,)`."""
        return self.nearest(labels)[0]

    def nearest(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The novelty of images uint8 `(n, *N)`, `(n,)`, and the nearest training image of each, `(n, *N)`."""
        found = np.stack([differences(point, self.points) for point in coordinates(labels, self._data.n_phases)])
        return found.min(1), self._data.labels[found.argmin(1)]

    def realism(self, labels: np.ndarray) -> np.ndarray | None:
        """Distance of images uint8 `(n, *N)` from the population, `(n,)`; None without one."""
        return None if self.population is None else self.population_distance(labels)

    def population_distance(self, labels: np.ndarray) -> np.ndarray:
        """The same where there is a population."""
        assert self.population is not None
        return self.population.distance(labels, self._data.periodic)
