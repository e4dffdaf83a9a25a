"""Features larger than a model has learned are drawn coarse first: with half the pixels, then doubled and refined.

The pretrained weights know images of several resolutions, most of them of up to `LEARNED` pixels an axis. In larger
ones the same shapes take more pixels than the denoiser sees at once: needles come out short, large polygons as blobs.

Shapes: m images, B batch, D latent, C channels, `*N` two or three image axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from microdesign.microstructure.data.indicators import probabilities
from microdesign.model.binarization import binarize_straight_through

LEARNED = 128
"""Pixels along an axis up to which images are drawn at once."""
LEAST_CHORD = 6.0
"""Mean chord of the finest phase, in pixels, from which on an image keeps its shapes at half the pixels: the needles of
MICRO2D at 256 x 256 have 7, its bricks, which half the pixels make thinner, 5."""


class Decode(Protocol):
    """A decoder with a noise."""

    def __call__(
        self,
        z: Tensor,
        shape: tuple[int, ...],
        seed: Sequence[int],
        coarse: Tensor | None = None,
        fractions: Tensor | None = None,
    ) -> Tensor:
        """Maps latents `(B, D)`, as many seeds, and indicators of half the shape to probabilities `(B, C, *N)`.

        With volume fractions `(B, C)` these are the image's, else those that the latents have.
        """


def halvings(labels: np.ndarray, shape: tuple[int, ...], multiple: int) -> np.ndarray:
    """How often the pixels of a draw like each of the images `(m, *N)` are halved before it begins, int `(m,)`.

    Args:
        labels: The images, of two phases each at least.
        shape: Pixels of what is drawn along each axis.
        multiple: The decoder draws multiples of it, twice as large at least.

    Example:
        >>> stripes = np.arange(256) % 32 < 16
        >>> halvings(np.broadcast_to(stripes, (1, 256, 256)).astype(np.uint8), (256, 256), 16)
        array([1])
    """
    found = np.zeros(len(labels), int)
    edge = min(labels.shape[1:])
    if edge <= LEARNED:
        return found
    finest = np.array([_finest_chord(image) for image in labels])

    def again(factor: int) -> np.ndarray:
        drawable = all(n % (2 * factor * multiple) == 0 and n >= 4 * factor * multiple for n in shape)
        return (finest >= factor * LEAST_CHORD) & (drawable and edge > factor * LEARNED)

    factor = 1
    while (images := again(factor)).any():
        found += images
        factor *= 2
    return found


def coarsened(x: Tensor, factor: int) -> Tensor:
    """Hard indicators `(B, C, *N)` with so many times fewer pixels along each axis, of the same volume fractions.

    Shares of phases would look to an encoder like blurred outlines, and what is drawn like those has less outline.
    """
    shares = F.interpolate(x, [n // factor for n in x.shape[2:]], mode="area")
    # Many pixels are half one phase: which of them become it must not depend on their place.
    ties = probabilities(torch.randn(shares.shape, generator=torch.Generator().manual_seed(0)))
    return binarize_straight_through(torch.lerp(shares, ties, 1e-3))


@dataclass(frozen=True, eq=False)
class Realisations:
    """What to draw, a row for each image.

    Attributes:
        latents: Of the images themselves, `(B, D)`, then of the images with half their pixels, a quarter, and so on;
            only rows that are halved so often count.
        seeds: Of each row's noise, `(B,)`.
        halved: How often each row is halved, `(B,)`.
        fractions: Volume fractions of each row, `(B, C)`; those of the latents when None.
    """

    latents: tuple[Tensor, ...]
    seeds: np.ndarray
    halved: np.ndarray
    fractions: Tensor | None = None

    def of(self, rows: np.ndarray | slice) -> Self:
        """Some of the rows."""
        latents = tuple(each[rows] for each in self.latents)
        fractions = None if self.fractions is None else self.fractions[rows]
        return type(self)(latents, self.seeds[rows], self.halved[rows], fractions)

    def draw(self, decode: Decode, shape: tuple[int, ...]) -> Tensor:
        """Probabilities `(B, C, *N)`, from those of half the pixels where a row is to be halved."""
        again = self.halved > 0
        if not again.any():
            return self._decoded(decode, shape)
        large = self.of(again)
        halves = type(self)(large.latents[1:], large.seeds, large.halved - 1, large.fractions)
        coarse = halves.draw(decode, tuple(n // 2 for n in shape))
        refined = large._decoded(decode, shape, binarize_straight_through(coarse))
        if again.all():
            return refined
        drawn = refined.new_empty(len(again), *refined.shape[1:])
        drawn[torch.from_numpy(again)] = refined
        drawn[torch.from_numpy(~again)] = self.of(~again)._decoded(decode, shape)
        return drawn

    def _decoded(self, decode: Decode, shape: tuple[int, ...], coarse: Tensor | None = None) -> Tensor:
        return decode(self.latents[0], shape, self.seeds.tolist(), coarse, self.fractions)


def _finest_chord(image: np.ndarray) -> float:
    """Pixels of a phase over its runs along an axis, in the mean of the axes, of the phase that has least.

    It is the harmonic mean of `mean_chord_length` over the axes, where no line lies in the phase as a whole. That takes
    20 s and a gigabyte for a micrograph of 4000 x 4000 pixels, this a fifth of a second.
    """
    found = []
    for phase in np.unique(image):
        inside = image == phase
        begun = [np.count_nonzero(inside & ~np.roll(inside, 1, axis)) for axis in range(image.ndim)]
        found.append(np.count_nonzero(inside) / np.mean(begun))
    return float(min(found))
