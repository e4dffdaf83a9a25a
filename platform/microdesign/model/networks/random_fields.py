"""Random periodic fields with a given power spectrum.

Shapes: B batch, `*N` two or three spatial axes of one size, channels and terms as named.
"""

import math

import torch
from torch import Tensor, nn

from microdesign.model.networks.spectrum import angular_waves, radial_bumps, wave_vectors


class RandomFields(nn.Module):
    """Random periodic fields whose amplitude spectrum is set per image.

    log A(k) is linear in a fixed basis of the wave vector: radial bumps in log |k| times even angular harmonics, which
    hold length scales, anisotropy and orientation. The phases come from fixed noise realisations, mixed
    with unit-norm weights: the same spectrum can be realised in different ways.
    """

    basis: Tensor
    blur: Tensor
    noise: Tensor

    def __init__(self, size: int, channels: int, dimensions: int = 2, realisations: int = 32) -> None:
        super().__init__()
        self.shape = (size,) * dimensions
        self.channels, self.realisations = channels, realisations
        basis = angular_waves(size, dimensions)[:, None] * radial_bumps(size, dimensions)[None]
        self.register_buffer("basis", basis.flatten(0, 1), persistent=False)
        white = torch.randn(realisations, *self.shape)
        self.register_buffer("noise", torch.view_as_real(torch.fft.rfftn(white, dim=self._axes)))
        # Features below about 3 pixels are no material's: the Gaussian blur of one pixel that all fields share.
        k = wave_vectors(size, dimensions).norm(dim=0)
        self.register_buffer("blur", -0.5 * (2 * math.pi / size * k).square(), persistent=False)
        self.terms = len(self.basis)

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-len(self.shape), 0))

    @property
    def parameters_per_channel(self) -> int:
        """Numbers that set one channel: spectrum coefficients, then mixing weights."""
        return self.terms + self.realisations

    def forward(self, coefficients: Tensor) -> Tensor:
        """Maps `(B, channels * parameters_per_channel)` to fields `(B, channels, *N)` of zero mean, unit variance."""
        values = coefficients.float().unflatten(1, (self.channels, -1))
        spectrum, mixing = values.split((self.terms, self.realisations), dim=-1)
        log_amplitude = torch.einsum("bct,t...->bc...", spectrum, self.basis).clamp(-12, 12) + self.blur
        amplitude = log_amplitude.exp() * (self.blur < 0)  # no mean: it is the volume fraction's
        noise = torch.einsum("bcr,r...->bc...", nn.functional.normalize(mixing, dim=-1), self.noise)
        product = torch.view_as_complex(noise * amplitude[..., None])
        field = torch.fft.irfftn(product, s=self.shape, dim=self._axes)
        return field / field.square().mean(self._axes, keepdim=True).clamp_min(1e-12).sqrt()
