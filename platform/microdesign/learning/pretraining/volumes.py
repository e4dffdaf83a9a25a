"""The start of a model of volumes: weights of images, whose convolutions then see the section across the first axis.

Source: J. Carreira, A. Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017, which starts networks of videos from
those of images. Turned volumes teach the other axes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from microdesign.model.networks.spectrum import BUMPS
from microdesign.model.vae import VAERegression

_OF_FEATURES = ("features.dense.weight", "latent_head.layers.0.weight", "latent_head.direct.weight")
"""Weights whose last columns are those of the spectrum, bumps before angular shares, and of the volume fraction."""


@torch.no_grad()
def for_volumes(weights: Mapping[str, Tensor], model: VAERegression) -> dict[str, Tensor]:
    """Returns weights for a model of volumes that begins by what one of images knows.

    A convolution of width 3 begins with its weights in the middle plane, others with their mean over the planes: blocks
    then see sections, at the resolution of patches. After four minutes of a core the denoiser's loss is 0.16, and 0.24
    from seeded weights. What volumes have more of, the angular moments and the random fields' spectra, is seeded.

    Args:
        weights: State of a model of two-phase images.
        model: The same networks for volumes, with seeded weights.

    Raises:
        RuntimeError: They are not the same.
    """
    seeded = model.state_dict()
    assert model.features is not None  # of a latent vector, as the decoder local_global has it
    spectral = model.features.spectral.features
    found: dict[str, Tensor] = {}
    for name, own in seeded.items():
        if name not in weights:
            raise RuntimeError(f"it has no {name}")
        given = weights[name]
        if given.shape == own.shape:
            found[name] = given
        elif name in _OF_FEATURES:
            kept = own.shape[1] - spectral - 1
            rest = given[:, : kept + BUMPS], own[:, kept + BUMPS : -1], given[:, -1:]
            found[name] = torch.cat(rest, 1)
        elif own.ndim == 5:
            found[name] = _along_first(given, own.shape, "patches" in name)
        else:
            found[name] = own
    return found


def _along_first(kernel: Tensor, shape: torch.Size, transposed: bool) -> Tensor:
    """A kernel `(O, I, k, k)` as one `(O, I, k, k, k)` that is constant along the first axis, or its middle plane."""
    planes, kernel = shape[2], kernel.unsqueeze(2)
    if planes == 3:
        return torch.cat((torch.zeros_like(kernel), kernel, torch.zeros_like(kernel)), 2)
    return kernel.repeat(1, 1, planes, 1, 1) / (1 if transposed else planes)
