"""Round voids: discs in two dimensions, balls in three."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.generators.draws import MIN_FEATURE, count_nearest, log_uniform
from microdesign.microstructure.generators.fields import clustered_order
from microdesign.microstructure.generators.kernels import place_apart
from microdesign.microstructure.generators.sample import Drawn, Sample

# Pixels looked at in one go: bounds the memory of large images.
_CHUNK = 2_000_000


def small_voids(sample: Sample) -> Drawn:
    """Small round voids of one size, overlapping freely or apart from each other, spread evenly or in clusters.

    The radius is 0.02 to 0.045 of the edge (0.03 to 0.07 in three dimensions), at least 1.5 pixels. Centres are at
    least `spacing` diameters apart: 0 is a Boolean model, above 1 voids do not touch (random sequential placement).
    Voids are phase 0 or, half of the time, phase 1 (`inverted`); they cover up to 0.6.
    """
    covered, inverted = float(sample.stream.uniform(0.05, 0.6)), bool(sample.stream.random() < 0.5)
    radius = _small_radius(sample)
    # Random sequential placement jams at 0.547 of discs and 0.384 of balls; it becomes slow well below.
    limit = ((0.36 if sample.dims == 2 else 0.22) / covered) ** (1 / sample.dims)
    spacing = min(max(0.0, float(sample.stream.uniform(-0.5, 1.5))), limit)
    first, n, clustering = _cover(sample, radius, covered, spacing)
    used = count_nearest(np.bincount(first.ravel(), minlength=n + 1)[:n], covered * sample.pixels)
    void = first < used
    return (void == inverted).astype(np.uint8), {
        "covered": float(void.mean()),
        "inverted": inverted,
        "radius": radius,
        "spacing": spacing,
        "voids": used,
        **clustering,
    }


def small_and_big_voids(sample: Sample) -> Drawn:
    """Round voids of two sizes, overlapping freely: small ones as in `VoidSmall`, big ones 3 to 6 times as wide.

    The voids cover up to 0.6, of which the big ones are to have the share `big_share`, as nearly as whole voids allow.
    Voids are phase 0 or, half of the time, phase 1 (`inverted`).
    """
    stream = sample.stream
    covered, inverted = float(stream.uniform(0.08, 0.6)), bool(stream.random() < 0.5)
    small = _small_radius(sample)
    big = min(small * log_uniform(stream, 3.0, 6.0), 0.24 * sample.size)
    share = float(stream.uniform(0.25, 0.75))
    first, n, _ = _cover(sample, big, share * covered)
    bigs = count_nearest(np.bincount(first.ravel(), minlength=n + 1)[:n], share * covered * sample.pixels)
    void = first < bigs
    first, n, clustering = _cover(sample, small, covered, 0.0)
    left = covered * sample.pixels - np.count_nonzero(void)
    smalls = count_nearest(np.bincount(first[~void], minlength=n + 1)[:n], left)
    void |= first < smalls
    return (void == inverted).astype(np.uint8), {
        "covered": float(void.mean()),
        "inverted": inverted,
        "radii": [small, big],
        "big_share": share,
        "voids": [smalls, bigs],
        **clustering,
    }


def _small_radius(sample: Sample) -> float:
    low, high = (0.02, 0.045) if sample.dims == 2 else (0.03, 0.07)
    return log_uniform(sample.stream, max(MIN_FEATURE / 2, low * sample.size), high * sample.size)


def _cover(
    sample: Sample, radius: float, covered: float, spacing: float | None = None
) -> tuple[NDArray[np.int64], int, dict[str, Any]]:
    """Places balls, enough to cover a share, in clusters perhaps unless `spacing` is None.

    Returns:
        The first ball that covers each pixel, their number n, and the parameters of the clusters.
    """
    volume = math.pi * radius**2 if sample.dims == 2 else 4 / 3 * math.pi * radius**3
    # Boolean model: n balls of volume V leave exp(-n V) bare; twice the n that is needed, more in clusters.
    n = math.ceil(-2 * math.log(1 - covered) * sample.pixels / volume) + 8
    if spacing is None:
        return first_ball(sample.stream.uniform(0.0, sample.size, (n, sample.dims)), radius, sample.size), n, {}
    centres = sample.stream.uniform(0.0, sample.size, (6 * n, sample.dims))
    order, clustering = clustered_order(sample, centres)
    centres = centres[order]
    n = 2 * n if clustering["clustering"] else n
    centres = centres[place_apart(centres, float(sample.size), 2 * radius * spacing, n)] if spacing else centres[:n]
    return first_ball(centres, radius, sample.size), len(centres), clustering


def first_ball(centres: NDArray[np.float64], radius: float, size: int) -> NDArray[np.int64]:
    """Returns for each pixel of a periodic image the first of n balls that covers it, or n where none does.

    Args:
        centres: Centres `(n, dims)` in pixels; pixel centres lie at half-integers.
        radius: Radius in pixels, below half the edge.
        size: Edge length in pixels.

    Returns:
        Indices `(size,) * dims`.
    """
    n, dims = centres.shape
    reach = math.ceil(radius)
    steps = np.arange(-reach, reach + 1)
    first = np.full(size**dims, n, dtype=np.int64)
    length = max(1, _CHUNK // len(steps) ** dims)
    # Of repeated pixels the last assignment stays: go backwards, so that the first ball has it.
    for stop in range(n, 0, -length):
        start = max(0, stop - length)
        corner = np.floor(centres[start:stop]).astype(np.int64)
        square: NDArray = np.zeros(1)
        pixels: NDArray = np.zeros(1, dtype=np.int64)
        for axis in range(dims):
            along = [-1] + [1] * dims
            along[axis + 1] = len(steps)
            x = corner[:, axis, None] + steps
            square = square + ((x + 0.5 - centres[start:stop, axis, None]) ** 2).reshape(along)
            pixels = pixels * size + (x % size).reshape(along)
        inside = square <= radius**2
        owner = np.broadcast_to(np.arange(start, stop).reshape([-1] + [1] * dims), inside.shape)
        first[pixels[inside][::-1]] = owner[inside][::-1]
    return first.reshape((size,) * dims)
