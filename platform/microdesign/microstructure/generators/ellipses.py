"""Overlapping ellipses in the plane."""

import math

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.generators.draws import MIN_FEATURE, count_nearest, log_uniform
from microdesign.microstructure.generators.sample import Drawn, Image, Sample


def aligned_ellipses(sample: Sample) -> Drawn:
    """Overlapping ellipses of one shape at one common random angle, as phase 1 or, half of the time, as phase 0."""
    return _ellipses(sample, aligned=True)


def random_ellipses(sample: Sample) -> Drawn:
    """Overlapping ellipses of one shape at independent angles, as phase 1 or, half of the time, as phase 0."""
    return _ellipses(sample, aligned=False)


def _ellipses(sample: Sample, aligned: bool) -> Drawn:
    stream, size = sample.stream, sample.size
    covered = float(stream.uniform(0.08, 0.6))
    inverted = bool(stream.random() < 0.5)
    minor = log_uniform(stream, MIN_FEATURE / 2, 0.08 * size)
    major = min(minor * log_uniform(stream, 1.0, 5.0), 0.25 * size)
    # Boolean model: n ellipses of area A leave exp(-n A) bare; twice the n that is needed, of which as many are used as
    # fit best.
    needed = -math.log(1 - covered) * size * size / (math.pi * minor * major)
    n = math.ceil(2 * needed) + 8
    angle = float(stream.uniform(0.0, math.pi))
    angles = np.full(n, angle) if aligned else stream.uniform(0.0, math.pi, n)
    first = _first_cover(stream.uniform(0.0, size, (n, 2)), angles, major, minor, size)
    used = count_nearest(np.bincount(first, minlength=n + 1)[:n], covered * size * size)
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
