"""Cross entropy on two-point statistics (CESS), reported as its excess over the entropy of the target's statistics.

Source: Cai et al., "Latent Representation of Microstructures using Variational Autoencoders with Spatial
Statistics-Space Loss", eq. 8 with the minus sign that the print leaves out.
"""

import torch
from torch import Tensor

from microdesign.microstructure.statistics import two_point_set

EPS = 1e-4
"""Floor of a statistic before the logarithm: sparse images have true zeros and rounding makes tiny negatives."""


def cess(logits: Tensor, target: Tensor) -> Tensor:
    """Excess CESS of the phase-1 probabilities, `(B, 1, X, Y), (B, 1, X, Y) -> (B,)`, in nats per offset.

    CESS(f1, f2) = -mean_r sum_hh' f1 log f2. Since the statistics sum to one at every offset, its minimum over f2 is
    the entropy of f1 and the excess CESS(f1, f2) - CESS(f1, f1) is the mean Kullback-Leibler divergence: zero for equal
    statistics, comparable between volume fractions, never negative.
    """
    with torch.autocast(logits.device.type, enabled=False):
        return excess_cess(target.float(), logits.float().sigmoid())


def excess_cess(reference: Tensor, image: Tensor) -> Tensor:
    """Excess CESS of indicators, both `(B, 1, X, Y)` -> `(B,)`; see `cess`."""
    with torch.no_grad():
        f1 = two_point_set(reference).clamp_min(EPS)
    f2 = two_point_set(image).clamp_min(EPS)
    # The floor adds to the sums, and the divergence of unequal sums can be negative; f2 - f1 makes every summand >= 0.
    return (f1 * (f1 / f2).log() + f2 - f1).sum((1, 2)).flatten(1).mean(1)
