"""Latents over the range of a micrograph's windows, between them and a bit beyond.

Shapes: m windows, n draws, D latent.
"""

import numpy as np
from numpy.typing import NDArray

BEYOND = 0.5
"""How far beyond two windows a draw may lie, in distances between the two: the properties of whole images scatter less
than a target wants them to."""


def spread_latents(
    mean: NDArray[np.float64], std: NDArray[np.float64], n: int, stream: np.random.Generator
) -> NDArray[np.float64]:
    """Draws on lines through two windows, with the scatter of the first one's posterior, `(n, D)`.

    Args:
        mean: Means of the windows' posteriors, `(m, D)`.
        std: Their standard deviations.
        n: Draws.
        stream: Of random numbers.
    """
    first, second = stream.integers(len(mean), size=(2, n))
    along = stream.uniform(-BEYOND, 1 + BEYOND, size=(n, 1))
    return mean[first] + along * (mean[second] - mean[first]) + std[first] * stream.standard_normal((n, mean.shape[1]))
