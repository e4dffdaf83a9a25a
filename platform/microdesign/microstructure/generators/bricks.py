"""Bricks with gaps of a pixel between them, dense where a random field is high: MICRO2D's class NBSA."""

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.generators.fields import placement_field
from microdesign.microstructure.generators.kernels import grow_bricks
from microdesign.microstructure.generators.sample import Drawn, Sample, supersampled

MEDIAN, SPREAD = 6.0, 0.45
"""Median edge of a brick in MICRO2D's pixels, and the standard deviation of its logarithm."""


@supersampled
def bricks(sample: Sample) -> Drawn:
    """Rectangular bricks with narrow gaps and rough edges, packed where a random field is high, sparse elsewhere.

    MICRO2D makes this class by annealing a neighbourhood function that we could not read; these images have its bricks,
    gaps, densities and volume fractions of 0.33 to 0.43 by another way. Seeds in random order grow to rectangles until
    they are a gap away from their neighbours or have reached a size of their own, which is smaller where the field is
    low; pixels of their edges are then missing at random.
    """
    stream, scale = sample.stream, sample.scale
    fraction = float(stream.uniform(0.33, 0.43))
    field, described = placement_field(sample)
    # The share of the image that is dense; the rest is nearly bare.
    dense = (fraction - 0.13) / 0.55
    level = np.quantile(field, 1 - dense)
    share = 1 / (1 + np.exp(-(field - level) / (0.12 * field.std())))
    order = stream.permutation(sample.pixels)
    chance = stream.random(sample.pixels)
    sizes = np.exp(stream.normal(np.log(MEDIAN * scale), SPREAD, (sample.pixels, 2)))
    sizes = np.maximum(sizes * (0.45 + 0.55 * share.ravel()[order, None]), 1.0)
    tried = chance < (0.012 + share.ravel()[order]) ** 1.0
    gap = max(1, round(scale))
    owner = grow_bricks(order[tried], sizes[tried].astype(np.int64), sample.shape, gap)
    image = _roughened(owner, stream)
    return image.astype(np.uint8), {"fraction": float(image.mean()), "dense": dense, **described}


def _roughened(owner: NDArray[np.int64], stream: np.random.Generator) -> NDArray[np.bool_]:
    """Bricks `(X, Y)` less a random share of the pixels at their edges; -1 is no brick."""
    brick = owner >= 0
    edge = np.zeros_like(brick)
    for axis in (0, 1):
        for step in (1, -1):
            edge |= brick & ~np.roll(brick, step, axis)
    result: NDArray[np.bool_] = brick & ~(edge & (stream.random(brick.shape) < 0.1))
    return result
