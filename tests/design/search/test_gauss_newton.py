"""Gauss-Newton steps by the model's Jacobian: exact where the model is linear, never worse, as short as can be."""

import itertools

import numpy as np
import pytest

from microdesign.design.search import gauss_newton as module
from microdesign.design.search.condition_correction import corrected_sample
from microdesign.design.search.gauss_newton import gauss_newton, missed, worst
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels

SLOPES = np.array([[1.0, 2.0, 0.0], [0.5, -1.0, 1.0]])


class Linear:
    """Two properties that are linear in three latents, or bent by `bend`."""

    def __init__(self, bend: float = 0.0) -> None:
        self.bend = bend

    def predict(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = 5 + z @ SLOPES.T + self.bend * (z**2).sum(1, keepdims=True)
        return values, np.zeros_like(values)

    def jacobian(self, z: np.ndarray) -> np.ndarray:
        return SLOPES + 2 * self.bend * z[:, None, :].repeat(2, axis=1)


class Remote(Linear):
    def jacobian(self, z: np.ndarray) -> None:
        return None


@pytest.fixture(autouse=True)
def latents_are_images(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "surrogate" not in request.fixturenames:
        monkeypatch.setattr(module, "decode_labels", lambda surrogate, z: z)


def followed(model: Linear, z: np.ndarray, std: np.ndarray, low: np.ndarray, high: np.ndarray, n: int) -> np.ndarray:
    return gauss_newton(model, z, model.predict(z)[0], std, low, high, n)


def starts(n: int = 20) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((n, 3))


def test_one_step_solves_a_linear_model_by_the_shortest_way() -> None:
    z, std, wanted = starts(), np.tile([1.0, 0.5, 2.0], (20, 1)), np.array([5.5, 5.2])
    found = followed(Linear(), z, std, wanted, wanted, 1)
    miss = missed(Linear().predict(found)[0], wanted, wanted)
    assert worst(miss).max() < 2e-3  # but for the damping
    # The shortest step in standard deviations is the pseudoinverse's.
    change = wanted - Linear().predict(z)[0]
    expected = z + std * (np.linalg.pinv(SLOPES * std[0]) @ change.T).T
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_a_bent_model_takes_a_few_steps_and_never_gets_worse() -> None:
    model, wanted = Linear(bend=0.2), np.array([6.0, 5.2])
    found = [followed(model, starts(), np.ones((20, 3)), wanted, wanted, n) for n in (0, 1, 2, 6)]
    misses = [worst(missed(model.predict(z)[0], wanted, wanted)) for z in found]
    assert all((later <= earlier).all() for earlier, later in itertools.pairwise(misses))
    assert misses[-1].max() < 1e-3 < np.median(misses[0])


def test_what_is_within_its_bounds_is_left_alone() -> None:
    z = starts()
    low, high = np.array([-np.inf, 4.0]), np.array([np.inf, 6.5])
    np.testing.assert_array_equal(followed(Linear(), z, np.ones_like(z), low, high, 3), z)
    # One property alone is asked for: the other one may move.
    low, high = np.array([6.0, -np.inf]), np.array([6.5, np.inf])
    found = Linear().predict(followed(Linear(), z, np.ones_like(z), low, high, 3))[0]
    assert (np.abs(found[:, 0] - 6.25) < 0.27).all()


def test_a_model_that_is_not_in_process_has_no_slopes() -> None:
    z, wanted = starts(), np.array([6.0, 5.2])
    np.testing.assert_array_equal(followed(Remote(), z, np.ones_like(z), wanted, wanted, 3), z)


def test_a_prediction_that_is_nan_stays_where_it_is() -> None:
    z, wanted = starts(3), np.array([6.0, 5.2])
    z[1] = np.nan
    found = followed(Linear(), z, np.ones_like(z), wanted, wanted, 3)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()
    assert not np.allclose(found[[0, 2]], z[[0, 2]])


def test_steps_bring_a_model_s_draws_nearer(surrogate: LocalSurrogate) -> None:
    target = {"Ex": 3.0, "kx": 3.0}
    wanted = np.array(list(target.values()))

    def miss(steps: int) -> np.ndarray:
        z = corrected_sample(surrogate, target, 12, seed=3, rounds=1, steps=steps).z
        return worst(missed(surrogate.predict(decode_labels(surrogate, z))[0], wanted, wanted))

    before, after = miss(0), miss(3)
    assert (after <= before).all()
    assert np.median(after) < 0.9 * np.median(before)
