"""The training objective: reconstruction + beta KL(q(z|x) || p(z|c)) - gamma log q(c|x).

Shapes: B batch, K components, P properties. Source: Sardeshmukh et al. 2024, arXiv 2402.17806. Reconstruction is a mean
over pixels and the regression term a mean over properties, so beta is the weight of one nat of KL against those means.
"""

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator
from torch import Tensor

from microdesign.config import Config
from microdesign.model.losses import parse_loss
from microdesign.model.mixture import Gaussian, Mixture, kl_bound, kl_monte_carlo
from microdesign.model.vae import Outputs


class ObjectiveConfig(Config):
    """Losses and their weights."""

    loss: str = Field("mse+cess", description="reconstruction: names of losses joined by '+'")
    weights: Mapping[str, float] = Field(
        {"mse": 0.1, "cess": 5.0}, description="weight of a named loss where it is not 1"
    )
    kl: Literal["monte_carlo", "bound"] = Field("monte_carlo", description="form of the KL divergence to the mixture")
    beta: float = Field(2e-4, ge=0, description="weight of the KL divergence, per nat")
    gamma: float = Field(0.1, ge=0, description="weight of the regression term")
    consistency: float = Field(
        0.1, ge=0, description="weight of the squared error of the decodes' predicted properties"
    )
    balance: float = Field(0.05, ge=0, description="weight of KL(mean component use || uniform), against collapse")

    @field_validator("loss")
    @classmethod
    def _check_loss(cls, value: str) -> str:
        parse_loss(value)
        return value

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        for name in value:
            parse_loss(name)
        return value


def objective(outputs: Outputs, x: Tensor, c: Tensor, config: ObjectiveConfig) -> dict[str, Tensor]:
    """Returns the scalar terms of a batch, `total` among them: the weighted sum that training minimises.

    Args:
        outputs: The model's pass over the batch.
        x: Indicators of phase 1, `(B, 1, X, Y)`.
        c: Standardised properties, `(B, P)`.
        config: Losses and weights. `weights` may name losses that `loss` does not; those are ignored.
    """
    terms: dict[str, Tensor] = {}
    reconstruction = x.new_zeros(())
    for name, (weight, loss) in parse_loss(config.loss, _used(config)).items():
        terms[name] = loss(outputs.logits, x).mean()
        reconstruction = reconstruction + weight * terms[name]
    if config.kl == "bound":
        terms["kl"] = kl_bound(outputs.posterior, outputs.prior).mean()
    else:
        terms["kl"] = kl_monte_carlo(outputs.posterior, outputs.prior, outputs.z).mean()
    terms["regression"] = regression(outputs.properties, c)
    terms["consistency"] = (outputs.decoded_properties - c).square().mean()
    terms["imbalance"] = imbalance(outputs.prior, outputs.z)
    terms["total"] = (
        reconstruction
        + config.beta * terms["kl"]
        + config.gamma * terms["regression"]
        + config.consistency * terms["consistency"]
        + config.balance * terms["imbalance"]
    )
    return terms


def regression(predicted: Gaussian, c: Tensor) -> Tensor:
    """-log q(c|x), mean over batch and properties, each weighted by its own predicted standard deviation (detached).

    Without that weight (beta-NLL with beta = 1/2, Seitzer et al. 2022, arXiv 2203.09168) a property that is learned
    late is given a large variance, and so a small gradient, and stays unlearned.
    """
    error = (c - predicted.mean) * (-predicted.log_std).exp()
    nll = 0.5 * error.square() + predicted.log_std + 0.5 * math.log(2 * math.pi)
    return (nll * predicted.log_std.detach().exp()).mean()


def imbalance(prior: Mixture, z: Tensor) -> Tensor:
    """KL of the batch's mean responsibilities from the uniform distribution over K components, a scalar >= 0.

    Zero when all components are used alike. A component that no sample uses gets no gradient from the KL term and never
    comes back; this term gives it one.
    """
    use = prior.joint_log_density(z).softmax(-1).mean(0).clamp_min(1e-8)
    return (use * (use * len(use)).log()).sum()


def _used(config: ObjectiveConfig) -> dict[str, float]:
    names = parse_loss(config.loss)
    return {name: weight for name, weight in config.weights.items() if name in names}
