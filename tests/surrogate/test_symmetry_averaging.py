"""Predictions averaged over turns and flips."""

import numpy as np
import pytest

from microdesign.model.symmetry import symmetries
from microdesign.surrogate.symmetry_averaging import SymmetryAveraged
from tests.design.small_model import small_surrogate


class Careless:
    """Reads its properties off a few pixels, wherever the image was turned to."""

    properties = ("Ex", "Ey")

    def __init__(self, turns: bool = True, flips: bool = True) -> None:
        self.trained = {"turns": turns, "flips": flips}

    def describe(self) -> dict[str, bool]:
        return self.trained

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = np.stack([labels[:, :3, 1].mean(1), labels[:, 2, :5].mean(1) + labels[:, 7, 7]], 1)
        return mean.astype(float), np.ones(mean.shape)


def test_what_turns_with_the_image_is_said_of_it_the_same() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (5, 8, 8)).astype(np.uint8)
    mean, std = SymmetryAveraged(Careless()).predict(labels)
    assert (std == 1).all()
    assert np.ptp(mean, axis=0).min() > 0.05
    turned = labels.transpose(0, 2, 1).copy()
    np.testing.assert_allclose(SymmetryAveraged(Careless()).predict(turned)[0][:, [1, 0]], mean)
    assert not np.allclose(Careless().predict(turned)[0][:, [1, 0]], Careless().predict(labels)[0])
    np.testing.assert_allclose(SymmetryAveraged(Careless()).predict(np.flip(labels, 1))[0], mean)


def test_a_material_with_a_direction_is_not_turned() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (5, 8, 8)).astype(np.uint8)
    flipped, turned = np.flip(labels, 1), labels.transpose(0, 2, 1).copy()
    mean = SymmetryAveraged(Careless(turns=False)).predict(labels)[0]
    np.testing.assert_allclose(SymmetryAveraged(Careless(turns=False)).predict(flipped)[0], mean)
    assert not np.allclose(SymmetryAveraged(Careless(turns=False)).predict(turned)[0][:, [1, 0]], mean)
    alone = SymmetryAveraged(Careless(turns=False, flips=False)).predict(labels)[0]
    np.testing.assert_array_equal(alone, Careless().predict(labels)[0])


def test_the_rest_is_the_surrogates_own() -> None:
    surrogate = small_surrogate()
    averaged = SymmetryAveraged(surrogate)
    labels = surrogate.decode(np.zeros((2, 4)))[:, 0].round().astype(np.uint8)
    target = {"Ex": 2.0, "kx": 3.0}
    assert averaged.digest == surrogate.digest
    assert averaged.describe() == surrogate.describe()
    np.testing.assert_array_equal(averaged.encode(labels)[0], surrogate.encode(labels)[0])
    np.testing.assert_array_equal(averaged.jacobian(np.ones((1, 4))), surrogate.jacobian(np.ones((1, 4))))
    np.testing.assert_array_equal(averaged.sample(target, 3, 0).z, surrogate.sample(target, 3, 0).z)
    np.testing.assert_array_equal(averaged.prior(target).mean, surrogate.prior(target).mean)
    flips = symmetries(labels.shape[1:], surrogate.properties, surrogate.properties)
    said = [surrogate.predict(np.flip(labels, [axis + 1 for axis in each.flipped]))[0] for each in flips]
    assert averaged.predict(labels)[0] == pytest.approx(np.mean(said, axis=0), rel=1e-5)
