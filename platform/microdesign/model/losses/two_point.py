"""Losses on two-point statistics: mean square error (MSESS) and cross entropy (CESS), which is reported as its excess.

Source: Cai et al., "Latent Representation of Microstructures using Variational Autoencoders with Spatial
Statistics-Space Loss", eqs. 7, 8 and 11; eq. 8 with the minus sign and eq. 2 with the conjugate that the print leaves
out. None of them sees a periodic shift of either image nor, with two phases, a point inversion (with more it exchanges
f_hh' and f_h'h); all of them see a swap of the phases.
"""

import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import probabilities
from microdesign.microstructure.statistics.phase_pairs import pair_multiplicities, two_point_pairs
from microdesign.model.losses.config import EPS, CessCropSettings, CessSettings


def msess(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over offsets of the square error, summed over pairs of phases, `(B, C, *N) x 2 -> (B,)` (eq. 7)."""
    with torch.autocast(logits.device.type, enabled=False):
        dims = target.ndim - 2
        with torch.no_grad():
            f1 = two_point_pairs(target.float(), dims)
        f2 = two_point_pairs(probabilities(logits.float()), dims)
        return _mean_over_offsets((f1 - f2).square())


class Cess(CessSettings):
    """Excess cross entropy of the two-point statistics (eq. 8), over all offsets."""

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Maps `(B, C, *N)` logits and target to `(B,)`, in nats per offset; see `excess_cess`."""
        with torch.autocast(logits.device.type, enabled=False):
            return excess_cess(target.float(), probabilities(logits.float()), self.eps)


class CessCrop(CessCropSettings):
    """Excess cross entropy over the centred crop of offsets (eq. 11), a mean where the print has a sum.

    Of the pair f_hh'(r) = f_h'h(-r) of different phases the one with h < h' counts twice: the same for odd sizes, and
    for even ones but for the crop's first row, which has no opposite.
    """

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Maps `(B, C, *N)` logits and target to `(B,)`, in nats per offset."""
        with torch.autocast(logits.device.type, enabled=False):
            return excess_cess(target.float(), probabilities(logits.float()), self.eps, self.size)


def excess_cess(reference: Tensor, image: Tensor, eps: float = EPS, crop: int | None = None) -> Tensor:
    """Excess CESS of indicators, `(B, C, *N), (B, C, *N) -> (B,)`, in nats per offset; float32 or better.

    CESS(f1, f2) = -mean_r sum_hh' f1 log f2. Since the statistics sum to one at every offset, its minimum over f2 is
    the entropy of f1 and the excess CESS(f1, f2) - CESS(f1, f1) is the mean Kullback-Leibler divergence: zero for equal
    statistics, comparable between volume fractions, never negative.

    Args:
        reference: The target's indicators, of statistics f1; no gradient flows to it.
        image: Indicators or probabilities of statistics f2.
        eps: Floor of both statistics.
        crop: Offsets along each axis around offset 0; None takes all.
    """
    dims = reference.ndim - 2
    with torch.no_grad():
        f1 = _central(two_point_pairs(reference, dims), crop, dims).clamp_min(eps)
    f2 = _central(two_point_pairs(image, dims), crop, dims).clamp_min(eps)
    # The floor adds to the sums, and the divergence of unequal sums can be negative; f2 - f1 makes every summand >= 0.
    return _mean_over_offsets(f1 * (f1 / f2).log() + f2 - f1)


def _central(f: Tensor, crop: int | None, dims: int) -> Tensor:
    """The offsets -crop // 2 ... of statistics in FFT order, `(B, Q, *N)`; still in FFT order."""
    for axis in range(-dims, 0):
        n = f.shape[axis]
        if crop is not None and crop < n:
            before = crop // 2
            f = torch.cat((f.narrow(axis, 0, crop - before), f.narrow(axis, n - before, before)), dim=axis)
    return f


def _mean_over_offsets(values: Tensor) -> Tensor:
    """`(B, Q, *N) -> (B,)`: the sum over all pairs of phases, the mean over offsets."""
    return values.flatten(2).mean(2) @ pair_multiplicities(values)
