"""Volumes of which every section looks like what a denoiser of images has learned: from one micrograph to a volume.

Source: K.-H. Lee, G. J. Yun, "Multi-plane denoising diffusion-based dimensionality expansion for 2D-to-3D
reconstruction of microstructures with harmonized sampling", npj Computational Materials 10, 99 (2024). Here each step
sees the sections across one axis and adds fresh noise to the clean volume that it estimates; the next step sees those
across another axis. What two steps do not agree on is lost in the noise, so that no repetition within a step is needed.
Without fresh noise (the flow that draws images) the volume stays full of specks.

Shapes: C image channels, D latent, `(X, Y, Z)` voxels.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from microdesign.microstructure.data.indicators import probabilities
from microdesign.model.binarization import shifted_to_fractions

STEPS = 30
"""Steps from noise to the volume, ten for each axis. With 15 the sections are rougher, with 60 larger than learned."""
GAIN = 0.5
"""Share of a step's miss of the volume fractions by which the next ones ask for more, or less, of a phase."""
SHARPNESS, SHARP_FROM = 2.0, 0.35
"""Factor of the logits, and the time from which on it counts: coarse shapes stand then, and it takes specks away. From
earlier on features become larger than learned."""
_FRACTIONS = 0.01, 0.99
SECTIONS = 2**17
"""Pixels of the sections that are denoised at once."""


def volume_from_sections(
    denoise: Callable[[Tensor, Tensor, Tensor], Tensor],
    z: Tensor,
    fractions: Tensor,
    shape: tuple[int, ...],
    seed: int = 0,
) -> Tensor:
    """Draws a periodic volume: phase probabilities `(C, X, Y, Z)`, nearly 0 or 1, in float32.

    The logits of every estimate are sharpened, once coarse shapes stand, and shifted to volume fractions. Since the
    denoiser changes them again, what a step misses adds to what the next ones ask for (integral control): otherwise
    the last shift would change sizes.

    Args:
        denoise: Maps sections `(B, C, *N)`, times `(B,)` and latents `(B, D)` to logits, see `Denoiser`.
        z: Latents of the sections across x, across y and across z, `(3, D)`; equal rows for an isotropic material.
        fractions: Volume fractions of the channels, `(C,)`.
        shape: Voxels along each axis, which the denoiser can draw.
        seed: Another one gives another realisation.
    """
    stream = np.random.default_rng([seed, *shape])
    whole = (len(fractions), *shape)
    asked, x = fractions, _noise(stream, whole, z.device)
    found = x
    for step, (t, later) in enumerate(pairwise(np.linspace(0, 1, STEPS + 1).tolist())):
        axis = step % 3
        logits = _denoised(denoise, x, t, z[axis], axis)[None] * (SHARPNESS if t > SHARP_FROM else 1.0)
        missed = fractions - probabilities(logits)[0].flatten(1).mean(1)
        asked = (asked + GAIN * missed).clamp(*_FRACTIONS)
        found = probabilities(shifted_to_fractions(logits, (asked if later < 1 else fractions)[None]))[0]
        x = later * (2 * found - 1) + (1 - later) * _noise(stream, whole, z.device)
    return found


def _noise(stream: np.random.Generator, shape: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.from_numpy(stream.standard_normal(shape, dtype=np.float32)).to(device)


def _denoised(denoise: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: float, z: Tensor, axis: int) -> Tensor:
    """Logits `(C, X, Y, Z)` of the clean volume, from the sections across an axis."""
    sections = x.movedim(axis + 1, 0)
    batch = max(1, SECTIONS // sections[0, 0].numel())
    logits = [
        denoise(part.contiguous(), torch.full((len(part),), t, device=z.device), z.expand(len(part), -1))
        for part in sections.split(batch)
    ]
    return torch.cat(logits).movedim(0, axis + 1)
