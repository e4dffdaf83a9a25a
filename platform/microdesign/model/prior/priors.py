"""Latent priors p(z|c): `standard`, `conditional` (one Gaussian) and `mixture`, all given as Gaussian mixtures.

Shapes: B batch, K components, D latent, P properties (standardised, as the model sees them).
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from microdesign.core.config import Config
from microdesign.model.prior.mixture import Mixture


class PriorConfig(Config):
    """Which prior, and its size."""

    kind: Literal["standard", "conditional", "mixture"] = Field("mixture", description="family of p(z|c)")
    components: int = Field(4, ge=1, le=64, description="K, for `mixture`")
    hidden: int = Field(64, ge=1, description="width of the mixture's network")
    spread: float = Field(1.5, gt=0, description="distance scale of the components' initial means, in latent units")


class StandardPrior(nn.Module):
    """N(0, I) whatever the properties."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def forward(self, c: Tensor) -> Mixture:
        """Maps properties `(B, P)` to mixtures of one component."""
        zeros = c.new_zeros(len(c), 1, self.latent)
        return Mixture(c.new_zeros(len(c), 1), zeros, zeros)


class ConditionalPrior(nn.Module):
    """N(u c + b, s^2 I) with unit-norm columns of u and one learned s (Zhao et al. 2019, MICCAI)."""

    def __init__(self, latent: int, properties: int) -> None:
        super().__init__()
        self.latent = latent
        self.direction = nn.Parameter(torch.randn(latent, properties))
        self.offset = nn.Parameter(torch.zeros(latent))
        self.log_std = nn.Parameter(torch.zeros(()))

    def forward(self, c: Tensor) -> Mixture:
        """Maps properties `(B, P)` to mixtures of one component."""
        mean = c @ nn.functional.normalize(self.direction, dim=0).T + self.offset
        return Mixture(c.new_zeros(len(c), 1), mean.unsqueeze(1), self.log_std.expand(mean.shape).unsqueeze(1))


class MixturePrior(nn.Module):
    """K Gaussians whose weights, means and standard deviations depend on the properties.

    The means start far apart (`spread`): components that start together stay together, and then one takes all.
    """

    def __init__(self, latent: int, properties: int, config: PriorConfig) -> None:
        super().__init__()
        self.components, self.latent = config.components, latent
        self.network = nn.Sequential(
            nn.Linear(properties, config.hidden), nn.SiLU(), nn.Linear(config.hidden, config.hidden), nn.SiLU()
        )
        self.heads = nn.Linear(config.hidden, config.components * (2 * latent + 1))
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.zeros_(self.heads.bias)
        self.offset = nn.Parameter(config.spread * torch.randn(config.components, latent))

    def forward(self, c: Tensor) -> Mixture:
        """Maps properties `(B, P)` to mixtures of K components."""
        K, D = self.components, self.latent
        logits, mean, log_std = self.heads(self.network(c)).split((K, K * D, K * D), dim=-1)
        mean = mean.unflatten(-1, (K, D)) + self.offset
        return Mixture(logits.log_softmax(-1), mean, log_std.unflatten(-1, (K, D)).clamp(-5, 2))


def build_prior(config: PriorConfig, latent: int, properties: int) -> nn.Module:
    """Builds the prior that `config` names; its forward maps `(B, P)` to a `Mixture`."""
    if config.kind == "standard":
        return StandardPrior(latent)
    if config.kind == "conditional":
        return ConditionalPrior(latent, properties)
    return MixturePrior(latent, properties, config)
