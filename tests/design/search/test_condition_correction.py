import numpy as np
import pytest

from microdesign.core.metrics import worst_errors
from microdesign.design.search import condition_correction
from microdesign.design.search.condition_correction import correct_conditions, corrected_sample
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Prior, decode_labels

TARGET = {"Ex": 2.0, "vxy": 0.2}


class Biased:
    """A model whose decodes have 1.3 times the stiffness, and 0.1 more Poisson's ratio, than their condition says."""

    properties = ("Ex", "vxy")

    def __init__(self, factor: float = 1.3) -> None:
        self.factor = factor

    def prior(self, target: dict[str, float]) -> Prior:
        mean = np.array([list(target.values())])
        return Prior(np.ones(1), mean, np.full((1, 2), 0.01))

    def decode(self, z: np.ndarray) -> np.ndarray:
        # An image whose corner pixels are the latent: properties can be read off it.
        return np.repeat(z[:, None, :, None], 2, axis=3).astype(np.float32)

    def predict(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = np.stack([self.factor * z[:, 0], z[:, 1] + 0.1], 1)
        return values, np.zeros_like(values)


@pytest.fixture
def biased(monkeypatch: pytest.MonkeyPatch) -> Biased:
    monkeypatch.setattr(condition_correction, "decode_labels", lambda surrogate, z: z)
    return Biased()


def misses(model: Biased, rounds: int) -> np.ndarray:
    wanted = np.array(list(TARGET.values()))
    condition, component = wanted[None].repeat(20, axis=0), np.zeros(20, int)
    z = wanted + 0.01 * np.random.default_rng(0).standard_normal((20, 2))
    return worst_errors(
        model.predict(correct_conditions(model, z, component, condition, wanted, wanted, rounds))[0], wanted
    )


def test_a_biased_decoder_reaches_its_target(biased: Biased) -> None:
    before, once, after = (misses(biased, rounds) for rounds in (0, 1, 4))
    assert np.median(before) > 0.3
    assert np.median(once) < 0.4 * np.median(before)
    assert (after < 0.02).all()


def test_a_draw_never_gets_worse(biased: Biased) -> None:
    # With so steep an answer each round overshoots further.
    biased.predict = lambda z: (np.stack([z[:, 0] ** 4 / 8, z[:, 1] + 0.1], 1), np.zeros_like(z))
    assert (misses(biased, 4) <= misses(biased, 0)).all()


def test_what_is_between_the_bounds_stays(biased: Biased) -> None:
    z = np.array([[1.0, 0.2], [2.0, 0.2]])
    low, high = np.array([1.2, -np.inf]), np.array([1.4, np.inf])
    found = correct_conditions(biased, z, np.zeros(2, int), z, low, high, 8)
    np.testing.assert_array_equal(found[0], z[0])  # 1.3 is between the bounds
    assert biased.predict(found)[0][1, 0] == pytest.approx(1.4, abs=0.01)


def test_without_rounds_they_are_the_priors_own_draws(surrogate: LocalSurrogate) -> None:
    target = {"Ex": 3.0, "kx": 3.0}
    plain, same = surrogate.sample(target, 6, seed=3), corrected_sample(surrogate, target, 6, seed=3, rounds=0)
    np.testing.assert_allclose(same.z, plain.z)
    np.testing.assert_allclose(same.log_density, plain.log_density)
    corrected = corrected_sample(surrogate, target, 6, seed=3)
    np.testing.assert_array_equal(corrected.component, plain.component)

    def miss(z: np.ndarray) -> np.ndarray:
        return worst_errors(surrogate.predict(decode_labels(surrogate, z))[0], np.array(list(target.values())))

    assert (miss(corrected.z) <= miss(plain.z)).all()
