"""Building blocks of the networks in two and three dimensions: padding, convolutions, halving and doubling of sizes.

Shapes: B batch, C channels, `*N` two or three spatial axes. Tensors are channels-last, the fast layout on CPU and GPU.
Periodic convolutions see a periodic image: they are unpadded convolutions of a periodically padded one.
"""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microdesign.model.networks.config import Padding

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class _PeriodicPad(torch.autograd.Function):
    """Pads axis by axis. Its own backward: that of slices would fill and add two whole images an axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: int, high: int) -> Tensor:
        ctx.low, ctx.high = low, high
        for axis in range(2, x.ndim):
            n = x.shape[axis]
            x = torch.cat((x.narrow(axis, n - low, low), x, x.narrow(axis, 0, high)), dim=axis)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        low, high, (padded,) = ctx.low, ctx.high, gradients
        for axis in reversed(range(2, padded.ndim)):
            n = padded.shape[axis] - low - high
            inner = padded.narrow(axis, low, n).clone()
            inner.narrow(axis, n - low, low).add_(padded.narrow(axis, 0, low))
            inner.narrow(axis, 0, high).add_(padded.narrow(axis, low + n, high))
            padded = inner
        return padded, None, None


def pad_periodic(x: Tensor, low: int, high: int | None = None) -> Tensor:
    """Pads every spatial axis of `(B, C, *N)` periodically, `low` pixels before and `high` (as many if None) after.

    Keeps the memory format. Concatenation instead of `F.pad(mode="circular")`: the latter leaves channels-last and is
    several times slower.
    """
    return _PeriodicPad.apply(x, low, low if high is None else high)


def pad_zero(x: Tensor, width: int = 1) -> Tensor:
    """Pads every spatial axis of `(B, C, *N)` with zeros, `width` before and as many after.

    Not by the convolution itself: in torch 2.13 the gradient of a padded bfloat16 `Conv3d` now and then reads, on the
    CPU, memory that nobody has written.
    """
    return F.pad(x, (width, width) * (x.ndim - 2))


def channels_last(x: Tensor) -> Tensor:
    """Returns `(B, C, *N)` in channels-last layout."""
    return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)


def joined_channels(*parts: Tensor) -> Tensor:
    """Joins `(B, C_i, *N)` along their channels, channels-last whatever the parts are.

    `torch.cat` leaves channels-last as soon as one part has a single channel, whose layout is both, and the next
    convolution would lay everything out anew.
    """
    return torch.cat([part.movedim(1, -1) for part in parts], dim=-1).movedim(-1, 1)


def with_channels_last_weights(module: ModuleT) -> ModuleT:
    """Lays the convolution weights of `module` out channels-last, in place."""
    for parameter in module.parameters():
        if parameter.dim() in (4, 5):
            parameter.data = channels_last(parameter.data)
    return module


def convolution(
    channels_in: int, channels_out: int, kernel: int, dimensions: int, **options: Any
) -> nn.Conv2d | nn.Conv3d:
    """Builds a convolution with a square or cubic kernel."""
    return (nn.Conv2d if dimensions == 2 else nn.Conv3d)(channels_in, channels_out, kernel, **options)


class Stem(nn.Module):
    """First convolution, from n to ceil(n / 2) pixels an axis, as a convolution of width 4 and stride 2."""

    def __init__(self, channels_in: int, channels_out: int, dimensions: int, padding: Padding) -> None:
        super().__init__()
        self.periodic = padding == "periodic"
        self.convolution = convolution(channels_in, channels_out, 4, dimensions, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(B, C_in, *N)` to `(B, C_out, *ceil(N / 2))`."""
        low, high = 1, 1 + x.shape[-1] % 2
        x = pad_periodic(x, low, high) if self.periodic else F.pad(x, (low, high) * (x.ndim - 2))
        return F.relu(self.convolution(x))


class ResidualBlock(nn.Module):
    """ReLU(conv-ReLU-conv(x) + skip(x)), kernels of width 3, no norm layers; one periodic padding for both.

    With padding `zero` each convolution is padded by itself.
    """

    def __init__(self, channels_in: int, channels_out: int, dimensions: int = 2, padding: Padding = "periodic") -> None:
        super().__init__()
        self.periodic = padding == "periodic"
        self.first = convolution(channels_in, channels_out, 3, dimensions)
        self.second = convolution(channels_out, channels_out, 3, dimensions)
        self.skip: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.skip = convolution(channels_in, channels_out, 1, dimensions, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(B, C_in, *N)` to `(B, C_out, *N)`."""
        if self.periodic:
            inner = F.relu(self.first(pad_periodic(x, 2)))
        else:
            inner = pad_zero(F.relu(self.first(pad_zero(x))))
        return F.relu(self.second(inner) + self.skip(x))


def halve(x: Tensor) -> Tensor:
    """Averages `(B, C, *N)` to ceil(N / 2) pixels an axis: over pairs where N is even, else adaptive windows."""
    if x.shape[-1] % 2 == 0:
        return F.avg_pool2d(x, 2) if x.ndim == 4 else F.avg_pool3d(x, 2)
    return pool_to(x, (x.shape[-1] + 1) // 2)


def pool_to(x: Tensor, size: int) -> Tensor:
    """Averages `(B, C, *N)` over windows to `size` pixels an axis; the windows overlap where N is no multiple of it."""
    return F.adaptive_avg_pool2d(x, size) if x.ndim == 4 else F.adaptive_avg_pool3d(x, size)
