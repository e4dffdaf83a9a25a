"""The training objective: reconstruction + beta KL(q(z|x) || p(z|c)) - gamma log q(c|x).

Shapes: B batch, K components, P properties. Source: Sardeshmukh et al. 2024, arXiv 2402.17806. Reconstruction is a mean
over pixels and the regression term a mean over properties, so beta is the weight of one nat of KL against those means.
"""

import torch
from torch import Tensor

from microdesign.model.losses.components import component_diversity, component_usage, imbalance
from microdesign.model.losses.distribution_matching import distribution_matching
from microdesign.model.losses.properties import consistency, regression
from microdesign.model.losses.reconstruction import build_losses
from microdesign.model.losses.style import Style
from microdesign.model.objective_config import ObjectiveConfig
from microdesign.model.outputs import JointOutputs, Outputs
from microdesign.model.prior.mixture import Gaussian, kl_bound, kl_monte_carlo
from microdesign.model.standardization import Standardization


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
            self.sources["style_weights"] = Style(**dict(config.settings.style)).network(torch.device("cpu")).source

    def __call__(self, outputs: Outputs, x: Tensor, c: Tensor, replay_c: Tensor | None = None) -> dict[str, Tensor]:
        """Returns the scalar terms of a batch, `total` among them: the weighted sum.

        Args:
            outputs: The model's pass over the batch.
            x: Indicators `(B, C, *N)`.
            c: Standardised properties `(B, P)`, NaN where not known; P = 0 drops the terms on properties.
            replay_c: Those of the replayed images `(R, P)`, if there are any.
        """
        config, terms = self.config, dict[str, Tensor]()
        joint = outputs if isinstance(outputs, JointOutputs) else None
        total = x.new_zeros(())
        if joint is not None:
            for name, (weight, loss) in self.losses.items():
                terms[name] = loss(joint.logits, x).mean()
                total = total + weight * terms[name]
            if joint.denoising is not None:
                terms["denoising"] = joint.denoising.mean()
                total = total + config.denoising * terms["denoising"]
            if joint.fractions is not None:
                terms["fractions"] = (joint.fractions - x.flatten(2).mean(2)).square().mean()
                total = total + config.fractions * terms["fractions"]
            terms["kl"] = self._kl(joint)
            total = total + config.beta * terms["kl"]
        decodes = outputs.decodes
        if c.shape[1]:
            terms["regression"] = _joined_regression(outputs, c, replay_c)
            total = total + config.gamma * terms["regression"]
            if len(decodes.images):
                terms["consistency"] = consistency(decodes.properties, c[decodes.condition_index], self.standardization)
                total = total + config.consistency * terms["consistency"]
        if joint is not None:
            terms["imbalance"] = imbalance(joint.prior, joint.z)
            total = total + config.balance * terms["imbalance"]
            if joint.prior.log_weights.shape[1] > 1:
                terms["component_usage"] = component_usage(joint.prior)
                total = total + config.component_usage * terms["component_usage"]
            if len(decodes.pairs):
                terms["component_diversity"] = component_diversity(decodes.images, decodes.pairs)
                total = total + config.component_diversity * terms["component_diversity"]
            if config.distribution_matching and len(drawn := decodes.drawn) > 1:
                images, index = decodes.images[drawn], decodes.condition_index[drawn]
                terms["distribution_matching"] = distribution_matching(images, index, x, c)
                total = total + config.distribution_matching * terms["distribution_matching"]
        return terms | {"total": total}

    def _kl(self, outputs: JointOutputs) -> Tensor:
        if self.config.kl == "bound":
            return kl_bound(outputs.posterior, outputs.prior).mean()
        return kl_monte_carlo(outputs.posterior, outputs.prior, outputs.z).mean()


def _joined_regression(outputs: Outputs, c: Tensor, replay_c: Tensor | None) -> Tensor:
    if replay_c is None:
        return regression(outputs.properties, c)
    joined = Gaussian(*(torch.cat(parts) for parts in zip(outputs.properties, outputs.replayed, strict=True)))
    return regression(joined, torch.cat((c, replay_c)))
