"""Periodic Voronoi cells: two phases, spaced cells, and polycrystals of several phases, in two and three dimensions."""

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.generators.draws import MIN_FEATURE, count_nearest, log_uniform
from microdesign.microstructure.generators.fields import clustered_order
from microdesign.microstructure.generators.kernels import nearest_points
from microdesign.microstructure.generators.sample import Drawn, Sample


def small_cells(sample: Sample) -> Drawn:
    """As `VoronoiMedium`, with cells of 0.03 to 0.07 of the edge, at least 3 pixels; those of a phase may cluster."""
    return _two_phase(sample, max(MIN_FEATURE, 0.03 * sample.size), 0.07 * sample.size, clusters=True)


def medium_cells(sample: Sample) -> Drawn:
    """Periodic Voronoi cells of random points, each given a phase at random until the volume fraction is met.

    Cells are 4.5 pixels to 0.16 of the edge wide. Distances along x (in three dimensions along x and y) are scaled by
    `stretch`, so that cells are elongated along the other axes (above 1) or along this one (below 1).
    """
    return _two_phase(sample, 1.5 * MIN_FEATURE, 0.16 * sample.size, clusters=False)


def large_cells(sample: Sample) -> Drawn:
    """As `VoronoiMedium`, with cells of 0.16 to 0.3 of the edge: few, so that the fraction is met only roughly."""
    return _two_phase(sample, 0.16 * sample.size, 0.3 * sample.size, clusters=False)


def spaced_cells(sample: Sample) -> Drawn:
    """Voronoi cells with gaps of one width between them; some cells may be missing.

    Cells are 0.1 to 0.2 of the edge wide, at least 9 pixels, the gaps 3 pixels to 0.45 of a cell; half of the time
    only the share `kept` of the cells is there, perhaps in clusters. Cells are phase 1 or, half of the time, phase 0.
    """
    stream, size = sample.stream, sample.size
    width = log_uniform(stream, max(3 * MIN_FEATURE, 0.1 * size), 0.2 * size)
    gap = log_uniform(stream, MIN_FEATURE, 0.45 * width)
    kept = float(stream.uniform(0.4, 1.0)) if stream.random() < 0.5 else 1.0
    inverted = bool(stream.random() < 0.5)
    box, stretch = _stretched(sample, width)
    points = _points(sample, width, box)
    owner, border = nearest_points(points, box, sample.shape, border=gap)
    order, clusters = clustered_order(sample, points / box * size)
    there = np.zeros(len(points), dtype=np.bool_)
    there[order[: max(1, round(kept * len(points)))]] = True
    image = (((border > gap / 2) & there[owner]) != inverted).astype(np.uint8)
    return image, {
        "gap": gap,
        "kept": kept,
        "inverted": inverted,
        "cells": len(points),
        "stretch": stretch,
        "fraction": float(image.mean()),
        **clusters,
    }


def polycrystal(sample: Sample) -> Drawn:
    """Voronoi grains of any number of phases, such as classes of orientation; each grain's phase is drawn by itself.

    The phases' shares are drawn evenly over all that are possible (Dirichlet); every phase has at least one of the
    grains, of which there are at least three a phase. Grains are about 0.1 to 0.3 of the edge wide, fewer pixels where
    so many phases need more grains.
    """
    stream, size, phases = sample.stream, sample.size, sample.n_phases
    width = log_uniform(stream, max(1.5 * MIN_FEATURE, 0.1 * size), 0.3 * size)
    box, stretch = _stretched(sample, width)
    points = _points(sample, width, box, least=max(8, 3 * phases))
    shares = stream.dirichlet(np.ones(phases))
    # The points are random already: the first grains have one phase each.
    phase = np.concatenate([np.arange(phases), stream.choice(phases, len(points) - phases, p=shares)])
    owner, _ = nearest_points(points, box, sample.shape)
    image = phase.astype(np.uint8)[owner]
    fractions = np.bincount(image.ravel(), minlength=phases) / image.size
    return image, {"cells": len(points), "stretch": stretch, "fractions": fractions.tolist()}


def _two_phase(sample: Sample, narrow: float, wide: float, clusters: bool) -> Drawn:
    """Draws cells between `narrow` and `wide` pixels wide and fills them until a fraction of 0.08 to 0.92 is met."""
    fraction = float(sample.stream.uniform(0.08, 0.92))
    width = log_uniform(sample.stream, narrow, wide)
    box, stretch = _stretched(sample, width)
    points = _points(sample, width, box)
    owner, _ = nearest_points(points, box, sample.shape)
    parameters = {"fraction": fraction, "cells": len(points), "stretch": stretch}
    if clusters:
        order, clustering = clustered_order(sample, points / box * sample.size)
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        owner = rank[owner]
        parameters |= clustering
    # Without clusters the points' own order is a random order of cells.
    filled = count_nearest(np.bincount(owner.ravel(), minlength=len(points)), fraction * sample.pixels)
    return (owner < filled).astype(np.uint8), parameters


def _stretched(sample: Sample, width: float) -> tuple[NDArray[np.float64], float | list[float]]:
    """Draws a box whose edges but the last differ from 1, as far as the cells' width allows it."""
    # The shortest side of a cell is width / sqrt(stretch) in the plane, at worst width / stretch in space.
    limit = min(3.0, (width / MIN_FEATURE) ** (2 if sample.dims == 2 else 1))
    factors = [
        float(log_uniform(sample.stream, 1.0, limit) ** (1 if sample.stream.random() < 0.5 else -1))
        for _ in range(sample.dims - 1)
    ]
    return np.array([*factors, 1.0]), factors[0] if sample.dims == 2 else factors


def _points(sample: Sample, width: float, box: NDArray[np.float64], least: int = 8) -> NDArray[np.float64]:
    cells = max(least, round((sample.size / width) ** sample.dims))
    return sample.stream.random((cells, sample.dims)) * box
