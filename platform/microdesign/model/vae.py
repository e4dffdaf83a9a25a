"""VAE-regression: q(z|x) and q(c|x), on one trunk or two, p(z|c) from a prior, p(x|z) from the decoder.

Shapes: B batch, C image channels, `*N` image axes, D latent, P properties (standardised). Latents are flat, also where
they belong to a map. Source: Sardeshmukh et al. 2024, arXiv 2402.17806. A model without properties is a plain VAE.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import probabilities
from microdesign.model.binarization import binarize_straight_through, with_fractions
from microdesign.model.condition_correction import corrected_decodes
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.blocks import ResidualBlock, Stem, with_channels_last_weights
from microdesign.model.networks.decoders import build_decoder
from microdesign.model.networks.encoder import Features, Trunk
from microdesign.model.networks.heads import Head, SpatialHead
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.model.networks.random_field_decoder import RandomFieldDecoder
from microdesign.model.networks.random_fields import Seed
from microdesign.model.outputs import Decodes, JointOutputs, Outputs, RegressorOutputs
from microdesign.model.prior.mixture import Gaussian, Mixture
from microdesign.model.prior.priors import build_prior


class VAERegression(nn.Module):
    """The joint model; `forward` is the training pass, the other methods are its parts.

    Raises:
        InputError: A model without properties is given a prior that needs some, or a prior or a decoder of the user's
            own cannot be loaded.
    """

    def __init__(self, config: ModelConfig, properties: int) -> None:
        super().__init__()
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
        self.regressor_only = False
        self.regressor_sees_draws = True
        """Whether a pass that trains the regressor alone draws images, which physics feedback then evaluates."""
        self.pretrained: frozenset[str] = frozenset()
        """Parts whose weights know images before training for properties; they learn at a rate of their own."""
        with_channels_last_weights(self)

    def train_regressor_only(self) -> None:
        """Freezes everything but the regressor; `forward` is then the pass that trains it.

        Raises:
            InputError: The regressor has no trunk of its own.
        """
        if self.property_trunk is None:
            raise InputError(
                "Only a regressor with a trunk of its own is trainable alone; set network.regressor to own."
            )
        self.requires_grad_(False)
        for part in self._regressor:
            part.requires_grad_(True)
        self.regressor_only = True

    def set_periodic(self, periodic: bool) -> None:
        """Has encoder and denoiser see periodic images, or zeros around parts of larger ones; drafts stay periodic."""
        if isinstance(self.decoder, LocalGlobalDecoder):
            self.decoder.periodic = periodic
        for module in self.trunk.modules():
            if isinstance(module, Stem | ResidualBlock):
                module.periodic = periodic

    def forward(self, x: Tensor, c: Tensor, replay: Tensor | None = None) -> Outputs:
        """Maps indicators `(B, C, *N)` and labels `(B, P)` to everything that the objective needs.

        A label that is NaN is not known; c is then drawn from q(c|x), and the image trains the generative part alone.
        The images of a replay batch, `(R, C, *N)`, train the regressor alone.
        """
        return self._regressor_pass(x, c, replay) if self.regressor_only else self._joint_pass(x, c, replay)

    def _regressor_pass(self, x: Tensor, c: Tensor, replay: Tensor | None) -> RegressorOutputs:
        properties, replayed = _split(self.regress(_joined(x, replay)), len(x))
        if not self.regressor_sees_draws:
            return RegressorOutputs(properties, replayed, _no_decodes(x, c))
        with torch.no_grad():
            c = torch.where(c.isnan(), properties.sample(), c)
            index = torch.arange(len(x) // 2, len(x), device=x.device)
            images = corrected_decodes(self, c[index])
            drawn = torch.arange(len(index), device=x.device)
            decodes = Decodes(images, self.regress(images).mean, index, drawn, pairs=index.new_zeros(0, 2))
        return RegressorOutputs(properties, replayed, decodes)

    def _joint_pass(self, x: Tensor, c: Tensor, replay: Tensor | None) -> JointOutputs:
        if self.property_trunk is None:
            posterior, properties = self.encode(_joined(x, replay))
            posterior, _ = _split(posterior, len(x))
        else:
            posterior, properties = self.infer(x), self.regress(_joined(x, replay))
        properties, replayed = _split(properties, len(x))
        z = posterior.sample()
        c = torch.where(c.isnan(), properties.sample(), c)
        with torch.autocast(x.device.type, enabled=False):
            prior = self.prior(c)
        # Where a denoiser draws, the latent holds what it needs; the draft takes of it what it can.
        two_stages = isinstance(self.decoder, LocalGlobalDecoder)
        logits, denoising, fractions = self.decoder(z.detach() if two_stages else z), None, None
        if isinstance(self.decoder, LocalGlobalDecoder):
            fractions = self.decoder.draft.fractions(z)
            learned = math.ceil(self.config.network.denoiser.share * len(x))
            denoising = self.decoder.denoising_loss(x[:learned], z[:learned])
        decodes = self._decodes(z, logits, prior) if properties.mean.shape[1] else _no_decodes(logits, c)
        return JointOutputs(posterior, z, logits, c, prior, properties, replayed, decodes, denoising, fractions)

    def _decodes(self, z: Tensor, logits: Tensor, prior: Mixture) -> Decodes:
        rows = torch.arange(len(logits), device=logits.device)
        # To draw by a denoiser takes as long as a step of training takes for three images.
        two_stages = isinstance(self.decoder, LocalGlobalDecoder)
        quarter = max(1, len(logits) // (16 if two_stages else 4))
        index, latents, different = rows[:quarter], z[:quarter], 1
        if self.prior.uses_properties:
            # Of a mixture two components draw for the same properties, so that the objective can hold them apart.
            different = min(2, prior.log_weights.shape[1])
            last = rows[-max(1, quarter // different) :]
            index = torch.cat((index, last.repeat_interleave(different)))
            latents = torch.cat((latents, Mixture(*(part[last] for part in prior)).sample(different).flatten(0, 1)))
        if two_stages:
            # Properties choose latents here; what a latent looks like, the two stages learn from images alone.
            soft = probabilities(_frozen(self.decoder, latents))
        else:
            more = [self.decoder(latents[quarter:])] if len(latents) > quarter else []
            soft = probabilities(torch.cat((logits[:quarter], *more)))
        images = self._hard(latents, soft)
        drawn = torch.arange(quarter, len(images), device=rows.device)
        pairs = drawn.new_zeros(0, 2) if different == 1 else drawn.view(-1, 2)
        return Decodes(images, self._predict_frozen(images), index, drawn, pairs)

    def _hard(self, z: Tensor, soft: Tensor) -> Tensor:
        """Binarised decodes of latents, with the gradient of `soft`, what the decoder's forward makes of them.

        Where a denoiser draws these are final draws with the gradient of their drafts, which have the same fractions
        and about the same arrangement: the denoiser's own gradient costs ten times as much.
        """
        if isinstance(self.decoder, LocalGlobalDecoder):
            with torch.no_grad():
                final = self.decode(z)
            soft = final + soft - soft.detach()
        return binarize_straight_through(soft)

    def decode_straight_through(self, z: Tensor) -> Tensor:
        """Binarised decodes `(B, C, *N)` of latents `(B, D)`, with a gradient: see `_hard`."""
        return self._hard(z, probabilities(self.decoder(z)))

    def _predict_frozen(self, x: Tensor) -> Tensor:
        """The regressor's means for decodes; no gradient to the regressor, or it would learn to agree with them."""
        trunk, features, head = self._regressor
        means: Tensor = _frozen(head, _frozen(features, x, _frozen(trunk, x)))[0]
        return means

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

    def decode(
        self,
        z: Tensor,
        shape: tuple[int, ...] | None = None,
        seed: Seed = 0,
        coarse: Tensor | None = None,
        fractions: Tensor | None = None,
    ) -> Tensor:
        """Probabilities `(B, C, *N)` for latents `(B, D)`; channels as in `microstructure.data.indicators`.

        Args:
            z: Latents.
            shape: Pixels along each axis, where the decoder draws any; the network's own when None.
            seed: Of the decoder's noise, if it has some: another one gives another realisation. B numbers give each
                latent a noise that does not depend on it; near latents have nearly the same noise otherwise.
            coarse: What the decoder local_global refines: see `LocalGlobalDecoder.draw`.
            fractions: Volume fractions `(B, C)`; those that the latents have when None.
        """
        if isinstance(self.decoder, LocalGlobalDecoder):
            return self.decoder.draw(z, shape, seed, coarse, fractions)
        is_field = isinstance(self.decoder, RandomFieldDecoder)
        decoded = probabilities(self.decoder(z, shape, seed) if is_field else self.decoder(z))
        return decoded if fractions is None else with_fractions(decoded, fractions)


def _split(q: Gaussian, n: int) -> tuple[Gaussian, Gaussian]:
    """The first n rows, and the others."""
    return Gaussian(*(part[:n] for part in q)), Gaussian(*(part[n:] for part in q))


def _joined(x: Tensor, replay: Tensor | None) -> Tensor:
    return x if replay is None else torch.cat((x, replay))


def _no_decodes(logits: Tensor, c: Tensor) -> Decodes:
    none = torch.arange(0, device=logits.device)
    return Decodes(logits[:0], c[:0], none, none, none.new_zeros(0, 2))


def _frozen(module: nn.Module, *inputs: Any) -> Any:
    return functional_call(module, {name: p.detach() for name, p in module.named_parameters()}, inputs)
