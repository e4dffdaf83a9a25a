"""What a generator is asked for, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Drawn = tuple[Image, dict[str, Any]]
"""Labels of the sample's shape, and the parameters that were sampled for it (JSON values)."""


@dataclass(frozen=True)
class Sample:
    """What a generator is asked for.

    Attributes:
        stream: The random stream of this sample, the only source of chance for most families.
        shape: Pixels along each axis, two or three equal numbers.
        n_phases: Number of phases; all of them have to appear.
        seed: Seed of the data set.
        index: Number of the sample; with `seed`, for families that spread their parameters evenly over samples.
    """

    stream: np.random.Generator
    shape: tuple[int, ...]
    n_phases: int = 2
    seed: int = 0
    index: int = 0

    @property
    def size(self) -> int:
        """Edge length in pixels."""
        return self.shape[0]

    @property
    def dims(self) -> int:
        """Number of axes, 2 or 3."""
        return len(self.shape)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(self.size**self.dims)


Generator = Callable[[Sample], Drawn]
"""Draws one periodic image."""
