"""Condition correction: draws from p(z|c) whose condition is moved until their decodes have the wanted properties.

The draws that a campaign evaluates are those that the regressor prefers, and there it errs more than on draws in
general. So the regressor is also trained on draws that it has corrected itself. `microdesign.design.search` has the
same correction for goals of any kind.

Shapes: B conditions, D latent, C phase channels, `*N` image axes, P properties (standardised).
"""

from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from microdesign.model.binarization import binarize_straight_through
from microdesign.model.prior.mixture import Gaussian, Mixture

STEP = 0.8
"""Share of the error that a round corrects; a little less than 1, for the regressor's noise."""
ROUNDS = 2
"""Most rounds: the draws of a batch have had 0, 1, ... of them, in turn."""

ValuesT = TypeVar("ValuesT", Tensor, np.ndarray)


class ConditionalModel(Protocol):
    """What condition correction needs of a model; `VAERegression` is one."""

    def prior(self, c: Tensor) -> Mixture:
        """p(z|c) for conditions `(B, P)`."""

    def decode(self, z: Tensor) -> Tensor:
        """Phase probabilities `(B, C, *N)` of latents `(B, D)`."""

    def regress(self, x: Tensor) -> Gaussian:
        """q(c|x) for indicators `(B, C, *N)`, each part `(B, P)`."""


def corrected(condition: ValuesT, wanted: ValuesT, predicted: ValuesT) -> ValuesT:
    """The condition after one round: c + STEP (wanted - predicted), for values on the scale that a model is linear in.

    A fixed-point iteration for predicted(c) = wanted, which converges as far as training has made decodes follow their
    condition: an error e becomes (1 - STEP) e where they follow it exactly.

    Example:
        >>> corrected(np.array([0.0]), wanted=np.array([1.0]), predicted=np.array([0.5]))
        array([0.4])
    """
    return condition + STEP * (wanted - predicted)


@torch.no_grad()
def corrected_decodes(model: ConditionalModel, c: Tensor, rounds: int = ROUNDS) -> Tensor:
    """Returns binarised decodes of corrected draws from p(z|c), indicators `(B, C, *N)`, B >= 1.

    Row i is corrected i % (rounds + 1) times. A draw keeps its component k and its noise e,
    z = mu_k(c') + S_k(c') e, and moves its own condition c' by what the regressor predicts for it: see `corrected`.
    """
    prior = model.prior(c)
    component = prior.draw_components()
    noise = torch.randn(len(c), prior.mean.shape[-1], dtype=c.dtype, device=c.device)
    condition, turns = c.clone(), torch.arange(len(c), device=c.device) % (rounds + 1)
    decodes = c.new_zeros(0)
    for turn in range(rounds + 1):
        rows = torch.nonzero(turns >= turn)[:, 0]
        if not len(rows):
            break
        with torch.autocast(c.device.type, enabled=False):
            gaussian = model.prior(condition[rows]).of(component[rows])
        z = gaussian.mean[:, 0] + gaussian.log_std[:, 0].exp() * noise[rows]
        found = binarize_straight_through(model.decode(z))
        decodes = found if turn == 0 else decodes.index_copy(0, rows, found)
        if turn < rounds:
            condition[rows] = corrected(condition[rows], c[rows], model.regress(found).mean)
    return decodes
