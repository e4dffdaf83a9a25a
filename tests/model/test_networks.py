"""Networks on periodic images: what commutes with shifts, shapes, the errors of their sizes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from microdesign.config import load_config
from microdesign.errors import InputError
from microdesign.model.networks import (
    SHARPNESS,
    Decoder,
    Head,
    NetworkConfig,
    ResidualBlock,
    Trunk,
    channels_last,
    pad_periodic,
)
from microdesign.model.vae import ModelConfig, VAERegression

SMALL = {"widths": (8, 8, 16), "latent": 4, "hidden": 32}


def maps(channels: int = 3, size: int = 8) -> torch.Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("width", [1, 2, 3])
def test_pad_periodic_is_circular_padding(width: int) -> None:
    x = maps()
    torch.testing.assert_close(pad_periodic(x, width), F.pad(x, (width,) * 4, mode="circular"), rtol=0, atol=0)
    kept = pad_periodic(x.contiguous(memory_format=torch.channels_last), width)
    assert kept.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [(3, 3), (3, 5)])
def test_residual_block_commutes_with_periodic_shifts(channels: tuple[int, int]) -> None:
    block, x = ResidualBlock(*channels), maps(channels[0])
    assert block(x).shape == (2, channels[1], 8, 8)
    torch.testing.assert_close(block(x.roll((3, 1), (-2, -1))), block(x).roll((3, 1), (-2, -1)))


def test_moments_of_the_trunk_do_not_see_coarse_shifts() -> None:
    config = NetworkConfig(size=32, **SMALL)
    trunk, x = Trunk(config), (maps(1, 32) > 0).float()
    shifted = x.roll((8, -16), (-2, -1))
    assert not torch.allclose(trunk(x), trunk(shifted))
    with torch.no_grad():
        trunk.dense.weight[:, : config.widths[-1] * config.coarse**2] = 0
    torch.testing.assert_close(trunk(x), trunk(shifted))


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("size", [32, 64])
def test_shapes(size: int, depth: int) -> None:
    model = VAERegression(ModelConfig(network=NetworkConfig(size=size, depth=depth, **SMALL)), properties=3)
    x = (maps(1, size) > 0).float()
    posterior, properties = model.encode(x)
    assert posterior.mean.shape == posterior.log_std.shape == (2, 4)
    assert properties.mean.shape == properties.log_std.shape == (2, 3)
    decoded = model.decode(posterior.mean)
    assert decoded.shape == (2, 1, size, size)
    assert decoded.dtype == torch.float32
    assert ((decoded > 0) & (decoded < 1)).all()


def test_one_stage() -> None:
    config = NetworkConfig(size=16, widths=(4,), latent=2, hidden=8)
    assert Decoder(config)(torch.zeros(1, 2)).shape == (1, 1, 16, 16)
    trunk = Trunk(config)
    assert trunk.features == 8 + trunk.spectral.features
    assert trunk(torch.zeros(1, 1, 16, 16)).shape == (1, trunk.features)


def decoder(size: int = 32, **changes: int) -> Decoder:
    """A decoder whose last layer is no longer zero, so that all its layers show."""
    torch.manual_seed(0)
    made = Decoder(NetworkConfig(size=size, **(SMALL | changes)))
    nn.init.normal_(made.last.weight, std=0.02)
    return made


def test_the_decoder_starts_as_its_first_field_cut_at_a_level() -> None:
    torch.manual_seed(0)
    one, z = Decoder(NetworkConfig(size=32, **SMALL)), torch.randn(5, 4)
    statistics = one.statistics(torch.cat((one.dense(z), z), dim=1))
    field = one.texture(statistics[:, :-1])[:, 0]
    logits = one(z)[:, 0]
    level = (logits / SHARPNESS - field).flatten(1)
    torch.testing.assert_close(level, level[:, :1].expand_as(level), rtol=0, atol=1e-5)
    torch.testing.assert_close(level[:, 0], statistics[:, -1] + one.last.bias)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_decoder_is_stationary(size: int, depth: int) -> None:
    """Moved noise gives the moved image: no pixel is special."""
    one, z = decoder(size, depth=depth), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    before = one(z)
    white = torch.fft.irfft2(torch.view_as_complex(one.texture.noise), s=(size, size))
    one.texture.noise = torch.view_as_real(torch.fft.rfft2(white.roll((5, -9), (-2, -1))))
    torch.testing.assert_close(one(z), before.roll((5, -9), (-2, -1)), rtol=1e-3, atol=1e-3)


def test_the_level_is_the_volume_fraction() -> None:
    one, z = decoder(), torch.zeros(1, 4)
    fractions = []
    for level in (-3.0, -0.5, 0.5, 3.0):
        with torch.no_grad():
            one.statistics.bias[-1] = level
        fractions.append(one(z).sigmoid().mean().item())
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.05
    assert fractions[-1] > 0.95


def test_every_layer_of_the_decoder_shows() -> None:
    one, z = decoder(textures=2, depth=2), torch.randn(3, 4, requires_grad=True)
    one(z).square().mean().backward()
    assert z.grad is not None
    assert z.grad.abs().min() > 0
    for name, parameter in one.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_noise_is_saved_with_the_weights_and_fixed_tables_are_not() -> None:
    names = set(decoder().state_dict())
    assert "texture.noise" in names
    assert not names & {"texture.basis", "texture.blur"}
    assert not any("spectral" in name for name in Trunk(NetworkConfig(size=32, **SMALL)).state_dict())


def test_decoder_and_heads_answer_in_float32_under_autocast() -> None:
    config = NetworkConfig(size=32, **SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        assert Decoder(config)(torch.zeros(1, 4)).dtype == torch.float32
        assert Head(32, 32, 3)(torch.zeros(1, 32))[0].dtype == torch.float32


def test_standard_deviations_are_bounded() -> None:
    head = Head(4, 4, 2)
    last = head.layers[-1]
    assert isinstance(last, nn.Linear)
    for bias, expected in ((100.0, 3.0), (-100.0, -6.0)):
        with torch.no_grad():
            last.bias.fill_(bias)
        assert head(torch.zeros(1, 4))[1].eq(expected).all()


def test_channels_last_changes_the_layout_alone() -> None:
    torch.manual_seed(0)
    block, x = ResidualBlock(3, 5), maps()
    before = block(x)
    assert channels_last(block) is block
    assert block.first.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(block(x), before)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["network.size=36"], "'network' is not valid: size 36 with 4 stages is not supported; set size to a multiple "
         "of 16 that is at least 32"),
        (["network.size=16"], "size 16 with 4 stages is not supported"),
        (["network.size=8"], "'network.size' = 8 is not valid: Input should be greater than or equal to 16"),
        (["network.widths=[]"], "'network.widths' is not valid"),
        (["network.widths=[8, 0]"], r"'network.widths.1' = 0 is not valid"),
        (["network.latents=3"], "unknown key 'network.latents'"),
    ],
)  # fmt: skip
def test_config_errors(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(ModelConfig, overrides=overrides)
