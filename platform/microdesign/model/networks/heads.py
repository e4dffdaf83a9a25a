"""Heads of the encoder: mean and log standard deviation of diagonal Gaussians."""

from torch import Tensor, nn

from microdesign.model.networks.blocks import convolution

LOG_STD = (-6.0, 3.0)
"""Bounds of the log standard deviations."""


class Head(nn.Module):
    """A Gaussian from features of the whole image."""

    def __init__(self, features: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2 * outputs))
        self.direct = nn.Linear(features, outputs, bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Maps `(B, features)` to mean and log standard deviation, each `(B, outputs)`, in float32."""
        mean, log_std = self.layers(features).float().chunk(2, dim=-1)
        return mean + self.direct(features).float(), log_std.clamp(*LOG_STD)


class SpatialHead(nn.Module):
    """A Gaussian for each pixel of the coarsest map: convolutions of width 1 for mean and log standard deviation."""

    def __init__(self, channels: int, latent: int, dimensions: int) -> None:
        super().__init__()
        self.mean = convolution(channels, latent, 1, dimensions)
        self.log_std = convolution(channels, latent, 1, dimensions)

    def forward(self, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Maps `(B, channels, *n)` to mean and log standard deviation, each `(B, latent * prod(n))`, in float32."""
        mean, log_std = self.mean(coarse).float(), self.log_std(coarse).float()
        return mean.flatten(1), log_std.flatten(1).clamp(*LOG_STD)
