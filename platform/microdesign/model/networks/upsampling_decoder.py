"""The convolutional decoder: from the coarsest map to the image, with smooth upsampling."""

import math

from torch import Tensor, nn

from microdesign.model.networks.blocks import ResidualBlock, channels_last, convolution
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.upsampling import Upsample


class UpsamplingDecoder(nn.Module):
    """The encoder's stages in reverse: `depth` residual blocks, then interpolation to the next size.

    A spatial latent enters through a convolution of width 1, a vector through a dense layer. A residual block at the
    image's own size comes last: nothing is drawn by interpolation alone.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        space = (config.dimensions, config.edge_padding)
        first, last = config.widths[0], config.widths[-1]
        self.latent_shape, self.coarse_shape = config.latent_shape, (last, *config.coarse_shape)
        self.enter: nn.Module
        if config.latent_kind == "spatial":
            self.enter = convolution(config.latent, last, 1, config.dimensions)
        else:
            self.enter = nn.Sequential(
                nn.Linear(config.latent, config.hidden),
                nn.SiLU(),
                nn.Linear(config.hidden, math.prod(self.coarse_shape)),
                nn.Unflatten(1, self.coarse_shape),
            )
        stages: list[nn.Module] = []
        shapes = (config.shape, *config.shapes)
        for index in reversed(range(len(config.widths))):
            channels_in, channels_out = config.widths[index], config.widths[max(index - 1, 0)]
            blocks = [ResidualBlock(channels_in, channels_in, *space) for _ in range(config.depth - 1)]
            stages += [*blocks, ResidualBlock(channels_in, channels_out, *space)]
            stages.append(Upsample(shapes[index + 1], shapes[index], config.edge_padding))
        self.stages = nn.Sequential(*stages)
        self.leave = nn.Sequential(
            ResidualBlock(first, first, *space), convolution(first, config.channels, 1, config.dimensions)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Maps `(B, D)` to logits `(B, C, *N)` in float32."""
        h = self.enter(z.unflatten(1, self.latent_shape))
        return self.leave(self.stages(channels_last(h))).float()
