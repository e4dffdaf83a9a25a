"""Realisations of a material: their number and order, what they follow from, and what cannot be drawn."""

import numpy as np
import pytest
import torch
from torch import nn

from microdesign.core.errors import InputError
from microdesign.core.progress import Recorded
from microdesign.model.bundle import Bundle, Description
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import DrawRequest

TARGET = {"Ex": 3.0}


def surrogate(decoder: str = "local_global") -> LocalSurrogate:
    torch.manual_seed(0)
    network = {"size": 32, "widths": (8, 8, 16), "latent": 4, "hidden": 32, "decoder": decoder}
    config = ModelConfig(network=NetworkConfig.model_validate(network | {"denoiser": {"width": 8, "depth": 1}}))
    model = VAERegression(config, 1).eval()
    if decoder == "local_global":
        nn.init.normal_(model.decoder.denoiser.last.weight, std=1.0)
    standardization = Standardization(names=("Ex",), units=("GPa",), offsets=(3.0,), scales=(1.0,))
    return LocalSurrogate(Bundle(model, Description(model=config, standardization=standardization)))


def images(n: int = 2, size: int = 32) -> np.ndarray:
    return (np.random.default_rng(0).random((n, size, size)) < 0.3).astype(np.uint8)


def test_realisations_come_in_the_order_of_the_images_and_follow_from_the_seed() -> None:
    model = surrogate()
    drawn = model.draw(DrawRequest(n=3, seed=5), images())
    assert drawn.shape == (6, 32, 32)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, model.draw(DrawRequest(n=3, seed=5), images()))
    # The first image's are those that it has alone.
    alone = model.draw(DrawRequest(n=3, seed=5), images()[:1])
    assert (alone != drawn[:3]).mean() < 0.2
    for other in (model.draw(DrawRequest(n=3, seed=6), images()), drawn[[1, 2, 0, 4, 5, 3]]):
        assert (other != drawn).mean() > 0.05


def test_sizes_and_images_of_other_sizes() -> None:
    model = surrogate()
    assert model.draw(DrawRequest(size=48), images(size=40)).shape == (2, 48, 48)
    assert model.draw(DrawRequest(size=(48, 32)), images(size=40)[:, :36]).shape == (2, 48, 32)
    assert model.draw(DrawRequest(TARGET, n=2, size=64)).shape == (2, 64, 64)
    fields = surrogate("random_field")
    assert fields.draw(DrawRequest(TARGET, n=2)).shape == (2, 32, 32)


@pytest.mark.parametrize("decoder", ["local_global", "random_field"])
def test_draws_have_the_volume_fraction_of_their_image(decoder: str) -> None:
    model, given = surrogate(decoder), images(3)
    given[2] = 0
    given[2, 3, 4] = 1  # a single pixel
    drawn = model.draw(DrawRequest(n=2), given)
    np.testing.assert_array_equal(drawn.sum((1, 2)), given.sum((1, 2)).repeat(2))
    if decoder == "local_global":
        larger = model.draw(DrawRequest(size=64), given)
        np.testing.assert_array_equal(larger.sum((1, 2)), 4 * given.sum((1, 2)))
        volumes = model.draw(DrawRequest(dims=3), given)
        np.testing.assert_allclose(volumes.mean((1, 2, 3)), given.mean((1, 2)), atol=1e-4)
        one = model.draw(DrawRequest(dims=3, per_axis=True), given)
        np.testing.assert_allclose(one.mean(), given.mean(), atol=1e-4)


def test_weights_of_several_resolutions_draw_large_features_coarse_first() -> None:
    """Alone as among others, and from its own seed; a model of one resolution draws all pixels at once."""
    trained = surrogate()
    description = trained.bundle.description.model_copy(update={"several_resolutions": True})
    model = LocalSurrogate(Bundle(trained.bundle.model, description))
    large = images(2, 32).repeat(8, 1).repeat(8, 2)
    drawn = model.draw(DrawRequest(n=2, seed=5, size=256), large)
    assert drawn.shape == (4, 256, 256)
    assert (model.draw(DrawRequest(n=2, seed=5, size=256), large[:1]) != drawn[:2]).mean() < 0.2
    assert (model.draw(DrawRequest(n=2, seed=6, size=256), large) != drawn).mean() > 0.05
    assert (trained.draw(DrawRequest(n=2, seed=5, size=256), large) != drawn).mean() > 0.05
    small = images(2, 128)
    same = trained.draw(DrawRequest(size=128), small), model.draw(DrawRequest(size=128), small)
    np.testing.assert_array_equal(*same)


def test_volumes_by_a_model_of_images() -> None:
    """From one image the same latent for every axis, from three one each; each realisation has its own noise."""
    model, three = surrogate(), images(3)
    drawn = model.draw(DrawRequest(n=2, dims=3, seed=1), three)
    assert drawn.shape == (6, 32, 32, 32)
    assert (drawn[0] != drawn[1]).any()
    assert model.draw(DrawRequest(n=2, dims=3, per_axis=True, size=(32, 32, 48)), three).shape == (2, 32, 32, 48)
    assert model.draw(DrawRequest(TARGET, n=2, dims=3)).shape == (2, 32, 32, 32)
    assert model.draw(DrawRequest(dims=2), three).shape == (3, 32, 32)


def test_progress_counts_every_image_and_section_and_changes_no_draw() -> None:
    model = surrogate()
    for request, expected in ((DrawRequest(n=3), 6), (DrawRequest(n=2, dims=3, size=(32, 32, 48)), 4 * 10 * 112)):
        seen = Recorded()
        drawn = model.draw(request, images(), seen)
        done = [each for each, total, _ in seen.counts if total == expected]
        assert done[0] == 0
        assert done[-1] == expected
        assert done == sorted(set(done))
        assert len(done) == len(seen.counts)
        np.testing.assert_array_equal(drawn, model.draw(request, images()))


def test_a_component_is_drawn_alone() -> None:
    model = surrogate()
    drawn = [model.draw(DrawRequest(TARGET, n=4, component=k)) for k in range(2)]
    assert (drawn[0] != drawn[1]).any()


def test_what_cannot_be_drawn() -> None:
    model = surrogate()
    for request, like, message in (
        (DrawRequest(), None, "neither images nor a target are given"),
        (DrawRequest(TARGET), images(), "both images and a target are given"),
        (DrawRequest(n=0), images(), "n = 0, seed = 0: expected n of at least 1"),
        (DrawRequest(component=0), images(), "component = 0 is given with images"),
        (DrawRequest(TARGET, component=9), None, "component 9 is none of the model's; expected 0 to 3"),
        (DrawRequest(size=40), images(), "size 40 cannot be drawn; expected multiples of 16, such as 32"),
        (DrawRequest(size=16), images(), "size 16 cannot be drawn"),
        (DrawRequest(size=2**13), images(), "size 8192 cannot be drawn; expected at most"),
        (DrawRequest(), images(size=31), "Images of 31 pixels are too small for the model; expected at least 32"),
        (DrawRequest(size=(48, 40)), images(), "size 48,40 cannot be drawn; expected multiples of 16, such as 48,32"),
        (DrawRequest(size=(48, 32, 32)), images(), "size 48,32,32 has 3 axes; expected one number, or 2"),
        (DrawRequest(), images()[:, :16], "Images of 16 pixels are too small for the model; expected at least 32"),
        (DrawRequest(), np.zeros((1, 32, 32), np.uint8), "image 0 holds one phase alone"),
        (DrawRequest(), 2 * images(), "integer phase labels 0 and 1"),
        (DrawRequest({"Ey": 1.0}), None, "The target names Ey; expected Ex"),
        (DrawRequest(dims=4), images(), "dims = 4: expected 2 for images or 3 for volumes"),
        (DrawRequest(dims=3, size=(48, 32)), images(), "size 48,32 has 2 axes; expected one number, or 3"),
        (DrawRequest(dims=3, size=512), images(), "size 512 cannot be drawn; expected at most"),
        (DrawRequest(per_axis=True), images(), "an image per axis is given without dims = 3"),
        (DrawRequest(TARGET, dims=3, per_axis=True), None, "an image per axis is given without"),
        (DrawRequest(dims=3, per_axis=True), images(), "images given, one for each axis: 2; expected three"),
    ):
        with pytest.raises(InputError, match=message):
            model.draw(request, like)
    with pytest.raises(InputError, match="size 64 cannot be drawn by the decoder random_field; expected 32"):
        surrogate("random_field").draw(DrawRequest(TARGET, size=64))
    with pytest.raises(InputError, match="dims = 3: the model draws images by the decoder random_field; expected dims"):
        surrogate("random_field").draw(DrawRequest(TARGET, dims=3))
