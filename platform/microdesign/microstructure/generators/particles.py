"""Particles of given shapes placed where a random field is high: MICRO2D's discs, ellipses and Voronoi cells.

Shapes, sizes and how closely they are packed were measured on its images (Robertson et al. 2024, doi
10.1007/s40192-023-00340-4).
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.generators.fields import layered_field, white_noise
from microdesign.microstructure.generators.kernels import Shapes, nearest_points, pack, place_apart
from microdesign.microstructure.generators.sample import Drawn, Sample, supersampled

ANGLES = 60
"""Orientations of randomly turned ellipses, evenly spaced over half a turn."""


@supersampled
def small_discs(sample: Sample) -> Drawn:
    """Discs (balls in three dimensions) of one radius, 5/256 of the edge, that do not touch.

    In MICRO2D every disc of this class has the 81 pixels of a digital disc of radius 5. See `_placed` for the places.
    """
    radius = 5.0 * sample.scale
    # Balls may touch: kept apart, they would jam at a fifth of the volume.
    core = 6.0 * sample.scale if sample.dims == 2 else radius
    return _placed(
        sample,
        Shapes.of([ball(radius, sample.dims)]),
        Shapes.of([ball(core, sample.dims)]),
        {"radius": radius},
        disorder=0.02,
    )


@supersampled
def small_and_big_discs(sample: Sample) -> Drawn:
    """Discs (balls) of two radii, 5/256 and 8/256 of the edge; big ones may overlap a little."""
    radii = [5.0 * sample.scale, 8.0 * sample.scale]
    shapes = Shapes.of([ball(radius, sample.dims) for radius in radii])
    cores = Shapes.of([ball(radii[0] + 0.5, sample.dims), ball(radii[1] - 0.5, sample.dims)])
    return _placed(sample, shapes, cores, {"radii": radii}, shares=[0.25, 0.75])


@supersampled
def aligned_ellipses(sample: Sample) -> Drawn:
    """Ellipses with semi-axes of 10/256 and 3/256 of the edge at one common random angle."""
    angle = float(sample.stream.uniform(0.0, math.pi))
    shape = ellipse(10.0 * sample.scale, 3.0 * sample.scale, angle)
    core = ellipse(10.25 * sample.scale, 3.25 * sample.scale, angle)
    return _placed(sample, Shapes.of([shape]), Shapes.of([core]), {"angle": angle}, disorder=0.2, most=0.4)


@supersampled
def random_ellipses(sample: Sample) -> Drawn:
    """Ellipses with semi-axes of 10/256 and 3/256 of the edge, each at an angle of its own; most touch others."""
    shapes = _turned_ellipses(10.0 * sample.scale, 3.0 * sample.scale)
    return _placed(sample, shapes, Shapes.of([ball(5.0 * sample.scale, 2)] * ANGLES), {}, most=0.4)


@lru_cache(maxsize=8)
def _turned_ellipses(major: float, minor: float) -> Shapes:
    return Shapes.of([ellipse(major, minor, math.pi * k / ANGLES) for k in range(ANGLES)])


@supersampled
def small_cells(sample: Sample) -> Drawn:
    """Particles with the shapes of Voronoi cells of nearly one size, 14/256 of the edge wide; they touch."""
    return _cells(sample, 14.3, regularity=0.8, core=7.0, patches=(3.0, 20.0))


@supersampled
def medium_cells(sample: Sample) -> Drawn:
    """As `VoronoiSmall`, with cells of various sizes, 22/256 of the edge wide on average, that overlap more."""
    return _cells(sample, 22.0, regularity=0.5, core=8.5, patches=(4.0, 35.0))


@supersampled
def spaced_cells(sample: Sample) -> Drawn:
    """As `VoronoiMedium`, further apart, so that few of them touch."""
    return _cells(sample, 22.0, regularity=0.5, core=11.5, patches=(3.0, 20.0))


@supersampled
def large_cells(sample: Sample) -> Drawn:
    """As `VoronoiSmall`, with cells of 52/256 of the edge: few, so that the fraction is met only roughly."""
    return _cells(sample, 52.0, regularity=0.8, core=17.0, patches=(8.0, 40.0))


def _cells(sample: Sample, width: float, regularity: float, core: float, patches: tuple[float, float]) -> Drawn:
    """Places particles with the shapes of Voronoi cells.

    Args:
        sample: What is asked for.
        width: Square root (cube root) of a cell's mean area (volume), in MICRO2D's pixels.
        regularity: Least distance of two of the cells' points, in widths; at 0.8 cells are nearly of one size.
        core: Radius around their middles within which particles do not meet, in MICRO2D's pixels: where it is smaller
            than half the width, neighbours overlap.
        patches: See `_placed`.
    """
    # On images too small for the cells, so many that a part of them can be filled.
    scale = min(sample.scale, 0.4 * sample.size / width)
    shapes = voronoi_cells(width * scale, regularity, sample.dims)
    cores = Shapes.of([ball(core * scale, sample.dims)] * len(shapes))
    return _placed(sample, shapes, cores, {"width": width * scale}, disorder=0.2, patches=patches)


@lru_cache(maxsize=16)
def voronoi_cells(width: float, regularity: float, dims: int) -> Shapes:
    """The cells of a periodic Voronoi diagram, the same for all images: MICRO2D has a set of shapes, too.

    Args:
        width: Square root (cube root) of a cell's mean area (volume), in pixels.
        regularity: Least distance of two of the diagram's points, in widths.
        dims: Number of axes, 2 or 3.

    Returns:
        The pixels of up to 100 cells (30 in three dimensions), each from one in its middle.
    """
    count = 100 if dims == 2 else 30
    edge = math.ceil(width * count ** (1 / dims))
    candidates = np.random.default_rng(0).uniform(0.0, edge, (100 * count, dims))
    points = candidates[place_apart(candidates, float(edge), regularity * width, count)]
    owner = nearest_points(points, np.full(dims, float(edge)), (edge,) * dims)
    cells = []
    for number, point in enumerate(points):
        pixels = np.argwhere(owner == number)
        offsets = (pixels + 0.5 - point + edge / 2) % edge - edge / 2
        if len(offsets):
            # Not rint, which rounds halves to even numbers: two rows of pixels would fall on one.
            cells.append(np.floor(offsets - offsets.mean(0) + 0.5).astype(np.int64))
    return Shapes.of(cells)


def _placed(
    sample: Sample,
    shapes: Shapes,
    cores: Shapes,
    parameters: dict[str, Any],
    disorder: float = 0.1,
    patches: tuple[float, float] = (3.0, 20.0),
    shares: list[float] | None = None,
    most: float = 0.5,
) -> Drawn:
    """Places particles one after the other where a Gaussian random field is highest.

    Each goes to the pixel of highest field where its core overlaps no other's, until a volume fraction of 0.03 to
    `most` is met. So they gather close together in patches, rows or strips (Robertson et al. 2023: global arrangement
    from a random field, local shapes of their own).

    Args:
        sample: What is asked for.
        shapes: The pixels of each kind of particle.
        cores: The pixels of each kind that no other's core may have.
        parameters: What has been drawn already.
        disorder: Standard deviation of a noise of each pixel's own that is added to the field, whose own is 1: with it
            particles are less closely packed.
        patches: Range of the field's shortest length, in MICRO2D's pixels, see `layered_field`.
        shares: How often each kind is tried; alike when left out.
        most: The largest volume fraction.
    """
    stream, scale = sample.stream, sample.scale
    fraction = float(stream.uniform(0.03, most))
    field, described = layered_field(sample, patches[0] * scale, patches[1] * scale)
    field += np.float32(disorder) * white_noise(sample)
    # Integers of 16 bits are sorted in linear time; the field's standard deviation is about 1.
    order = np.argsort(np.rint(-3000 * field).astype(np.int16), axis=None, kind="stable")
    kinds = stream.choice(len(shapes), size=sample.pixels, p=shares)
    image, count = pack(order, kinds, shapes, cores, sample.shape, fraction * sample.pixels)
    return image, parameters | {"fraction": float(image.mean()), "particles": count, **described}


def ball(radius: float, dims: int) -> NDArray[np.int64]:
    """Offsets `(m, dims)` of the pixels whose centres lie within a radius (pixels) of a pixel's centre."""
    steps = np.arange(-math.floor(radius), math.floor(radius) + 1)
    offsets = np.stack(np.meshgrid(*[steps] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    return offsets[(offsets**2).sum(1) <= radius**2 + 1e-9]


def ellipse(major: float, minor: float, angle: float) -> NDArray[np.int64]:
    """Offsets `(m, 2)` of the pixels of an ellipse: semi-axes in pixels, the long one at `angle` from x to y."""
    steps = np.arange(-math.ceil(major), math.ceil(major) + 1)
    x, y = np.meshgrid(steps, steps, indexing="ij")
    cos, sin = math.cos(angle), math.sin(angle)
    inside = ((cos * x + sin * y) / major) ** 2 + ((cos * y - sin * x) / minor) ** 2 <= 1.0
    return np.stack((x[inside], y[inside]), axis=1)
