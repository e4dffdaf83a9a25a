"""The local-global decoder: random fields set the arrangement as a whole, a denoiser the neighbourhoods.

Source: A. E. Robertson, C. Kelly, M. Buzzy, S. R. Kalidindi, "Local-global decompositions for conditional
microstructure generation", Acta Materialia 253, 118966 (2023), with the denoiser conditioned on the latent.

Shapes: B batch, C image channels, `*N` two or three image axes, D latent.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microdesign.microstructure.data.indicators import probabilities
from microdesign.model.binarization import binarize_straight_through, shifted_to_fractions, with_fractions
from microdesign.model.losses.pixel import bce
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.denoiser import Denoiser
from microdesign.model.networks.precision import mixed_precision
from microdesign.model.networks.probability_flow import probability_flow, restarted_flow
from microdesign.model.networks.random_field_decoder import RandomFieldDecoder
from microdesign.model.networks.random_fields import LatentNoise, Seed
from microdesign.model.networks.volume_from_sections import volume_from_sections

LEAST_NOISE = 0.1
"""Bound of 1 - t in the weight 1 / (1 - t) of the denoising loss: images that are nearly clean teach little."""
SETTLED = 0.3
"""Time at which coarse shapes stand: a single step goes there, several times."""
_FRACTIONS = 0.001, 0.999


class LocalGlobalDecoder(nn.Module):
    """Latent to images in two stages: a draft, which the denoiser refines.

    The draft is a shaped random field with the latent's spectrum and volume fractions (`RandomFieldDecoder`). It is
    differentiable at little cost, and training holds its statistics and properties; `forward` gives it. The denoiser
    has learned neighbourhoods from images: `draw` starts from the draft with noise, removes the noise in a few steps,
    and keeps the draft's volume fractions. Both depend on the latent and a seed alone.

    What it draws is periodic, and of any shape whose axes are multiples of the denoiser's `multiple`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        settings = config.denoiser
        self.start, self.steps, self.restarts = settings.start, settings.steps, settings.restarts
        self.sharpness = settings.sharpness
        self.periodic = config.edge_padding == "periodic"
        self.draft = RandomFieldDecoder(config)
        self.noise = LatentNoise(config.latent, config.channels)
        self.denoiser = Denoiser(
            config.channels, config.latent, settings.width, settings.patch, settings.depth, config.dimensions
        )

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents `(B, D)` to the logits of their drafts, `(B, C, *N)` in float32."""
        logits: Tensor = self.draft(z)
        return logits

    def draw(
        self,
        z: Tensor,
        shape: tuple[int, ...] | None = None,
        seed: Seed = 0,
        coarse: Tensor | None = None,
        fractions: Tensor | None = None,
    ) -> Tensor:
        """Maps latents `(B, D)` to phase probabilities `(B, C, *N)`, nearly 0 or 1, in float32.

        One step goes from the draft with noise to the time at which coarse shapes stand, `restarts` times again with
        fresh noise, so that they follow what the denoiser has learned more than the draft. The last estimate of the
        probability flow from there on is the image. Every estimate is given the draft's volume fractions: to change
        them in the end alone would be specks.

        Args:
            z: Latents.
            shape: Pixels along each axis, multiples of the denoiser's; the network's own when None.
            seed: Of the noise: another one gives another realisation of the same material.
            coarse: The same material with half the pixels along each axis, indicators `(B, C, *N / 2)`. The image takes
                its coarse shapes from there, in place of a draft: for features larger than the denoiser has learned.
            fractions: Volume fractions `(B, C)`; those of the latents' drafts when None.
        """
        if coarse is None:
            with mixed_precision(z.device):
                draft = probabilities(self.draft(z, shape, seed))
            if fractions is None:
                fractions = draft.flatten(2).mean(2).clamp(*_FRACTIONS)
            else:
                draft = with_fractions(draft, fractions)
        elif fractions is None:
            fractions = self.draft.fractions(z).clamp(*_FRACTIONS)
        finite = fractions.clamp(*_FRACTIONS)  # fractions of 0 and 1 have no finite logits

        def clean(x: Tensor, t: float) -> Tensor:
            logits = self._denoise(x, torch.full_like(z[:, 0], t), z)
            if t > self.start:
                logits = self.sharpness * logits
            return 2 * probabilities(shifted_to_fractions(logits, finite)) - 1

        passes = 1 + self.restarts
        if coarse is None:
            noises = (self.noise(z, draft.shape[2:], seed, number) for number in range(passes))
            x = _mixed(binarize_straight_through(draft), next(noises), torch.full_like(z[:, 0], self.start))
            x = restarted_flow(clean, x, (self.start, SETTLED), noises)
        else:
            doubled = F.interpolate(coarse, scale_factor=2, mode="nearest")
            x = _mixed(doubled, self.noise(z, doubled.shape[2:], seed, passes), torch.full_like(z[:, 0], SETTLED))
        found = probability_flow(clean, x, torch.linspace(SETTLED, 1.0, self.steps + 1).tolist())
        return with_fractions(0.5 * (found + 1), fractions)

    def spread_noise(self, mean: Tensor, std: Tensor) -> None:
        """Has draft and denoiser tell the latents of a population apart by their noise: `LatentNoise.spread_over`."""
        for noise in (self.draft.global_stage.noise, self.noise):
            noise.spread_over(mean, std)

    def draw_volume(self, z: Tensor, shape: tuple[int, ...], seed: int = 0, fractions: Tensor | None = None) -> Tensor:
        """Draws a volume by a decoder of images, phase probabilities `(C, X, Y, Z)`; see `volume_from_sections`.

        Args:
            z: Latents of the sections across x, across y and across z, `(3, D)`.
            shape: Voxels along each axis, multiples of the denoiser's.
            seed: Another one gives another realisation.
            fractions: Volume fractions `(C,)`; the mean of the latents' when None.
        """
        fractions = self.draft.fractions(z).mean(0) if fractions is None else fractions
        return volume_from_sections(self._denoise, z, fractions, shape, seed)

    def _denoise(self, x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """The denoiser's logits for periodic images, in the precision that is fast here."""
        with mixed_precision(z.device):
            logits: Tensor = self.denoiser(x, t, z)
        return logits

    def denoising_loss(self, x: Tensor, z: Tensor) -> Tensor:
        """Weighted cross entropy of the clean image, as the denoiser predicts it from a noisy one, `(B,)`.

        Args:
            x: Indicators `(B, C, *N)`.
            z: Their latents, which get a gradient.
        """
        t = torch.sigmoid(torch.randn(len(x), device=x.device) - 0.4)
        noisy = _mixed(x, torch.randn_like(x), t)
        return bce(self.denoiser(noisy, t, z, self.periodic), x) / (1 - t).clamp_min(LEAST_NOISE)


def _mixed(x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """t (2 x - 1) + (1 - t) noise, for indicators x."""
    t = t[(...,) + (None,) * (x.ndim - 1)]
    return t * (2 * x - 1) + (1 - t) * noise
