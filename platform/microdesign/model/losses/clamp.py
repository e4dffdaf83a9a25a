"""An auxiliary loss that drives pixels to one phase, whatever the target."""

import math

import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import all_phases, probabilities
from microdesign.model.losses.config import ClampSettings


class Clamp(ClampSettings):
    """Mean negative log likelihood of the pixels under Gaussians around the pure phases, zero where all are pure.

    -log(exp(-x^2 / 2 sigma^2) + exp(-(x - 1)^2 / 2 sigma^2)) + a constant, for the probability x of phase 1. For more
    phases x^2 and (x - 1)^2 become half the squared distances from the corners of the simplex: equal for two phases.

    Source: Cai et al., "Latent Representation of Microstructures using Variational Autoencoders with Spatial
    Statistics-Space Loss", eq. 9, with the square of sigma that the print leaves out; a mean instead of a sum.
    """

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Maps logits `(B, C, *N)` to `(B,)`; the target is not looked at."""
        p = all_phases(probabilities(logits.float()))
        phases = p.shape[1]
        # |p - e_h|^2 = |p|^2 - 2 p_h + 1
        squares = p.square().sum(1, keepdim=True) - 2 * p + 1
        likelihood = torch.logsumexp(-squares / (4 * self.sigma**2), dim=1)
        # At a corner one summand is 1 and the others, at half a squared distance of 1, exp(-1 / 2 sigma^2).
        at_corner = math.log1p((phases - 1) * math.exp(-0.5 / self.sigma**2))
        return (at_corner - likelihood).flatten(1).mean(1)
