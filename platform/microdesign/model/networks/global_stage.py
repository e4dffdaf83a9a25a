"""The global stage of the random-field decoder: from a latent to random fields with its power spectrum.

Shapes: B batch, D latent, F field channels, C image channels, H width of the dense layers, `*N` two or three axes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from microdesign.microstructure.data.indicators import probabilities
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.random_fields import LatentNoise, RandomFields


class GlobalDescription(NamedTuple):
    """The image as a whole, as the latent sets it.

    Attributes:
        fields: Random fields, `(B, F, *N)`, float32.
        fractions: Volume fraction of each channel, `(B, C)`.
        hidden: Output of the dense layers, `(B, H)`, which modulates the shaping.
    """

    fields: Tensor
    fractions: Tensor
    hidden: Tensor


class GlobalStage(nn.Module):
    """Maps a latent to random fields, volume fractions and a hidden vector.

    The latent holds the statistics, not positions: length scales, anisotropy and orientation enter as the spectrum of
    the fields. The latent also selects the noise, by a random projection that is not
    trained: every draw has its own noise, near latents have nearly the same, and what shapes
    the fields learns morphologies instead of one noise's places.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.channels = config.channels
        self.dense = nn.Sequential(
            nn.Linear(config.latent, config.hidden), nn.SiLU(), nn.Linear(config.hidden, config.hidden), nn.SiLU()
        )
        self.random_fields = RandomFields(config.size, config.field_channels, config.dimensions)
        self.noise = LatentNoise(config.latent, config.field_channels, self.random_fields.realisations)
        outputs = config.field_channels * self.random_fields.terms + config.channels
        self.statistics = nn.Linear(config.hidden + config.latent, outputs)

    def forward(self, z: Tensor, shape: tuple[int, ...] | None = None, seed: int = 0) -> GlobalDescription:
        """Maps latents `(B, D)` to fields, fractions and hidden vectors; `shape` and `seed` as in `RandomFields`."""
        spectra, fractions, hidden = self.describe(z)
        with torch.autocast(z.device.type, enabled=False):
            return GlobalDescription(self.fields(z, spectra, shape, seed), fractions, hidden)

    def describe(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps latents `(B, D)` to coefficients of spectra `(B, F * terms)`, fractions `(B, C)`, and hidden vectors."""
        hidden = self.dense(z)
        with torch.autocast(z.device.type, enabled=False):
            # Beside the hidden layers, straight from the latent: statistics are then learned first.
            outputs = self.statistics(torch.cat((hidden.float(), z.float()), dim=1))
            spectra, levels = outputs.tensor_split((-self.channels,), dim=1)
            return spectra, probabilities(levels), hidden

    def fields(self, z: Tensor, spectra: Tensor, shape: tuple[int, ...] | None = None, seed: int = 0) -> Tensor:
        """Maps latents `(B, D)` and coefficients of their spectra `(B, F * terms)` to random fields `(B, F, *N)`."""
        coefficients = torch.cat(
            (spectra.unflatten(1, (self.random_fields.channels, -1)), self.noise.weights(z)), dim=-1
        )
        fields: Tensor = self.random_fields(coefficients.flatten(1), shape, seed)
        return fields
