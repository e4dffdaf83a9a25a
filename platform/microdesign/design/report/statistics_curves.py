"""Curves by which designs are compared with the training images: two-point statistics by distance, and chords.

Shapes: n images, `*N` image or volume, R distances, L lengths.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.design.report.result_parts import Band, PopulationSummary
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.statistics.morphology import chord_counts
from microdesign.microstructure.statistics.two_point import inner_radial_two_point, normalized_two_point, radial_average
from microdesign.physics.properties import property_values

MOST_VALUES = 300
"""Training images whose properties are shown."""
ALIKE = 60
"""Training images of like volume fraction that each design is compared with."""


def two_point_curves(labels: NDArray[np.uint8], periodic: bool = True) -> NDArray[np.float64]:
    """Normalised autocovariance of phase 1 by distance, `(n, *N) -> (n, R)`: 1 at 0, 0 where nothing is correlated.

    Args:
        labels: Phase labels.
        periodic: Whether they repeat; else pairs of pixels of an image are counted inside it alone, those of a volume
            across its faces too.
    """
    dims = labels.ndim - 1
    if periodic or dims == 3:
        f = normalized_two_point(torch.from_numpy(labels == 1).float(), dims)
        return radial_average(f, dims)[1].double().numpy()
    reach = min(labels.shape[1:]) // 2
    phi = fractions_of(labels)[:, None]
    found = np.stack([inner_radial_two_point(image, range(1, 2), reach)[0] for image in labels])
    return np.asarray((found - phi**2) / np.maximum(phi - phi**2, 1e-12))


def chord_curves(labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Share of the chords of phase 1 that are at most so long, `(n, *N) -> (n, L)`, L = max(N) + 1.

    Along all axes together, across the edges; NaN for an image without a chord.
    """
    counts = chord_counts(torch.from_numpy(labels == 1), labels.ndim - 1).sum(-2).double().numpy()
    total = counts.sum(-1, keepdims=True)
    return np.asarray(counts.cumsum(-1) / np.where(total > 0, total, np.nan))


def fractions_of(labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Volume fraction of phase 1, `(n, *N) -> (n,)`."""
    return np.asarray((labels == 1).reshape(len(labels), -1).mean(1))


def summarize_population(
    data: Microstructures, labelled: bool, target: Target, designs: Sequence[NDArray[np.uint8]]
) -> PopulationSummary:
    """What the page shows of the training images.

    Args:
        data: The training images.
        labelled: Whether their properties are those of the campaign's phases.
        target: What was asked.
        designs: The designs that they are beside, each `(*N)`: curves are of training images of their fractions.
    """
    stream, fractions = np.random.default_rng(0), fractions_of(data.labels)
    shown = np.sort(stream.permutation(len(data))[:MOST_VALUES])
    values = {"volume fraction": tuple(fractions[shown].tolist())}
    for name in target.names if labelled else ():
        try:
            values[name] = tuple(property_values(data.properties, name, target.dims)[shown].tolist())
        except InputError:
            continue  # physics has it, the data have not
    near = [np.argsort(np.abs(fractions - (design == 1).mean()), kind="stable")[:ALIKE] for design in designs]
    alike = np.unique(np.concatenate(near)) if near else shown[:ALIKE]
    return PopulationSummary(
        values=values,
        alike=len(alike),
        two_point=_band(two_point_curves(data.labels[alike], data.periodic)),
        chords=_band(chord_curves(data.labels[alike])),
    )


def _band(curves: NDArray[np.float64]) -> Band:
    known = curves[np.isfinite(curves).all(1)]
    low, high = np.percentile(known, (5, 95), axis=0) if len(known) else np.full((2, curves.shape[1]), np.nan)
    return Band(low=tuple(low.tolist()), high=tuple(high.tolist()))
