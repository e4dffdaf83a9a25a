"""The losses on properties: of the regressor on labels, and of decodes on the properties that they should have.

Shapes: B batch, n decodes, P properties (standardised).
"""

import math

import torch
from torch import Tensor

from microdesign.model.prior.mixture import Gaussian
from microdesign.model.standardization import Standardization

LARGE = 0.1
"""Relative error of a decode's property up to which its square counts, and beyond which the error itself."""


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


def consistency(predicted: Tensor, c: Tensor, standardization: Standardization | None = None) -> Tensor:
    """Mean over decodes and properties, both `(n, P)`, of the errors of decodes: sqrt(1 + (error / LARGE)^2) - 1.

    Errors are relative, as those of designs are: a property's own spread would weigh them unequally. Without a
    standardisation the standardised values themselves are compared. A label that is not known counts as zero.

    Example:
        >>> consistency(torch.tensor([[0.1]]), torch.tensor([[0.0]]))  # sqrt(2) - 1, at an error of LARGE
        tensor(0.4142)
    """
    scale = 1.0 if standardization is None else standardization.relative(c)
    known, c = _known(c)
    error = known * (predicted.float() - c) * scale / LARGE
    return ((1 + error.square()).sqrt() - 1).mean()


def _known(c: Tensor) -> tuple[Tensor, Tensor]:
    """Which labels are known, as 0 and 1, and the labels with zeros in the place of the others."""
    known = ~c.isnan()
    # NaN times zero is NaN, so the labels have to go before the mean.
    return known.to(c.dtype), torch.where(known, c, 0.0)
