"""The stationary decoder: a texture of the latent's spectrum, shaped by modulated convolutions."""

import math

import torch
from torch import Tensor, nn

from microdesign.model.networks.blocks import ResidualBlock, channels_last, convolution, pad_periodic
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.spectrum import Spectrum

SHARPNESS = 4.0
"""Factor of the logits: the decoder starts near hard phases instead of learning its way there from a grey image."""


class TextureDecoder(nn.Module):
    """Latent to logits by way of random fields.

    The latent holds the statistics, not positions: length scales, anisotropy and orientation enter as the spectrum of
    random fields, morphology through the modulated convolutions, the volume fractions as the levels of the logits. The
    latent also says which noise is realised, by a random projection that nothing trains: every draw has its own, near
    latents have nearly the same, and the convolutions learn textures instead of one noise's places. What it draws is
    periodic whatever the padding of the encoder. A blur of the logits comes last (`smoothing`): patterns of
    single pixels, with which a decoder may meet its properties on one mesh and on no other, cannot be drawn.
    """

    projection: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width, channels, dimensions = config.widths[0], config.channels, config.dimensions
        self.channels, self.smoothing = channels, config.smoothing
        self.dense = nn.Sequential(
            nn.Linear(config.latent, config.hidden), nn.SiLU(), nn.Linear(config.hidden, config.hidden), nn.SiLU()
        )
        self.texture = Spectrum(config.size, config.textures, dimensions)
        self.register_buffer("projection", torch.randn(config.latent + 1, config.textures * self.texture.realisations))
        outputs = config.textures * self.texture.terms + channels
        self.statistics = nn.Linear(config.hidden + config.latent, outputs)
        self.first = convolution(config.textures, width, 3, dimensions)
        self.blocks = nn.ModuleList(ResidualBlock(width, width, dimensions) for _ in range(config.depth))
        self.gains = nn.ModuleList(nn.Linear(config.hidden, 2 * width) for _ in range(config.depth))
        self.last = convolution(width, channels, 3, dimensions)
        nn.init.zeros_(self.last.weight)

    def forward(self, z: Tensor) -> Tensor:
        """Maps `(B, D)` to logits `(B, C, *N)` in float32."""
        hidden = self.dense(z)
        with torch.autocast(z.device.type, enabled=False):
            # Beside the hidden layers, straight from the latent: statistics are then learned first.
            outputs = self.statistics(torch.cat((hidden.float(), z.float()), dim=1))
            statistics, levels = outputs.tensor_split((-self.channels,), dim=1)
            fields = self.fields(z, statistics)
        spatial = (...,) + (None,) * (fields.ndim - 2)
        h = self.first(pad_periodic(channels_last(fields), 1))
        for block, gain in zip(self.blocks, self.gains, strict=True):
            scale, shift = gain(hidden)[spatial].chunk(2, dim=1)
            h = block(h * (1 + scale) + shift)
        # It starts as the first fields cut at a level, and learns what its material has beyond that.
        shape = fields[:, : self.channels] + self.last(pad_periodic(h, 1)).float()
        return SHARPNESS * (blurred(shape, self.smoothing) + levels[spatial])

    def fields(self, z: Tensor, spectra: Tensor) -> Tensor:
        """Maps latents `(B, D)` and coefficients of their spectra `(B, F * terms)` to random fields `(B, F, *N)`."""
        realisation = z.float() @ self.projection[:-1] + self.projection[-1]
        parts = (each.unflatten(1, (self.texture.channels, -1)) for each in (spectra, realisation))
        return self.texture(torch.cat(tuple(parts), dim=-1).flatten(1))


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Periodic Gaussian blur of `(B, C, *N)` with standard deviation `sigma` in pixels, cut at 3 sigma; 0 is none."""
    reach = math.ceil(3 * sigma)
    weights = [math.exp(-0.5 * (step / sigma) ** 2) if step else 1.0 for step in range(-reach, reach + 1)]
    for axis in range(2, x.ndim):
        shifted = [w / sum(weights) * x.roll(step, axis) for step, w in enumerate(weights, start=-reach)]
        x = torch.stack(shifted).sum(0)
    return x
