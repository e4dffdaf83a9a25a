"""The encoder: feature maps from fine to coarse, and features of the whole image for the heads on dense layers.

Shapes: B batch, C image channels, `*N` image and `*n` coarsest map, two or three axes each.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microdesign.model.networks.blocks import ResidualBlock, Stem, channels_last, halve, pool_to
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.spectrum import SpectralFeatures

MOST_POSITIONS = 4
"""Pixels an axis of the coarsest map that the dense layer distinguishes: enough for positions in an image, and the
number of its weights does not grow with the image."""


class Trunk(nn.Module):
    """Residual blocks, `depth` a stage; each stage sees half the size of the one before."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        space = (config.dimensions, config.edge_padding)
        first, last = config.widths[0], config.widths[-1]
        self.stem = Stem(config.channels, first, *space)
        stages: list[nn.Module] = []
        for channels_in, channels_out in zip(config.widths, (*config.widths[1:], last), strict=True):
            blocks = [ResidualBlock(channels_in, channels_in, *space) for _ in range(config.depth - 1)]
            stages.append(nn.Sequential(*blocks, ResidualBlock(channels_in, channels_out, *space)))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps images `(B, C, *N)` to the feature maps of the stages, finest first."""
        h = self.stem(channels_last(2 * x - 1))
        maps: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            h = stage(halve(h) if index else h)
            maps.append(h)
        return maps


class Features(nn.Module):
    """Features of the whole image from its feature maps.

    Mean and mean square of every map, the power spectrum's moments and the volume fractions join the coarsest map: they
    are invariant to periodic shifts, as effective properties are, and the latter set the random fields of the decoder.
    A decoder without positions needs none of the coarsest map; then images of any size have the same features.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        last = config.widths[-1]
        positions = 1 if config.any_size else min(*config.coarse_shape, MOST_POSITIONS)
        self.positions = positions
        self.spectral = SpectralFeatures(config.channels, config.dimensions)
        moments = 2 * sum((*config.widths[1:], last))
        direct = self.spectral.features + config.channels
        self.dense = nn.Linear(last * positions**config.dimensions + moments + direct, config.hidden)
        self.size = config.hidden + direct

    def forward(self, x: Tensor, maps: list[Tensor]) -> Tensor:
        """Maps images `(B, C, *N)` and their feature maps to features `(B, size)`."""
        moments: list[Tensor] = []
        for h in maps:
            flat = h.flatten(2)
            moments += [flat.mean(2), flat.square().mean(2)]
        coarse = maps[-1] if set(maps[-1].shape[2:]) == {self.positions} else pool_to(maps[-1], self.positions)
        direct = torch.cat((self.spectral(x), x.float().flatten(2).mean(2)), dim=1)
        dense = self.dense(torch.cat((coarse.flatten(1), *moments, direct), dim=1))
        return torch.cat((F.relu(dense), direct), dim=1)
