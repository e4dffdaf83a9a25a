"""Generators of periodic two-phase images: one small function per family, seeded per sample.

Sample i of a seed is the same whatever the batch or the worker: its random stream is seeded by (seed, family, i) alone.
The families are modelled on the classes of MICRO2D (Robertson et al. 2024, doi 10.1007/s40192-023-00340-4); the ranges
of their parameters are choices made here for a wide spread of volume fraction and anisotropy.
"""

import json
import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from microdesign.errors import InputError
from microdesign.microstructure.container import Microstructures

Image = NDArray[np.uint8]
Generator = Callable[[np.random.Generator, int], tuple[Image, dict[str, Any]]]
"""Draws one image: `(random stream, edge length in pixels) -> (labels (size, size), sampled parameters)`."""

FAMILIES: dict[str, Generator] = {}
"""The families by name; `register` adds to it."""

MIN_SIZE = 16
MAX_REDRAWS = 100
# Below about three pixels a feature is an artefact of the grid, whatever the image size.
MIN_FEATURE = 3.0


def register(name: str) -> Callable[[Generator], Generator]:
    """Returns a decorator that adds a generator to `FAMILIES` under `name`; the name also seeds its random streams."""

    def add(generator: Generator) -> Generator:
        FAMILIES[name] = generator
        return generator

    return add


def generate(family: str, start: int, count: int, size: int, seed: int) -> Microstructures:
    """Generates the samples start, ..., start + count - 1 of a family.

    Args:
        family: A name in `FAMILIES`.
        start: Index of the first sample.
        count: Number of samples n.
        size: Edge length in pixels.
        seed: Seed of the data set.

    Returns:
        Two-phase labels `(n, size, size)`, the family as class and the sampled parameters (lengths in pixels, angles in
        radians from x towards y) as JSON in `generation`. Each image holds both phases.

    Raises:
        InputError: The family is unknown, or a number is out of range.
    """
    if family not in FAMILIES:
        raise InputError(f"family '{family}' is unknown; expected one of: {', '.join(FAMILIES)}.")
    for name, value, least in (("start", start, 0), ("count", count, 1), ("size", size, MIN_SIZE), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name} = {value} is too small; expected at least {least}.")
    labels = np.empty((count, size, size), dtype=np.uint8)
    texts = []
    for row in range(count):
        labels[row], parameters = _sample(family, start + row, size, seed)
        texts.append(json.dumps(parameters, separators=(",", ":")))
    return Microstructures(labels=labels, n_phases=2, classes=(family,) * count, generation=tuple(texts))


def _sample(family: str, index: int, size: int, seed: int) -> tuple[Image, dict[str, Any]]:
    # The checksum of the name, not its position in the registry: registering a family must not change the others.
    stream = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(family.encode()), index]))
    for _ in range(MAX_REDRAWS):
        image, parameters = FAMILIES[family](stream, size)
        if 0 < int(image.sum(dtype=np.int64)) < image.size:
            return image, {k: round(v, 4) if isinstance(v, float) else v for k, v in parameters.items()}
    raise InputError(
        f"family '{family}' gave {MAX_REDRAWS} one-phase images in a row at size {size}; use a larger one."
    )


@register("GRF")
def gaussian_random_field(stream: np.random.Generator, size: int) -> tuple[Image, dict[str, Any]]:
    """Thresholded Gaussian random field: white noise under an anisotropic Gaussian filter at a random orientation.

    The filter's standard deviations a and b (pixels) along its axes make a field of correlation
    exp(-(u / 2a)^2 - (v / 2b)^2); the threshold is the quantile of the volume fraction, so that it is met exactly.
    """
    fraction = float(stream.uniform(0.08, 0.92))
    short = _log_uniform(stream, MIN_FEATURE / 2, 0.06 * size)
    long = min(short * _log_uniform(stream, 1.0, 6.0), 0.2 * size)
    angle = float(stream.uniform(0.0, math.pi))
    noise = stream.standard_normal((size, size), dtype=np.float32)
    kx = scipy.fft.fftfreq(size)[:, None]
    ky = scipy.fft.rfftfreq(size)[None, :]
    along, across = kx * math.cos(angle) + ky * math.sin(angle), ky * math.cos(angle) - kx * math.sin(angle)
    transfer = np.exp(-2 * math.pi**2 * ((long * along) ** 2 + (short * across) ** 2)).astype(np.float32)
    field = scipy.fft.irfft2(scipy.fft.rfft2(noise) * transfer, s=(size, size)).ravel()
    ones = round(fraction * size * size)
    image = np.zeros(size * size, dtype=np.uint8)
    image[np.argpartition(field, size * size - ones)[size * size - ones :]] = 1
    return image.reshape(size, size), {"fraction": fraction, "long": long, "short": short, "angle": angle}


@register("AngEllipse")
def aligned_ellipses(stream: np.random.Generator, size: int) -> tuple[Image, dict[str, Any]]:
    """Overlapping ellipses of one shape at one common random angle, as phase 1 or, half of the time, as phase 0."""
    return _ellipses(stream, size, aligned=True)


@register("RandomEllipse")
def random_ellipses(stream: np.random.Generator, size: int) -> tuple[Image, dict[str, Any]]:
    """Overlapping ellipses of one shape at independent angles, as phase 1 or, half of the time, as phase 0."""
    return _ellipses(stream, size, aligned=False)


@register("VoronoiMedium")
def voronoi(stream: np.random.Generator, size: int) -> tuple[Image, dict[str, Any]]:
    """Periodic Voronoi cells of random points, each given a phase at random until the volume fraction is met.

    Distances along x are scaled by `stretch`, so that cells are elongated along y (above 1) or x (below 1).
    """
    fraction = float(stream.uniform(0.08, 0.92))
    width = _log_uniform(stream, 1.5 * MIN_FEATURE, 0.16 * size)
    limit = min(3.0, (width / MIN_FEATURE) ** 2)
    stretch = _log_uniform(stream, 1.0, limit) ** (1 if stream.random() < 0.5 else -1)
    cells = max(8, round((size / width) ** 2))
    box = np.array([stretch, 1.0])
    points = stream.random((cells, 2)) * box
    axes = np.meshgrid(*((np.arange(size) + 0.5) / size * length for length in box), indexing="ij")
    _, owner = cKDTree(points, boxsize=box).query(np.stack(axes, axis=-1).reshape(-1, 2))
    # The points are random already, so their order is a random order of cells.
    filled = _count_nearest(np.bincount(owner, minlength=cells), fraction * size * size)
    image = (owner < filled).astype(np.uint8).reshape(size, size)
    return image, {"fraction": fraction, "cells": cells, "stretch": float(stretch)}


def _ellipses(stream: np.random.Generator, size: int, aligned: bool) -> tuple[Image, dict[str, Any]]:
    covered = float(stream.uniform(0.08, 0.6))
    inverted = bool(stream.random() < 0.5)
    minor = _log_uniform(stream, MIN_FEATURE / 2, 0.08 * size)
    major = min(minor * _log_uniform(stream, 1.0, 5.0), 0.25 * size)
    # Boolean model: n ellipses of area A leave exp(-n A) bare; twice the n that is needed, then cut at the best number.
    needed = -math.log(1 - covered) * size * size / (math.pi * minor * major)
    n = math.ceil(2 * needed) + 8
    angle = float(stream.uniform(0.0, math.pi))
    angles = np.full(n, angle) if aligned else stream.uniform(0.0, math.pi, n)
    first = _first_cover(stream.uniform(0.0, size, (n, 2)), angles, major, minor, size)
    used = _count_nearest(np.bincount(first, minlength=n + 1)[:n], covered * size * size)
    inside = first < used
    parameters = {"covered": covered, "inverted": inverted, "major": major, "minor": minor, "ellipses": used}
    if aligned:
        parameters["angle"] = angle
    image: Image = (inside != inverted).astype(np.uint8).reshape(size, size)
    return image, parameters


def _first_cover(
    centres: NDArray[np.float64], angles: NDArray[np.float64], major: float, minor: float, size: int
) -> NDArray[np.int64]:
    """Returns for each pixel, flattened, the index of the first ellipse that covers it, or n where none does."""
    n = len(centres)
    reach = math.ceil(major)
    corner = np.floor(centres).astype(np.int64)
    steps = np.arange(-reach, reach + 1)
    x = corner[:, 0, None] + steps
    y = corner[:, 1, None] + steps
    # Pixel centres lie at half-integers.
    dx = (x + 0.5 - centres[:, 0, None])[:, :, None]
    dy = (y + 0.5 - centres[:, 1, None])[:, None, :]
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    inside = ((cos * dx + sin * dy) / major) ** 2 + ((cos * dy - sin * dx) / minor) ** 2 <= 1.0
    pixels = (x % size)[:, :, None] * size + (y % size)[:, None, :]
    owner = np.broadcast_to(np.arange(n)[:, None, None], inside.shape)
    first = np.full(size * size, n, dtype=np.int64)
    # Of repeated pixels the last assignment stays: go backwards, so that the first ellipse has it.
    first[pixels[inside][::-1]] = owner[inside][::-1]
    return first


def _count_nearest(areas: NDArray[np.int64], target: float) -> int:
    """Returns how many leading entries have the sum nearest to `target`, at least one."""
    return int(np.argmin(np.abs(np.cumsum(areas) - target))) + 1


def _log_uniform(stream: np.random.Generator, low: float, high: float) -> float:
    """Draws log-uniformly; on images too small for the range only `low` is left."""
    return float(low * math.exp(stream.random() * math.log(max(high / low, 1.0))))
