"""How far microstructures are from each other: distances of two-point statistics.

Shapes: n, m microstructures, `*N` the spatial axes, `...` any leading axes, F sampled statistics.
"""

import itertools
import math

import torch
from torch import Tensor

from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.indicators import as_float, refuse_unequal_grids
from microdesign.microstructure.statistics.two_point import two_point

# Images whose statistics are computed at once: bounds the memory.
_BATCH = 64


def rms_distance(f: Tensor, g: Tensor, dims: int = 2) -> Tensor:
    """Returns the root mean square difference over offsets of statistics, `(..., *N), (..., *N) -> (...)`.

    For one image against many whose statistics are known already; leading axes broadcast. Its gradient at f = g is
    taken as zero.
    """
    mean_square = ((as_float(f, dims) - as_float(g, dims)) ** 2).mean(dim=tuple(range(-dims, 0)))
    # The root has no finite slope at zero.
    positive = mean_square > 0
    return torch.where(positive, torch.where(positive, mean_square, 1.0).sqrt(), 0.0)


def relative_distance(f: Tensor, g: Tensor, dims: int = 2) -> Tensor:
    """Returns `rms_distance` of autocorrelations of hard indicators over phi (1 - phi), `(..., *N) x 2 -> (...)`.

    Of the variance of the phase it is a share that does not depend on the volume fraction phi, the value at offset 0;
    of two fractions the geometric mean of the variances counts.

    Example:
        >>> stripes = (torch.arange(8) % 4 < 2).float()[:, None].expand(8, 8)
        >>> f = two_point(torch.stack([stripes, stripes.roll(1, 0), stripes.T]))
        >>> [round(abs(float(each)), 3) for each in relative_distance(f[0], f)]
        [0.0, 0.0, 1.0]
    """
    fractions = (each.flatten(-dims)[..., 0] for each in (as_float(f, dims), as_float(g, dims)))
    first, second = ((phi * (1 - phi)).clamp_min(1e-3) for phi in fractions)
    return rms_distance(f, g, dims) / (first * second).sqrt()


def two_point_distance(a: Tensor, b: Tensor, dims: int = 2) -> Tensor:
    """Returns the distance of two images, the rms difference of their autocorrelations, `(..., *N) x 2 -> (...)`.

    Symmetric, zero for equal images, unchanged by periodic shifts of either; leading axes broadcast.

    Example:
        >>> stripes = (torch.arange(8) % 4 < 2).float()[:, None].expand(8, 8)
        >>> round(float(two_point_distance(stripes, stripes.T)), 3)
        0.25

    Raises:
        InputError: The spatial shapes differ.
    """
    refuse_unequal_grids(a, b, dims)
    return rms_distance(two_point(a, dims), two_point(b, dims), dims)


def sampled_two_point(images: Microstructures) -> Tensor:
    """Returns two-point autocorrelations of every phase but the first at few offsets, float32 `(n, F)`.

    The offsets are 0, 1, 2, 4, 8, ... pixels along each axis in both directions, up to half the side, in all
    combinations: few numbers that see short and long distances alike. A periodic shift leaves them unchanged.
    """
    dims = len(images.shape)
    powers = [2**power for power in range(16)]
    steps = [[0, *(step for step in powers if 2 * step <= pixels)] for pixels in images.shape]
    # f(r) = f(-r): the first axis needs no negative offsets.
    axes = [steps[0], *([*each, *(-step for step in each[1:])] for each in steps[1:])]
    grid = torch.tensor(list(itertools.product(*axes))).T
    parts = []
    for start in range(0, len(images), _BATCH):
        indicator = images.select(slice(start, start + _BATCH)).indicator()
        f = two_point(indicator if indicator.shape[1] == 1 else indicator[:, 1:], dims)
        parts.append(f[(..., *grid)].flatten(1))
    return torch.cat(parts)


def nearest_rms_distance(statistics: Tensor, reference: Tensor) -> Tensor:
    """Returns the rms difference of sampled statistics `(n, F)` to the nearest of the reference's `(m, F)`, `(n,)`."""
    return torch.cdist(statistics, reference).min(1).values / math.sqrt(reference.shape[1])
