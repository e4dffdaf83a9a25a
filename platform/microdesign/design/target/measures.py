"""What the constraints measure of images: widths, percolation, clusters, symmetry, distance to a population.

Shapes: n images, X Y image.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from microdesign.core.errors import InputError
from microdesign.microstructure.io.readers import read_images
from microdesign.microstructure.statistics.connectivity import clusters, percolates
from microdesign.microstructure.statistics.morphology import minimum_feature_size
from microdesign.microstructure.statistics.population import MOST_MEMBERS, Population
from microdesign.microstructure.statistics.similarity import relative_distance
from microdesign.microstructure.statistics.two_point import two_point

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
        if not len(labels):
            return np.empty(0)
        own, others = (
            two_point(torch.from_numpy(each.astype(np.float32)))
            for each in (labels, np.stack([turned(image) for image in labels]))
        )
        return relative_distance(own, others).double().numpy()

    return measure


def distance_to_population(images: str) -> Measure:
    """Distance to the population of the images of a file, a folder or a data set, in units of its threshold."""

    def measure(labels: np.ndarray) -> np.ndarray:
        return population_of(images, labels.shape[1:]).distance(labels) if len(labels) else np.empty(0)

    return measure


@lru_cache(maxsize=4)
def population_of(images: str, shape: tuple[int, ...]) -> Population:
    """The population of the images, or their windows, to which images of a shape are compared.

    Raises:
        InputError: They cannot be read, are too few, too small, of one phase, or of more than two.
    """
    batches = list(read_images(images))
    classes = [name for batch in batches for name in batch.classes]
    periodic = all(batch.periodic for batch in batches)
    arrays = [batch.labels for batch in batches]
    if len({labels.shape[1:] for labels in arrays}) == 1:
        labels = np.concatenate(arrays)
        some = np.sort(np.random.default_rng(0).permutation(len(labels))[:MOST_MEMBERS])
        arrays, classes = [labels[some]], [classes[i] for i in some]
    try:
        return Population.fit(arrays, periodic=periodic, shape=shape, classes=classes)
    except InputError as error:
        raise InputError(f"{images}: {error}") from None
