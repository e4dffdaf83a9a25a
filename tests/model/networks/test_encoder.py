"""The encoder's maps and features: sizes, and what does not see where an image begins."""

from itertools import product

import torch

from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.encoder import MOST_POSITIONS, Features, Trunk
from tests.cases import case

SMALL = {"widths": (8, 8, 16), "latent": 4, "hidden": 32}


def images(config: NetworkConfig) -> torch.Tensor:
    return torch.randint(2, (2, config.channels, *config.shape), generator=torch.Generator().manual_seed(0)).float()


def test_moments_do_not_see_coarse_shifts() -> None:
    config = NetworkConfig(size=32, **SMALL)
    trunk, features, x = Trunk(config), Features(config), images(NetworkConfig(size=32, **SMALL))
    shifted = x.roll((8, -16), (-2, -1))
    assert not torch.allclose(features(x, trunk(x)), features(shifted, trunk(shifted)))
    with torch.no_grad():
        features.dense.weight[:, : config.widths[-1] * config.coarse_shape[0] ** 2] = 0
    torch.testing.assert_close(features(x, trunk(x)), features(shifted, trunk(shifted)))


def test_maps_and_features() -> None:
    for phases, size, padding, dimensions in product((2, 3), (16, 19), ("periodic", "zero"), (2, 3)):
        with case(dimensions=dimensions, padding=padding, size=size):
            config = NetworkConfig(size=size, phases=phases, padding=padding, dimensions=dimensions, depth=2, **SMALL)
            x = images(config)
            maps = Trunk(config)(x)
            widths = (8, 16, 16)
            assert [h.shape for h in maps] == [(2, w, *shape) for w, shape in zip(widths, config.shapes, strict=True)]
            features = Features(config)
            assert features(x, maps).shape == (2, features.size)
            assert features.size == 32 + features.spectral.features + config.channels


def test_one_stage() -> None:
    config = NetworkConfig(size=16, widths=(4,), latent=2, hidden=8)
    x = torch.zeros(1, 1, 16, 16)
    (only,) = Trunk(config)(x)
    assert only.shape == (1, 4, 8, 8)
    assert Features(config)(x, [only]).isfinite().all()


def test_the_dense_layer_does_not_grow_with_the_image() -> None:
    for decoder in ("random_field", "local_global"):
        small, large = (Features(NetworkConfig(size=size, decoder=decoder)).dense.weight.shape for size in (64, 208))
        assert small == large
    assert NetworkConfig().coarse_shape == (MOST_POSITIONS,) * 2


def test_features_of_the_local_global_network_belong_to_pixels_and_not_to_the_image() -> None:
    """Four copies of a periodic image side by side have the features of the one."""
    config = NetworkConfig(size=64, decoder="local_global", **SMALL)
    torch.manual_seed(0)
    trunk, features, x = Trunk(config), Features(config), images(config)
    tiled = x.repeat(1, 1, 2, 2)
    torch.testing.assert_close(
        features(tiled, trunk(tiled))[:, :32], features(x, trunk(x))[:, :32], rtol=0.05, atol=0.05
    )
