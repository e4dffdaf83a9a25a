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
    """Linear interpolation of `(B, C, *n)` to `size` pixels an axis; pixels are cells, so that phases stay in place."""

    matrix: Tensor

    def __init__(self, coarse: int, size: int, dimensions: int, padding: Padding) -> None:
        super().__init__()
        self.size, self.doubles, self.periodic = size, size == 2 * coarse, padding == "periodic"
        self.mode = _MODES[dimensions]
        if self.periodic and not self.doubles:
            self.register_buffer("matrix", interpolation_matrix(coarse, size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(B, C, *n)` to `(B, C, *N)`, channels-last."""
        if not self.periodic:
            return F.interpolate(x, size=(self.size,) * (x.ndim - 2), mode=self.mode)
        if self.doubles:
            return _PeriodicDoubling.apply(x, self.mode)
        # Matrix products take the spatial axes one by one from the front to the back, past the channels.
        y = x.movedim(1, -1)
        for _ in range(x.ndim - 2):
            y = torch.tensordot(y, self.matrix.to(y.dtype), dims=([1], [1]))
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
