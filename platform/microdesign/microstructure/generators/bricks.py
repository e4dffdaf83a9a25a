"""Bricks with gaps of a pixel between them, dense where a random field is high: MICRO2D's class NBSA."""

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.generators.fields import layered_field
from microdesign.microstructure.generators.kernels import grow_bricks
from microdesign.microstructure.generators.sample import Drawn, Sample, supersampled

MEDIAN, SPREAD, LEAST = 7.5, 0.3, 4.0
"""Median and smallest edge of a brick in MICRO2D's pixels, and the standard deviation of the edge's logarithm."""
STRAY = 0.006
"""Share of the pixels outside the dense patches that are tried as a brick's seed."""


@supersampled
def bricks(sample: Sample) -> Drawn:
    """Rectangular bricks with narrow gaps and rough edges, packed where a random field is high, sparse elsewhere.

    MICRO2D makes this class by annealing a neighbourhood function that we could not read; these images have its bricks,
    gaps, densities and volume fractions of about 0.33 to 0.43 by another way. Seeds in random order grow to rectangles
    until they are a gap away from their neighbours or have reached a size of their own, which is smaller where the
    field is low; pixels of their edges are then missing at random.
    """
    stream, scale = sample.stream, sample.scale
    # The share of the image that is dense; the rest is nearly bare.
    dense = float(stream.uniform(0.28, 0.42))
    field, described = layered_field(sample, 3.0 * scale, 35.0 * scale)
    share = 1 / (1 + np.exp((np.quantile(field, 1 - dense) - field.ravel()) / 0.1))
    order = stream.permutation(sample.pixels)
    order = order[stream.random(sample.pixels) < STRAY + share[order]]
    sizes = np.exp(stream.normal(np.log(MEDIAN * scale), SPREAD, (len(order), 2)))
    sizes = np.maximum(sizes * (0.55 + 0.45 * share[order, None]), 1.0)
    owner = grow_bricks(
        order, np.rint(sizes).astype(np.int64), sample.shape, max(1, round(scale)), round(LEAST * scale)
    )
    image = _roughened(owner, stream)
    return image.astype(np.uint8), {"fraction": float(image.mean()), "dense": dense, **described}


def _roughened(owner: NDArray[np.int64], stream: np.random.Generator) -> NDArray[np.bool_]:
    """Bricks `(X, Y)` less a random share of the pixels at their edges; -1 is no brick."""
    brick = owner >= 0
    edge = np.zeros_like(brick)
    for axis in (0, 1):
        for step in (1, -1):
            edge |= brick & ~np.roll(brick, step, axis)
    result: NDArray[np.bool_] = brick & ~(edge & (stream.random(brick.shape) < 0.08))
    return result
