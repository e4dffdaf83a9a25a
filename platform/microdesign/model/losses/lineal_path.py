"""A loss on the lineal path functions of the binarised decode: interfaces and thicknesses, not positions."""

import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import all_phases, probabilities
from microdesign.microstructure.statistics.morphology import lineal_path
from microdesign.model.binarization import binarize_straight_through
from microdesign.model.losses.config import LinealPathSettings

LEAST_VARIANCE = 0.05
"""Floor of phi (1 - phi), below which a phase is too rare for its shapes to count."""


class LinealPath(LinealPathSettings):
    """Mean square difference of the lineal path functions of all phases, relative to phi (1 - phi) of the target.

    L_i(r), the probability that a segment of r pixels along axis i lies wholly in a phase, holds at r = 1 the specific
    surface and in its decay the chord lengths (Lu and Torquato, Phys. Rev. A 45, 922, 1992). Two-point statistics of
    soft decodes do not: an image of specks and one of smooth inclusions may share them. So the decode is binarised by
    `binarize`, with the gradient straight through.
    """

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Maps `(B, C, *N)` logits and target to `(B,)`."""
        with torch.autocast(logits.device.type, enabled=False):
            dims = target.ndim - 2
            with torch.no_grad():
                wanted = self._paths(target.float(), dims)
                fraction = wanted[..., :1]
                scale = (fraction * (1 - fraction)).clamp_min(LEAST_VARIANCE)
            found = self._paths(binarize_straight_through(probabilities(logits.float())), dims)
            return ((found - wanted) / scale).square().flatten(1).mean(1)

    def _paths(self, x: Tensor, dims: int) -> Tensor:
        return lineal_path(all_phases(x), dims, min(self.longest, min(x.shape[2:]) - 1))
