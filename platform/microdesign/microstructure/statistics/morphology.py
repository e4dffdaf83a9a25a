"""Run lengths and corner contacts of indicators: what two-point statistics do not show.

As in `statistics`, every function acts on the trailing `dims` spatial axes `*N`, keeps the leading axes `...`, and
takes images as periodic. Hard indicators are 0 or 1; functions that need them say so and refuse others. Lengths are in
pixels: multiply by the pixel size.
"""

import math
from itertools import combinations

import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import as_bool, as_float


def lineal_path(indicator: Tensor, dims: int = 2, longest: int | None = None) -> Tensor:
    """Returns the lineal path function along each axis, `(..., *N) -> (..., dims, longest + 1)`; differentiable.

    L_i(r) = 1/|Omega| sum_x prod_{j = 0 ... r} m(x + j e_i): the probability that a segment from pixel centre to pixel
    centre of length r along axis i lies in the phase; L_i(0) is the volume fraction (Lu and Torquato, Phys. Rev.
    A 45, 922, 1992). Soft indicators are taken as independent probabilities.

    Example:
        >>> stripes = (torch.arange(8) % 4 < 2).float()[:, None].expand(8, 8)
        >>> lineal_path(stripes, longest=2)  # across, then along the stripes
        tensor([[0.5000, 0.2500, 0.0000],
                [0.5000, 0.5000, 0.5000]])

    Args:
        indicator: Hard or soft indicators.
        dims: Number of spatial axes.
        longest: Largest r in pixels; half the shortest side when None.

    Raises:
        InputError: `longest` is negative or not below the shortest side.
    """
    m = as_float(indicator, dims)
    shortest = min(m.shape[-dims:])
    longest = shortest // 2 if longest is None else longest
    if not 0 <= longest < shortest:
        raise InputError(f"longest = {longest} is out of range; expected 0 to {shortest - 1}, below the shortest side.")
    axes = tuple(range(-dims, 0))
    paths = []
    for axis in axes:
        path = m
        means = [path.mean(dim=axes)]
        for _ in range(longest):
            path = m * torch.roll(path, -1, dims=axis)
            means.append(path.mean(dim=axes))
        paths.append(torch.stack(means, -1))
    return torch.stack(paths, -2)


def chord_counts(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns how many chords of each length there are along each axis, `(..., *N) -> (..., dims, max(N) + 1)`, int64.

    A chord is a run of phase pixels along a line, between two pixels of other phases; entry l counts those of l pixels.
    A line that lies entirely in the phase has no end and gives no chord.

    Raises:
        InputError: The indicator is not hard.
    """
    m = as_bool(indicator, dims)
    bins = max(m.shape[-dims:]) + 1
    counts = []
    for axis in range(-dims, 0):
        lines = m.movedim(axis, -1)
        n = lines.shape[-1]
        images = lines.reshape(-1, math.prod(lines.shape[-dims:]) // n, n)
        position = torch.arange(2 * n, device=m.device)
        # The line twice, so that a chord across the periodic boundary is one piece. The next pixel outside ends it.
        outside = torch.where(images.repeat(1, 1, 2), 2 * n, position)
        end = outside.flip(-1).cummin(-1).values.flip(-1)[..., :n]
        starts = images & ~torch.roll(images, 1, -1)
        image, line, begin = starts.nonzero(as_tuple=True)
        length = end[image, line, begin] - begin
        flat = torch.bincount(image * bins + length, minlength=len(images) * bins)
        counts.append(flat.reshape(*m.shape[:-dims], bins))
    return torch.stack(counts, -2)


def chord_length_distribution(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the share of chords by length along each axis, float64 `(..., *N) -> (..., dims, max(N) + 1)`.

    See `chord_counts`. All zero where there is no chord.

    Raises:
        InputError: The indicator is not hard.
    """
    counts = chord_counts(indicator, dims).double()
    return counts / counts.sum(-1, keepdim=True).clamp_min(1)


def mean_chord_length(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the mean chord length along each axis in pixels, float64 `(..., *N) -> (..., dims)`.

    Infinite where the phase has no end along an axis (stripes along it), nan where there is no such phase.

    Example:
        >>> stripes = (torch.arange(8) % 4 < 2).float()[:, None].expand(8, 8)
        >>> mean_chord_length(stripes)
        tensor([2., inf], dtype=torch.float64)

    Raises:
        InputError: The indicator is not hard.
    """
    counts = chord_counts(indicator, dims).double()
    length = torch.arange(counts.shape[-1], device=counts.device, dtype=counts.dtype)
    mean = (counts * length).sum(-1) / counts.sum(-1)
    present = indicator.flatten(-dims).any(-1)[..., None]
    return torch.where(mean.isnan() & present, torch.inf, mean)


def corner_contacts(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns how often a phase touches itself at a pixel corner only, `(..., *N) -> (...)`; differentiable.

    The number of 2 x 2 blocks of which the phase holds just two diagonal pixels: a hinge of no width, whose stiffness
    and conductivity are the discretisation's and not the material's. Effective properties of an image with such
    contacts depend on the mesh. In three dimensions the blocks of all three planes count (contacts along an edge);
    contacts at a vertex alone do not. A soft indicator gives the expected number for independent pixels, a penalty.
    """
    m = as_float(indicator, dims)
    axes = tuple(range(-dims, 0))
    total = torch.zeros(m.shape[:-dims], device=m.device, dtype=m.dtype)
    for i, j in combinations(axes, 2):
        right, up = torch.roll(m, -1, i), torch.roll(m, -1, j)
        across = torch.roll(right, -1, j)
        rising = m * across * (1 - right) * (1 - up)
        falling = right * up * (1 - m) * (1 - across)
        total = total + (rising + falling).sum(dim=axes)
    return total
