"""The global stage of the random-field decoder: from a latent to random fields with its power spectrum.

Shapes: B batch, D latent, F field channels, C image channels, H width of the dense layers, `*N` two or three axes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from microdesign.microstructure.data.indicators import probabilities
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.random_fields import LatentNoise, RandomFields, Seed

LEVEL_WIDTH = 32
"""Hidden units between a latent and its volume fractions."""


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
        self.dense = nn.Sequential(
            nn.Linear(config.latent, config.hidden), nn.SiLU(), nn.Linear(config.hidden, config.hidden), nn.SiLU()
        )
        self.random_fields = RandomFields(config.shape, config.field_channels)
        self.noise = LatentNoise(config.latent, config.field_channels, self.random_fields.realisations)
        self.spectra = nn.Linear(config.hidden + config.latent, config.field_channels * self.random_fields.terms)
        # Layers of their own, and few: fractions that move with the training of everything else are never right.
        self.levels = nn.Sequential(
            nn.Linear(config.latent, LEVEL_WIDTH), nn.SiLU(), nn.Linear(LEVEL_WIDTH, config.channels)
        )

    def forward(self, z: Tensor, shape: tuple[int, ...] | None = None, seed: Seed = 0) -> GlobalDescription:
        """Maps latents `(B, D)` to fields, fractions and hidden vectors; `shape` as in `RandomFields`."""
        spectra, fractions, hidden = self.describe(z)
        with torch.autocast(z.device.type, enabled=False):
            return GlobalDescription(self.fields(z, spectra, shape, seed), fractions, hidden)

    def describe(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps latents `(B, D)` to coefficients of spectra `(B, F * terms)`, fractions `(B, C)`, and hidden vectors."""
        hidden = self.dense(z)
        with torch.autocast(z.device.type, enabled=False):
            # Beside the hidden layers, straight from the latent: statistics are then learned first.
            spectra = self.spectra(torch.cat((hidden.float(), z.float()), dim=1))
            return spectra, self.fractions(z), hidden

    def fractions(self, z: Tensor) -> Tensor:
        """Maps latents `(B, D)` to volume fractions `(B, C)`."""
        with torch.autocast(z.device.type, enabled=False):
            return probabilities(self.levels(z.float()))

    def fields(self, z: Tensor, spectra: Tensor, shape: tuple[int, ...] | None = None, seed: Seed = 0) -> Tensor:
        """Maps latents `(B, D)` and coefficients of their spectra `(B, F * terms)` to random fields `(B, F, *N)`."""
        coefficients = torch.cat(
            (spectra.unflatten(1, (self.random_fields.channels, -1)), self.noise.weights(z, seed)), dim=-1
        )
        # Seeds of their own are in the weights: the realisations are then those of training.
        fields: Tensor = self.random_fields(coefficients.flatten(1), shape, seed if isinstance(seed, int) else 0)
        return fields
