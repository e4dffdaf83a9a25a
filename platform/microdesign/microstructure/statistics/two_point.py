"""Statistics of indicators in torch: batched, differentiable, on any device, in two or three dimensions.

Every function acts on the trailing `dims` spatial axes `*N` and keeps the leading axes `...` as they are, so that
`(B, 1, X, Y)` indicators of phase 1, bare `(X, Y)` images and soft indicators between 0 and 1 all work.
Offsets are in FFT order: offset 0 first, negative offsets at the end; images are periodic. Statistics between several
phases are in `phase_pairs`, interfaces and anisotropy in `surface`, distances of microstructures in `similarity`, run
lengths, feature sizes and corner contacts in `morphology`, clusters and percolation in `connectivity`.
"""

import itertools
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microdesign.microstructure.data.indicators import as_float, one_hot, refuse_unequal_grids

# Pixels that one pass of the autocorrelation takes on a CPU: the working set of a pass then stays in the cache.
_PIXELS_PER_PASS = 2**19


def volume_fractions(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the share of each indicator, `(..., *N) -> (...)`.

    Example:
        >>> volume_fractions(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
        tensor(0.2500)
    """
    m = as_float(indicator, dims)
    return m.mean(dim=tuple(range(-dims, 0)))


def two_point(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the two-point autocorrelation, `(..., *N) -> (..., *N)`, in float32 or better also under autocast.

    f(r) = 1/|Omega| sum_x m(x) m(x + r) = 1/|Omega| IFFT(|FFT m|^2): for a hard indicator the probability that both
    ends of a vector r lie in the phase, so that f(0) is the volume fraction. A periodic shift and a point inversion of
    the image leave it unchanged.

    Example:
        >>> stripes = (torch.arange(8) % 4 < 2).float()[:, None].expand(8, 8)
        >>> [abs(round(float(f), 3)) for f in two_point(stripes)[:5, 1]]  # a triangle wave of the period of the stripes
        [0.5, 0.25, 0.0, 0.25, 0.5]
    """
    with torch.autocast(indicator.device.type, enabled=False):
        return _Autocorrelation.apply(as_float(indicator, dims), dims)


def cross_correlation(a: Tensor, b: Tensor, dims: int = 2) -> Tensor:
    """Returns the two-point cross-correlation of two indicators, `(..., *N), (..., *N) -> (..., *N)`.

    f_ab(r) = 1/|Omega| sum_x a(x) b(x + r) = 1/|Omega| IFFT(conj(FFT a) FFT b): the probability that a vector r starts
    in a and ends in b, so that f_ba(r) = f_ab(-r). Leading axes broadcast. Float32 or better, also under autocast.

    Raises:
        InputError: The spatial shapes differ.
    """
    refuse_unequal_grids(a, b, dims)
    with torch.autocast(a.device.type, enabled=False):
        first, second = as_float(a, dims), as_float(b, dims)
        axes = tuple(range(-dims, 0))
        product = torch.fft.rfftn(first, dim=axes, norm="forward").conj() * torch.fft.rfftn(second, dim=axes)
        return torch.fft.irfftn(product, s=first.shape[-dims:], dim=axes)


def normalized_two_point(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the normalised autocovariance, `(..., *N) -> (..., *N)`: 1 at offset 0, 0 where nothing is correlated.

    (f(r) - phi^2) / (f(0) - phi^2), with f(0) = phi for a hard indicator (Torquato, Random Heterogeneous Materials,
    2002, section 2.2). Zero for an image of one phase, in which nothing varies.
    """
    f = two_point(indicator, dims)
    phi = volume_fractions(indicator, dims).reshape(*f.shape[:-dims], *([1] * dims))
    variance = f.flatten(-dims)[..., 0].reshape(phi.shape) - phi**2
    # Rounding of the transform is all that an image of one phase has as variance.
    varies = variance > 10 * torch.finfo(f.dtype).eps
    return torch.where(varies, f - phi**2, 0.0) / torch.where(varies, variance, 1.0)


def radial_average(f: Tensor, dims: int = 2) -> tuple[Tensor, Tensor]:
    """Returns the average of statistics over all directions, by length of the offset in rings one pixel wide.

    Example:
        >>> radius, mean = radial_average(two_point(torch.ones(8, 8)))
        >>> radius.shape, mean.allclose(torch.ones(5))
        (torch.Size([5]), True)

    Args:
        f: Statistics by offset in FFT order, `(..., *N)`.
        dims: Number of spatial axes.

    Returns:
        The mean offset length of each ring in pixels `(R,)`, and the means of f over the rings `(..., R)`; ring i holds
        the offsets whose length rounds to i, up to half the shortest side: R = min(N) // 2 + 1.
    """
    f = as_float(f, dims)
    shape = f.shape[-dims:]
    squares = [(torch.fft.fftfreq(n, d=1 / n, device=f.device, dtype=f.dtype)) ** 2 for n in shape]
    length = sum(
        (part.reshape(-1, *([1] * (dims - 1 - axis))) for axis, part in enumerate(squares)),
        torch.zeros(shape, device=f.device, dtype=f.dtype),
    ).sqrt()
    rings = min(shape) // 2 + 1
    ring = length.round().long().flatten()
    inside = ring < rings
    ring = ring[inside]
    count = torch.bincount(ring, minlength=rings)
    radius = torch.zeros(rings, device=f.device, dtype=f.dtype).index_add_(0, ring, length.flatten()[inside]) / count
    values = f.flatten(-dims)[..., inside]
    total = torch.zeros(*values.shape[:-1], rings, device=f.device, dtype=f.dtype).index_add(-1, ring, values)
    return radius, total / count


def inner_radial_two_point(window: NDArray[np.uint8], phases: range, reach: int) -> NDArray[np.float64]:
    """Two-point probability of phases by the length of the offset, without a seam: pairs are counted inside alone.

    Args:
        window: Labels `(*N)` of an image that does not repeat.
        phases: The phases, P of them.
        reach: Longest offset in pixels, less than the sides.

    Returns:
        The probabilities `(P, reach + 1)`.
    """
    dims, inside = window.ndim, torch.ones(())
    phase = one_hot(torch.from_numpy(window)[None], phases.stop)[0, phases.start :]
    pairs = two_point(torch.nn.functional.pad(phase, (0, reach) * dims), dims)
    for axis, length in enumerate(window.shape):
        # Offsets of up to `reach` both ways, in FFT order; beyond them nothing is needed.
        near = torch.cat([torch.arange(reach + 1), torch.arange(-reach, 0)])
        pairs = pairs.index_select(axis + 1, near % pairs.shape[axis + 1])
        count = (length - near.abs()).float() / (length + reach)
        inside = inside[..., None] * count
    found = [radial_average(each, dims)[1] for each in (pairs, inside)]
    return (found[0] / found[1]).double().numpy()


class _Autocorrelation(torch.autograd.Function):
    """f(r) = 1/|Omega| sum_x m(x) m(x + r) over the trailing axes, with a backward pass of three transforms.

    The power spectrum is real and f even: the transform along the first axis needs half the spectrum and the others
    half the rows; the other offsets are their mirror images.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(m: Tensor, dims: int) -> Tensor:
        """Autocorrelation `(..., *N) -> (..., *N)`, in passes that fit the cache on a CPU."""
        shape = m.shape[-dims:]
        if not m.numel():
            return torch.empty_like(m)
        if dims == 1:
            return _half_autocorrelation(m, shape).contiguous()
        images = m.reshape(-1, *shape)
        f = torch.empty_like(images)
        at_once = max(1, _PIXELS_PER_PASS // math.prod(shape) if m.device.type == "cpu" else len(images))
        for part, out in zip(images.split(at_once), f.split(at_once), strict=True):
            half = _half_autocorrelation(part, shape)
            mirrored = (shape[0] + 1) // 2
            out[:, :1] = half[:, :1]
            out[:, mirrored:] = half[:, 1:].flip(1)
            # f(x, y) = f(-x, -y): index 0 stays and the others are reversed, along each of the other axes.
            for zero_offset in itertools.product((True, False), repeat=dims - 1):
                where = (slice(None), slice(1, mirrored), *(slice(0, 1) if k else slice(1, None) for k in zero_offset))
                reversed_axes = [2 + axis for axis, k in enumerate(zero_offset) if not k]
                out[where] = half[where].flip(reversed_axes)
        return f.reshape(m.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        """Saves the image for the backward pass."""
        ctx.save_for_backward(inputs[0])
        ctx.dims = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """dL/dm(x) = 1/|Omega| sum_r dL/df(r) (m(x + r) + m(x - r)) = 2/|Omega| IFFT(FFT m Re FFT(dL/df))."""
        (m,) = ctx.saved_tensors
        axes = tuple(range(-ctx.dims, 0))
        weights = torch.fft.rfftn(gradient, dim=axes, norm="forward").real
        product = torch.fft.rfftn(m, dim=axes) * (2 * weights)
        return torch.fft.irfftn(product, s=m.shape[-ctx.dims :], dim=axes), None


def _half_autocorrelation(m: Tensor, shape: torch.Size) -> Tensor:
    """f(-x, ...) for x = 0 ... X // 2, `(..., *N) -> (..., X // 2 + 1, ...)`; all of f for one axis."""
    axes = tuple(range(-len(shape), 0))
    transform = torch.fft.rfftn(m, dim=axes, norm="ortho")
    power = transform.real.square().add_(transform.imag.square())
    if len(shape) == 1:
        return torch.fft.irfft(power, n=shape[0])
    first = torch.fft.rfft(power, dim=axes[0], norm="forward")
    return torch.fft.irfftn(first, s=shape[1:], dim=axes[1:])
