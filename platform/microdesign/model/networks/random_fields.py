"""Random periodic fields with a given power spectrum.

Shapes: B batch, `*N` two or three spatial axes, channels and terms as named.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from microdesign.model.networks.spectrum import angular_waves, radial_bumps, wave_vectors

REALISATIONS = 32
"""Fixed draws of white noise that the fields are mixed of."""

LEAST_SPREAD = 1e-3
"""Bound of a latent's standard deviation over a population."""

Seed = int | Sequence[int]
"""Of the noise of B draws. One number: their latents select it, and near latents have nearly the same noise. B numbers:
each draw has a noise of its own, whatever its latent."""


class RandomFields(nn.Module):
    """Random periodic fields whose amplitude spectrum is set per image.

    log A(k) is linear in a fixed basis of the wave vector: radial bumps in log |k| times even angular harmonics, which
    hold length scales, anisotropy and orientation. The phases come from fixed noise realisations, mixed
    with unit-norm weights: the same spectrum can be realised in different ways.

    Spectra belong to wave lengths in pixels, so that the same coefficients give fields of any size.
    """

    basis: Tensor
    blur: Tensor
    noise: Tensor

    def __init__(self, shape: tuple[int, ...], channels: int, realisations: int = REALISATIONS) -> None:
        super().__init__()
        self.shape = shape
        self.channels, self.realisations = channels, realisations
        tables = _tables(self.shape, realisations, 0)
        for name, table in zip(("basis", "blur", "noise"), tables, strict=True):
            self.register_buffer(name, table, persistent=False)  # they follow from the size
        self.terms = len(self.basis)

    @property
    def parameters_per_channel(self) -> int:
        """Numbers that set one channel: spectrum coefficients, then mixing weights."""
        return self.terms + self.realisations

    def forward(self, coefficients: Tensor, shape: tuple[int, ...] | None = None, seed: int = 0) -> Tensor:
        """Maps `(B, channels * parameters_per_channel)` to fields `(B, channels, *N)` of zero mean, unit variance.

        Args:
            coefficients: Of the spectra, then the weights that mix the realisations.
            shape: Pixels along each axis; the network's own when None.
            seed: Of the noise realisations; 0 is that of training.
        """
        shape = shape or self.shape
        basis, blur, white = self.basis, self.blur, self.noise
        if shape != self.shape or seed:
            basis, blur, white = (each.to(blur.device) for each in _tables(shape, self.realisations, seed))
        axes = tuple(range(-len(shape), 0))
        values = coefficients.float().unflatten(1, (self.channels, -1))
        spectrum, mixing = values.split((self.terms, self.realisations), dim=-1)
        log_amplitude = torch.einsum("bct,t...->bc...", spectrum, basis).clamp(-12, 12) + blur
        amplitude = log_amplitude.exp() * (blur < 0)  # no mean: it is the volume fraction's
        noise = torch.einsum("bcr,r...->bc...", nn.functional.normalize(mixing, dim=-1), white)
        product = torch.view_as_complex(noise * amplitude[..., None])
        field = torch.fft.irfftn(product, s=shape, dim=axes)
        return field / field.square().mean(axes, keepdim=True).clamp_min(1e-12).sqrt()


class LatentNoise(nn.Module):
    """White noise that the latent selects, by a random projection that is not trained.

    Every latent has its own noise and near latents have nearly the same, so that a draw is a smooth function of its
    latent. Draws that are to be independent of each other have seeds of their own (`Seed`).

    Args:
        latent: Size D of the latent.
        channels: Channels of the noise.
        realisations: Independent fields, which are mixed with unit-norm weights.
    """

    projection: Tensor

    def __init__(self, latent: int, channels: int, realisations: int = REALISATIONS) -> None:
        super().__init__()
        self.channels, self.realisations = channels, realisations
        self.register_buffer("projection", torch.randn(latent + 1, channels * realisations))

    @torch.no_grad()
    def spread_over(self, mean: Tensor, std: Tensor) -> None:
        """Has the latents of a population select noises that are as unlike as those of standard normal latents.

        A narrow population, such as that of one material, has nearly one noise otherwise.

        Args:
            mean: The population's, `(D,)`.
            std: Its standard deviations, `(D,)`.
        """
        directions = nn.functional.normalize(self.projection, dim=1) * math.sqrt(self.projection.shape[1])
        rows = directions[:-1] / std.clamp_min(LEAST_SPREAD)[:, None]
        self.projection.copy_(torch.cat((rows, (directions[-1] - mean @ rows)[None])))

    def weights(self, z: Tensor, seed: Seed = 0) -> Tensor:
        """Maps latents `(B, D)` to mixing weights `(B, channels, realisations)` of norm one."""
        if isinstance(seed, int):
            weights = z.float() @ self.projection[:-1] + self.projection[-1]
        else:
            streams = map(np.random.default_rng, seed)
            drawn = [stream.standard_normal(self.projection.shape[1], dtype=np.float32) for stream in streams]
            weights = torch.from_numpy(np.stack(drawn)).to(z.device)
        return nn.functional.normalize(weights.unflatten(1, (self.channels, -1)), dim=-1)

    def forward(self, z: Tensor, shape: tuple[int, ...], seed: Seed = 0, number: int = 0) -> Tensor:
        """Maps latents `(B, D)` to noise `(B, channels, *N)` of unit variance and of the given shape N.

        Each `number` gives another noise for the same seed.
        """
        if isinstance(seed, int):
            white = white_noise(shape, self.realisations, seed, number).to(z.device)
            return torch.einsum("bcr,r...->bc...", self.weights(z), white)
        return torch.stack([white_noise(shape, self.channels, each, number) for each in seed]).to(z.device)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # training may use what inference has cached
def white_noise(shape: tuple[int, ...], realisations: int, seed: int, number: int = 0) -> Tensor:
    """Standard normal fields `(realisations, *N)`, float32; the same for the same arguments on every machine."""
    stream = np.random.default_rng([seed, *shape, *([number] if number else [])])
    return torch.from_numpy(stream.standard_normal((realisations, *shape), dtype=np.float32))


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _tables(shape: tuple[int, ...], realisations: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Basis `(terms, *K)`, log amplitude of the common blur `(*K)`, and noise `(realisations, *K, 2)`."""
    with torch.device("cpu"):  # also where a model is sketched on a device without memory
        basis = angular_waves(shape)[:, None] * radial_bumps(shape)[None]
        # Features below about 3 pixels are no material's: the Gaussian blur of one pixel that all fields share.
        k = 2 * math.pi * wave_vectors(shape).norm(dim=0)
        white = torch.fft.rfftn(white_noise(shape, realisations, seed), dim=tuple(range(-len(shape), 0)))
    return basis.flatten(0, 1), -0.5 * k.square(), torch.view_as_real(white)
