"""VAE-regression: q(z|x) and q(c|x) on one trunk, p(z|c) from a prior, p(x|z) from the decoder.

Shapes: B batch, C image channels, `*N` image axes, D latent, P properties (standardised). Latents are flat, also where
they belong to a map. Source: Sardeshmukh et al. 2024, arXiv 2402.17806. A model without properties is a plain VAE.
"""

from typing import Any, NamedTuple

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.func import functional_call

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.model.binarization import binarize_straight_through
from microdesign.model.condition_correction import corrected_decodes
from microdesign.model.indicators import probabilities
from microdesign.model.networks.blocks import with_channels_last_weights
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.decoders import build_decoder
from microdesign.model.networks.encoder import Features, Trunk
from microdesign.model.networks.heads import Head, SpatialHead
from microdesign.model.prior.mixture import Gaussian, Mixture
from microdesign.model.prior.priors import PriorConfig, build_prior


class ModelConfig(Config):
    """Everything that rebuilds the model: its networks and its prior."""

    network: NetworkConfig = NetworkConfig()
    prior: PriorConfig = PriorConfig()

    @model_validator(mode="after")
    def _check_prior(self) -> "ModelConfig":
        if self.network.latent_kind == "spatial" and self.prior.kind != "standard":
            raise ValueError(
                f"prior {self.prior.kind} is not supported with latent_kind spatial; set prior.kind to standard"
            )
        return self


class Outputs(NamedTuple):
    """One training pass.

    Attributes:
        posterior, z, logits: q(z|x), a sample of it `(B, D)`, and its decode `(B, C, *N)`; none of a pass that trains
            the regressor alone.
        properties: q(c|x), each part `(B, P)`; P = 0 for a model without properties.
        taught: q(c|x) of the images of a lesson, each part `(R, P)`; R = 0 without one.
        labelled: Which images have all their labels, bool `(B,)`.
        c: The labels, a missing one drawn from q(c|x), `(B, P)`.
        prior: p(z|c) at these.
        decodes: Binarised decodes, indicators `(n, C, *N)`: of z for the first quarter of the batch, and about as many
            draws from p(z|c) for its last images, if the prior knows c: of a mixture two components' for each, the
            first by weight and the second by the weights that are left. n = 0 for a model without properties. Of a pass
            that trains the regressor alone: draws that it has aimed, for the last half.
        decoded_properties: What the regressor, frozen, says of these, `(n, P)`.
        asked: The row of the batch whose properties each of these should have, int `(n,)`.
        pairs: Rows of `decodes` that two components drew for the same properties, int `(h, 2)`; h = 0 where the prior
            has a single component.
    """

    posterior: Gaussian
    z: Tensor
    logits: Tensor
    properties: Gaussian
    taught: Gaussian
    labelled: Tensor
    c: Tensor
    prior: Mixture
    decodes: Tensor
    decoded_properties: Tensor
    asked: Tensor
    pairs: Tensor

    @property
    def draws(self) -> Tensor:
        """Rows of `decodes` that are draws from p(z|c), int `(m,)`: those after the decodes of z."""
        return torch.arange(len(self.decodes), device=self.decodes.device)[_quarter(self.logits) :]


class VAERegression(nn.Module):
    """The joint model; `forward` is the training pass, the other methods are its parts.

    Raises:
        InputError: A model without properties is given a prior other than `standard`.
    """

    def __init__(self, config: ModelConfig, properties: int) -> None:
        super().__init__()
        if not properties and config.prior.kind != "standard":
            raise InputError(
                f"prior {config.prior.kind} is not supported without properties; set prior.kind to standard."
            )
        network = config.network
        self.config = config
        spatial = network.latent_kind == "spatial"
        self.trunk = Trunk(network)
        own = bool(properties) and network.regressor == "own"
        # What a model does not use it does not have: distributed training waits for every parameter's gradient.
        self.features = Features(network) if (properties and not own) or not spatial else None
        self.property_trunk = Trunk(network) if own else None
        self.property_features = Features(network) if own else None
        features = next((each.size for each in (self.features, self.property_features) if each), 0)
        self.latent_head = (
            SpatialHead(network.widths[-1], network.latent, network.dimensions)
            if spatial
            else Head(features, network.hidden, network.latent)
        )
        self.property_head = Head(features, network.hidden, properties) if properties else None
        self.decoder = build_decoder(network)
        self.prior = build_prior(config.prior, network.latent_size, properties)
        self.rehearsing = False
        with_channels_last_weights(self)

    def rehearse(self) -> None:
        """Freezes everything but the regressor; `forward` is then the pass that trains it.

        Raises:
            InputError: The regressor has no trunk of its own.
        """
        if self.property_trunk is None:
            raise InputError("Only a regressor with a trunk of its own learns alone; set network.regressor to own.")
        self.requires_grad_(False)
        for part in self._regressor:
            part.requires_grad_(True)
        self.rehearsing = True

    def forward(self, x: Tensor, c: Tensor, lesson: Tensor | None = None) -> Outputs:
        """Maps indicators `(B, C, *N)` and labels `(B, P)` to everything that the objective needs.

        A label that is NaN is not known; c is then drawn from q(c|x), and the image trains the generative part alone.
        The images `(R, C, *N)` of a lesson train the regressor alone.
        """
        return self._regressor_pass(x, c, lesson) if self.rehearsing else self._pass(x, c, lesson)

    def _regressor_pass(self, x: Tensor, c: Tensor, lesson: Tensor | None) -> Outputs:
        """A pass without a generative part: no latents and no reconstructions, and decodes without a gradient."""
        properties, taught = _split(self.regress(x if lesson is None else torch.cat((x, lesson))), len(x))
        missing = c.isnan()
        with torch.no_grad():
            c = torch.where(missing, properties.sample(), c)
            asked = torch.arange(len(x) // 2, len(x), device=x.device)
            decodes = corrected_decodes(self, c[asked])
            said = self.regress(decodes).mean
            with torch.autocast(x.device.type, enabled=False):
                prior = self.prior(c)
        none, known = c.new_zeros(0, self.config.network.latent_size), ~missing.any(1)
        return Outputs(
            posterior=Gaussian(none, none),
            z=none,
            logits=x[:0],
            properties=properties,
            taught=taught,
            labelled=known,
            c=c,
            prior=prior,
            decodes=decodes,
            decoded_properties=said,
            asked=asked,
            pairs=asked.new_zeros(0, 2),
        )

    def _pass(self, x: Tensor, c: Tensor, lesson: Tensor | None) -> Outputs:
        posterior, properties = self.encode(x if lesson is None else torch.cat((x, lesson)))
        posterior, _ = _split(posterior, len(x))
        properties, taught = _split(properties, len(x))
        z = posterior.sample()
        missing = c.isnan()
        c = torch.where(missing, properties.sample(), c)
        with torch.autocast(x.device.type, enabled=False):
            prior = self.prior(c)
        logits = self.decoder(z)
        decodes, asked, pairs = self._decodes(logits, prior)
        said = self._judge(decodes) if len(asked) else c[:0]
        known = ~missing.any(1)
        return Outputs(posterior, z, logits, properties, taught, known, c, prior, decodes, said, asked, pairs)

    def _decodes(self, logits: Tensor, prior: Mixture) -> tuple[Tensor, Tensor, Tensor]:
        """Binarised decodes, the row of the batch that each is for, and the pairs among them; see `Outputs`."""
        rows = torch.arange(len(logits), device=logits.device)
        none = rows.new_zeros(0, 2)
        if self.property_head is None:
            return logits[:0], rows[:0], none
        quarter = _quarter(logits)
        first = rows[:quarter]
        if self.config.prior.kind == "standard":
            return binarize_straight_through(probabilities(logits[first])), first, none
        # Of a mixture, two components answer for the same properties, so that their answers can be held apart.
        different = min(2, prior.log_weights.shape[1])
        last = rows[-max(1, quarter // different) :]
        draws = self.decoder(Mixture(*(part[last] for part in prior)).sample(different).flatten(0, 1))
        decodes = probabilities(torch.cat((logits[first], draws)))
        asked = torch.cat((first, last.repeat_interleave(different)))
        drawn = torch.arange(quarter, len(decodes), device=rows.device)
        return binarize_straight_through(decodes), asked, none if different == 1 else drawn.view(-1, 2)

    def _judge(self, x: Tensor) -> Tensor:
        """The regressor's means for decodes; no gradient to the regressor, or it would learn to agree with them."""
        trunk, features, head = self._regressor
        return _frozen(head, _frozen(features, x, _frozen(trunk, x)))[0]

    @property
    def _regressor(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        features = self.property_features or self.features
        assert features is not None
        assert self.property_head is not None
        return self.property_trunk or self.trunk, features, self.property_head

    def regress(self, x: Tensor) -> Gaussian:
        """q(c|x) for indicators `(B, C, *N)`, each part `(B, P)`, P > 0."""
        trunk, features, head = self._regressor
        return Gaussian(*head(features(x, trunk(x))))

    def infer(self, x: Tensor) -> Gaussian:
        """q(z|x) for indicators `(B, C, *N)`, each part `(B, D)`."""
        return self._inferred(x)[0]

    def _inferred(self, x: Tensor) -> tuple[Gaussian, Tensor | None]:
        """q(z|x), and the encoder's features of the whole image, where there are some."""
        maps = self.trunk(x)
        features = None if self.features is None else self.features(x, maps)
        return Gaussian(
            *self.latent_head(maps[-1] if isinstance(self.latent_head, SpatialHead) else features)
        ), features

    def encode(self, x: Tensor) -> tuple[Gaussian, Gaussian]:
        """q(z|x), each part `(B, D)`, and q(c|x), each part `(B, P)`, for indicators `(B, C, *N)`."""
        posterior, features = self._inferred(x)
        if self.property_head is None:
            none = x.new_zeros(len(x), 0)
            return posterior, Gaussian(none, none)
        shared = self.property_trunk is None
        return posterior, Gaussian(*self.property_head(features)) if shared else self.regress(x)

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities `(B, C, *N)` for latents `(B, D)`; see `microdesign.model.indicators.probabilities`."""
        return probabilities(self.decoder(z))


def _split(q: Gaussian, n: int) -> tuple[Gaussian, Gaussian]:
    """The first n rows, and the others."""
    return Gaussian(*(part[:n] for part in q)), Gaussian(*(part[n:] for part in q))


def _frozen(module: nn.Module, *inputs: Any) -> Any:
    return functional_call(module, {name: p.detach() for name, p in module.named_parameters()}, inputs)


def _quarter(batch: Tensor) -> int:
    return max(1, len(batch) // 4)
