"""Latent priors p(z|c): `standard`, `conditional` (one Gaussian), `mixture`, or a user's own as `module:name`.

Shapes: B batch, K components, D latent, P properties (standardised, as the model sees them).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from microdesign.core.errors import InputError
from microdesign.model.plugins import find
from microdesign.model.prior.config import CONDITIONAL, MIXTURE, STANDARD, PriorConfig
from microdesign.model.prior.mixture import Mixture


class LatentPrior(nn.Module, ABC):
    """Base of the priors: a network from properties to Gaussian mixtures over the latent.

    A prior of a user's own is a subclass, which the model constructs with the same three arguments; its parameters
    are trained and saved with the model's.

    Args:
        latent: D.
        properties: P.
        config: Sizes, of which a prior takes what it needs.

    Attributes:
        uses_properties: Whether p(z|c) depends on c. Draws of a prior that does not are not held to properties.
    """

    uses_properties: ClassVar[bool] = True

    def __init__(self, latent: int, properties: int, config: PriorConfig) -> None:
        super().__init__()
        self.latent = latent

    @abstractmethod
    def forward(self, c: Tensor) -> Mixture:
        """Maps properties `(B, P)` to mixtures of K components, float32."""


class StandardPrior(LatentPrior):
    """N(0, I) whatever the properties."""

    uses_properties = False

    def forward(self, c: Tensor) -> Mixture:
        """Maps properties `(B, P)` to mixtures of one component."""
        zeros = c.new_zeros(len(c), 1, self.latent)
        return Mixture(c.new_zeros(len(c), 1), zeros, zeros)


class ConditionalPrior(LatentPrior):
    """N(u c + b, s^2 I) with unit-norm columns of u and one learned s (Zhao et al. 2019, MICCAI)."""

    def __init__(self, latent: int, properties: int, config: PriorConfig) -> None:
        super().__init__(latent, properties, config)
        self.direction = nn.Parameter(torch.randn(latent, properties))
        self.offset = nn.Parameter(torch.zeros(latent))
        self.log_std = nn.Parameter(torch.zeros(()))

    def forward(self, c: Tensor) -> Mixture:
        """Maps properties `(B, P)` to mixtures of one component."""
        mean = c @ nn.functional.normalize(self.direction, dim=0).T + self.offset
        return Mixture(c.new_zeros(len(c), 1), mean.unsqueeze(1), self.log_std.expand(mean.shape).unsqueeze(1))


class MixturePrior(LatentPrior):
    """K Gaussians whose weights, means and standard deviations depend on the properties.

    The means start far apart (`spread`): components that start together stay together, and then one takes all.
    """

    def __init__(self, latent: int, properties: int, config: PriorConfig) -> None:
        super().__init__(latent, properties, config)
        self.components = config.components
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


PRIORS: Mapping[str, type[LatentPrior]] = {
    STANDARD: StandardPrior,
    CONDITIONAL: ConditionalPrior,
    MIXTURE: MixturePrior,
}
"""The built-in priors by name."""


def build_prior(config: PriorConfig, latent: int, properties: int) -> LatentPrior:
    """Builds the prior that `config` names.

    Raises:
        InputError: A prior of the user's own cannot be imported or is no `LatentPrior`; or there are no properties,
            P = 0, and the prior needs some.
    """
    expected = "a subclass of microdesign.model.prior.priors.LatentPrior"
    prior = find("prior", config.kind, PRIORS, expected, LatentPrior)(latent, properties, config)
    if prior.uses_properties and not properties:
        raise InputError(f"prior {config.kind} is not supported without properties; set prior.kind to standard.")
    return prior
