"""What a regressor is to rehearse on: decodes of draws that it has aimed itself, as campaigns aim them.

The draws that a campaign sends to physics are those that the regressor likes, and there it errs more than on draws in
general. So it learns on such draws too (`design/aiming.py` has the same iteration for goals of any kind).

Shapes: B conditions, C phase channels, `*N` image axes, P properties (standardised).
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from microdesign.model.binarization import binarize_straight_through

if TYPE_CHECKING:
    from microdesign.model.vae import VAERegression

STEP = 0.8
"""Share of the miss that a round of aiming takes back; a little less than 1, for the regressor's noise."""
ROUNDS = 2
"""Most rounds of aiming: the draws of a batch have had 0, 1, ... of them, in turn."""


@torch.no_grad()
def aimed_decodes(model: "VAERegression", c: Tensor, rounds: int = ROUNDS) -> Tensor:
    """Returns binarised decodes of draws from p(z|c), indicators `(B, C, *N)`; row i is aimed i % (rounds + 1) times.

    A draw keeps its component k and its noise e, z = mu_k(c') + S_k(c') e, and moves its own condition c' by what the
    regressor's r misses of c: c' <- c' + STEP (c - r).
    """
    component = model.prior(c).draw_components()
    noise = torch.randn(len(c), model.config.network.latent_size, dtype=c.dtype, device=c.device)
    condition, turns = c.clone(), torch.arange(len(c), device=c.device) % (rounds + 1)
    network = model.config.network
    decodes = c.new_zeros(len(c), network.channels, *network.shape)
    for turn in range(rounds + 1):
        rows = torch.nonzero(turns >= turn)[:, 0]
        if not len(rows):
            break
        with torch.autocast(c.device.type, enabled=False):
            gaussian = model.prior(condition[rows]).of(component[rows])
        z = gaussian.mean[:, 0] + gaussian.log_std[:, 0].exp() * noise[rows]
        aimed = binarize_straight_through(model.decode(z))
        decodes[rows] = aimed
        if turn < rounds:
            condition[rows] += STEP * (c[rows] - model.regress(aimed).mean)
    return decodes
