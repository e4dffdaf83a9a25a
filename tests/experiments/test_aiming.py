import numpy as np
import pytest

from microdesign.experiments.aiming import aim
from microdesign.experiments.ranking import worst_errors
from microdesign.model.bundle import Bundle
from microdesign.model.surrogate import LocalSurrogate, Prior, decode_labels

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
    monkeypatch.setattr("microdesign.experiments.aiming.decode_labels", lambda surrogate, z: z)
    return Biased()


def misses(model: Biased, rounds: int) -> np.ndarray:
    draws = aim(model, TARGET, 20, seed=0, rounds=rounds)
    return worst_errors(model.predict(draws.z)[0], np.array(list(TARGET.values())))


def test_a_biased_decoder_is_aimed_true(biased: Biased) -> None:
    before, once, after = (misses(biased, rounds) for rounds in (0, 1, 4))
    assert np.median(before) > 0.3
    assert np.median(once) < 0.4 * np.median(before)
    assert (after < 0.02).all()


def test_a_draw_never_gets_worse(biased: Biased) -> None:
    # With so steep an answer each round overshoots further.
    biased.predict = lambda z: (np.stack([z[:, 0] ** 4 / 8, z[:, 1] + 0.1], 1), np.zeros_like(z))
    assert (misses(biased, 4) <= misses(biased, 0)).all()


def test_without_rounds_they_are_the_priors_own_draws(bundle: Bundle) -> None:
    surrogate = LocalSurrogate(bundle)
    target = {"Ex": 3.0, "kx": 3.0}
    plain, aimed = surrogate.sample(target, 6, seed=3), aim(surrogate, target, 6, seed=3, rounds=0)
    np.testing.assert_allclose(aimed.z, plain.z)
    np.testing.assert_allclose(aimed.log_density, plain.log_density)
    corrected = aim(surrogate, target, 6, seed=3)
    np.testing.assert_array_equal(corrected.component, plain.component)

    def miss(z: np.ndarray) -> np.ndarray:
        return worst_errors(surrogate.predict(decode_labels(surrogate, z))[0], np.array(list(target.values())))

    assert (miss(corrected.z) <= miss(plain.z)).all()
