"""The shaping of random fields to logits by modulated convolutions.

Shapes: B batch, F field channels, C image channels, H width of the dense layers, `*N` two or three axes.
"""

import math

import torch
from torch import Tensor, nn

from microdesign.model.binarization import shifted_to_fractions
from microdesign.model.networks.blocks import ResidualBlock, channels_last, convolution, pad_periodic
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.global_stage import GlobalDescription

SHARPNESS = 4.0
"""Factor of the logits: the decoder starts near hard phases instead of learning its way there from a grey image."""


class Shaping(nn.Module):
    """Residual blocks whose channels the hidden vector scales and shifts.

    A blur of the logits (`smoothing`): patterns of single pixels, with which a decoder may have its properties on one
    mesh and on no other, cannot be drawn. Last a shift gives them their volume fractions, which are smooth in the
    latent: those of a field cut at a level vary between realisations, the more the larger its features are.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width, dimensions = config.widths[0], config.dimensions
        self.channels, self.smoothing = config.channels, config.smoothing
        self.first = convolution(config.field_channels, width, 3, dimensions)
        self.blocks = nn.ModuleList(ResidualBlock(width, width, dimensions) for _ in range(config.depth))
        self.gains = nn.ModuleList(nn.Linear(config.hidden, 2 * width) for _ in range(config.depth))
        self.last = convolution(width, self.channels, 3, dimensions)
        nn.init.zeros_(self.last.weight)

    def forward(self, given: GlobalDescription) -> Tensor:
        """Maps fields, fractions and hidden vectors to logits `(B, C, *N)` in float32."""
        fields, fractions, hidden = given
        spatial = (...,) + (None,) * (fields.ndim - 2)
        h = self.first(pad_periodic(channels_last(fields), 1))
        for block, gain in zip(self.blocks, self.gains, strict=True):
            scale, shift = gain(hidden)[spatial].chunk(2, dim=1)
            h = block(h * (1 + scale) + shift)
        # It starts as the first fields, binarised, and learns what its material has beyond that.
        shape = fields[:, : self.channels] + self.last(pad_periodic(h, 1)).float()
        return shifted_to_fractions(SHARPNESS * blurred(shape, self.smoothing), fractions)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Periodic Gaussian blur of `(B, C, *N)`, standard deviation `sigma` pixels, truncated at 3 sigma; 0 is none."""
    radius = math.ceil(3 * sigma)
    weights = [math.exp(-0.5 * (step / sigma) ** 2) if step else 1.0 for step in range(-radius, radius + 1)]
    for axis in range(2, x.ndim):
        shifted = [w / sum(weights) * x.roll(step, axis) for step, w in enumerate(weights, start=-radius)]
        x = torch.stack(shifted).sum(0)
    return x
