"""The family's configuration: sizes, latents and the errors of their combinations."""

import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from tests.cases import case


def test_each_stage_halves_the_size_rounded_up() -> None:
    for size, sizes in (
        (64, (32, 16, 8, 4)),
        (224, (112, 56, 28, 14)),
        (51, (26, 13, 7, 4)),
        (50, (25, 13, 7, 4)),
        (101, (51, 26, 13, 7)),
    ):
        with case(size=size, sizes=sizes):
            config = NetworkConfig(size=size)
            assert config.shapes == tuple((n, n) for n in sizes)
            assert config.coarse_shape == (sizes[-1],) * 2
    assert NetworkConfig(size=(64, 48)).shapes == ((32, 24), (16, 12), (8, 6), (4, 3))


def test_latents_are_flat() -> None:
    assert NetworkConfig(latent=7).latent_size == 7
    spatial = NetworkConfig(size=224, latent_kind="spatial", latent=4, decoder="upsampling")
    assert spatial.latent_shape == (4, 14, 14)
    assert spatial.latent_size == 4 * 14 * 14
    volume = NetworkConfig(size=51, dimensions=3, latent_kind="spatial", latent=2, decoder="upsampling")
    assert volume.latent_shape == (2, 4, 4, 4)


def test_shape_and_channels() -> None:
    assert NetworkConfig(size=30, dimensions=3).shape == (30, 30, 30)
    assert [NetworkConfig(phases=phases).channels for phases in (2, 3, 6)] == [1, 3, 6]


def test_config_errors() -> None:
    for overrides, message in (
        (
            ["network.size=16"],
            "'network' is not valid: size 16 with 4 stages is not supported; set size to at least 17 "
            "or give fewer widths",
        ),
        (
            ["network.size=3"],
            "'network.size' = 3 is not valid: expected 4 to 16384 pixels, one number for all axes or one for each",
        ),
        (["network.dimensions=1"], "'network.dimensions' = 1 is not valid: Input should be 2 or 3"),
        (["network.phases=1"], "'network.phases' = 1 is not valid"),
        (["network.widths=[]"], "'network.widths' is not valid"),
        (["network.widths=[8, 0]"], r"'network.widths.1' = 0 is not valid"),
        (["network.latents=3"], "unknown key 'network.latents'"),
        (["network.textures=3"], "'network.textures' is now called 'field_channels'"),
        (
            ["network.decoder=texture"],
            "'network.decoder' = 'texture' is not valid: the decoder 'texture' is now called 'random_field'",
        ),
        (
            ["network.decoder=unet"],
            "unknown decoder 'unet'; expected one of random_field, local_global, upsampling or module:name",
        ),
        (["network.phases=8"], "field_channels 6 is not supported with 8 phases; set field_channels to at least 8"),
        (
            ["network.latent_kind=spatial"],
            "latent_kind spatial is not supported with decoder random_field; set decoder to upsampling",
        ),
        (
            ["network.latent_kind=spatial", "network.decoder=upsampling"],
            "prior mixture is not supported with latent_kind spatial; set prior.kind to standard",
        ),
    ):
        with case(overrides=overrides, message=message), pytest.raises(InputError, match=message):
            load_config(ModelConfig, overrides=overrides)
