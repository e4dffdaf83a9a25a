"""Descriptors of microstructures that see their features: a few dozen numbers an image, in pixels and per pixel.

By them `population` and `difference` compare images: short-range two-point statistics, lineal path, chords, depth,
Euler number and corner contacts of each phase. Shapes: n images, P phases, F descriptors, `*N` two or three spatial
axes.
"""

import math
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from microdesign.core.errors import InputError
from microdesign.microstructure.statistics.distances import distances
from microdesign.microstructure.statistics.recent_images import RecentImages

LAGS = (1, 2, 4, 8, 16)
"""Offsets in pixels of two-point statistics and lineal paths, each twice the one before."""
_CORRELATION = dict(zip(LAGS, (0.03, 0.055, 0.085, 0.085, 0.07), strict=True))
_LINEAL_PATH = dict(zip(LAGS, (0.02, 0.035, 0.065, 0.08, 0.08), strict=True))
_CHORD, _DEPTH, _EULER, _CORNERS, _FRACTION = 0.18, 0.18, 0.4, 0.25, 0.14
_SPREAD_PIXELS = 64**2
"""How much a descriptor differs between realisations of one material with as many pixels, one standard deviation:
medians over the ten classes of MICRO2D at equal fractions (of their logits, for `_FRACTION`). It falls with the root of
the number of pixels."""
_LONGEST_CHORD = 64.0
_DEEPEST = 32
_DEPTH_QUANTILE = 0.9
_PER = 1000.0
_BATCH = 64
_RECENT: RecentImages[tuple[NDArray[np.float64], ...]] = RecentImages(4096)
"""A campaign asks of one image its distance to the material, its difference from others, and its novelty."""


class Descriptors(NamedTuple):
    """Descriptors of images.

    Attributes:
        values: `(n, F)`; NaN where an image is of one phase.
        fractions: Logits of the fractions of every phase but the first, `(n, P - 1)`.
        spread: Usual standard deviation of each descriptor among realisations of one material, `(F,)`.
        fraction_spread: The same of the logits.
    """

    values: NDArray[np.float64]
    fractions: NDArray[np.float64]
    spread: NDArray[np.float64]
    fraction_spread: float

    @property
    def one_phase(self) -> NDArray[np.bool_]:
        """Which images are of one phase, `(n,)`."""
        return np.asarray(np.isnan(self.values).any(1))


def lags_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The `LAGS` for images of a shape: up to a quarter of the shortest edge, one at least."""
    return tuple(lag for lag in LAGS if lag == 1 or 4 * lag <= min(shape))


def describe(
    labels: NDArray, n_phases: int = 2, periodic: bool = True, lags: tuple[int, ...] | None = None
) -> Descriptors:
    """Returns the descriptors of images `(n, *N)`.

    In this order, for each phase of volume fraction phi unless it says otherwise:

    - at each lag r, of every phase but the first: two-point statistics (f(r) - phi^2) / (phi - phi^2) along each axis,
      and of the two diagonals of each plane the mean and the absolute difference;
    - lineal path along each axis over phi, at each lag: the share of the phase from which a straight way of that length
      stays in it;
    - logarithm of the mean chord along each axis in pixels, at most 64;
    - logarithms of the mean and of the 90 % quantile of its pixels' distance from other phases: half the feature size;
    - Euler number (parts less holes; in 3-D parts less tunnels plus cavities; parts are connected through faces) in a
      thousand pixels, as asinh;
    - corner contacts of every phase but the first in a thousand pixels, as asinh.

    Periodic shifts and mirrors leave them unchanged. Of images that are not periodic each mean is over what lies inside
    the image, so that windows of a material agree with its periodic images.

    Example:
        >>> stripes = (np.arange(16) % 8 < 4).astype(np.uint8)[None, :, None].repeat(16, 2)
        >>> found = describe(stripes, lags=(4,)).values[0]
        >>> [round(float(each), 2) for each in found[:2]]  # the phase's covariance across the stripes and along them
        [-1.0, 1.0]

    Args:
        labels: Phase labels of n images or volumes.
        n_phases: Number of phases P.
        periodic: Whether the images tile space.
        lags: Some of `LAGS`, in pixels; None takes `lags_of`. Those of the smallest images that are compared.

    Raises:
        InputError: There are fewer than two phases.
    """
    if n_phases < 2:
        raise InputError(f"images of {n_phases} phase have no descriptors; expected at least two phases.")
    labels = np.asarray(labels)
    lags = lags_of(labels.shape[1:]) if lags is None else lags
    # Without images one of one phase gives the shapes.
    some = labels if len(labels) else np.zeros((1, *labels.shape[1:]), np.uint8)
    rows = _RECENT.rows(some, (n_phases, periodic, lags), lambda new: _rows(new, n_phases, periodic, lags))
    values, fractions, spread = (np.stack(each) for each in zip(*rows, strict=True))
    scale = math.sqrt(_SPREAD_PIXELS / math.prod(labels.shape[1:]))
    return Descriptors(values[: len(labels)], fractions[: len(labels)], scale * spread[0], scale * _FRACTION)


def _rows(
    images: NDArray, n_phases: int, periodic: bool, lags: tuple[int, ...]
) -> Iterator[tuple[NDArray[np.float64], ...]]:
    """Values, logits and spread of each image."""
    for start in range(0, len(images), _BATCH):
        values, logits, spread = _describe(images[start : start + _BATCH], n_phases, periodic, lags)
        yield from zip(values, logits, [spread] * len(values), strict=True)


def _describe(
    labels: NDArray, n_phases: int, periodic: bool, lags: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Values, logits and spread."""
    x = np.stack([labels == phase for phase in range(n_phases)], axis=1)
    phi = _mean(x)
    columns = [(spread, column.reshape(len(x), -1)) for spread, column in _columns(x, phi, periodic, lags)]
    values = np.concatenate([column for _, column in columns], 1)
    values[phi.max(1) == 1] = np.nan
    # An absent phase counts as half a pixel.
    least = 0.5 / math.prod(labels.shape[1:])
    logits = logit(phi[:, 1:].clip(least, 1 - least))
    return values, logits, np.concatenate([np.full(column.shape[1], spread) for spread, column in columns])


def _columns(
    x: NDArray[np.bool_], phi: NDArray[np.float64], periodic: bool, lags: tuple[int, ...]
) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """Usual spread and values `(n, ...)` of all descriptors of one-hot indicators `(n, P, *N)`."""
    dims = x.ndim - 2
    others, share = np.ascontiguousarray(x[:, 1:]), phi.clip(1e-12)
    for lag in lags:
        for axis in range(dims):
            yield _CORRELATION[lag], _correlation(others, _offset(dims, {axis: lag}), periodic)
        for a, b in combinations(range(dims), 2):
            up, down = (_correlation(others, _offset(dims, {a: lag, b: way * lag}), periodic) for way in (1, -1))
            yield _CORRELATION[lag], (up + down) / 2
            yield _CORRELATION[lag], np.abs(up - down)
    for axis in range(dims):
        path = x
        for reached in range(1, max(lags) + 1):
            # x at the start of a segment and, one step on, the segment that is a pixel shorter.
            end = path.shape[axis + 2] - (0 if periodic else 1)
            path = _narrow(x, axis + 2, 0, end) & _narrow(np.roll(path, -1, axis + 2), axis + 2, 0, end)
            if reached in lags:
                yield _LINEAL_PATH[reached], _mean(path) / share
    for axis in range(dims):
        first, second = _ends(x, _offset(dims, {axis: 1}), periodic)
        yield _CHORD, -np.log(_mean(first & ~second) / share + 1 / _LONGEST_CHORD)
    yield _DEPTH, _depths(x, periodic)
    yield _EULER, np.arcsinh(_PER * euler_density(x, periodic))
    yield _CORNERS, np.arcsinh(_PER * _corner_density(others, periodic))


def _mean(x: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over each image, `(n, C, *N) -> (n, C)`; counted, which is many times as fast as a mean of numbers."""
    flat = x.reshape(*x.shape[:2], -1)
    return np.array([[np.count_nonzero(phase) for phase in image] for image in flat]) / flat.shape[2]


def _offset(dims: int, steps: dict[int, int]) -> tuple[int, ...]:
    return tuple(steps.get(axis, 0) for axis in range(dims))


def _narrow(x: NDArray[np.bool_], axis: int, start: int, length: int) -> NDArray[np.bool_]:
    return x[(slice(None),) * axis + (slice(start, start + length),)]


def _ends(x: NDArray[np.bool_], offset: tuple[int, ...], periodic: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """x at the two ends of an offset, wherever both lie in the image."""
    dims = len(offset)
    if periodic:
        steps = {axis - dims: -step for axis, step in enumerate(offset) if step}
        return x, np.roll(x, tuple(steps.values()), tuple(steps))
    first = second = x
    for axis, step in enumerate(offset):
        kept = x.shape[axis - dims] - abs(step)
        first = _narrow(first, axis + 2, max(0, -step), kept)
        second = _narrow(second, axis + 2, max(0, step), kept)
    return first, second


def _correlation(x: NDArray[np.bool_], offset: tuple[int, ...], periodic: bool) -> NDArray[np.float64]:
    """Normalised two-point covariance at one offset, `(n, C, *N) -> (n, C)`; 0 for an absent phase."""
    first, second = _ends(x, offset, periodic)
    a, b = _mean(first), _mean(second)
    scale = np.sqrt(a * (1 - a) * b * (1 - b))
    return np.where(scale > 0, (_mean(first & second) - a * b) / scale.clip(1e-12), 0.0)


def _depths(phases: NDArray[np.bool_], periodic: bool) -> NDArray[np.float64]:
    """Logarithms of mean and quantile of the distance of a phase's pixels from others, `(n, P, *N) -> (n, P, 2)`."""
    values = np.zeros((*phases.shape[:2], 2))
    for index in np.ndindex(*phases.shape[:2]):
        phase = phases[index]
        if phase.any() and not phase.all():
            depth = distances(phase, _DEEPEST, periodic)
            values[index] = np.log(depth.mean()), np.log(np.quantile(depth, _DEPTH_QUANTILE))
    return values


def euler_density(x: NDArray[np.bool_], periodic: bool = True) -> NDArray[np.float64]:
    """Returns the Euler number per pixel of phases connected through faces, `(n, P, *N) -> (n, P)`.

    Pixels less pairs of neighbours plus full blocks of 2 x 2, in 3-D less blocks of 2 x 2 x 2: the cells of the complex
    whose vertices are the pixels.
    """
    dims = x.ndim - 2
    total = np.zeros(x.shape[:2])
    for count in range(dims + 1):
        for chosen in combinations(range(dims), count):
            block = x
            for axis in chosen:
                first, second = _ends(block, _offset(dims, {axis: 1}), periodic)
                block = first & second
            total += (-1) ** count * _mean(block)
    return total


def _corner_density(x: NDArray[np.bool_], periodic: bool) -> NDArray[np.float64]:
    """Blocks of 2 x 2 pixels of which the phase holds only two on a diagonal, per pixel, `(n, C, *N) -> (n, C)`."""
    dims = x.ndim - 2
    total = np.zeros(x.shape[:2])
    for a, b in combinations(range(dims), 2):
        left, right = _ends(x, _offset(dims, {a: 1}), periodic)
        (low, up), (beside, across) = (_ends(each, _offset(dims, {b: 1}), periodic) for each in (left, right))
        total += _mean((low & across & ~(beside | up)) | (beside & up & ~(low | across)))
    return total
