"""How much images differ from each other: novelty, distinctness.

Shapes: n, m images, F numbers, `*N` image or volume.
"""

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.statistics.descriptors import describe


def coordinates(labels: NDArray, n_phases: int = 2) -> NDArray[np.float64]:
    """Returns points `(n, F)` of periodic images `(n, *N)` whose Euclidean distance is the images' difference.

    The root mean square difference of their descriptors and of the logits of their fractions, in units of what two
    realisations of one material differ by: about 1 for two of these, 0 for shifted or mirrored copies. Unlike the
    distance to a `Population` it counts a difference in fraction.

    Example:
        >>> stripes = (np.arange(32) % 8 < 4).astype(np.uint8)[:, None].repeat(32, 1)
        >>> points = coordinates(np.stack([stripes, np.roll(stripes, 3, 0), stripes.T]))
        >>> [round(float(each), 6) < 1 for each in differences(points[0], points)]
        [True, True, False]
    """
    found = describe(labels, n_phases)
    # Images of one phase are far from all others by their fractions.
    columns = np.nan_to_num(found.values / found.spread), found.fractions / found.fraction_spread
    points = np.concatenate(columns, axis=1)
    return points / np.sqrt(2 * points.shape[1])


def differences(point: NDArray, others: NDArray) -> NDArray[np.float64]:
    """Returns the differences `(n,)` of one image, given by its coordinates `(F,)`, to others `(n, F)`."""
    return np.linalg.norm(others - point, axis=-1)


def nearest_difference(points: NDArray, reference: NDArray) -> NDArray[np.float64]:
    """Returns the difference `(n,)` of images, coordinates `(n, F)`, to the nearest of `(m, F)`, m at least one."""
    return np.array([differences(point, reference).min() for point in points])
