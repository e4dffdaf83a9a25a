"""Statistics of indicators in torch: batched, differentiable, on any device, in two or three dimensions.

Every function acts on the trailing `dims` spatial axes `*N` and keeps the leading axes `...` as they are, so that
`(B, 1, X, Y)` indicators of phase 1, bare `(X, Y)` images and soft indicators between 0 and 1 all work.
Offsets are in FFT order: offset 0 first, negative offsets at the end; images are periodic.
"""

import math

import torch
from torch import Tensor

from microdesign.errors import InputError


def volume_fractions(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the share of each indicator, `(..., *N) -> (...)`."""
    m = _checked(indicator, dims)
    return m.mean(dim=tuple(range(-dims, 0)))


def two_point(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the two-point autocorrelation, `(..., *N) -> (..., *N)`, in float32 or better also under autocast.

    f(r) = 1/|Omega| sum_x m(x) m(x + r) = 1/|Omega| IFFT(|FFT m|^2): for a hard indicator the probability that both
    ends of a vector r lie in the phase, so that f(0) is the volume fraction. A periodic shift and a point inversion of
    the image leave it unchanged.
    """
    with torch.autocast(indicator.device.type, enabled=False):
        m = _checked(indicator, dims)
        axes = tuple(range(-dims, 0))
        transform = torch.fft.rfftn(m, dim=axes)
        power = transform.real**2 + transform.imag**2
        return torch.fft.irfftn(power, s=m.shape[-dims:], dim=axes) / math.prod(m.shape[-dims:])


def two_point_set(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns all two-point statistics f_hh'(r), `(B, P, *N) -> (B, P, P, *N)`; they sum to one at every offset.

    f_hh'(r) = 1/|Omega| sum_x m_h(x) m_h'(x + r) = 1/|Omega| IFFT(conj(FFT m_h) FFT m_h'). One channel `(B, 1, *N)` is
    the indicator m of phase 1 of two; its statistics `(B, 2, 2, *N)` follow from the autocorrelation f11 and the volume
    fraction phi alone: f01 = f10 = phi - f11, f00 = 1 - 2 phi + f11 (with m in place of m^2 in phi: exact also for soft
    indicators, whose other phase is 1 - m).

    Raises:
        InputError: There is no channel axis before the spatial axes.
    """
    if indicator.ndim < dims + 1:
        raise InputError(f"indicator has shape {tuple(indicator.shape)}; expected (B, P, *N) with {dims} spatial axes.")
    channel = -dims - 1
    if indicator.shape[channel] == 1:
        f11 = two_point(indicator, dims).squeeze(channel)
        phi = volume_fractions(indicator, dims).squeeze(-1).reshape(*f11.shape[:-dims], *([1] * dims))
        f01 = phi - f11
        first = torch.stack((1 - 2 * phi + f11, f01), dim=channel)
        second = torch.stack((f01, f11), dim=channel)
        return torch.stack((first, second), dim=channel - 1)
    with torch.autocast(indicator.device.type, enabled=False):
        m = _checked(indicator, dims)
        axes = tuple(range(-dims, 0))
        transform = torch.fft.rfftn(m, dim=axes)
        product = transform.unsqueeze(channel).conj() * transform.unsqueeze(channel - 1)
        return torch.fft.irfftn(product, s=m.shape[-dims:], dim=axes) / math.prod(m.shape[-dims:])


def rms_distance(f: Tensor, g: Tensor, dims: int = 2) -> Tensor:
    """Returns the root mean square difference over offsets of statistics, `(..., *N), (..., *N) -> (...)`.

    For one image against many whose statistics are known already; leading axes broadcast. Its gradient at f = g is
    taken as zero.
    """
    mean_square = ((_checked(f, dims) - _checked(g, dims)) ** 2).mean(dim=tuple(range(-dims, 0)))
    # The root has no finite slope at zero.
    positive = mean_square > 0
    return torch.where(positive, torch.where(positive, mean_square, 1.0).sqrt(), 0.0)


def two_point_distance(a: Tensor, b: Tensor, dims: int = 2) -> Tensor:
    """Returns the distance of two images, the rms difference of their autocorrelations, `(..., *N) x 2 -> (...)`.

    Symmetric, zero for equal images, unchanged by periodic shifts of either; leading axes broadcast.

    Raises:
        InputError: The spatial shapes differ.
    """
    if a.shape[-dims:] != b.shape[-dims:]:
        raise InputError(f"images of shapes {tuple(a.shape)} and {tuple(b.shape)} do not compare; expected equal ones.")
    return rms_distance(two_point(a, dims), two_point(b, dims), dims)


def specific_surface(indicator: Tensor, dims: int = 2, pixel_size: float = 1.0) -> Tensor:
    """Returns the interface per volume as the pixel faces make it, `(..., *N) -> (...)`, in 1 / unit of `pixel_size`.

    The mean over pixels of |m(x + e_i) - m(x)|, summed over the axes i. Exact for interfaces along the axes; for an
    isotropic interface multiply by pi/4 in two dimensions, 2/3 in three (the mean excess of a staircase).
    """
    m = _checked(indicator, dims)
    axes = tuple(range(-dims, 0))
    total = sum(
        ((torch.roll(m, -1, dims=axis) - m).abs().mean(dim=axes) for axis in axes), torch.zeros((), device=m.device)
    )
    return total / pixel_size


def _checked(indicator: Tensor, dims: int) -> Tensor:
    if indicator.ndim < dims:
        raise InputError(f"indicator has shape {tuple(indicator.shape)}; expected {dims} spatial axes at its end.")
    return indicator if indicator.dtype == torch.float64 else indicator.float()
