"""Small draws and choices that several families share."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Below about three pixels a feature is an artefact of the grid, whatever the image size.
MIN_FEATURE = 3.0
STRATUM = 1024
"""Samples in a block of `stratified`; a power of two."""


def log_uniform(stream: np.random.Generator, low: float, high: float) -> float:
    """Draws log-uniformly; on images too small for the range only `low` is left."""
    return spread_log(float(stream.random()), low, high)


def spread_log(uniform: float, low: float, high: float) -> float:
    """Maps a number in [0, 1) to a log-uniform one in [low, high); `low` where `high` is not above it."""
    return float(low * math.exp(uniform * math.log(max(high / low, 1.0))))


def highest(field: NDArray, fraction: float) -> NDArray[np.uint8]:
    """Returns 1 in the share `fraction` of pixels where the field is highest, else 0; the share is met to a pixel."""
    image = np.zeros(field.size, dtype=np.uint8)
    zeros = field.size - round(fraction * field.size)
    image[np.argpartition(field.ravel(), min(zeros, field.size - 1))[zeros:]] = 1
    return image.reshape(field.shape)


def rotation(stream: np.random.Generator, dims: int) -> tuple[NDArray[np.float64], float | list[float]]:
    """Draws an orientation uniformly.

    Returns:
        Its matrix `(dims, dims)`, row a the direction of axis a; and what describes it: the angle of axis 0 from x
        towards y, in [0, pi), or in three dimensions the unit quaternion (w, x, y, z).
    """
    if dims == 2:
        angle = float(stream.uniform(0.0, math.pi))
        return plane_rotation(angle), angle
    quaternion = stream.standard_normal(4)
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    # The columns are the turned axes.
    return matrix.T, [float(w), float(x), float(y), float(z)]


def plane_rotation(angle: float) -> NDArray[np.float64]:
    """Returns the matrix whose rows are the axes turned by `angle` from x towards y."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


def stratified(seed: int, index: int, numbers: int) -> NDArray[np.float64]:
    """Returns `numbers` values in [0, 1) that depend on (seed, index) alone and are spread evenly over indices.

    They are point `index` of a Sobol sequence scrambled by `seed` (linear matrix scramble and digital shift, Matousek
    1998, as in scipy.stats.qmc). Every block of 2^m indices that starts at a multiple of 2^m is a Latin hypercube: each
    of the 2^m equal intervals along each axis holds one point. So a sample needs no knowledge of the others.
    """
    return _sobol_block(seed, index // STRATUM, numbers)[index % STRATUM]


@lru_cache(maxsize=16)
def _sobol_block(seed: int, block: int, numbers: int) -> NDArray[np.float64]:
    # Half a second to import, for one family.
    from scipy.stats import qmc

    engine = qmc.Sobol(numbers, scramble=True, rng=np.random.default_rng(np.random.SeedSequence([seed, 0x50B01])))
    if block:
        engine.fast_forward(block * STRATUM)
    points: NDArray[np.float64] = engine.random(STRATUM)
    points.setflags(write=False)
    return points
