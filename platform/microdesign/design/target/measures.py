"""What the constraints measure of images: widths, percolation, clusters, symmetry, distance to a population.

Designs with mirror boundaries are not periodic: widths are then those of the image that the mirrors make, clusters end
at the faces, and a phase percolates if one cluster reaches from face to face.

Shapes: n images, `*N` image (X, Y) or volume (X, Y, Z).
"""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import torch

from microdesign.core.errors import InputError
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.readers import find_reader, read_images
from microdesign.microstructure.statistics.connectivity import clusters, percolates, spans
from microdesign.microstructure.statistics.feature_size import minimum_feature_size
from microdesign.microstructure.statistics.population import MOST_MEMBERS, Population
from microdesign.microstructure.statistics.similarity import relative_distance
from microdesign.microstructure.statistics.two_point import two_point

Operation = Callable[[np.ndarray], np.ndarray]
"""A symmetry of the grid: an image to another one."""
Measure = Callable[[np.ndarray], np.ndarray]
"""Images uint8 `(n, *N)` to a value of each, `(n,)`."""


def volume_fraction(phase: int) -> Measure:
    """Volume fraction of a phase."""
    return lambda labels: (labels == phase).reshape(len(labels), -1).mean(1)


def feature_width(phase: int, ignore: float, periodic: bool = True) -> Measure:
    """Least width of a phase in pixels, but for a share `ignore` of it that may be thinner."""

    def measure(labels: np.ndarray) -> np.ndarray:
        whole = torch.from_numpy((labels if periodic else mirrored(labels)) == phase)
        return minimum_feature_size(whole, labels.ndim - 1, ignore).numpy()

    return measure


def percolation(phase: int, axis: str, periodic: bool = True) -> Measure:
    """1 where a phase is endless along an axis (x, y or z) of the image repeated or mirrored, else 0."""

    def measure(labels: np.ndarray) -> np.ndarray:
        found = (percolates if periodic else spans)(torch.from_numpy(labels == phase), labels.ndim - 1)
        return found[:, "xyz".index(axis)].numpy().astype(float)

    return measure


def largest_cluster_share(phase: int, periodic: bool = True) -> Measure:
    """Share of a phase that its largest cluster holds; NaN without the phase."""

    def measure(labels: np.ndarray) -> np.ndarray:
        sizes = [clusters(image == phase, periodic).sizes for image in labels]
        return np.array([each[0] / each.sum() if len(each) else np.nan for each in sizes])

    return measure


def mirrored(labels: np.ndarray) -> np.ndarray:
    """The images `(n, *N)` and their mirror images along each axis, `(n, *2N)`, which are periodic.

    Example:
        >>> mirrored(np.array([[[1, 0], [0, 0]]]))[0].tolist()
        [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    """
    return np.pad(labels, [(0, 0), *((0, n) for n in labels.shape[1:])], mode="symmetric")


def asymmetry(symmetry: str) -> Measure:
    """Largest two-point distance of an image to itself turned and mirrored by a symmetry, over all phases.

    Of images `mirror` in x, `diagonal`, and `turn` by 90 degrees; of volumes `orthotropic`, mirrored in each plane, and
    `cubic`, these and turned by 90 degrees about each axis.
    """
    # Two-point statistics know no difference between a shape and its point inversion: mirrors in x and y are the same.
    mirrors: list[Operation] = [partial(np.flip, axis=axis) for axis in range(3)]
    turns: list[Operation] = [partial(np.rot90, axes=plane) for plane in ((0, 1), (0, 2), (1, 2))]
    known: dict[str, list[Operation]] = {
        "mirror": mirrors[:1],
        "diagonal": [np.transpose],
        "turn": turns[:1],
        "orthotropic": mirrors,
        "cubic": [*mirrors, *turns],
    }
    operations = known[symmetry]

    def measure(labels: np.ndarray) -> np.ndarray:
        found = np.zeros(len(labels))
        for phase in range(1, max(2, int(labels.max(initial=1)) + 1)):
            for operation in operations:
                turned = np.array([operation(image) for image in labels]).reshape(labels.shape)
                own, others = (
                    two_point(torch.from_numpy((each == phase).astype(np.float32)), labels.ndim - 1)
                    for each in (labels, turned)
                )
                distance = relative_distance(own, others, labels.ndim - 1).double().numpy()
                found = np.maximum(found, distance)
        return found

    return measure


def distance_to_population(images: str, phases: int, periodic: bool = True) -> Measure:
    """Distance to the population of the images of a file, a folder or a data set, in units of its threshold."""

    def measure(labels: np.ndarray) -> np.ndarray:
        if not len(labels):
            return np.empty(0)
        return population_of(images, labels.shape[1:], phases).distance(labels, periodic)

    return measure


@lru_cache(maxsize=4)
def edges_of(images: str, dims: int) -> tuple[float, ...] | None:
    """Edges of a pixel of the images of a file, a folder or a data set; None where they are squares or not known."""
    takes_dims = "dims" in find_reader(images).takes
    batch = next(iter(read_images(images, options=ReadOptions(dims=dims) if takes_dims else NO_OPTIONS)), None)
    return batch.spacing if batch is not None and batch.aspect else None


@lru_cache(maxsize=4)
def population_of(images: str, shape: tuple[int, ...], phases: int) -> Population:
    """The population of the images, or their windows, to which images of a shape are compared.

    Raises:
        InputError: They cannot be read, are too few, too small, of one phase, or of more than `phases`.
    """
    takes_dims = "dims" in find_reader(images).takes
    batches = list(read_images(images, options=ReadOptions(dims=len(shape)) if takes_dims else NO_OPTIONS))
    classes = [name for batch in batches for name in batch.classes]
    periodic = all(batch.periodic for batch in batches)
    arrays = [batch.labels for batch in batches]
    if len({labels.shape[1:] for labels in arrays}) == 1:
        labels = np.concatenate(arrays)
        some = np.sort(np.random.default_rng(0).permutation(len(labels))[:MOST_MEMBERS])
        arrays, classes = [labels[some]], [classes[i] for i in some]
    try:
        return Population.fit(arrays, phases, periodic=periodic, shape=shape, classes=classes)
    except InputError as error:
        raise InputError(f"{images}: {error}") from None
