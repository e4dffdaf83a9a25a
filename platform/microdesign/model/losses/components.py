"""The losses on the components of a mixture prior: all are used, for every target, and for different morphologies.

Shapes: B batch, K components, n decodes, C channels, `*N` image.
"""

import math

import torch
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_reduce

from microdesign.microstructure.statistics.similarity import relative_distance
from microdesign.microstructure.statistics.two_point import two_point
from microdesign.model.prior.mixture import Mixture

TOO_SIMILAR = 0.3
"""Relative distance in two-point statistics below which two components' draws for the same properties count as too
similar: three times that of images of near-equal properties in a data set of mixed families."""


def imbalance(prior: Mixture, z: Tensor) -> Tensor:
    """KL of the batch's mean responsibilities from the uniform distribution over K components, a scalar >= 0.

    Zero when all components are used alike. A component that no sample uses gets no gradient from the KL term and never
    comes back; this term gives it one.
    """
    use = _mean_of_workers(prior.joint_log_density(z).softmax(-1).mean(0)).clamp_min(1e-8)
    return (use * (use * len(use)).log()).sum()


def _mean_of_workers(values: Tensor) -> Tensor:
    """The mean over data-parallel workers, with gradients: what is not linear in a mean needs that of all of them."""
    workers = distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
    return all_reduce(values) / workers if workers > 1 else values


def component_usage(prior: Mixture) -> Tensor:
    """Mean over the batch of KL(p(k|c) || uniform) in nats, a scalar from 0 to log K.

    Without it, a mixture divides the properties among its components: each serves the targets near its own, and at one
    target hardly more than one is left. Used evenly, they divide what the properties leave open, morphology.

    Example:
        >>> one_of_two = torch.tensor([[1.0, 1e-30]]).log()
        >>> component_usage(Mixture(one_of_two, torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)))  # log 2
        tensor(0.6931)
    """
    K = prior.log_weights.shape[1]
    return (prior.log_weights.exp() * (prior.log_weights + math.log(K))).sum(1).mean()


def component_diversity(decodes: Tensor, pairs: Tensor) -> Tensor:
    """Mean over pairs of max(0, 1 - d / TOO_SIMILAR)^2, d the relative distance in two-point statistics, a scalar.

    Components are useful if their draws for the same properties differ. Nothing else in the objective asks for that,
    and long training brings their draws together.

    Args:
        decodes: Hard indicators `(n, C, *N)`; of more than two phases each channel counts alike.
        pairs: Rows of decodes that should differ, int `(h, 2)`.
    """
    dims = decodes.ndim - 2
    with torch.autocast(decodes.device.type, enabled=False):
        first, second = (two_point(decodes[rows].float(), dims) for rows in pairs.unbind(1))
        return (1 - relative_distance(first, second, dims) / TOO_SIMILAR).clamp_min(0).square().mean()
