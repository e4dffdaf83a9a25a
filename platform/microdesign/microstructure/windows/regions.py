"""Regions of a large image, one for each part of the split, and the corners of the windows inside them.

All windows lie on one grid: corners at multiples of the stride. Boundaries of regions are multiples of the stride too,
so that each window of the grid lies inside one region or crosses a boundary; those that cross are left out.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.data.manifest import SPLITS, SplitName
from microdesign.microstructure.data.sizes import Sizes, shape_of


@dataclass(frozen=True)
class Region:
    """A block of an image: pixels `low` up to but not including `high` along each axis, for one part of the split."""

    split: SplitName
    low: tuple[int, ...]
    high: tuple[int, ...]


def split_regions(shape: Sequence[int], size: Sizes, stride: Sizes, shares: Sequence[float]) -> list[Region] | None:
    """Divides an image into one block for each part of the split that has a share.

    The training block and a strip are divided along the longest axis; the strip is divided into validation and test
    along the next longest axis that is long enough, or else along the same one. Each block holds at least one window,
    so on a small image the held-out blocks are larger than their shares.

    Example:
        >>> for region in split_regions((256, 256), 64, 32, (0.8, 0.1, 0.1)):
        ...     print(region.split, region.low, region.high)
        train (0, 0) (192, 256)
        validation (192, 0) (256, 128)
        test (192, 128) (256, 256)

    Args:
        shape: Pixels along each axis of the image.
        size: Pixels along each axis of a window: one number, or one for each.
        stride: Pixels between the corners of neighbouring windows, likewise.
        shares: Shares of training, validation and test.

    Returns:
        The regions, or None where the image is too small for them.
    """
    parts = [(name, share) for name, share in zip(SPLITS, shares, strict=True) if share > 0]
    low, high = (0,) * len(shape), tuple(shape)
    sizes, strides = shape_of(size, len(high)), shape_of(stride, len(high))
    if any(pixels < least for pixels, least in zip(shape, sizes, strict=True)):
        return None
    return _divided(parts, low, high, sizes, strides)


def _divided(
    parts: Sequence[tuple[SplitName, float]],
    low: tuple[int, ...],
    high: tuple[int, ...],
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    thin: int | None = None,
) -> list[Region] | None:
    """Cuts the first part off along the longest axis and divides the rest; `thin`, the axis of the last cut, is last.

    A strip is as wide as its share; to cut it along its width again would widen it.
    """
    (name, share), rest = parts[0], parts[1:]
    if not rest:
        return [Region(name, low, high)]
    lengths = np.subtract(high, low)
    axes = sorted(range(len(low)), key=lambda axis: (axis == thin, -lengths[axis]))
    for axis in axes:
        size, stride = sizes[axis], strides[axis]
        wanted = low[axis] + share / sum(share for _, share in parts) * lengths[axis]
        first = low[axis] + math.ceil(size / stride) * stride
        for place in sorted(range(first, high[axis] - size + 1, stride), key=lambda place: abs(place - wanted)):
            inner = _divided(rest, _with(low, axis, place), high, sizes, strides, axis)
            if inner is not None:
                return [Region(name, low, _with(high, axis, place)), *inner]
    return None


def _with(corner: tuple[int, ...], axis: int, place: int) -> tuple[int, ...]:
    return (*corner[:axis], place, *corner[axis + 1 :])


def window_corners(region: Region, size: Sizes, stride: Sizes) -> Iterator[tuple[int, ...]]:
    """Yields the corners of the windows inside a region, the last axis fastest."""
    dims = len(region.low)
    axes = zip(region.low, region.high, shape_of(size, dims), shape_of(stride, dims), strict=True)
    return itertools.product(*(range(low, high - pixels + 1, step) for low, high, pixels, step in axes))


def count_windows(shape: Sequence[int], size: Sizes, stride: Sizes) -> int:
    """Returns the number of windows of the whole image's grid."""
    axes = zip(shape, shape_of(size, len(shape)), shape_of(stride, len(shape)), strict=True)
    return math.prod(max(0, (pixels - width) // step + 1) for pixels, width, step in axes)


def cut(image: NDArray, corners: Sequence[tuple[int, ...]], size: Sizes) -> NDArray:
    """Returns copies of the windows of `image`, `(n, *N)` for windows of `size` pixels."""
    shape = shape_of(size, image.ndim)
    windows = np.empty((len(corners), *shape), dtype=image.dtype)
    for window, corner in zip(windows, corners, strict=True):
        window[...] = image[tuple(slice(place, place + n) for place, n in zip(corner, shape, strict=True))]
    return windows
