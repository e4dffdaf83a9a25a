"""What every decoder does, and what makes the texture decoder one of textures."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from microdesign.microstructure.statistics.morphology import corner_contacts
from microdesign.model.indicators import all_phases, probabilities
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.decoders import build_decoder
from microdesign.model.networks.random_field_decoder import SHARPNESS, TextureDecoder, blurred

SMALL = {"widths": (8, 8, 16), "latent": 4, "hidden": 32}
KINDS: dict[str, dict[str, Any]] = {
    "texture": {},
    "upsampling": {"decoder": "upsampling"},
    "zero": {"decoder": "upsampling", "padding": "zero"},
    "spatial": {"decoder": "upsampling", "latent_kind": "spatial"},
}


def latents(config: NetworkConfig, n: int = 3) -> torch.Tensor:
    return torch.randn(n, config.latent_size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("size", [16, 19])
@pytest.mark.parametrize("phases", [2, 3])
def test_contract(kind: str, dimensions: int, size: int, phases: int) -> None:
    """Logits of the image's own size, float32 under autocast, and a gradient for every parameter and latent."""
    torch.manual_seed(0)
    config = NetworkConfig(size=size, dimensions=dimensions, phases=phases, depth=2, **KINDS[kind], **SMALL)
    decoder = build_decoder(config)
    if isinstance(decoder, TextureDecoder):
        nn.init.normal_(decoder.last.weight, std=0.02)
    z = latents(config).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        logits = decoder(z)
    assert logits.shape == (3, config.channels, *config.shape)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(all_phases(probabilities(logits)).sum(1), torch.ones(3, *config.shape))
    logits.square().mean().backward()
    assert z.grad is not None
    assert (z.grad != 0).all()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_moved_spatial_latent_moves_the_image(dimensions: int) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(size=16, dimensions=dimensions, **KINDS["spatial"], **SMALL)
    decoder, z = build_decoder(config), latents(config)
    moved = z.unflatten(1, config.latent_shape).roll(1, -1).flatten(1)
    torch.testing.assert_close(decoder(moved), decoder(z).roll(8, -1), rtol=1e-4, atol=1e-5)


def texture(size: int = 32, **changes: float) -> TextureDecoder:
    """A decoder whose last layer is no longer zero, so that all its layers show."""
    torch.manual_seed(0)
    made = TextureDecoder(NetworkConfig(size=size, **(SMALL | changes)))
    nn.init.normal_(made.last.weight, std=0.02)
    return made


@pytest.mark.parametrize("phases", [2, 3])
def test_it_starts_as_its_first_fields_cut_at_levels(phases: int) -> None:
    torch.manual_seed(0)
    one, z = TextureDecoder(NetworkConfig(size=32, phases=phases, smoothing=0, **SMALL)), torch.randn(5, 4)
    channels = one.channels
    outputs = one.statistics(torch.cat((one.dense(z), z), dim=1))
    fields = one.fields(z, outputs[:, :-channels])[:, :channels]
    level = (one(z) / SHARPNESS - fields).flatten(2)
    torch.testing.assert_close(level, level[..., :1].expand_as(level), rtol=0, atol=1e-5)
    torch.testing.assert_close(level[..., 0], outputs[:, -channels:] + one.last.bias)


@pytest.mark.parametrize("shape", [(16, 20), (10, 12, 14)])
def test_the_blur_is_that_of_the_fourier_transform(shape: tuple[int, ...]) -> None:
    """exp(-(2 pi k sigma)^2 / 2) for a wave of k periods a pixel, and nothing for sigma = 0."""
    sigma, k = 1.0, 2 / shape[-1]
    wave = torch.cos(2 * torch.pi * k * torch.arange(shape[-1])).expand(3, 2, *shape)
    torch.testing.assert_close(blurred(wave, 0), wave)
    expected = wave * math.exp(-0.5 * (2 * math.pi * k * sigma) ** 2)
    torch.testing.assert_close(blurred(wave, sigma), expected, atol=3e-3, rtol=0)  # it is cut at 3 sigma
    torch.testing.assert_close(blurred(torch.ones(1, 1, *shape), sigma), torch.ones(1, 1, *shape))


def test_a_blur_draws_fewer_specks_whatever_the_weights() -> None:
    contacts = []
    for sigma in (0.0, 1.0):
        decoder = texture(smoothing=sigma)
        nn.init.normal_(decoder.first.weight, std=1.0)
        nn.init.normal_(decoder.last.weight, std=1.0)
        logits = decoder(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))[:, 0]
        image = (logits > logits.mean((1, 2), keepdim=True)).float()
        contacts.append(float(corner_contacts(image).sum()))
    assert contacts[1] < 0.2 * contacts[0]


@pytest.mark.parametrize("size", [32, 45])
@pytest.mark.parametrize("depth", [1, 2])
def test_textures_are_stationary(size: int, depth: int) -> None:
    """Moved noise gives the moved image: no pixel is special."""
    one, z = texture(size, depth=depth), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    before = one(z)
    white = torch.fft.irfft2(torch.view_as_complex(one.texture.noise), s=(size, size))
    one.texture.noise = torch.view_as_real(torch.fft.rfft2(white.roll((5, -9), (-2, -1))))
    torch.testing.assert_close(one(z), before.roll((5, -9), (-2, -1)), rtol=1e-3, atol=1e-3)


def test_the_level_is_the_volume_fraction() -> None:
    one, z = texture(), torch.zeros(1, 4)
    fractions = []
    for level in (-3.0, -0.5, 0.5, 3.0):
        with torch.no_grad():
            one.statistics.bias[-1] = level
        fractions.append(one(z).sigmoid().mean().item())
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.05
    assert fractions[-1] > 0.95


def test_every_latent_has_a_noise_of_its_own_and_near_ones_nearly_the_same() -> None:
    """Correlations over all shifts of fields with one spectrum; 0.2 is the largest of 1024 by chance."""
    one = texture(latent=24)
    z = torch.randn(8, 24, generator=torch.Generator().manual_seed(1))
    spectra = torch.zeros(8, one.texture.channels * one.texture.terms)
    before, near = (torch.fft.rfft2(one.fields(each, spectra)[:, 0]) for each in (z, z + 0.02))

    def kin(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft2(a * b.conj(), s=(32, 32)).abs().amax((-2, -1)) / 32**2

    assert (kin(before, near) > 0.98).all()
    assert kin(before[:4], before[4:]).max() < 0.6


def test_noise_is_saved_with_the_weights_and_fixed_tables_are_not() -> None:
    names = set(texture().state_dict())
    assert {"texture.noise", "projection"} <= names
    assert not names & {"texture.basis", "texture.blur"}
