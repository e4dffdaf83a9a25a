"""The simple patterns on which the losses of the seed papers are tried: circles and lines."""

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.generators.sample import Drawn, Sample

CIRCLES = 5
RADIUS = 20 / 224


def circles(sample: Sample) -> Drawn:
    """Five circles of phase 1 at random places, which may overlap; the radius is 20 pixels of 224, in proportion.

    A rectangle holds as many more as it is larger than the square of its shortest edge.

    The `synthetic circle microstructures` from which Cai, Hashemi et al. (Latent representation of microstructures
    using variational autoencoders with spatial statistics-space loss) reconstruct; here they wrap around the edges.
    """
    radius = RADIUS * sample.size
    count = round(CIRCLES * sample.squares)
    centres = sample.stream.uniform(0.0, sample.shape, (count, 2))
    x, y = (_distances(centres[:, axis], pixels) for axis, pixels in enumerate(sample.shape))
    inside = x[:, :, None] ** 2 + y[:, None, :] ** 2 <= radius**2
    image = np.asarray(inside.any(0), dtype=np.uint8)
    return image, {"circles": count, "radius": radius, "fraction": float(image.mean())}


def _distances(centres: NDArray[np.float64], pixels: int) -> NDArray[np.float64]:
    """Periodic distances along an axis of all its pixels from n places, `(n, pixels)`."""
    # Pixel centres lie at half-integers.
    away = np.arange(pixels) + 0.5 - centres[:, None]
    return away - pixels * np.round(away / pixels)


def lines(sample: Sample) -> Drawn:
    """Two to six straight lines of phase 1 across the image along x or y, one pixel to 0.03 of the shortest edge thick.

    Side by side along the longer edge of a rectangle there are as many more.

    The line-like images whose sparse two-point statistics the same paper finds hard: a spacing off by one pixel changes
    them as much as one off by a hundred. No two lines touch; `spacings` are the distances from each line to the next,
    around the image. Lines a pixel thick are a test of statistics, too thin for the physics.
    """
    stream, size = sample.stream, sample.size
    count = int(stream.integers(2, min(6, size // 4) + 1))
    thickness = int(stream.integers(1, max(1, round(0.03 * size)) + 1))
    along_x = bool(stream.random() < 0.5)
    # Bars and stars: every way to share out the bare rows, at least one in each gap, is equally likely.
    length, across = sample.shape if along_x else sample.shape[::-1]
    count = round(count * across / size)
    cuts = np.sort(stream.choice(across - count * thickness - 1, count - 1, replace=False)) + 1
    spacings = np.diff(cuts, prepend=0, append=across - count * thickness) + thickness
    starts = int(stream.integers(0, across)) + np.cumsum(spacings)
    image = np.zeros((length, across), dtype=np.uint8)
    image[:, (starts[:, None] + np.arange(thickness)).ravel() % across] = 1
    parameters = {"along": "x" if along_x else "y", "thickness": thickness, "spacings": spacings.tolist()}
    return np.ascontiguousarray(image if along_x else image.T), parameters
