"""VAE-regression: q(z|x) and q(c|x) on one trunk, p(z|c) from a prior, p(x|z) from the decoder.

Shapes: B batch, X Y image, D latent, P properties (standardised). Source: Sardeshmukh et al. 2024, arXiv 2402.17806.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from microdesign.config import Config
from microdesign.model.binarization import binarize_straight_through
from microdesign.model.mixture import Gaussian, Mixture
from microdesign.model.networks import Decoder, Head, NetworkConfig, Trunk
from microdesign.model.priors import PriorConfig, build_prior


class ModelConfig(Config):
    """Everything that rebuilds the model: its networks and its prior."""

    network: NetworkConfig = NetworkConfig()
    prior: PriorConfig = PriorConfig()


class Outputs(NamedTuple):
    """One training pass.

    Attributes:
        posterior, z, logits: q(z|x), a sample of it `(B, D)`, and its decode `(B, 1, X, Y)`.
        properties: q(c|x), each part `(B, P)`; P = 0 for a model without properties.
        labelled: Which images have all their labels, bool `(B,)`.
        c: The labels, a missing one drawn from q(c|x), `(B, P)`.
        prior: p(z|c) at these.
        decoded_properties: What the regressor, frozen, says of binarised decodes, `(B, P)`: of z for the first half of
            the batch, of draws from p(z|c) for the second.
    """

    posterior: Gaussian
    z: Tensor
    logits: Tensor
    properties: Gaussian
    labelled: Tensor
    c: Tensor
    prior: Mixture
    decoded_properties: Tensor


class VAERegression(nn.Module):
    """The joint model; `forward` is the training pass, the other methods are its parts."""

    def __init__(self, config: ModelConfig, properties: int) -> None:
        super().__init__()
        network = config.network
        self.config = config
        self.trunk = Trunk(network)
        self.latent_head = Head(self.trunk.features, network.hidden, network.latent)
        self.property_head = Head(self.trunk.features, network.hidden, properties)
        self.decoder = Decoder(network)
        self.prior = build_prior(config.prior, network.latent, properties)

    def forward(self, x: Tensor, c: Tensor) -> Outputs:
        """Maps indicators `(B, 1, X, Y)` and labels `(B, P)` to everything that the objective needs.

        A label that is NaN is not known; c is then drawn from q(c|x), and the image trains the generative part alone.
        """
        posterior, properties = self.encode(x)
        z = posterior.sample()
        missing = c.isnan()
        c = torch.where(missing, properties.sample(), c)
        with torch.autocast(x.device.type, enabled=False):
            prior = self.prior(c)
        logits = self.decoder(z)
        half = len(x) // 2
        draws = self.decoder(Mixture(*(part[half:] for part in prior)).sample())
        decoded = binarize_straight_through(torch.cat((logits[:half], draws)).sigmoid())
        return Outputs(posterior, z, logits, properties, ~missing.any(1), c, prior, self._judge(decoded))

    def _judge(self, x: Tensor) -> Tensor:
        """The regressor's means for decodes; no gradient to the regressor, or it would learn to agree with them."""
        features = functional_call(self.trunk, {name: p.detach() for name, p in self.trunk.named_parameters()}, x)
        head = {name: p.detach() for name, p in self.property_head.named_parameters()}
        return functional_call(self.property_head, head, features)[0]

    def encode(self, x: Tensor) -> tuple[Gaussian, Gaussian]:
        """q(z|x), each part `(B, D)`, and q(c|x), each part `(B, P)`, for indicators `(B, 1, X, Y)`."""
        features = self.trunk(x)
        return Gaussian(*self.latent_head(features)), Gaussian(*self.property_head(features))

    def decode(self, z: Tensor) -> Tensor:
        """Phase-1 probabilities `(B, 1, X, Y)` for latents `(B, D)`."""
        return self.decoder(z).sigmoid()
