"""Smooth upsampling: linear interpolation, periodic where images are, to twice the size or to one less.

Interpolation instead of transposed convolutions or pixel shuffles, which draw checkerboards at pixel scale.
Shapes: B batch, C channels, `*n` and `*N` spatial axes, N = 2 n or 2 n - 1.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microdesign.model.networks.blocks import channels_last, pad_periodic
from microdesign.model.networks.config import Padding

_MODES = {2: "bilinear", 3: "trilinear"}


class Upsample(nn.Module):
    """Linear interpolation of `(B, C, *n)` to the shape N; pixels are cells, so that phases stay in place."""

    def __init__(self, coarse: tuple[int, ...], shape: tuple[int, ...], padding: Padding) -> None:
        super().__init__()
        self.shape, self.doubles = shape, shape == tuple(2 * n for n in coarse)
        self.periodic, self.mode = padding == "periodic", _MODES[len(shape)]
        if self.periodic and not self.doubles:
            for axis, (n, size) in enumerate(zip(coarse, shape, strict=True)):
                self.register_buffer(f"matrix_{axis}", interpolation_matrix(n, size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(B, C, *n)` to `(B, C, *N)`, channels-last."""
        if not self.periodic:
            return F.interpolate(x, size=self.shape, mode=self.mode)
        if self.doubles:
            return _PeriodicDoubling.apply(x, self.mode)
        # Matrix products take the spatial axes one by one from the front to the back, past the channels.
        y = x.movedim(1, -1)
        for axis in range(len(self.shape)):
            y = torch.tensordot(y, self.get_buffer(f"matrix_{axis}").to(y.dtype), dims=([1], [1]))
        return channels_last(y)


def interpolation_matrix(coarse: int, size: int) -> Tensor:
    """Weights `(size, coarse)` of periodic linear interpolation from cell centres to cell centres; rows sum to one."""
    position = (torch.arange(size) + 0.5) * coarse / size - 0.5
    left = position.floor()
    weights = torch.zeros(size, coarse)
    rows = torch.arange(size)
    weights[rows, left.long() % coarse] += 1 - (position - left)
    weights[rows, (left.long() + 1) % coarse] += position - left
    return weights


class _PeriodicDoubling(torch.autograd.Function):
    """Interpolation of a padded image, cropped. Its own backward: the adjoint is one depthwise convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mode: str) -> Tensor:
        y = F.interpolate(pad_periodic(x, 1), scale_factor=2, mode=mode)
        for axis in range(2, x.ndim):
            y = y.narrow(axis, 2, 2 * x.shape[axis])
        return channels_last(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        dimensions, channels = gradient.ndim - 2, gradient.shape[1]
        kernel = line = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=gradient.dtype, device=gradient.device) / 4
        for _ in range(dimensions - 1):
            kernel = kernel[..., None] * line
        weight = kernel.expand(channels, 1, *kernel.shape)
        convolve = F.conv2d if dimensions == 2 else F.conv3d
        return convolve(pad_periodic(gradient, 1), weight, stride=2, groups=channels), None
