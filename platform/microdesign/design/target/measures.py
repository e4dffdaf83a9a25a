"""What the constraints measure of images: widths, percolation, clusters, symmetry, distance to a reference.

Shapes: n images, X Y image.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.npy import read_npy
from microdesign.microstructure.statistics.connectivity import clusters, percolates
from microdesign.microstructure.statistics.morphology import minimum_feature_size
from microdesign.microstructure.statistics.similarity import distances, two_point_of

Measure = Callable[[np.ndarray], np.ndarray]
"""Images uint8 `(n, X, Y)` to a value of each, `(n,)`."""


def volume_fraction(labels: np.ndarray) -> np.ndarray:
    """Volume fraction of phase 1, `(n,)`."""
    return labels.mean((1, 2))


def feature_width(phase: int, ignore: float) -> Measure:
    """Least width of a phase in pixels, but for a share `ignore` of it that may be thinner."""
    return lambda labels: minimum_feature_size(torch.from_numpy(labels == phase), ignore=ignore).numpy()


def percolation(phase: int, axis: str) -> Measure:
    """1 where a phase is endless along an axis (x or y) of the tiled image, else 0."""
    return lambda labels: percolates(torch.from_numpy(labels == phase))[:, "xy".index(axis)].numpy().astype(float)


def largest_cluster_share(phase: int) -> Measure:
    """Share of a phase that its largest cluster holds; NaN without the phase."""

    def measure(labels: np.ndarray) -> np.ndarray:
        sizes = [clusters(image == phase).sizes for image in labels]
        return np.array([each[0] / each.sum() if len(each) else np.nan for each in sizes])

    return measure


def asymmetry(operation: str) -> Measure:
    """Two-point distance of an image to itself mirrored in x (`mirror`), in the diagonal, or turned by 90 degrees."""
    # Two-point statistics know no difference between a shape and its point inversion: mirrors in x and y are the same.
    turned = {
        "mirror": lambda image: image[::-1],
        "diagonal": lambda image: image.T,
        "turn": lambda image: np.rot90(image),
    }[operation]

    def measure(labels: np.ndarray) -> np.ndarray:
        others = two_point_of(np.stack([turned(image) for image in labels])) if len(labels) else torch.empty(0)
        pairs = zip(two_point_of(labels), others, strict=True)
        return np.array([float(distances(f, g[None])[0]) for f, g in pairs])

    return measure


def distance_to_reference(image: str) -> Measure:
    """Two-point distance to the one image in a file."""

    def measure(labels: np.ndarray) -> np.ndarray:
        if not len(labels):
            return np.empty(0)
        return distances(reference_statistics(image), two_point_of(labels)).numpy()

    return measure


@lru_cache(maxsize=4)
def reference_statistics(image: str) -> torch.Tensor:
    """Two-point statistics of the one image in a file, `(X, Y)`."""
    batch = read_npy(image)
    if len(batch) != 1:
        raise InputError(f"{image}: holds {len(batch)} images; expected one to be similar to.")
    return two_point_of(batch.labels)[0]
