"""The width of the thinnest part of a phase, by balls that fit into it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import as_bool

_CHUNK_BYTES = 2**26
"""Transforms of images that are held at once."""


def minimum_feature_size(indicator: Tensor, dims: int = 2, ignore: float = 0.0) -> Tensor:
    """Returns the width of the thinnest part of a phase in pixels, float64 `(..., *N) -> (...)`, on the CPU.

    The largest d up to which discs (balls) of diameter d that fit into the phase come near all of it: no pixel is
    farther from the union of the discs than the corner of a square is from its inscribed disc, (sqrt(2) - 1) d / 2, and
    that of a cube from its ball, (sqrt(3) - 1) d / 2. So stripes have their width and squares their edge, discs their
    diameter less up to two pixels (of a staircase);
    right-angled corners are no features, sharper ones are. This is an opening by discs (Serra, Image Analysis and
    Mathematical Morphology, 1982) whose residue at corners is let pass, of the periodic image at a resolution of half a
    pixel. Distances are compared as sums of squares, by convolutions with discs.

    A speck of one pixel makes it 1, as in most micrographs: `ignore` is the share of the phase that may be thinner.
    Infinite for a phase that fills the image, nan for one that is absent.

    Example:
        >>> stripes = (torch.arange(12) % 6 < 3).float()[:, None].expand(12, 12)
        >>> minimum_feature_size(stripes)
        tensor(3., dtype=torch.float64)

    Raises:
        InputError: The indicator is not hard, or `ignore` is not below 1.
    """
    return feature_sizes(indicator, dims, (ignore,))[..., 0]


def feature_sizes(indicator: Tensor, dims: int, ignores: Sequence[float]) -> Tensor:
    """Returns `minimum_feature_size` for several shares to ignore at once, `(..., *N) -> (..., len(ignores))`.

    Raises:
        InputError: The indicator is not hard, or a share is not below 1.
    """
    for ignore in ignores:
        if not 0 <= ignore < 1:
            raise InputError(f"ignore = {ignore} is out of range; expected a share of the phase, from 0 to below 1.")
    m = as_bool(indicator, dims)
    shape = m.shape[-dims:]
    images = m.reshape(-1, *shape).cpu().numpy()
    filled, present = (each(images, axis=tuple(range(1, dims + 1))) for each in (np.all, np.any))
    sizes = np.where(filled, math.inf, np.nan)[:, None].repeat(len(ignores), axis=1)
    mixed = np.flatnonzero(present & ~filled)
    step = max(1, _CHUNK_BYTES // (8 * 2**dims * math.prod(shape)))
    for start in range(0, len(mixed), step):
        chunk = mixed[start : start + step]
        sizes[chunk] = _sizes(images[chunk], np.array(ignores))
    return torch.from_numpy(sizes.reshape(*m.shape[:-dims], len(ignores)))


def _sizes(images: NDArray[np.bool_], ignores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Feature sizes of images `(n, *N)` that are neither empty nor full, for each share, `(n, shares)`."""
    # At double resolution the widths are even, and the middle of a part is at the distance of its width from outside.
    dims = images.ndim - 1
    fine = images
    for axis in range(1, dims + 1):
        fine = fine.repeat(2, axis=axis)
    pixels = np.asarray(fine.reshape(len(fine), -1).sum(1))
    squares = _squared_distances(fine.shape[1:])
    outside = _transform(~fine)
    sizes = np.zeros((len(images), len(ignores)))
    # Where a share was exceeded, larger discs do not count.
    open_ = np.ones(sizes.shape, bool)
    diameter = 0
    while open_.any():
        diameter += 1
        rows = np.flatnonzero(open_.any(1))
        # Discs of radius `diameter` (in half pixels) around these pixels lie in the phase.
        middles = ~_near(outside[rows], squares < diameter**2)
        # A disc reaches `diameter` from its middle, a corner of the square around it sqrt(2) times that, of a cube
        # sqrt(3).
        near = _near(_transform(middles), squares <= dims * diameter**2)
        missed = (fine[rows] & ~near).reshape(len(rows), -1).sum(1)
        fits = np.asarray(middles.reshape(len(rows), -1).any(1))
        open_[rows] &= fits[:, None] & (missed[:, None] <= ignores * pixels[rows, None])
        sizes[open_] = diameter
    return sizes


def _near(transformed: NDArray[np.complex128], ball: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of which some pixel of a set lies within the ball around them, from the set's transform."""
    axes = tuple(range(1, transformed.ndim))
    # The ball is its own mirror image: its transform is real.
    counts = fft.irfftn(transformed * fft.rfftn(ball.astype(float)).real, ball.shape, axes)
    return np.asarray(counts > 0.5)


def _transform(images: NDArray[np.bool_]) -> NDArray[np.complex128]:
    return np.asarray(fft.rfftn(images.astype(float), axes=tuple(range(1, images.ndim))))


def _squared_distances(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Squares of the distances of all pixels from the first one across the periodic boundary."""
    steps = [np.minimum(np.arange(n), n - np.arange(n)) ** 2 for n in shape]
    return np.asarray(sum(np.ix_(*steps), np.zeros((1,) * len(shape), np.int64)))
