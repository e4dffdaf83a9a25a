"""The surrogate in process: shapes, units, seeds, densities, refusals."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributions as td

from microdesign.core.errors import InputError
from microdesign.model.bundle import Bundle, Description, load_bundle, save_bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.prior.config import PriorConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.surrogate.local import PIXELS, LocalSurrogate
from microdesign.surrogate.protocol import Prior, decode_labels
from tests.cases import case

BATCH = PIXELS // 32**2
NETWORK = NetworkConfig(size=32, widths=(8, 8, 16), latent=4, hidden=32)
STANDARDIZATION = Standardization(names=("Ex", "vxy"), units=("MPa", "1"), offsets=(4.0, 0.3), scales=(0.5, 0.1))
TARGET = {"vxy": -0.1, "Ex": 40.0}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(0)
    config = ModelConfig(network=NETWORK)
    folder = tmp_path_factory.mktemp("bundle")
    save_bundle(folder, VAERegression(config, 2), Description(model=config, standardization=STANDARDIZATION))
    return load_bundle(folder)


@pytest.fixture(scope="module")
def surrogate(bundle: Bundle) -> LocalSurrogate:
    return LocalSurrogate(bundle)


def images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (n, 32, 32)).astype(np.uint8)


def latents(n: int = 3) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((n, 4))


def test_shapes_and_ranges(surrogate: LocalSurrogate) -> None:
    mean, std = surrogate.encode(images())
    assert mean.shape == std.shape == (3, 4)
    assert (std > 0).all()
    physical, spread = surrogate.predict(images())
    assert physical.shape == spread.shape == (3, 2)
    assert (physical[:, 0] > 0).all()
    assert (spread > 0).all()
    decoded = surrogate.decode(latents())
    assert decoded.shape == (3, 1, 32, 32)
    assert decoded.dtype == np.float32
    assert ((decoded >= 0) & (decoded <= 1)).all()
    labels = decode_labels(surrogate, latents())
    assert labels.shape == (3, 32, 32)
    assert labels.dtype == np.uint8
    np.testing.assert_allclose(labels.mean((1, 2)), decoded.mean((1, 2, 3)), atol=0.5 / 32**2 + 1e-7)


def test_names_and_description(surrogate: LocalSurrogate, bundle: Bundle) -> None:
    assert surrogate.properties == ("Ex", "vxy")
    assert surrogate.digest == bundle.digest != ""
    assert Description.model_validate(surrogate.describe()) == bundle.description


def test_no_images_and_no_latents(surrogate: LocalSurrogate) -> None:
    assert surrogate.encode(images(0))[0].shape == (0, 4)
    assert surrogate.predict(images(0))[1].shape == (0, 2)
    assert surrogate.decode(latents(0)).shape == (0, 1, 32, 32)
    assert surrogate.sample(TARGET, 0, seed=0).z.shape == (0, 4)


def test_predictions_are_physical(surrogate: LocalSurrogate, bundle: Bundle) -> None:
    x = torch.from_numpy(images()).float()[:, None]
    with torch.inference_mode():
        _, properties = bundle.model.encode(x)
    physical, spread = surrogate.predict(images())
    np.testing.assert_allclose(physical[:, 0], np.exp(4 + 0.5 * properties.mean[:, 0].numpy()), rtol=1e-5)
    np.testing.assert_allclose(physical[:, 1], 0.3 + 0.1 * properties.mean[:, 1].numpy(), rtol=1e-4)
    std = properties.log_std.exp().numpy()
    np.testing.assert_allclose(spread, std * [0.5, 0.1] * np.stack([physical[:, 0], np.ones(3)], 1), rtol=1e-4)


def test_answers_do_not_depend_on_the_batch(surrogate: LocalSurrogate) -> None:
    many = images(BATCH + 3)
    whole, part = surrogate.predict(many)[0], surrogate.predict(many[-2:])[0]
    np.testing.assert_allclose(whole[-2:], part, rtol=1e-4)
    z = latents(BATCH + 3)
    np.testing.assert_allclose(surrogate.decode(z)[-2:], surrogate.decode(z[-2:]), atol=1e-5)


FAMILY = {
    "volumes": NetworkConfig(dimensions=3, size=17, widths=(8, 8, 16), latent=4, hidden=32),
    "phases": NetworkConfig(phases=3, size=32, widths=(8, 8, 16), latent=4, hidden=32),
    "spatial": NetworkConfig(
        size=32, widths=(8, 8, 16), latent=2, hidden=32, latent_kind="spatial", decoder="upsampling"
    ),
}


@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize("properties", [("Ex", "vxy"), ()])
def test_the_family(kind: str, properties: tuple[str, ...], tmp_path: Path) -> None:
    """From a bundle on disk; without properties there is nothing to predict and a target of nothing to sample at."""
    torch.manual_seed(0)
    network, count = FAMILY[kind], len(properties)
    prior = PriorConfig(kind="mixture" if count and kind != "spatial" else "standard")
    config = ModelConfig(network=network, prior=prior)
    standardization = Standardization(names=properties, units=("",) * count, offsets=(0,) * count, scales=(1,) * count)
    save_bundle(tmp_path, VAERegression(config, count), Description(model=config, standardization=standardization))
    surrogate = LocalSurrogate(load_bundle(tmp_path))
    labels = np.random.default_rng(0).integers(0, network.phases, (3, *network.shape), np.uint8)
    mean, std = surrogate.encode(labels)
    assert mean.shape == std.shape == (3, network.latent_size)
    predicted, spread = surrogate.predict(labels)
    assert predicted.shape == spread.shape == (3, count)
    decoded = surrogate.decode(mean)
    assert decoded.shape == (3, network.channels, *network.shape)
    assert surrogate.decode(mean[:0]).shape == (0, *decoded.shape[1:])
    hard = decode_labels(surrogate, mean)
    assert hard.shape == labels.shape
    fraction = (hard == 1).mean(tuple(range(1, hard.ndim)))
    own = decoded[:, 1 if network.phases > 2 else 0].mean(tuple(range(1, hard.ndim)))
    np.testing.assert_allclose(fraction, own, atol=1 / hard[0].size)
    draws = surrogate.sample(dict.fromkeys(properties, 1.0), 5, seed=0)
    assert draws.z.shape == (5, network.latent_size)
    assert np.isfinite(draws.log_density).all()
    expected = rf"do not fit the model; expected \(n, {', '.join(map(str, network.shape))}\)"
    with pytest.raises(InputError, match=expected):
        surrogate.encode(labels[:, :-1])
    last = network.phases - 1
    with pytest.raises(InputError, match=f"integer phase labels 0 {'and' if last == 1 else 'to'} {last}, which"):
        surrogate.encode(np.full_like(labels, network.phases))


def test_labels_of_any_integer_type(surrogate: LocalSurrogate) -> None:
    for dtype in (bool, np.int64, np.int8):
        np.testing.assert_array_equal(surrogate.encode(images().astype(dtype))[0], surrogate.encode(images())[0])


def test_prior_is_the_models(surrogate: LocalSurrogate, bundle: Bundle) -> None:
    prior = surrogate.prior(TARGET)
    assert prior.weights.shape == (4,)
    assert prior.mean.shape == prior.std.shape == (4, 4)
    assert prior.weights.sum() == pytest.approx(1, abs=1e-15)
    c = torch.tensor([[(np.log(40) - 4) / 0.5, (-0.1 - 0.3) / 0.1]], dtype=torch.float32)
    mixture = bundle.model.prior(c)
    np.testing.assert_allclose(prior.weights, mixture.log_weights[0].exp().detach(), rtol=1e-5)
    np.testing.assert_allclose(prior.mean, mixture.mean[0].detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(prior.std, mixture.log_std[0].exp().detach(), rtol=1e-4)


def test_samples_are_reproducible(surrogate: LocalSurrogate) -> None:
    first, again, other = (surrogate.sample(TARGET, 20, seed=seed) for seed in (5, 5, 6))
    assert first.z.shape == (20, 4)
    assert first.component.shape == first.log_density.shape == (20,)
    np.testing.assert_array_equal(first.z, again.z)
    np.testing.assert_array_equal(first.component, again.component)
    assert (first.z != other.z).any()


def test_log_density_agrees_with_torch(surrogate: LocalSurrogate) -> None:
    prior, draws = surrogate.prior(TARGET), surrogate.sample(TARGET, 50, seed=0)
    parts = td.Independent(td.Normal(torch.from_numpy(prior.mean), torch.from_numpy(prior.std)), 1)
    reference = td.MixtureSameFamily(td.Categorical(torch.from_numpy(prior.weights)), parts)
    expected = reference.log_prob(torch.from_numpy(draws.z)).numpy()
    np.testing.assert_allclose(draws.log_density, expected, rtol=1e-12)
    np.testing.assert_allclose(prior.log_density(draws.z), expected, rtol=1e-12)


def test_draws_follow_the_prior() -> None:
    prior = Prior(np.array([0.7, 0.0, 0.3]), np.array([[0.0], [9.0], [5.0]]), np.array([[1.0], [1.0], [0.1]]))
    draws = prior.sample(20_000, seed=0)
    shares = np.bincount(draws.component, minlength=3) / 20_000
    np.testing.assert_allclose(shares, prior.weights, atol=0.01)
    for k in (0, 2):
        z = draws.z[draws.component == k]
        assert z.mean() == pytest.approx(prior.mean[k, 0], abs=0.05)
        assert z.std() == pytest.approx(prior.std[k, 0], rel=0.05)
    assert np.isfinite(draws.log_density).all()


def test_images_refused(surrogate: LocalSurrogate) -> None:
    for labels, message in (
        (
            np.zeros((2, 16, 16), np.uint8),
            r"Images of shape \(2, 16, 16\) do not fit the model; expected \(n, 32, 32\)",
        ),
        (np.zeros((32, 32), np.uint8), r"Images of shape \(32, 32\) do not fit"),
        (np.full((1, 32, 32), 2, np.uint8), "values other than the integer phase labels 0 and 1"),
        (np.full((1, 32, 32), -1), "values other than the integer phase labels 0 and 1"),
        (np.zeros((1, 32, 32)), "values other than the integer phase labels 0 and 1"),
    ):
        with case(labels=labels, message=message):
            call: Callable[[np.ndarray], object]
            for call in (surrogate.encode, surrogate.predict):
                with pytest.raises(InputError, match=message):
                    call(labels)


def test_latents_refused(surrogate: LocalSurrogate) -> None:
    for z in (np.zeros((2, 3)), np.zeros(4), np.full((1, 4), np.nan), np.array([["a"] * 4])):
        with case(z=z), pytest.raises(InputError, match=r"Latents of shape .* do not fit; expected finite numbers"):
            surrogate.decode(z)


def test_targets_refused(surrogate: LocalSurrogate) -> None:
    for target, message in (
        ({"Ex": 40.0}, "The target names Ex; expected Ex, vxy"),
        ({}, "The target names nothing; expected Ex, vxy"),
        ({"Ex": 40.0, "vxy": 0.1, "kx": 1.0}, "The target names Ex, kx, vxy; expected Ex, vxy"),
        ({"Ex": -1.0, "vxy": 0.1}, "Property 'Ex' of sample 0 is -1.0; expected it finite and > 0"),
        ({"Ex": 1.0, "vxy": np.nan}, "Property 'vxy' of sample 0 is nan; expected it finite"),
    ):
        with case(target=target, message=message):
            for call in (surrogate.prior, lambda given: surrogate.sample(given, 1, 0)):
                with pytest.raises(InputError, match=message):
                    call(target)


def test_the_jacobian_is_that_at_fixed_labels(surrogate: LocalSurrogate, bundle: Bundle) -> None:
    """By central differences: the cut image plus the change of the probabilities, through the regressor."""
    z, h, model = latents(2), 1e-2, bundle.model
    with torch.inference_mode():
        at = torch.from_numpy(z).float()
        hard, soft = torch.from_numpy(decode_labels(surrogate, z)).float()[:, None], model.decode(at)

        def predicted(z: torch.Tensor) -> np.ndarray:
            return STANDARDIZATION.inverse(model.regress(hard + model.decode(z) - soft).mean.double().numpy())

        slopes = [(predicted(at + step) - predicted(at - step)) / (2 * h) for step in h * torch.eye(4)]
    found = surrogate.jacobian(z)
    assert found.shape == (2, 2, 4)
    np.testing.assert_allclose(found, np.stack(slopes, axis=-1), rtol=0.05, atol=0.02 * np.abs(found).max())
    assert surrogate.jacobian(latents(0)).shape == (0, 2, 4)
    with pytest.raises(InputError, match="do not fit"):
        surrogate.jacobian(z[:, :3])


def test_a_model_without_properties_has_no_slopes_of_them() -> None:
    config = ModelConfig(network=NETWORK, prior=PriorConfig(kind="standard"))
    none = Standardization(names=(), units=(), offsets=(), scales=())
    surrogate = LocalSurrogate(Bundle(VAERegression(config, 0).eval(), Description(model=config, standardization=none)))
    assert surrogate.jacobian(latents(2)).shape == (2, 0, 4)
    assert surrogate.predict(images(2))[0].shape == (2, 0)
