"""Gaussian mixtures with diagonal components, and the KL divergence of a Gaussian to them.

Shapes: B batch, K components, D latent. Source: the objective of VAE-regression with a multimodal prior
(Sardeshmukh et al. 2024, arXiv 2402.17806).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """Diagonal Gaussians: `mean` and `log_std`, each `(..., D)`."""

    mean: Tensor
    log_std: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws one reparameterised sample per Gaussian, `(..., D)`."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + self.log_std.exp() * noise

    def log_density(self, z: Tensor) -> Tensor:
        """log N(z), summed over the latent axis, `(...)`."""
        standardized = (z - self.mean) * (-self.log_std).exp()
        return (-0.5 * standardized.square() - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


class Mixture(NamedTuple):
    """Gaussian mixtures: `log_weights` `(B, K)` that sum to one, `mean` and `log_std` `(B, K, D)`."""

    log_weights: Tensor
    mean: Tensor
    log_std: Tensor

    @property
    def components(self) -> Gaussian:
        """The components as Gaussians of shape `(B, K, D)`."""
        return Gaussian(self.mean, self.log_std)

    def sample(self, different: int = 1) -> Tensor:
        """Draws `different` latents per mixture, `(B, different, D)`, reparameterised, each of another component.

        Components are drawn by weight, without replacement.
        """
        return self.of(self.draw_components(different)).sample()

    def draw_components(self, different: int = 1) -> Tensor:
        """Draws `different` components per mixture by weight, without replacement, int `(B, different)`."""
        # Gumbel's largest: unlike torch.multinomial this neither waits for a GPU nor fails on a diverged model's NaN.
        gumbel = -torch.empty_like(self.log_weights).exponential_().log()
        return (self.log_weights + gumbel).topk(different, dim=1).indices

    def of(self, k: Tensor) -> Gaussian:
        """The components k, int `(B, n)`, as Gaussians of shape `(B, n, D)`."""
        k = k[:, :, None].expand(-1, -1, self.mean.shape[-1])
        return Gaussian(self.mean.gather(1, k), self.log_std.gather(1, k))

    def joint_log_density(self, z: Tensor) -> Tensor:
        """log pi_k + log N_k(z) for z `(B, D)`: `(B, K)`."""
        return self.log_weights + self.components.log_density(z.unsqueeze(-2))

    def log_density(self, z: Tensor) -> Tensor:
        """log p(z) for z `(B, D)`: `(B,)`."""
        return self.joint_log_density(z).logsumexp(-1)


def gaussian_kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) of diagonal Gaussians in nats, summed over the latent axis; the leading axes broadcast.

    Example:
        >>> unit = Gaussian(torch.zeros(1, 2), torch.zeros(1, 2))
        >>> gaussian_kl(Gaussian(torch.ones(1, 2), torch.zeros(1, 2)), unit)
        tensor([1.])
    """
    ratio = (2 * (q.log_std - p.log_std)).exp()
    shift = ((q.mean - p.mean) * (-p.log_std).exp()).square()
    return 0.5 * (ratio + shift - 1 - 2 * (q.log_std - p.log_std)).sum(-1)


def kl_monte_carlo(q: Gaussian, p: Mixture, z: Tensor) -> Tensor:
    """Unbiased one-sample estimate of KL(q || p): log q(z) - log p(z) at z drawn from q, `(B,)`."""
    return q.log_density(z) - p.log_density(z)


def kl_bound(q: Gaussian, p: Mixture) -> Tensor:
    """Upper bound of KL(q || p): -log sum_k pi_k exp(-KL(q || p_k)), `(B,)`.

    Equal to the value at the best explicit component posterior; exact for one component. Unlike
    sum_k pi_k KL(q || p_k) it does not pull the components onto each other.
    """
    per_component = gaussian_kl(Gaussian(q.mean.unsqueeze(-2), q.log_std.unsqueeze(-2)), p.components)
    return -(p.log_weights - per_component).logsumexp(-1)
