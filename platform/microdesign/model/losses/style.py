"""Style loss: Gram matrices of VGG-19's features, which distinguish patterns and not positions.

Source: Gatys et al. 2015, arXiv 1505.07376; Sardeshmukh et al. 2021, TextureVAE, with the square of the difference that
Cai et al. (eq. 3) leave out.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import probabilities
from microdesign.model.losses.config import StyleSettings
from microdesign.model.losses.vgg import VGG19
from microdesign.model.losses.vgg_weights import load_vgg

NARROWEST = 16
"""Pixels that a slice must have along each axis: four poolings leave one of them."""


class Style(StyleSettings):
    """Squared differences of the Gram matrices of VGG-19's features, summed over layers.

    sum_l w_l / (4 C_l^2 M_l^2) sum_ij (G_l,ij(x) - G_l,ij(x_hat))^2 with G = F F^T over the M_l positions of the C_l
    channels of layer l. Each phase is one grey image (of two phases, phase 1 alone), a volume is random slices along
    each axis, and the value is their mean.
    """

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Maps `(B, C, *N)` logits and target to `(B,)`.

        The slices of volumes are drawn from torch's global generator on the CPU.

        Raises:
            InputError: An image or a slice is narrower than 16 pixels, or there are no weights.
        """
        if min(target.shape[2:]) < NARROWEST:
            raise InputError(
                f"The style loss got images of shape {tuple(target.shape[2:])}; expected at least {NARROWEST} pixels "
                "along each axis."
            )
        image, vgg = probabilities(logits.float()), self.network(logits.device)
        values = [
            self._distances(vgg, _take(image, *where), _take(target.float(), *where))
            for where in _places(target, self.slices)
        ]
        return torch.cat(values, dim=1).mean(1)

    def network(self, device: torch.device) -> VGG19:
        """The convolutions that the layers need.

        Raises:
            InputError: There are no weights.
        """
        return load_vgg(self.weights, max(self.layers), device)

    def _distances(self, vgg: VGG19, image: Tensor, target: Tensor) -> Tensor:
        """`(B, S, X, Y)` grey images to `(B, S)`."""
        with torch.no_grad():
            expected = self._grams(vgg, target)
        layer_weights = self.layer_weights or [1 / len(self.layers)] * len(self.layers)
        total = image.new_zeros(())
        for weight, gram, other in zip(layer_weights, self._grams(vgg, image), expected, strict=True):
            total = total + weight / (4 * gram.shape[-1] ** 2) * (gram - other).square().sum((-2, -1))
        return total.view(image.shape[:2])

    def _grams(self, vgg: VGG19, images: Tensor) -> Iterator[Tensor]:
        """G / M of each layer, `(B S, C, C)`."""
        bf16 = self.precision == "bfloat16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            maps = vgg.features(images.flatten(0, 1)[:, None], self.layers, self.periodic)
        with torch.autocast(images.device.type, enabled=False):
            for features in (each.float().flatten(2) for each in maps):
                yield features @ features.mT / features.shape[-1]


def _places(target: Tensor, slices: int) -> Iterator[tuple[int, Tensor] | tuple[()]]:
    """Axis and positions of the slices of volumes `(B, C, X, Y, Z)`; the whole of images `(B, C, X, Y)`."""
    if target.ndim == 4:
        yield ()
        return
    for axis in range(2, target.ndim):
        yield axis, torch.randint(target.shape[axis], (slices,)).to(target.device)


def _take(x: Tensor, axis: int | None = None, positions: Tensor | None = None) -> Tensor:
    """Grey images `(B, S, X, Y)` of `(B, C, *N)`: S = C in two dimensions, C times the number of slices in three."""
    if axis is None or positions is None:
        return x
    return x.index_select(axis, positions).movedim(axis, 2).flatten(1, 2)
