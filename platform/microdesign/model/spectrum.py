"""Power spectra: what a texture's two-point statistics are made of, as features of images and as settings of textures.

Shapes: B batch, X Y image, channels and terms as named. The autocorrelation is the Fourier transform of the power
spectrum, so an encoder that sees its moments and a decoder that sets it share the language of the statistics.
"""

import math

import torch
from torch import Tensor, nn


class Spectrum(nn.Module):
    """Random periodic fields whose amplitude spectrum is set per image: the texture a decoder starts from.

    log A(k) is linear in a fixed basis of the wave vector: radial bumps in log |k| times even angular harmonics, which
    hold a texture's length scales, anisotropy and orientation. The phases come from a few fixed noise realisations,
    mixed with unit-norm weights: the same spectrum can be realised in different ways.
    """

    basis: Tensor
    blur: Tensor
    noise: Tensor

    def __init__(self, size: int, channels: int, realisations: int = 6) -> None:
        super().__init__()
        self.size, self.channels, self.realisations = size, channels, realisations
        basis = angular_waves(size)[:, None] * radial_bumps(size)[None]
        self.register_buffer("basis", basis.flatten(0, 1), persistent=False)
        white = torch.randn(realisations, size, size)
        self.register_buffer("noise", torch.view_as_real(torch.fft.rfft2(white)))
        # Features below about 3 pixels are no material's: the Gaussian blur of one pixel that all fields share.
        k = wave_numbers(size)
        self.register_buffer("blur", -0.5 * (2 * math.pi / size * k[0]).square(), persistent=False)
        self.terms = len(self.basis)

    @property
    def parameters_per_channel(self) -> int:
        """Numbers that set one channel: spectrum coefficients, then mixing weights."""
        return self.terms + self.realisations

    def forward(self, coefficients: Tensor) -> Tensor:
        """Maps `(B, channels * parameters_per_channel)` to fields `(B, channels, X, Y)` of zero mean, unit variance."""
        values = coefficients.float().unflatten(1, (self.channels, -1))
        spectrum, mixing = values.split((self.terms, self.realisations), dim=-1)
        log_amplitude = torch.einsum("bct,txy->bcxy", spectrum, self.basis).clamp(-12, 12) + self.blur
        amplitude = log_amplitude.exp() * (self.blur < 0)  # no mean: it is the volume fraction's
        noise = torch.einsum("bcr,rxyi->bcxyi", nn.functional.normalize(mixing, dim=-1), self.noise)
        field = torch.fft.irfft2(torch.view_as_complex(noise * amplitude[..., None]), s=(self.size, self.size))
        return field / field.square().mean((-2, -1), keepdim=True).clamp_min(1e-12).sqrt()


class SpectralFeatures(nn.Module):
    """Moments of an image's power spectrum in the basis of `Spectrum`, float32.

    Mean log power in each radial bump, and each angular harmonic's share of that power, in [-1, 1].
    """

    bumps: Tensor
    waves: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        bumps, waves = radial_bumps(size), angular_waves(size)[1:]
        # Half the spectrum stands for the whole: columns that stand for two count twice.
        twice = torch.full((size // 2 + 1,), 2.0)
        twice[0] = twice[-1] = 1.0
        self.register_buffer("bumps", bumps * twice / (bumps * twice).sum((-2, -1), keepdim=True), persistent=False)
        self.register_buffer("waves", waves, persistent=False)
        self.features = len(bumps) * (1 + len(waves))

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(B, 1, X, Y)` to features `(B, features)`."""
        with torch.autocast(x.device.type, enabled=False):
            transform = torch.fft.rfft2(x.float().squeeze(1), norm="ortho")
            power = transform.real.square() + transform.imag.square()
            radial = torch.einsum("bxy,jxy->bj", power, self.bumps).clamp_min(1e-6)
            angular = torch.einsum("bxy,jxy,mxy->bjm", power, self.bumps, self.waves) / radial[..., None]
            return torch.cat((0.5 * radial.log(), angular.flatten(1)), dim=1)


def wave_numbers(size: int) -> tuple[Tensor, Tensor]:
    """Magnitude (in periods per image) and angle of the half spectrum's wave vectors, each `(size, size // 2 + 1)`."""
    kx = torch.fft.fftfreq(size)[:, None] * size
    ky = torch.fft.rfftfreq(size)[None, :] * size
    return (kx**2 + ky**2).sqrt(), torch.atan2(ky, kx)


def radial_bumps(size: int, count: int = 6) -> Tensor:
    """Gaussian bumps in log |k|, from one period per image to the Nyquist frequency; zero at k = 0, `(count, ...)`."""
    magnitude, _ = wave_numbers(size)
    position = magnitude.clamp_min(1e-6).log() / math.log(size / 2) * (count - 1)
    return torch.stack([torch.exp(-0.5 * (position - j).square()) * (magnitude > 0) for j in range(count)])


def angular_waves(size: int, harmonics: int = 3) -> Tensor:
    """1, cos 2a, sin 2a, cos 4a, ... of the wave vector's angle: even multiples, since A(k) = A(-k) in a real field."""
    _, angle = wave_numbers(size)
    waves = [torch.ones_like(angle)]
    for m in range(1, harmonics + 1):
        waves += [torch.cos(2 * m * angle), torch.sin(2 * m * angle)]
    return torch.stack(waves)
