"""The random-field decoder: stationary images from the latent's statistics, without positions."""

from torch import Tensor, nn

from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.global_stage import GlobalStage
from microdesign.model.networks.local_stage import LocalStage


class RandomFieldDecoder(nn.Module):
    """Latent to logits by way of random fields: a global stage sets their spectrum, a local stage shapes them.

    What it draws is periodic whatever the padding of the encoder.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.global_stage = GlobalStage(config)
        self.local_stage = LocalStage(config)

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents `(B, D)` to logits `(B, C, *N)` in float32."""
        logits: Tensor = self.local_stage(self.global_stage(z))
        return logits
