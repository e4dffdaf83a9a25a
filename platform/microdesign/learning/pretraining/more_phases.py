"""The start of a model of many phases: weights of two phases, to which each phase is a grey level.

Shapes: C channels, one for each phase.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from microdesign.model.vae import VAERegression

_NOISE = ("decoder.noise.projection",)
"""Random projections, which are as good as drawn."""
_OF_FEATURES = ("features.dense.weight", "latent_head.layers.0.weight", "latent_head.direct.weight")
"""Weights whose last columns are those of each channel's spectrum, and of its volume fraction."""


@torch.no_grad()
def for_more_phases(weights: Mapping[str, Tensor], model: VAERegression) -> dict[str, Tensor]:
    """Returns weights for a model of more phases that begins by what one of two phases knows.

    Each phase has a level from -1, phase 0, to 1, the last one: where the one channel of two phases enters, in -1 or 1,
    the channels enter by their levels, and where its logit leaves, each leaves by its level. The model then sees and
    draws images of many phases as it would grey ones, and learns from there what tells the phases apart.

    Args:
        weights: State of a model of two phases.
        model: The same networks for more phases, with seeded weights.
    """
    seeded = model.state_dict()
    channels = len(seeded["decoder.denoiser.last.bias"])
    level = torch.linspace(-1, 1, channels)
    assert model.features is not None  # of a latent vector, as the decoder local_global has it
    spectral = model.features.spectral.features // channels
    found: dict[str, Tensor] = {}
    for name, own in seeded.items():
        given = weights.get(name, own)
        if name in _NOISE or given.shape == own.shape:
            found[name] = own if name in _NOISE else given
        elif name in _OF_FEATURES:
            rest, spectrum, fraction = given.split((given.shape[1] - spectral - 1, spectral, 1), dim=1)
            found[name] = torch.cat((rest, (spectrum / channels).repeat(1, channels), fraction * (level + 1) / 2), 1)
        elif given.shape[0] == 1:
            found[name] = given * _along(level, 0, given.ndim) / 2
        else:  # its last input is the image
            entering = given[:, -1:] * _along(level, 1, given.ndim) / 2
            found[name] = torch.cat((given[:, :-1], entering), 1)
    return found


def _along(level: Tensor, axis: int, ndim: int) -> Tensor:
    return level.reshape([-1 if i == axis else 1 for i in range(ndim)])
