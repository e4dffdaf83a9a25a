"""Statistics of indicators in torch: batched, differentiable, on any device, in two or three dimensions.

Every function acts on the trailing `dims` spatial axes `*N` and keeps the leading axes `...` as they are, so that
`(B, 1, X, Y)` indicators of phase 1, bare `(X, Y)` images and soft indicators between 0 and 1 all work.
Offsets are in FFT order: offset 0 first, negative offsets at the end; images are periodic. Run lengths, feature sizes
and corner contacts are in `morphology`, clusters and percolation in `connectivity`.
"""

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import floating

# Pixels that one pass of the autocorrelation takes on a CPU: the working set of a pass then stays in the cache.
_PIXELS_PER_PASS = 2**19


def volume_fractions(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the share of each indicator, `(..., *N) -> (...)`."""
    m = floating(indicator, dims)
    return m.mean(dim=tuple(range(-dims, 0)))


def two_point(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the two-point autocorrelation, `(..., *N) -> (..., *N)`, in float32 or better also under autocast.

    f(r) = 1/|Omega| sum_x m(x) m(x + r) = 1/|Omega| IFFT(|FFT m|^2): for a hard indicator the probability that both
    ends of a vector r lie in the phase, so that f(0) is the volume fraction. A periodic shift and a point inversion of
    the image leave it unchanged.
    """
    with torch.autocast(indicator.device.type, enabled=False):
        return _Autocorrelation.apply(floating(indicator, dims), dims)


def cross_correlation(a: Tensor, b: Tensor, dims: int = 2) -> Tensor:
    """Returns the two-point cross-correlation of two indicators, `(..., *N), (..., *N) -> (..., *N)`.

    f_ab(r) = 1/|Omega| sum_x a(x) b(x + r) = 1/|Omega| IFFT(conj(FFT a) FFT b): the probability that a vector r starts
    in a and ends in b, so that f_ba(r) = f_ab(-r). Leading axes broadcast. Float32 or better, also under autocast.

    Raises:
        InputError: The spatial shapes differ.
    """
    _check_same_grid(a, b, dims)
    with torch.autocast(a.device.type, enabled=False):
        first, second = floating(a, dims), floating(b, dims)
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

    Args:
        f: Statistics by offset in FFT order, `(..., *N)`.
        dims: Number of spatial axes.

    Returns:
        The mean offset length of each ring in pixels `(R,)`, and the means of f over the rings `(..., R)`; ring i holds
        the offsets whose length rounds to i, up to half the shortest side: R = min(N) // 2 + 1.
    """
    f = floating(f, dims)
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


def two_point_set(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns all two-point statistics f_hh'(r), `(B, P, *N) -> (B, P, P, *N)`; they sum to one at every offset.

    f_hh'(r) = 1/|Omega| sum_x m_h(x) m_h'(x + r) = 1/|Omega| IFFT(conj(FFT m_h) FFT m_h'). One channel `(B, 1, *N)` is
    the indicator m of phase 1 of two; its statistics `(B, 2, 2, *N)` follow from the autocorrelation f11 and the volume
    fraction phi alone: f01 = f10 = phi - f11, f00 = 1 - 2 phi + f11 (with m in place of m^2 in phi: exact also for soft
    indicators, whose other phase is 1 - m).

    Raises:
        InputError: There is no channel axis before the spatial axes.
    """
    channel = _channel_axis(indicator, dims)
    if indicator.shape[channel] == 1:
        f11 = two_point(indicator, dims).squeeze(channel)
        phi = volume_fractions(indicator, dims).squeeze(-1).reshape(*f11.shape[:-dims], *([1] * dims))
        return _TwoPhaseSet.apply(f11, phi, dims)
    count = indicator.shape[channel]
    f = dict(zip(_pairs(count), two_point_pairs(indicator, dims).unbind(channel), strict=True))
    f |= {(g, h): _point_inverted(each, dims) for (h, g), each in f.items() if h != g}
    rows = [torch.stack([f[h, g] for g in range(count)], dim=channel) for h in range(count)]
    return torch.stack(rows, dim=channel - 1)


def two_point_pairs(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns the statistics f_hh'(r) of `two_point_set` with h <= h' alone, `(B, P, *N) -> (B, Q, *N)`.

    In the order (0, 0), (0, 1) ... (1, 1), (1, 2) ...: Q = P (P + 1) / 2, and Q = 3 for the one channel of two phases.
    The others are point inversions: f_h'h(r) = f_hh'(-r). P transforms forward and Q back.

    Raises:
        InputError: There is no channel axis before the spatial axes.
    """
    channel = _channel_axis(indicator, dims)
    with torch.autocast(indicator.device.type, enabled=False):
        m = floating(indicator, dims)
        if m.shape[channel] == 1:
            f11 = two_point(m, dims)
            phi = volume_fractions(m, dims).reshape(*f11.shape[:-dims], *([1] * dims))
            return torch.cat((f11 + (1 - 2 * phi), phi - f11, f11), dim=channel)
        axes = tuple(range(-dims, 0))
        phases = torch.fft.rfftn(m, dim=axes, norm="ortho").unbind(channel)
        products = torch.stack([phases[h].conj() * phases[g] for h, g in _pairs(len(phases))], dim=channel)
        return torch.fft.irfftn(products, s=m.shape[-dims:], dim=axes)


def pair_multiplicities(pairs: Tensor, channel: int = 1) -> Tensor:
    """Returns how many statistics each entry of `two_point_pairs` stands for, 1 for h = h' and 2 else, `(Q,)`."""
    count = round((8 * pairs.shape[channel] + 1) ** 0.5 - 1) // 2
    return pairs.new_tensor([1.0 if h == g else 2.0 for h, g in _pairs(count)])


def rms_distance(f: Tensor, g: Tensor, dims: int = 2) -> Tensor:
    """Returns the root mean square difference over offsets of statistics, `(..., *N), (..., *N) -> (...)`.

    For one image against many whose statistics are known already; leading axes broadcast. Its gradient at f = g is
    taken as zero.
    """
    mean_square = ((floating(f, dims) - floating(g, dims)) ** 2).mean(dim=tuple(range(-dims, 0)))
    # The root has no finite slope at zero.
    positive = mean_square > 0
    return torch.where(positive, torch.where(positive, mean_square, 1.0).sqrt(), 0.0)


def relative_distance(f: Tensor, g: Tensor, dims: int = 2) -> Tensor:
    """Returns `rms_distance` of autocorrelations of hard indicators over phi (1 - phi), `(..., *N) x 2 -> (...)`.

    Of the variance of the phase it is a share that does not depend on the volume fraction phi, the value at offset 0;
    of two fractions the geometric mean of the variances counts.
    """
    fractions = (each.flatten(-dims)[..., 0] for each in (floating(f, dims), floating(g, dims)))
    first, second = ((phi * (1 - phi)).clamp_min(1e-3) for phi in fractions)
    return rms_distance(f, g, dims) / (first * second).sqrt()


def two_point_distance(a: Tensor, b: Tensor, dims: int = 2) -> Tensor:
    """Returns the distance of two images, the rms difference of their autocorrelations, `(..., *N) x 2 -> (...)`.

    Symmetric, zero for equal images, unchanged by periodic shifts of either; leading axes broadcast.

    Raises:
        InputError: The spatial shapes differ.
    """
    _check_same_grid(a, b, dims)
    return rms_distance(two_point(a, dims), two_point(b, dims), dims)


def specific_surface(indicator: Tensor, dims: int = 2, pixel_size: float = 1.0) -> Tensor:
    """Returns the interface per volume as the pixel faces make it, `(..., *N) -> (...)`, in 1 / unit of `pixel_size`.

    The mean over pixels of |m(x + e_i) - m(x)|, summed over the axes i. Exact for interfaces along the axes; for an
    isotropic interface multiply by pi/4 in two dimensions, 2/3 in three (the mean excess of a staircase).
    """
    return surface_by_axis(indicator, dims, pixel_size).sum(-1)


def surface_by_axis(indicator: Tensor, dims: int = 2, pixel_size: float = 1.0) -> Tensor:
    """Returns the pixel faces between phase and rest that face along each axis, per volume, `(..., *N) -> (..., dims)`.

    In 1 / unit of `pixel_size`. A line along axis i crosses the interface that often per length.
    """
    m = floating(indicator, dims)
    axes = tuple(range(-dims, 0))
    return torch.stack([(torch.roll(m, -1, dims=i) - m).abs().mean(dim=axes) for i in axes], -1) / pixel_size


def structure_tensor(indicator: Tensor, dims: int = 2, sigma: float = 1.0) -> Tensor:
    """Returns the mean outer product of the gradient of the smoothed indicator, `(..., *N) -> (..., dims, dims)`.

    J_ij = 1/|Omega| sum_x d_i m d_j m = 1/|Omega|^2 sum_k k_i k_j exp(-sigma^2 k^2) |FFT m|^2 (Parseval), m smoothed by
    a Gaussian of standard deviation `sigma`: minus the second derivatives at r = 0 of the smoothed autocorrelation.
    In 1 / pixel^2. Eigenvectors of large eigenvalues are the directions across which the phase changes most.
    """
    with torch.autocast(indicator.device.type, enabled=False):
        m = floating(indicator, dims)
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
    """
    eigenvalues = torch.linalg.eigvalsh(structure_tensor(indicator, dims, sigma))
    smallest, largest = eigenvalues[..., 0].clamp_min(0), eigenvalues[..., -1]
    varies = largest > 1e-3 * torch.finfo(largest.dtype).eps
    return torch.where(varies, 1 - smallest / torch.where(varies, largest, 1.0), 0.0)


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
            for kept in itertools.product((True, False), repeat=dims - 1):
                where = (slice(None), slice(1, mirrored), *(slice(0, 1) if k else slice(1, None) for k in kept))
                reversed_axes = [2 + axis for axis, k in enumerate(kept) if not k]
                out[where] = half[where].flip(reversed_axes)
        return f.reshape(m.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        """Keeps the image."""
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


class _TwoPhaseSet(torch.autograd.Function):
    """All statistics of two phases out of one, written into place: they are four times the size of the images."""

    generate_vmap_rule = True

    @staticmethod
    def forward(f11: Tensor, phi: Tensor, dims: int) -> Tensor:
        """f11 `(..., *N)` and phi `(..., 1, ..., 1)` to `(..., 2, 2, *N)`."""
        lead = f11.ndim - dims
        f = f11.new_empty(*f11.shape[:lead], 4, *f11.shape[lead:])
        f00, f01, f10, own = f.unbind(lead)
        f00.copy_(f11 + (1 - 2 * phi))
        f01.copy_(phi - f11)
        f10.copy_(f01)
        own.copy_(f11)
        return f.unflatten(lead, (2, 2))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        """Nothing of the values is needed: the function is linear."""
        ctx.dims = inputs[2]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """The transposed map."""
        g00, g01, g10, g11 = gradient.flatten(-ctx.dims - 2, -ctx.dims - 1).unbind(-ctx.dims - 1)
        mixed = g01 + g10
        of_phi = (mixed - 2 * g00).sum(dim=tuple(range(-ctx.dims, 0)), keepdim=True)
        return g00 + g11 - mixed, of_phi, None


def _half_autocorrelation(m: Tensor, shape: torch.Size) -> Tensor:
    """f(-x, ...) for x = 0 ... X // 2, `(..., *N) -> (..., X // 2 + 1, ...)`; all of f for one axis."""
    axes = tuple(range(-len(shape), 0))
    transform = torch.fft.rfftn(m, dim=axes, norm="ortho")
    power = transform.real.square().add_(transform.imag.square())
    if len(shape) == 1:
        return torch.fft.irfft(power, n=shape[0])
    first = torch.fft.rfft(power, dim=axes[0], norm="forward")
    return torch.fft.irfftn(first, s=shape[1:], dim=axes[1:])


def _pairs(count: int) -> list[tuple[int, int]]:
    return list(itertools.combinations_with_replacement(range(count), 2))


def _channel_axis(indicator: Tensor, dims: int) -> int:
    if indicator.ndim < dims + 1:
        raise InputError(f"indicator has shape {tuple(indicator.shape)}; expected (B, P, *N) with {dims} spatial axes.")
    return -dims - 1


def _point_inverted(f: Tensor, dims: int) -> Tensor:
    """f(-r) in FFT order."""
    axes = tuple(range(-dims, 0))
    return torch.roll(f.flip(axes), (1,) * dims, axes)


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


def _check_same_grid(a: Tensor, b: Tensor, dims: int) -> None:
    if a.shape[-dims:] != b.shape[-dims:]:
        raise InputError(f"images of shapes {tuple(a.shape)} and {tuple(b.shape)} do not compare; expected equal ones.")
