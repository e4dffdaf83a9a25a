"""Power spectra: the basis that they are expanded in, and their moments as features of images.

Shapes: B batch, C channels, `*N` two or three spatial axes, `*K` the half spectrum of a real transform,
channels and terms as named. The autocorrelation is the Fourier transform of the power spectrum, so an encoder that sees
its moments and a decoder that sets it share the language of the statistics.
"""

import math
from functools import lru_cache

import torch
from scipy.special import sph_harm_y
from torch import Tensor, nn

LONGEST = 64
"""Pixels, the wave length of the first radial bump."""
BUMPS = 6
"""Radial bumps, evenly spaced in the logarithm of the wave length."""


class SpectralFeatures(nn.Module):
    """Moments of an image's power spectrum in the basis of `RandomFields`, float32; of images of any size.

    Mean log power in each radial bump, and each angular harmonic's share of that power, in [-1, 1].
    """

    def __init__(self, channels: int = 1, dimensions: int = 2) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.features = channels * len(moment_weights((4,) * dimensions, torch.device("cpu")))

    def forward(self, x: Tensor) -> Tensor:
        """Maps images `(B, C, *N)` to features `(B, features)`: for each channel the bumps, then the shares by bump."""
        with torch.autocast(x.device.type, enabled=False):
            transform = torch.fft.rfftn(x.float(), dim=tuple(range(-self.dimensions, 0)), norm="ortho")
            power = (transform.real.square() + transform.imag.square()).flatten(2)
            weights = moment_weights(tuple(x.shape[-self.dimensions :]), x.device)
            radial, angular = (power @ weights.T).split((BUMPS, len(weights) - BUMPS), dim=-1)
            radial = radial.clamp_min(1e-6)
            shares = angular.unflatten(-1, (-1, BUMPS)) / radial.unsqueeze(-2)
            return torch.cat((0.5 * radial.log(), shares.mT.flatten(2)), dim=-1).flatten(1)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # training may use what inference has cached
def moment_weights(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Weights of the wave vectors in each moment, `(waves * BUMPS, prod(*K))`: those of a radial bump sum to one."""
    with torch.device("cpu"):  # where a model is sketched without memory, these are numbers all the same
        bumps, waves = radial_bumps(shape), angular_waves(shape)
        # Half the spectrum stands for the whole: columns that stand for two count twice.
        twice = torch.full((shape[-1] // 2 + 1,), 2.0)
        twice[0] = 1.0
        if shape[-1] % 2 == 0:
            twice[-1] = 1.0
        bumps = (bumps * twice).flatten(1)
        bumps = bumps / bumps.sum(1, keepdim=True)
        return (bumps * waves.flatten(1)[:, None]).flatten(0, 1).to(device)


def wave_vectors(shape: tuple[int, ...]) -> Tensor:
    """Wave vectors of the half spectrum in periods per pixel, `(axes, *K)`, K = (X, Y // 2 + 1) for images."""
    axes = [torch.fft.fftfreq(size) for size in shape[:-1]] + [torch.fft.rfftfreq(shape[-1])]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def radial_bumps(shape: tuple[int, ...]) -> Tensor:
    """Gaussian bumps in log |k|, from a period of `LONGEST` pixels to the Nyquist frequency, `(BUMPS, *K)`.

    They are zero at k = 0 and belong to wave lengths in pixels, so that images of every size share them.
    """
    magnitude = wave_vectors(shape).norm(dim=0) * LONGEST
    position = magnitude.clamp_min(1e-6).log() / math.log(LONGEST / 2) * (BUMPS - 1)
    return torch.stack([torch.exp(-0.5 * (position - j).square()) * (magnitude > 0) for j in range(BUMPS)])


def angular_waves(shape: tuple[int, ...]) -> Tensor:
    """Even harmonics of the wave vector's direction, even since A(k) = A(-k) in a real field, `(terms, *K)`.

    In the plane 1, cos 2a, sin 2a, ... sin 6a of its angle a. In space the real spherical harmonics of the degrees 0, 2
    and 4, with the factor by which the squares of a degree sum to one, as do those of each cosine and sine.
    """
    k = wave_vectors(shape)
    if len(shape) == 2:
        angle = torch.atan2(k[1], k[0])
        waves = [torch.ones_like(angle)]
        for m in (1, 2, 3):
            waves += [torch.cos(2 * m * angle), torch.sin(2 * m * angle)]
        return torch.stack(waves)
    azimuth = torch.atan2(k[1], k[0]).double().numpy()
    polar = torch.atan2(k[:2].norm(dim=0), k[2]).double().numpy()
    waves = []
    for degree in (0, 2, 4):
        for order in range(degree + 1):
            wave = math.sqrt(4 * math.pi / (2 * degree + 1)) * sph_harm_y(degree, order, polar, azimuth)
            parts = [wave.real] if order == 0 else [math.sqrt(2) * wave.real, math.sqrt(2) * wave.imag]
            waves += [torch.from_numpy(part).float() for part in parts]
    return torch.stack(waves)
