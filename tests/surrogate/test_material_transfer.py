"""A model carried over to phases that are new to it; with all moduli scaled by one factor it is exact."""

import numpy as np

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


def test_a_void_has_no_lower_end(surrogate: LocalSurrogate, materials: Materials) -> None:
    carried = MaterialTransfer(surrogate, materials, phases(0, 20))
    np.testing.assert_allclose(carried.predict(IMAGES)[0][:, 0], 2 * surrogate.predict(IMAGES)[0][:, 0])
    assert carried.sample({"Ex": 4.0, "kx": 2.0}, 3, seed=0).z.shape == (3, 4)
