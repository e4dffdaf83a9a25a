"""What a generator is asked for, and what it returns."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
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
        shape: Pixels along each axis, two or three numbers.
        n_phases: Number of phases; all of them have to appear.
        seed: Seed of the data set.
        index: Number of the sample; with `seed`, for families that spread their parameters evenly over samples.
        supersampling: Pixels drawn along each axis for one pixel of the image, see `supersampled`.
    """

    stream: np.random.Generator
    shape: tuple[int, ...]
    n_phases: int = 2
    seed: int = 0
    index: int = 0
    supersampling: int = 1

    @property
    def size(self) -> int:
        """Pixels along the shortest edge, which lengths are in proportion to."""
        return min(self.shape)

    @property
    def dims(self) -> int:
        """Number of axes, 2 or 3."""
        return len(self.shape)

    @property
    def scale(self) -> float:
        """Pixels here for a pixel of MICRO2D's images of 256; images below 128 show a part of one of 128 pixels.

        A particle of a few pixels is an artefact of the grid: small images have fewer of them, not smaller ones.
        """
        return self.supersampling * max(self.size / self.supersampling, 128) / 256

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def squares(self) -> float:
        """Area, or volume, in squares (cubes) of the shortest edge: 1 of an image that is one."""
        return self.pixels / self.size**self.dims


Generator = Callable[[Sample], Drawn]
"""Draws one periodic image."""


def supersampled(draw: Generator) -> Generator:
    """Has images (not volumes) of less than 256 pixels drawn at twice their size and averaged, to keep outlines."""

    @wraps(draw)
    def drawn(sample: Sample) -> Drawn:
        if sample.scale >= 1 or sample.dims == 3:  # eight times the voxels would cost more than they are worth
            return draw(sample)
        fine = replace(sample, shape=tuple(2 * n for n in sample.shape), supersampling=2)
        image, parameters = draw(fine)
        blocks = image.reshape([part for n in sample.shape for part in (n, 2)])
        image = (blocks.mean(axis=(1, 3)) > 0.5).astype(np.uint8)
        return image, parameters | {"fraction": float(image.mean())}

    return drawn
