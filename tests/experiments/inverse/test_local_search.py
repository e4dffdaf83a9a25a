"""Evaluations that a search needs, on a model whose property is known in closed form."""

import numpy as np
import pytest

from microdesign.experiments.inverse.config import LocalSearchConfig
from microdesign.experiments.inverse.local_search import evaluations_needed
from microdesign.experiments.inverse.tables import local_search_table
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Draws, Prior, decode_labels

SIZE, RANGE = 64, 16.0


def first_latent(labels: np.ndarray) -> np.ndarray:
    return RANGE * (labels.mean((1, 2)) - 0.5)


class Linear:
    """The first of two latents is, up to scale and shift, an image's volume fraction; E is 5 plus this latent."""

    properties = ("E",)

    def prior(self, target: dict[str, float]) -> Prior:
        return Prior(np.ones(1), np.array([[target["E"] - 5, 0.0]]), np.array([[0.1, 1.0]]))

    def sample(self, target: dict[str, float], n: int, seed: int) -> Draws:
        prior = self.prior(target)
        z = prior.mean + prior.std * np.random.default_rng(seed).standard_normal((n, 2))
        return Draws(z, np.zeros(n, int), prior.log_density(z))

    def jacobian(self, z: np.ndarray) -> np.ndarray:
        return np.tile([[[1.0, 0.0]]], (len(z), 1, 1))

    def encode(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = np.stack((first_latent(labels), np.zeros(len(labels))), 1)
        return z, np.ones_like(z)

    def decode(self, z: np.ndarray) -> np.ndarray:
        count = np.round((z[:, :1] / RANGE + 0.5) * SIZE**2)
        return (np.arange(SIZE**2) < count).astype(np.float32).reshape(-1, 1, SIZE, SIZE)

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 5 + first_latent(labels)[:, None], np.ones((len(labels), 1))


TARGETS = np.linspace(3, 7, 6)[:, None]
TRAINING = decode_labels(Linear(), 2 * np.random.default_rng(5).standard_normal((40, 2)))


def needed(offset: float = 0.0, **changes: object) -> tuple[dict[str, np.ndarray], int]:
    """Evaluations needed where physics is the regressor plus an offset, and the evaluations in all."""
    calls = 0

    class Offset:
        fingerprint = "offset"

        def evaluate(self, images: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
            nonlocal calls
            calls += len(images)
            return {"E": 5 + first_latent(images) + offset}

    evaluator = TableEvaluator(Offset(), Materials(phases=[{"k": 1}]), Linear.properties)
    config = LocalSearchConfig.model_validate({"targets": 6, "draws": 4, "tolerance": 0.01} | changes)
    return evaluations_needed(Linear(), evaluator, TARGETS, TRAINING, config), calls


def test_the_best_draw_by_an_exact_regressor_needs_one_evaluation_and_a_random_start_needs_more() -> None:
    found, _ = needed(draws=64)
    np.testing.assert_array_equal(found["draws"], 1)
    assert np.median(found["random starts"]) > 5
    assert (found["random starts"] <= 256).all()
    single, _ = needed(draws=1)
    assert single["draws"].max() > 1
    np.testing.assert_array_equal(single["corrected draws"], 1)


def test_the_search_corrects_an_inexact_regressor_sooner_than_a_random_start() -> None:
    found, _ = needed(offset=0.3, draws=64)
    assert (found["draws"] > 1).all()
    assert np.median(found["draws"]) < np.median(found["random starts"])
    rows = local_search_table({"mixture": found}, budget=256).rows
    assert [row[:2] for row in rows] == [("mixture", start) for start in ("draws", "corrected draws", "random starts")]
    assert rows[0][2] == np.median(found["draws"])
    assert rows[0][-1] == pytest.approx(np.median(found["draws"]) / np.median(found["random starts"]))
    assert rows[2][-1] == 1


def test_an_unreachable_target_costs_the_budget() -> None:
    found, calls = needed(offset=0.3, tolerance=1e-12, budget=20)
    assert {value for values in found.values() for value in values} == {21}
    assert calls >= 3 * 6 * 20
