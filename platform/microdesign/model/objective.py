"""The training objective: reconstruction + beta KL(q(z|x) || p(z|c)) - gamma log q(c|x).

Shapes: B batch, K components, P properties. Source: Sardeshmukh et al. 2024, arXiv 2402.17806. Reconstruction is a mean
over pixels and the regression term a mean over properties, so beta is the weight of one nat of KL against those means.
"""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_reduce

from microdesign.core.config import Config
from microdesign.microstructure.statistics.similarity import relative_distance
from microdesign.microstructure.statistics.two_point import two_point
from microdesign.model.distribution_matching import resemblance
from microdesign.model.losses import LossSettings, build_losses, split_names
from microdesign.model.prior.mixture import Gaussian, Mixture, kl_bound, kl_monte_carlo
from microdesign.model.standardization import Standardization
from microdesign.model.vae import Outputs

LARGE = 0.1
"""Relative error of a decode's property up to which its square counts, and beyond which the error itself."""
ALIKE = 0.3
"""Relative distance in two-point statistics below which two components' draws for the same properties are too alike:
three times that of images of near-equal properties in a data set of mixed families."""


class ObjectiveConfig(Config):
    """Losses and their weights."""

    loss: str = Field("mse+cess", description="reconstruction: names of losses, or module:name, joined by '+'")
    weights: Mapping[str, float] = Field(
        {"mse": 0.1, "cess": 5.0, "lineal_path": 2.0},
        description="weight of a named loss where it is not 1; of others, ignored",
    )
    settings: LossSettings = Field(LossSettings(), description="settings of the losses")
    kl: Literal["monte_carlo", "bound"] = Field("monte_carlo", description="form of the KL divergence to the mixture")
    beta: float = Field(2e-4, ge=0, description="weight of the KL divergence, per nat")
    gamma: float = Field(0.1, ge=0, description="weight of the regression term")
    consistency: float = Field(0.03, ge=0, description="weight of the errors of the decodes' properties")
    balance: float = Field(0.05, ge=0, description="weight of KL(mean component use || uniform), against collapse")
    concentration: float = Field(
        0.02,
        ge=0,
        description="weight of KL(p(k|c) || uniform): components are there for every target, not each for its own",
    )
    likeness: float = Field(
        0.003, ge=0, description="weight of the likeness of two components' draws for the same properties"
    )

    resemblance: float = Field(
        0.05, ge=0, description="weight of the distance of draws from images as populations, in shapes and properties"
    )

    @field_validator("loss")
    @classmethod
    def _check_loss(cls, value: str) -> str:
        split_names(value)
        return value

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        for name, weight in value.items():
            if name != "clamp":
                split_names(name)
            if not (weight >= 0 and math.isfinite(weight)):
                raise ValueError(f"the weight {weight} of '{name}' is not supported; expected a number >= 0")
        return value


class Objective:
    """The weighted sum that training minimises, and its terms.

    Args:
        config: Losses and weights.
        standardization: Of the properties, for errors of decodes relative to the value; None takes them as they are.

    Raises:
        InputError: A loss of the user's own cannot be imported, or the style loss has no weights.
    """

    def __init__(self, config: ObjectiveConfig, standardization: Standardization | None = None) -> None:
        self.config, self.standardization = config, standardization
        self.losses = build_losses(config.loss, config.weights, config.settings)
        self.sources: dict[str, str] = {}
        """What the losses depend on besides the config, for a run's record."""
        if "style" in self.losses:
            self.sources["style_weights"] = config.settings.style.network(torch.device("cpu")).source

    def __call__(self, outputs: Outputs, x: Tensor, c: Tensor, taught_c: Tensor | None = None) -> dict[str, Tensor]:
        """Returns the scalar terms of a batch, `total` among them: the weighted sum.

        Args:
            outputs: The model's pass over the batch.
            x: Indicators `(B, C, *N)`.
            c: Standardised properties `(B, P)`, NaN where not known; P = 0 drops the terms on properties.
            taught_c: Those of the lesson's images `(R, P)`, if there was one.
        """
        config = self.config
        terms: dict[str, Tensor] = {}
        total = x.new_zeros(())
        generative = len(outputs.z) > 0
        if generative:
            for name, (weight, loss) in self.losses.items():
                terms[name] = loss(outputs.logits, x).mean()
                total = total + weight * terms[name]
            if config.kl == "bound":
                terms["kl"] = kl_bound(outputs.posterior, outputs.prior).mean()
            else:
                terms["kl"] = kl_monte_carlo(outputs.posterior, outputs.prior, outputs.z).mean()
            total = total + config.beta * terms["kl"]
        if c.shape[1]:
            terms["regression"] = self._regression(outputs, c, taught_c)
            terms["consistency"] = consistency(outputs.decoded_properties, c[outputs.asked], self.standardization)
            total = total + config.gamma * terms["regression"] + config.consistency * terms["consistency"]
        if generative:
            terms["imbalance"] = imbalance(outputs.prior, outputs.z)
            total = total + config.balance * terms["imbalance"]
        if generative and outputs.prior.log_weights.shape[1] > 1:
            terms["concentration"] = concentration(outputs.prior)
            total = total + config.concentration * terms["concentration"]
        if len(outputs.pairs):
            terms["likeness"] = likeness(outputs.decodes, outputs.pairs)
            total = total + config.likeness * terms["likeness"]
        if generative and config.resemblance and len(draws := outputs.draws) > 1:
            terms["resemblance"] = resemblance(outputs.decodes[draws], outputs.asked[draws], x, c)
            total = total + config.resemblance * terms["resemblance"]
        return terms | {"total": total}

    def _regression(self, outputs: Outputs, c: Tensor, taught_c: Tensor | None) -> Tensor:
        if taught_c is None:
            return regression(outputs.properties, c)
        joined = Gaussian(*(torch.cat(parts) for parts in zip(outputs.properties, outputs.taught, strict=True)))
        return regression(joined, torch.cat((c, taught_c)))


def regression(predicted: Gaussian, c: Tensor) -> Tensor:
    """-log q(c|x), mean over batch and properties, each weighted by its own predicted standard deviation (detached).

    Without that weight (beta-NLL with beta = 1/2, Seitzer et al. 2022, arXiv 2203.09168) a property that is learned
    late is given a large variance, and so a small gradient, and stays unlearned. A label that is not known (NaN) counts
    as zero in the mean, as it does in the sum over the data that the ELBO is.
    """
    known, c = _known(c)
    error = (c - predicted.mean) * (-predicted.log_std).exp()
    nll = 0.5 * error.square() + predicted.log_std + 0.5 * math.log(2 * math.pi)
    return (known * nll * predicted.log_std.detach().exp()).mean()


def consistency(said: Tensor, c: Tensor, standardization: Standardization | None = None) -> Tensor:
    """Mean over decodes and properties, both `(n, P)`, of the errors of decodes: sqrt(1 + (error / LARGE)^2) - 1.

    A decode is judged by relative errors, as a design is: a property's own spread would weigh them unequally. Without
    a standardisation the standardised values themselves are compared. A label that is not known counts as zero.
    """
    scale = 1.0 if standardization is None else standardization.relative(c)
    known, c = _known(c)
    error = known * (said.float() - c) * scale / LARGE
    return ((1 + error.square()).sqrt() - 1).mean()


def _known(c: Tensor) -> tuple[Tensor, Tensor]:
    """Which labels are known, as 0 and 1, and the labels with zeros in the place of the others."""
    known = ~c.isnan()
    # NaN times zero is NaN, so the labels have to go before the mean.
    return known.to(c.dtype), torch.where(known, c, 0.0)


def imbalance(prior: Mixture, z: Tensor) -> Tensor:
    """KL of the batch's mean responsibilities from the uniform distribution over K components, a scalar >= 0.

    Zero when all components are used alike. A component that no sample uses gets no gradient from the KL term and never
    comes back; this term gives it one.
    """
    use = _mean_of_workers(prior.joint_log_density(z).softmax(-1).mean(0)).clamp_min(1e-8)
    return (use * (use * len(use)).log()).sum()


def _mean_of_workers(values: Tensor) -> Tensor:
    """The mean over data-parallel workers, with gradients: what is not linear in a mean wants that of all of them."""
    workers = distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
    return all_reduce(values) / workers if workers > 1 else values


def concentration(prior: Mixture) -> Tensor:
    """Mean over the batch of KL(p(k|c) || uniform) in nats, a scalar from 0 to log K.

    Unchecked, a mixture shares out the properties among its components: each answers the targets near its own, and at
    one target hardly more than one is left. Held even, they share out what the properties leave open, morphology.
    """
    K = prior.log_weights.shape[1]
    return (prior.log_weights.exp() * (prior.log_weights + math.log(K))).sum(1).mean()


def likeness(decodes: Tensor, pairs: Tensor) -> Tensor:
    """Mean over pairs of max(0, 1 - d / ALIKE)^2, d the relative distance in two-point statistics, a scalar in [0, 1].

    Components are of use where they answer the same question differently; nothing else in the objective asks for it,
    and long training brings their answers together.

    Args:
        decodes: Hard indicators `(n, C, *N)`; of more than two phases each channel counts alike.
        pairs: Rows of decodes that should differ, int `(h, 2)`.
    """
    dims = decodes.ndim - 2
    with torch.autocast(decodes.device.type, enabled=False):
        first, second = (two_point(decodes[rows].float(), dims) for rows in pairs.unbind(1))
        return (1 - relative_distance(first, second, dims) / ALIKE).clamp_min(0).square().mean()
