"""The distribution-matching loss: an energy distance between draws and images, in shapes and properties.

A reconstruction is compared with its own image. A draw from p(z|c) has none, and trained on its properties alone it
becomes a ragged image that has them; what draws and images share is a distribution. No discriminator has to be trained.

Shapes: B images, n draws, C channels, `*N` image, P properties, F descriptors.
"""

import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import all_phases
from microdesign.microstructure.statistics.morphology import lineal_path

LONGEST = 6
"""Longest run in pixels of the descriptors: edges and thin places. Long ones are for two-point statistics."""
RARE = 0.01
"""Floor of the probabilities that are divided by, and of the deviations: what is rarer does not count."""


def descriptors(x: Tensor) -> Tensor:
    """Volume fractions and, by phase and axis, the probability that a run of 1 to 6 pixels ends there: `(B, F)`.

    The latter are 1 - L(r) / L(r - 1) of the lineal path function, large for ragged edges and thin places.

    Args:
        x: Indicators `(B, C, *N)`, hard.
    """
    dims = x.ndim - 2
    with torch.autocast(x.device.type, enabled=False):
        paths = lineal_path(all_phases(x.float()), dims, min(LONGEST, min(x.shape[2:]) - 1))
        ends = (paths[..., :-1] - paths[..., 1:]) / paths[..., :-1].clamp_min(RARE)
        return torch.cat((paths[..., 0, 0], ends.flatten(1)), dim=1)


def distribution_matching(draws: Tensor, condition_index: Tensor, x: Tensor, c: Tensor) -> Tensor:
    """Energy distance (Szekely and Rizzo, J. Stat. Plan. Inference 143, 1249, 2013) of draws from images, a scalar.

    2 E|a - b| - E|a - a'| - E|b - b'| of joint vectors of descriptors, in deviations of the images, and properties:
    zero in the mean where draws for given properties are distributed as images of these are. Pairs of the same row
    are left out, so that it is unbiased; a batch's value may be negative.

    Args:
        draws: Hard indicators `(n, C, *N)`.
        condition_index: The row of the batch that each is for, int `(n,)`.
        x: Indicators of the batch `(B, C, *N)`.
        c: Standardised properties `(B, P)`, NaN where not known.
    """
    rows, wanted = torch.arange(len(x), device=x.device), c.nan_to_num() / max(1, c.shape[1]) ** 0.5
    given, drawn = descriptors(x), descriptors(draws)
    scale = given.std(0).clamp_min(RARE) * given.shape[1] ** 0.5
    a, b = torch.cat((drawn / scale, wanted[condition_index]), dim=1), torch.cat((given / scale, wanted), dim=1)
    between, within_a = (
        _mean_distance(a, b, condition_index, rows),
        _mean_distance(a, a, condition_index, condition_index),
    )
    return 2 * between - within_a - _mean_distance(b, b, rows, rows)


def _mean_distance(a: Tensor, b: Tensor, rows_a: Tensor, rows_b: Tensor) -> Tensor:
    """Mean distance of the vectors `(n, F)` from those `(m, F)` of other rows."""
    others = rows_a[:, None] != rows_b
    squares = (a[:, None] - b).square().sum(-1)[others]
    return (squares + 1e-8).sqrt().sum() / others.sum().clamp_min(1)
