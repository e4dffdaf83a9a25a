"""Particles of given shapes placed where a random field is high, as in MICRO2D's voids, ellipses and cells.

Shapes and sizes are those of MICRO2D's classes (Robertson et al. 2024, doi 10.1007/s40192-023-00340-4), measured on its
images: `Discs` are its VoidSmall, `DiscsTwoSizes` VoidSmallBig, `EllipsesAligned` and `EllipsesRandom` AngEllipse and
RandomEllipse, `CellsSmall`, `CellsMedium`, `CellsMediumSpaced` and `CellsLarge` its four Voronoi classes.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from microdesign.microstructure.generators.fields import placement_field
from microdesign.microstructure.generators.kernels import nearest_points, pack, place_apart
from microdesign.microstructure.generators.sample import Drawn, Sample, supersampled

ANGLES = 60
"""Orientations of randomly turned ellipses, evenly spaced over half a turn."""


@supersampled
def discs(sample: Sample) -> Drawn:
    """Discs (balls in three dimensions) of one radius, 5/256 of the edge, that do not touch.

    In MICRO2D every disc of this class has the 81 pixels of a digital disc of radius 5. See `_placed` for the places.
    """
    radius = 5.0 * sample.scale
    # Balls may touch: kept apart, they would jam at a fifth of the volume.
    core = radius + 1 if sample.dims == 2 else radius
    return _placed(sample, [ball(radius, sample.dims)], [ball(core, sample.dims)], [1.0], {"radius": radius})


@supersampled
def discs_of_two_sizes(sample: Sample) -> Drawn:
    """Discs (balls) of two radii, 5/256 and 8/256 of the edge, in equal numbers; big ones may overlap a little."""
    radii = [5.0 * sample.scale, 8.0 * sample.scale]
    shapes = [ball(radius, sample.dims) for radius in radii]
    cores = [ball(radii[0] + 0.5, sample.dims), ball(radii[1] - 0.5, sample.dims)]
    return _placed(sample, shapes, cores, [0.5, 0.5], {"radii": radii})


@supersampled
def aligned_ellipses(sample: Sample) -> Drawn:
    """Ellipses with semi-axes of 10/256 and 3/256 of the edge at one common random angle."""
    angle = float(sample.stream.uniform(0.0, math.pi))
    shape = ellipse(10.0 * sample.scale, 3.0 * sample.scale, angle)
    core = ellipse(10.25 * sample.scale, 3.25 * sample.scale, angle)
    return _placed(sample, [shape], [core], [1.0], {"angle": angle})


@supersampled
def random_ellipses(sample: Sample) -> Drawn:
    """Ellipses with semi-axes of 10/256 and 3/256 of the edge, each at an angle of its own; many touch."""
    turns = [math.pi * k / ANGLES for k in range(ANGLES)]
    shapes = [ellipse(10.0 * sample.scale, 3.0 * sample.scale, angle) for angle in turns]
    cores = [ellipse(9.25 * sample.scale, 2.25 * sample.scale, angle) for angle in turns]
    return _placed(sample, shapes, cores, [1 / ANGLES] * ANGLES, {})


@supersampled
def small_cells(sample: Sample) -> Drawn:
    """Particles with the shapes of Voronoi cells of nearly one size, 14/256 of the edge wide; they touch."""
    return _cells(sample, 14.3, regularity=0.8, gap=-1.5)


@supersampled
def medium_cells(sample: Sample) -> Drawn:
    """As `CellsSmall`, with cells of various sizes, 24/256 of the edge wide on average."""
    return _cells(sample, 24.0, regularity=0.4, gap=-4.0)


@supersampled
def spaced_cells(sample: Sample) -> Drawn:
    """As `CellsMedium`, slightly larger and apart."""
    return _cells(sample, 26.0, regularity=0.4, gap=0.5)


@supersampled
def large_cells(sample: Sample) -> Drawn:
    """As `CellsSmall`, with cells of 52/256 of the edge: few, so that the fraction is met only roughly."""
    return _cells(sample, 52.0, regularity=0.8, gap=-6.0)


def _cells(sample: Sample, width: float, regularity: float, gap: float) -> Drawn:
    """Places particles with the shapes of Voronoi cells.

    Args:
        sample: What is asked for.
        width: Square root (cube root) of a cell's mean area (volume), in MICRO2D's pixels.
        regularity: Least distance of two of the cells' points, in widths; at 0.8 cells are nearly of one size.
        gap: Distance that is kept between particles, in MICRO2D's pixels; below 0 they may overlap by as much.
    """
    # On images too small for the cells, so many that a part of them can be filled.
    width, gap = min(width * sample.scale, 0.4 * sample.size), gap * sample.scale
    shapes = voronoi_cells(sample.stream, width, regularity, sample.dims)
    cores = [_grown(each, gap) for each in shapes]
    return _placed(sample, shapes, cores, [1 / len(shapes)] * len(shapes), {"width": width, "gap": gap})


def voronoi_cells(
    stream: np.random.Generator, width: float, regularity: float, dims: int, count: int = 27
) -> list[NDArray[np.int64]]:
    """Offsets `(m, dims)` of the pixels of `count` Voronoi cells at most, each from a pixel in its middle."""
    edge = math.ceil(width * count ** (1 / dims))
    candidates = stream.uniform(0.0, edge, (100 * count, dims))
    points = candidates[place_apart(candidates, float(edge), regularity * width, count)]
    owner, _ = nearest_points(points, np.full(dims, float(edge)), (edge,) * dims)
    cells = []
    for number, point in enumerate(points):
        pixels = np.argwhere(owner == number)
        offsets = (pixels + 0.5 - point + edge / 2) % edge - edge / 2
        if len(offsets):
            # Not rint, which rounds halves to even numbers: two rows of pixels would fall on one.
            cells.append(np.floor(offsets - offsets.mean(0) + 0.5).astype(np.int64))
    return cells


def _grown(offsets: NDArray[np.int64], gap: float) -> NDArray[np.int64]:
    """A particle grown by `gap` pixels, or shrunk by as many where that is negative; at least its middle remains."""
    margin = math.ceil(abs(gap)) + 1
    low = offsets.min(0) - margin
    inside = np.zeros(offsets.max(0) + margin - low + 1, dtype=np.bool_)
    inside[tuple((offsets - low).T)] = True
    if gap >= 0:
        grown = distance_transform_edt(~inside) <= gap
    else:
        grown = distance_transform_edt(inside) > -gap
    grown[tuple(-low)] = True
    return np.argwhere(grown) + low


def _placed(
    sample: Sample,
    shapes: list[NDArray[np.int64]],
    cores: list[NDArray[np.int64]],
    shares: list[float],
    parameters: dict[str, Any],
) -> Drawn:
    """Packs particles at random places over the whole image, and keeps those where a Gaussian random field is highest.

    Random sequential addition of the cores, which do not overlap, goes on until the image is full (or nearly so); then
    particles are kept in the order of the field at their centres until the volume fraction of 0.03 to 0.5 is met.
    So particles gather in patches, rows or strips, or are spread evenly where the field is rougher than they are
    (Robertson et al. 2023: global arrangement from a random field, local shapes of their own).
    """
    stream = sample.stream
    fraction = float(stream.uniform(0.03, 0.5))
    field, described = placement_field(sample)
    order = stream.permutation(sample.pixels)
    kinds = stream.choice(len(shapes), size=sample.pixels, p=shares)
    placed = pack(order, kinds, cores, sample.shape)
    centres, kinds = order[placed], kinds[: sample.pixels][placed]
    rank = np.argsort(-field.ravel()[centres], kind="stable")
    image = np.zeros(sample.pixels, dtype=np.uint8)
    covered, count = 0, 0
    for each in rank:
        pixels = _shifted(centres[each], shapes[kinds[each]], sample.shape)
        new = len(pixels) - int(image[pixels].sum())
        # One more particle only as long as that brings the fraction nearer.
        if count and covered + new / 2 > fraction * sample.pixels:
            break
        image[pixels] = 1
        covered, count = covered + new, count + 1
    parameters |= {"fraction": covered / sample.pixels, "particles": count, **described}
    return image.reshape(sample.shape), parameters


def _shifted(centre: int, offsets: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Flat pixels `(m,)` of a particle, offsets `(m, dims)`, around the pixel of flat number `centre`, periodic."""
    place = np.array(np.unravel_index(centre, shape))
    return np.ravel_multi_index(tuple(((place + offsets) % shape).T), shape)


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
