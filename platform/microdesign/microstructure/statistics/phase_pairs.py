"""Two-point statistics of all pairs of phases, differentiable: the complete set, or each pair once.

Shapes: B batch, P phases, Q = P (P + 1) / 2 pairs, `*N` the `dims` spatial axes; offsets in FFT order, images periodic.
"""

import itertools
from typing import Any

import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import as_float
from microdesign.microstructure.statistics.two_point import two_point, volume_fractions


def two_point_set(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns all two-point statistics f_hh'(r), `(B, P, *N) -> (B, P, P, *N)`; they sum to one at every offset.

    f_hh'(r) = 1/|Omega| sum_x m_h(x) m_h'(x + r) = 1/|Omega| IFFT(conj(FFT m_h) FFT m_h'). One channel `(B, 1, *N)` is
    the indicator m of phase 1 of two; its statistics `(B, 2, 2, *N)` follow from the autocorrelation f11 and the volume
    fraction phi alone: f01 = f10 = phi - f11, f00 = 1 - 2 phi + f11 (with m in place of m^2 in phi: exact also for soft
    indicators, whose other phase is 1 - m).

    Example:
        >>> two_point_set(torch.rand(2, 1, 8, 8)).sum(dim=(1, 2)).allclose(torch.ones(2, 8, 8))
        True

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
        m = as_float(indicator, dims)
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
