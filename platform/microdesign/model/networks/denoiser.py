"""The denoiser of the local stage: the clean image, predicted from a noisy one and the latent.

Shapes: B batch, C image channels, `*N` two or three image axes, D latent, W width, E embedding.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microdesign.model.networks.blocks import channels_last, convolution, joined_channels, pad_periodic, pad_zero

FREQUENCIES = 16
"""Sines and as many cosines of the time."""
FINE = 16
"""Channels of the convolutions at full resolution."""
LIMIT = 8.0
"""Root mean square of a sample's channels up to which blocks leave it as it is: those of images are below 7."""


Pad = Callable[[Tensor, int], Tensor]


class Denoiser(nn.Module):
    """A U-Net on patches, conditioned on latent and time by scales and shifts of its channels (FiLM).

    It sees no absolute positions, so it draws images of any size that is a multiple of `multiple`, twice that at least:
    periodic ones with periodic padding, parts of larger ones with zeros. Residual branches start at zero, and so it
    trains without norm layers, which take a fifth of a step on a CPU. In their place blocks hold what they pass on to a
    root mean square of `LIMIT`: each multiplies by what the latent says, and for a latent unlike those of images ten of
    them in a row would multiply to a hundred thousand.

    Args:
        channels: Image channels C.
        latent: Size D of the latent.
        width: Channels W on every level.
        patch: Pixels an axis of a patch; convolutions between patches see `2 * patch` pixels and more.
        depth: Blocks on each of the three levels, on each side.
        dimensions: 2 or 3.
    """

    def __init__(
        self, channels: int, latent: int, width: int = 64, patch: int = 4, depth: int = 2, dimensions: int = 2
    ) -> None:
        super().__init__()
        embedding = 4 * width
        self.dimensions, self.patch = dimensions, patch
        self.multiple = 4 * patch
        self.embed = nn.Sequential(
            nn.Linear(latent + 2 * FREQUENCIES, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        # Windows of two patches, one patch apart: outlines that cross from patch to patch are seen at once.
        self.first = convolution(channels, width, 2 * patch, dimensions, stride=patch)

        def level() -> Level:
            return Level(FilmBlock(width, embedding, dimensions) for _ in range(depth))

        self.down = nn.ModuleList(level() for _ in range(2))
        self.middle = level()
        self.halve = nn.ModuleList(convolution(width, width, 2, dimensions, stride=2) for _ in range(2))
        self.join = nn.ModuleList(convolution(2 * width, width, 1, dimensions) for _ in range(2))
        self.up = nn.ModuleList(level() for _ in range(2))
        upsample = nn.ConvTranspose2d if dimensions == 2 else nn.ConvTranspose3d
        self.patches = upsample(width, FINE, patch, stride=patch)
        self.fine = convolution(FINE + channels, FINE, 3, dimensions)
        self.last = convolution(FINE, channels, 3, dimensions)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, t: Tensor, z: Tensor, periodic: bool = True) -> Tensor:
        """Maps noisy images `(B, C, *N)`, times `(B,)` in [0, 1] and latents `(B, D)` to logits `(B, C, *N)`, float32.

        A clean image at time 1 is -1 where a phase is not and 1 where it is; time 0 is unit white noise.
        """
        pad: Pad = pad_periodic if periodic else pad_zero
        x = channels_last(x)
        embedding = self.embed(torch.cat((z, _waves(t)), dim=1))
        h = self.first(pad(x, self.patch // 2))
        skips = []
        for blocks, halve in zip(self.down, self.halve, strict=True):
            h = blocks(h, embedding, pad)
            skips.append(h)
            h = halve(h)
        h = self.middle(h, embedding, pad)
        for blocks, join in zip(self.up, self.join, strict=True):
            h = join(joined_channels(F.interpolate(h, scale_factor=2, mode="nearest"), skips.pop()))
            h = blocks(h, embedding, pad)
        fine = joined_channels(self.patches(F.silu(h)), x.to(h.dtype))
        fine = F.silu(self.fine(pad(fine, 2)))
        logits: Tensor = self.last(fine)
        return logits.float()


class Level(nn.ModuleList):
    """Blocks at one resolution, one after the other."""

    def forward(self, x: Tensor, embedding: Tensor, pad: Pad) -> Tensor:
        """Maps `(B, W, *n)` and embeddings `(B, E)` to `(B, W, *n)`."""
        for block in self:
            x = block(x, embedding, pad)
        return x


class FilmBlock(nn.Module):
    """x + conv(SiLU(scale * conv(SiLU(x)) + shift)), width 3, limited; scale and shift are the embedding's."""

    def __init__(self, width: int, embedding: int, dimensions: int) -> None:
        super().__init__()
        self.first = convolution(width, width, 3, dimensions)
        self.second = convolution(width, width, 3, dimensions)
        self.film = nn.Linear(embedding, 2 * width)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, embedding: Tensor, pad: Pad) -> Tensor:
        """Maps `(B, W, *n)` and embeddings `(B, E)` to `(B, W, *n)`; `pad` pads every axis by as many pixels."""
        scale, shift = self.film(embedding)[(...,) + (None,) * (x.ndim - 2)].chunk(2, dim=1)
        h = self.first(pad(F.silu(x), 2))
        h = F.silu(torch.addcmul(shift, h, 1 + scale))
        return _limited(x + self.second(h))


def _limited(x: Tensor) -> Tensor:
    """Samples `(B, W, *n)` whose root mean square is above LIMIT are scaled down to it; others stay as they are."""
    axes = tuple(range(1, x.ndim))
    size = torch.linalg.vector_norm(x, dim=axes, keepdim=True, dtype=torch.float32) / math.sqrt(x.shape[1:].numel())
    return x * (LIMIT / size.clamp_min(LIMIT)).to(x.dtype)


def _waves(t: Tensor) -> Tensor:
    """Sines and cosines of times `(B,)` at frequencies from 1 to 1000, `(B, 2 * FREQUENCIES)`."""
    angles = t[:, None] * torch.exp(torch.linspace(0, math.log(1000.0), FREQUENCIES, device=t.device))
    return torch.cat((angles.sin(), angles.cos()), dim=1)
