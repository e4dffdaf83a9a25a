"""VGG-19's convolutions on grey images: the features that the style loss compares.

Source: Simonyan and Zisserman 2015, arXiv 1409.1556, configuration E; average pooling as in Gatys et al. 2015,
arXiv 1505.07376.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

WIDTHS = (64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)
"""Channels of the convolutions conv1_1 ... conv5_4."""
POOLED_AFTER = (2, 4, 8, 12)
"""Convolutions, counted from 1, that a pooling follows."""
NAMES = tuple(f"features.{index}" for index in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34))
"""The convolutions' names in torchvision's state dict."""


class VGG19(NamedTuple):
    """The first convolutions of VGG-19.

    Attributes:
        weights: Kernels `(out, in, 3, 3)`, conv1_1 first.
        biases: Biases `(out,)`.
        mean, std: What is taken from the three input channels, and what they are divided by, each `(3,)`.
        source: Names the weights for a run's record.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    mean: Tensor
    std: Tensor
    source: str

    def features(self, grey: Tensor, convolutions: Sequence[int], periodic: bool = True) -> list[Tensor]:
        """Maps images between 0 and 1, `(B, 1, X, Y)`, to the maps `(B, C, X', Y')` after the named convolutions.

        Convolutions count from 1 and include their ReLU. The image is repeated to three channels. A pooling leaves an
        odd last row or column out.
        """
        h = (grey - self.mean[:, None, None]) / self.std[:, None, None]
        maps = {}
        for number in range(1, max(convolutions) + 1):
            weight, bias = self.weights[number - 1], self.biases[number - 1]
            if periodic:
                h = F.relu(F.conv2d(F.pad(h, (1, 1, 1, 1), mode="circular"), weight, bias))
            else:
                h = F.relu(F.conv2d(h, weight, bias, padding=1))
            if number in convolutions:
                maps[number] = h
            if number in POOLED_AFTER:
                h = F.avg_pool2d(h, 2)
        return [maps[number] for number in convolutions]
