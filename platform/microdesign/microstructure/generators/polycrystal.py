"""Polycrystals: periodic Voronoi grains of several phases, in two and three dimensions."""

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.generators.draws import MIN_FEATURE, log_uniform
from microdesign.microstructure.generators.kernels import nearest_points
from microdesign.microstructure.generators.sample import Drawn, Sample


def polycrystal(sample: Sample) -> Drawn:
    """Voronoi grains of any number of phases, such as classes of orientation; each grain's phase is drawn by itself.

    The phases' shares are drawn evenly over all that are possible (Dirichlet); every phase has at least one of the
    grains, of which there are at least three a phase. Grains are about 0.1 to 0.3 of the shortest edge wide, fewer
    pixels where so many phases need more grains.
    """
    stream, size, phases = sample.stream, sample.size, sample.n_phases
    width = log_uniform(stream, max(1.5 * MIN_FEATURE, 0.1 * size), 0.3 * size)
    box, stretch = _stretched(sample, width)
    points = _points(sample, width, box, least=max(8, 3 * phases))
    shares = stream.dirichlet(np.ones(phases))
    # The points are random already: the first grains have one phase each.
    phase = np.concatenate([np.arange(phases), stream.choice(phases, len(points) - phases, p=shares)])
    owner = nearest_points(points, box, sample.shape)
    image = phase.astype(np.uint8)[owner]
    fractions = np.bincount(image.ravel(), minlength=phases) / image.size
    return image, {"cells": len(points), "stretch": stretch, "fractions": fractions.tolist()}


def _stretched(sample: Sample, width: float) -> tuple[NDArray[np.float64], float | list[float]]:
    """Draws a box that is the image with its axes but the last stretched, as far as the cells' width allows it."""
    # The shortest side of a cell is width / sqrt(stretch) in the plane, at worst width / stretch in space.
    limit = min(3.0, (width / MIN_FEATURE) ** (2 if sample.dims == 2 else 1))
    factors = [
        float(log_uniform(sample.stream, 1.0, limit) ** (1 if sample.stream.random() < 0.5 else -1))
        for _ in range(sample.dims - 1)
    ]
    return np.array([*factors, 1.0]) * sample.shape / sample.size, factors[0] if sample.dims == 2 else factors


def _points(sample: Sample, width: float, box: NDArray[np.float64], least: int) -> NDArray[np.float64]:
    cells = max(least, round((sample.size / width) ** sample.dims * sample.squares))
    return sample.stream.random((cells, sample.dims)) * box
