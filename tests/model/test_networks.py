"""Networks on periodic images: what commutes with shifts, shapes, the errors of their sizes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from microdesign.config import load_config
from microdesign.errors import InputError
from microdesign.model.networks import (
    Decoder,
    Head,
    NetworkConfig,
    ResidualBlock,
    Trunk,
    channels_last,
    pad_periodic,
    upsample,
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


def test_upsample_keeps_a_constant_and_the_mean() -> None:
    torch.testing.assert_close(upsample(torch.full((1, 2, 4, 4), 0.7)), torch.full((1, 2, 8, 8), 0.7))
    x = maps()
    assert upsample(x).shape == (2, 3, 16, 16)
    torch.testing.assert_close(upsample(x).mean((-2, -1)), x.mean((-2, -1)))


def test_upsample_commutes_with_periodic_shifts() -> None:
    x = maps()
    torch.testing.assert_close(upsample(x.roll((1, -2), (-2, -1))), upsample(x).roll((2, -4), (-2, -1)))


def test_upsample_is_bilinear() -> None:
    x = torch.zeros(1, 1, 4, 4)
    x[..., 0, 0] = 1
    row = torch.tensor([0.75, 0.75, 0.25, 0, 0, 0, 0, 0.25])
    torch.testing.assert_close(upsample(x)[0, 0], torch.outer(row, row))


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
    assert Trunk(config)(torch.zeros(1, 1, 16, 16)).shape == (1, 8)


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
