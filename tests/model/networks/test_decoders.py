"""What every decoder does, a user's own too, and what makes the random-field decoder stationary."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import all_phases, probabilities
from microdesign.microstructure.statistics.morphology import corner_contacts
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.decoders import build_decoder
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.model.networks.random_field_decoder import RandomFieldDecoder
from microdesign.model.networks.shaping import SHARPNESS, blurred
from tests.cases import case


class Cosine(nn.Module):
    """A decoder of one's own: plane waves whose amplitudes are linear in the latent."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config, self.amplitudes = config, nn.Linear(config.latent_size, config.channels)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        size = self.config.shape[-1]
        wave = torch.cos(2 * torch.pi * (torch.arange(size) + 0.25) / size)
        amplitude = self.amplitudes(z).float().unflatten(1, (-1, *(1,) * self.config.dimensions))
        return (amplitude * wave).expand(-1, -1, *self.config.shape)


SMALL = {"widths": (8, 8, 16), "latent": 4, "hidden": 32}
KINDS: dict[str, dict[str, Any]] = {
    "random_field": {},
    "upsampling": {"decoder": "upsampling"},
    "zero": {"decoder": "upsampling", "padding": "zero"},
    "spatial": {"decoder": "upsampling", "latent_kind": "spatial"},
    "local_global": {"decoder": "local_global", "denoiser": {"width": 8, "depth": 1}},
    "own": {"decoder": f"{__name__}:Cosine"},
}
"""The contract's tests cover what is listed here."""


def latents(config: NetworkConfig, n: int = 3) -> torch.Tensor:
    return torch.randn(n, config.latent_size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind: str) -> None:
    """For images and volumes, even and odd sizes, rectangles, two phases and more."""
    for dimensions, size, phases in ((2, 16, 2), (2, (19, 24), 3), (3, 16, 3), (3, (19, 16, 22), 2)):
        keeps_the_contract(kind, dimensions, size, phases)


def keeps_the_contract(kind: str, dimensions: int, size: int | tuple[int, ...], phases: int) -> None:
    """Logits of the image's own size, float32 under autocast, and a gradient for every parameter and latent."""
    torch.manual_seed(0)
    if kind == "local_global":
        size = 32 if isinstance(size, int) else (32, 48, 32)[:dimensions]
    config = NetworkConfig(size=size, dimensions=dimensions, phases=phases, depth=2, **KINDS[kind], **SMALL)
    decoder = build_decoder(config)
    if isinstance(decoder, RandomFieldDecoder | LocalGlobalDecoder):
        draft = decoder.draft if isinstance(decoder, LocalGlobalDecoder) else decoder
        nn.init.normal_(draft.shaping.last.weight, std=0.02)
    z = latents(config).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        logits = decoder(z)
    assert logits.shape == (3, config.channels, *config.shape)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(all_phases(probabilities(logits)).sum(1), torch.ones(3, *config.shape))
    loss = logits.square().mean()
    if isinstance(decoder, LocalGlobalDecoder):
        for module in decoder.denoiser.modules():
            for name in ("second", "last"):
                if hasattr(module, name):
                    nn.init.normal_(getattr(module, name).weight, std=0.1)
        loss = loss + decoder.denoising_loss(probabilities(logits).detach(), z).mean()
    loss.backward()
    assert z.grad is not None
    assert (z.grad != 0).all()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_decoders_that_cannot_be_had() -> None:
    for name, message in (
        ("nowhere:Decoder", r"The decoder 'nowhere:Decoder' cannot be loaded \(ModuleNotFoundError"),
        ("math:pi", "The decoder 'math:pi' is a float; expected a subclass of torch.nn.Module"),
        ("builtins:str", "The decoder 'builtins:str' is the class str; expected a subclass of torch.nn.Module"),
    ):
        with pytest.raises(InputError, match=message):
            build_decoder(NetworkConfig(decoder=name))


def test_a_moved_spatial_latent_moves_the_image() -> None:
    for dimensions in (2, 3):
        with case(dimensions=dimensions):
            torch.manual_seed(0)
            config = NetworkConfig(size=16, dimensions=dimensions, **KINDS["spatial"], **SMALL)
            decoder, z = build_decoder(config), latents(config)
            moved = z.unflatten(1, config.latent_shape).roll(1, -1).flatten(1)
            torch.testing.assert_close(decoder(moved), decoder(z).roll(8, -1), rtol=1e-4, atol=1e-5)


def random_field(size: int = 32, **changes: float) -> RandomFieldDecoder:
    """A decoder whose last layer is no longer zero, so that all its layers show."""
    torch.manual_seed(0)
    made = RandomFieldDecoder(NetworkConfig(size=size, **(SMALL | changes)))
    nn.init.normal_(made.shaping.last.weight, std=0.02)
    return made


def test_it_starts_as_its_first_fields_at_its_volume_fractions() -> None:
    for phases in (2, 3):
        with case(phases=phases):
            torch.manual_seed(0)
            one, z = RandomFieldDecoder(NetworkConfig(size=32, phases=phases, smoothing=0, **SMALL)), torch.randn(5, 4)
            channels = one.shaping.channels
            fields = one.global_stage(z).fields[:, :channels]
            logits = one(z)
            level = (logits / SHARPNESS - fields).flatten(2)
            torch.testing.assert_close(level, level[..., :1].expand_as(level), rtol=0, atol=1e-5)
            found = probabilities(logits).flatten(2).mean(2)
            torch.testing.assert_close(found, one.fractions(z), rtol=0, atol=1e-4 if phases == 2 else 0.01)


def test_the_blur_is_that_of_the_fourier_transform() -> None:
    """exp(-(2 pi k sigma)^2 / 2) for a wave of k periods a pixel, and nothing for sigma = 0."""
    for shape in ((16, 20), (10, 12, 14)):
        with case(shape=shape):
            sigma, k = 1.0, 2 / shape[-1]
            wave = torch.cos(2 * torch.pi * k * torch.arange(shape[-1])).expand(3, 2, *shape)
            torch.testing.assert_close(blurred(wave, 0), wave)
            expected = wave * math.exp(-0.5 * (2 * math.pi * k * sigma) ** 2)
            torch.testing.assert_close(blurred(wave, sigma), expected, atol=3e-3, rtol=0)  # it is truncated at 3 sigma
            torch.testing.assert_close(blurred(torch.ones(1, 1, *shape), sigma), torch.ones(1, 1, *shape))


def test_a_blur_draws_fewer_specks_whatever_the_weights() -> None:
    contacts = []
    for sigma in (0.0, 1.0):
        decoder = random_field(smoothing=sigma)
        nn.init.normal_(decoder.shaping.first.weight, std=1.0)
        nn.init.normal_(decoder.shaping.last.weight, std=1.0)
        logits = decoder(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))[:, 0]
        image = (logits > logits.mean((1, 2), keepdim=True)).float()
        contacts.append(float(corner_contacts(image).sum()))
    assert contacts[1] < 0.2 * contacts[0]


def test_decodes_are_stationary() -> None:
    """Moved noise gives the moved image: no pixel is special."""
    for depth, size in product((1, 2), (32, 45)):
        with case(size=size, depth=depth):
            one, z = random_field(size, depth=depth), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
            before = one(z)
            white = torch.fft.irfft2(torch.view_as_complex(one.global_stage.random_fields.noise), s=(size, size))
            one.global_stage.random_fields.noise = torch.view_as_real(torch.fft.rfft2(white.roll((5, -9), (-2, -1))))
            torch.testing.assert_close(one(z), before.roll((5, -9), (-2, -1)), rtol=1e-3, atol=1e-3)


def test_the_level_is_the_volume_fraction() -> None:
    one, z = random_field(), torch.zeros(1, 4)
    fractions = []
    for level in (-3.0, -0.5, 0.5, 3.0):
        with torch.no_grad():
            one.global_stage.levels[-1].bias[-1] = level
        fractions.append(one(z).sigmoid().mean().item())
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.05
    assert fractions[-1] > 0.95


def test_every_latent_has_a_noise_of_its_own_and_near_ones_nearly_the_same() -> None:
    """Correlations over all shifts of fields with one spectrum; 0.2 is the largest of 1024 by chance."""
    one = random_field(latent=24)
    z = torch.randn(8, 24, generator=torch.Generator().manual_seed(1))
    spectra = torch.zeros(8, one.global_stage.random_fields.channels * one.global_stage.random_fields.terms)
    before, near = (torch.fft.rfft2(one.global_stage.fields(each, spectra)[:, 0]) for each in (z, z + 0.02))

    def largest_correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft2(a * b.conj(), s=(32, 32)).abs().amax((-2, -1)) / 32**2

    assert (largest_correlation(before, near) > 0.98).all()
    assert largest_correlation(before[:4], before[4:]).max() < 0.6


def test_what_selects_the_noise_is_saved_with_the_weights_and_fixed_tables_are_not() -> None:
    names = set(random_field().state_dict())
    assert "global_stage.noise.projection" in names
    assert not any(name.startswith("global_stage.random_fields.") for name in names)


def test_fields_of_another_size_have_the_same_spectrum_in_pixels() -> None:
    one = random_field(size=64).global_stage
    with torch.no_grad():
        z = torch.randn(24, 4)
        step = [(f - f.roll(1, -1)).square().mean((0, 2, 3)) for f in (one(z).fields, one(z, (128, 128)).fields)]
    torch.testing.assert_close(*step, rtol=0.15, atol=0)


def test_another_seed_is_another_realisation_of_the_same_latent() -> None:
    one, z = random_field(), torch.randn(3, 4)
    first, again, other = one(z, seed=1), one(z, seed=1), one(z, seed=2)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
