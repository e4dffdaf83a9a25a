"""A model carried over to phases that are new to it; with all moduli scaled by one factor it is exact."""

import numpy as np
import pytest

from microdesign.model.standardization import Standardization
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.material_transfer import MaterialTransfer

IMAGES = (np.random.default_rng(0).random((6, 32, 32)) < np.linspace(0.1, 0.9, 6)[:, None, None]).astype(np.uint8)


def phases(soft: float, hard: float, k_soft: float = 1, k_hard: float = 10) -> Materials:
    both = [{"E": soft, "nu": 0.3, "k": k_soft}, {"E": hard, "nu": 0.3, "k": k_hard}]
    return Materials.model_validate({"phases": both})


def test_the_same_phases_change_nothing(surrogate: LocalSurrogate, materials: Materials) -> None:
    carried = MaterialTransfer(surrogate, materials, materials)
    for here, there in zip(carried.predict(IMAGES), surrogate.predict(IMAGES), strict=True):
        np.testing.assert_allclose(here, there)
    point = {"Ex": 3.0, "kx": 2.0}
    np.testing.assert_allclose(carried.prior(point).mean, surrogate.prior(point).mean)
    np.testing.assert_array_equal(carried.encode(IMAGES)[0], surrogate.encode(IMAGES)[0])


def test_a_common_factor_is_exact(surrogate: LocalSurrogate, materials: Materials) -> None:
    carried = MaterialTransfer(surrogate, materials, phases(7, 70, 0.5, 5))
    assert carried.is_scaling
    mean, std = carried.predict(IMAGES)
    old_mean, old_std = surrogate.predict(IMAGES)
    np.testing.assert_allclose(mean, old_mean * [7, 0.5])
    np.testing.assert_allclose(std, old_std * [7, 0.5])
    z = np.random.default_rng(0).standard_normal((3, 4))
    slopes, old_slopes = carried.jacobian(z), surrogate.jacobian(z)
    np.testing.assert_allclose(slopes, old_slopes * np.array([7, 0.5])[:, None])
    np.testing.assert_allclose(
        carried.prior({"Ex": 21.0, "kx": 1.0}).mean, surrogate.prior({"Ex": 3.0, "kx": 2.0}).mean
    )


def test_ends_go_to_ends_and_its_table_is_nearer_than_the_old_one(
    surrogate: LocalSurrogate, materials: Materials
) -> None:
    other = phases(2, 100)
    carried = MaterialTransfer(surrogate, materials, other)
    assert not carried.is_scaling
    ends = carried.transfer({"Ex": np.array([1.0, 10.0]), "kx": np.array([1.0, 10.0]), "Ey": np.ones(2)})
    assert set(ends) == {"Ex", "kx"}
    np.testing.assert_allclose(ends["Ex"], [2, 100])
    old, new = (FFTEvaluator().evaluate(IMAGES, each)["Ex"] for each in (materials, other))
    carried_error = np.abs(np.log(carried.transfer({"Ex": old})["Ex"] / new)).max()
    assert carried_error < 0.5 * np.abs(np.log(old / new)).max()


def test_the_standardization_is_carried_over_too(surrogate: LocalSurrogate, materials: Materials) -> None:
    carried = MaterialTransfer(surrogate, materials, phases(2, 100))
    new = Standardization.model_validate(carried.describe()["standardization"])
    old = Standardization.model_validate(surrogate.describe()["standardization"])
    points = old.inverse(np.random.default_rng(0).normal(size=(9, 2)))
    moved = np.stack(list(carried.transfer(dict(zip(old.names, points.T, strict=True))).values()), axis=1)
    np.testing.assert_allclose(new.forward(moved), old.forward(points))


def test_with_pores_ends_go_to_ends_and_the_prior_is_asked_for_what_it_knows(
    surrogate: LocalSurrogate, materials: Materials
) -> None:
    """The softer phase becomes a void: what was as soft as it carries nothing, and nothing is out of the old range."""
    carried = MaterialTransfer(surrogate, materials, phases(0, 20))
    ends = carried.transfer({"Ex": np.array([0.9, 1.0, 4.0, 10.0])})["Ex"]
    assert ends[0] == ends[1] < 0.01 < ends[2] < 8
    assert ends[3] == pytest.approx(20)
    for value in (0.05, 1.0, 8.0, 19.0):  # there and back
        old = next(
            old for old in np.linspace(1, 10, 9001) if carried.transfer({"Ex": np.array([old])})["Ex"][0] >= value
        )
        np.testing.assert_allclose(
            carried.prior({"Ex": value, "kx": 2.0}).mean, surrogate.prior({"Ex": old, "kx": 2.0}).mean, atol=1e-3
        )
    mean, std = carried.predict(IMAGES)
    old_mean, old_std = surrogate.predict(IMAGES)
    step = 1e-5
    slope = (carried.transfer({"Ex": old_mean[:, 0] + step})["Ex"] - mean[:, 0]) / step
    np.testing.assert_allclose(std[:, 0], old_std[:, 0] * slope, rtol=1e-3)
    assert np.isfinite(carried.jacobian(np.zeros((1, 4)))).all()
    new = Standardization.model_validate(carried.describe()["standardization"])
    middle = np.exp(np.array([1.2]))
    assert new.offsets[0] == pytest.approx(np.log(carried.transfer({"Ex": middle})["Ex"][0]))
