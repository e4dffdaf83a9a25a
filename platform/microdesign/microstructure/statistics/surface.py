"""Interfaces of a phase: surface per volume, and the anisotropy of their orientation; differentiable.

As in `two_point`, every function acts on the trailing `dims` spatial axes `*N`, keeps the leading axes `...`, and takes
images as periodic.
"""

import math

import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import as_float


def specific_surface(indicator: Tensor, dims: int = 2, pixel_size: float = 1.0) -> Tensor:
    """Returns the interface per volume as the pixel faces make it, `(..., *N) -> (...)`, in 1 / unit of `pixel_size`.

    The mean over pixels of |m(x + e_i) - m(x)|, summed over the axes i. Exact for interfaces along the axes; for an
    isotropic interface multiply by pi/4 in two dimensions, 2/3 in three (the mean excess of a staircase).

    Example:
        >>> stripes = (torch.arange(8) % 4 < 2).float()[:, None].expand(8, 8)
        >>> specific_surface(stripes, pixel_size=0.5)  # two faces in each period of 2
        tensor(1.)
    """
    return surface_by_axis(indicator, dims, pixel_size).sum(-1)


def surface_by_axis(indicator: Tensor, dims: int = 2, pixel_size: float = 1.0) -> Tensor:
    """Returns the pixel faces between phase and rest that face along each axis, per volume, `(..., *N) -> (..., dims)`.

    In 1 / unit of `pixel_size`. A line along axis i crosses the interface that often per length.
    """
    m = as_float(indicator, dims)
    axes = tuple(range(-dims, 0))
    return torch.stack([(torch.roll(m, -1, dims=i) - m).abs().mean(dim=axes) for i in axes], -1) / pixel_size


def structure_tensor(indicator: Tensor, dims: int = 2, sigma: float = 1.0) -> Tensor:
    """Returns the mean outer product of the gradient of the smoothed indicator, `(..., *N) -> (..., dims, dims)`.

    J_ij = 1/|Omega| sum_x d_i m d_j m = 1/|Omega|^2 sum_k k_i k_j exp(-sigma^2 k^2) |FFT m|^2 (Parseval), m smoothed by
    a Gaussian of standard deviation `sigma`: minus the second derivatives at r = 0 of the smoothed autocorrelation.
    In 1 / pixel^2. Eigenvectors of large eigenvalues are the directions across which the phase changes most.

    Args:
        indicator: Hard or soft indicators.
        dims: Number of spatial axes.
        sigma: Standard deviation of the smoothing in pixels. Raise it for noisy micrographs, whose single pixels would
            count as interfaces in all directions; features below it vanish.
    """
    with torch.autocast(indicator.device.type, enabled=False):
        m = as_float(indicator, dims)
        shape = m.shape[-dims:]
        transform = torch.fft.rfftn(m, dim=tuple(range(-dims, 0)), norm="forward")
        power = transform.real**2 + transform.imag**2
        waves, odd_waves = _wave_numbers(shape, m)
        square = sum((k**2 for k in waves), torch.zeros((), device=m.device, dtype=m.dtype))
        # The half spectrum along the last axis stands for the other half too, except at 0 and at the Nyquist frequency.
        last = torch.arange(shape[-1] // 2 + 1, device=m.device)
        twice = torch.where((last == 0) | (2 * last == shape[-1]), 1.0, 2.0).to(m.dtype)
        weighted = power * torch.exp(-(sigma**2) * square) * twice
        entries = [
            (weighted * (waves[i] ** 2 if i == j else odd_waves[i] * odd_waves[j])).flatten(-dims).sum(-1)
            for i in range(dims)
            for j in range(dims)
        ]
        return torch.stack(entries, -1).unflatten(-1, (dims, dims))


def anisotropy(indicator: Tensor, dims: int = 2, sigma: float = 1.0) -> Tensor:
    """Returns 1 - (smallest / largest eigenvalue of the structure tensor), `(..., *N) -> (...)`.

    0 for isotropic images and those of square (cubic) symmetry, 1 for stripes (or layers, or fibres) of any
    orientation, 0 for an image of one phase. See `structure_tensor` for `sigma`. Its gradient is defined wherever the
    largest eigenvalue is positive, and taken as zero elsewhere.

    Example:
        >>> stripes = (torch.arange(8) % 4 < 2).float()[:, None].expand(8, 8)
        >>> [round(float(anisotropy(image)), 3) for image in (stripes, torch.ones(8, 8))]
        [1.0, 0.0]
    """
    eigenvalues = torch.linalg.eigvalsh(structure_tensor(indicator, dims, sigma))
    smallest, largest = eigenvalues[..., 0].clamp_min(0), eigenvalues[..., -1]
    varies = largest > 1e-3 * torch.finfo(largest.dtype).eps
    return torch.where(varies, 1 - smallest / torch.where(varies, largest, 1.0), 0.0)


def _wave_numbers(shape: torch.Size, like: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Wave numbers of the half spectrum along each axis, broadcastable; and the same with Nyquist frequencies at zero.

    A Nyquist frequency stands for both signs at once, so that its products with other components average to zero.
    """
    waves, odd_waves = [], []
    for axis, n in enumerate(shape):
        last = axis == len(shape) - 1
        frequencies = torch.fft.rfftfreq(n) if last else torch.fft.fftfreq(n)
        k = (2 * math.pi * frequencies.double()).to(like.device, like.dtype).reshape(-1, *[1] * (len(shape) - 1 - axis))
        waves.append(k)
        odd_waves.append(torch.where(k.abs() > math.pi * (1 - 1e-6), 0.0, k))
    return waves, odd_waves
