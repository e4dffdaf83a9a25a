"""The random-field decoder: stationary images from the latent's statistics, without positions."""

from torch import Tensor, nn

from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.global_stage import GlobalStage
from microdesign.model.networks.random_fields import Seed
from microdesign.model.networks.shaping import Shaping


class RandomFieldDecoder(nn.Module):
    """Latent to logits by way of random fields: a global stage sets their spectrum, convolutions shape them.

    What it draws is periodic whatever the padding of the encoder.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.global_stage = GlobalStage(config)
        self.shaping = Shaping(config)

    def forward(self, z: Tensor, shape: tuple[int, ...] | None = None, seed: Seed = 0) -> Tensor:
        """Maps latents `(B, D)` to logits `(B, C, *N)` in float32; `shape` as in `RandomFields`."""
        logits: Tensor = self.shaping(self.global_stage(z, shape, seed))
        return logits

    def fractions(self, z: Tensor) -> Tensor:
        """Volume fractions `(B, C)` of what it draws for latents `(B, D)`."""
        return self.global_stage.fractions(z)
