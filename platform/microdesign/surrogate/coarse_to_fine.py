"""Features larger than a model has learned are drawn coarse first: with half the pixels, then doubled and refined.

The pretrained weights know images of several resolutions, most of them of up to `LEARNED` pixels an axis. In larger
ones the same shapes take more pixels than the denoiser sees at once: needles come out short, large polygons as blobs.

Shapes: m images, B batch, D latent, C channels, `*N` two or three image axes.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from microdesign.microstructure.data.indicators import probabilities
from microdesign.microstructure.statistics.morphology import mean_chord_length
from microdesign.model.binarization import binarize_straight_through

LEARNED = 128
"""Pixels along an axis up to which images are drawn at once."""
LEAST_CHORD = 6.0
"""Mean chord of the finest phase, in pixels, from which on an image keeps its shapes at half the pixels: the needles of
MICRO2D at 256 x 256 have 7, its bricks, which half the pixels make thinner, 5."""


class Decode(Protocol):
    """A decoder with a noise."""

    def __call__(self, z: Tensor, shape: tuple[int, ...], seed: Sequence[int], coarse: Tensor | None = None) -> Tensor:
        """Maps latents `(B, D)`, as many seeds, and indicators of half the shape to probabilities `(B, C, *N)`."""


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


def draw_coarse_first(
    decode: Decode, latents: Sequence[Tensor], halved: np.ndarray, shape: tuple[int, ...], seeds: np.ndarray
) -> Tensor:
    """Draws an image of each row, `(B, C, *N)`: from one of half the pixels where the row is to be halved.

    Args:
        decode: The decoder.
        latents: Of the images themselves, `(B, D)`, then of the images with half their pixels, a quarter, and so on;
            only rows that are halved so often count.
        halved: How often each row is halved, `(B,)`.
        shape: Pixels along each axis.
        seeds: Of each row's noise, `(B,)`.
    """
    rows = halved > 0
    found: list[tuple[np.ndarray, Tensor]] = []
    if not rows.all():
        found.append((~rows, decode(latents[0][~rows], shape, seeds[~rows].tolist())))
    if rows.any():
        half = tuple(n // 2 for n in shape)
        coarse = draw_coarse_first(decode, [each[rows] for each in latents[1:]], halved[rows] - 1, half, seeds[rows])
        coarse = binarize_straight_through(coarse)
        found.append((rows, decode(latents[0][rows], shape, seeds[rows].tolist(), coarse)))
    if len(found) == 1:
        return found[0][1]
    drawn = found[0][1].new_empty(len(rows), *found[0][1].shape[1:])
    for chosen, part in found:
        drawn[torch.from_numpy(chosen)] = part
    return drawn


def _finest_chord(image: np.ndarray) -> float:
    """Mean chord of the finest phase over all axes, in pixels: chords count by their number, so that stripes count."""
    labels = torch.tensor(image)
    chords = [mean_chord_length(labels == phase, labels.ndim) for phase in labels.unique()]
    return min(float(1 / (1 / each).mean()) for each in chords)
