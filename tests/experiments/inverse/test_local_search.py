"""Evaluations that a search needs, on a model whose physics can be followed by hand."""

import numpy as np
import pytest

from microdesign.experiments.inverse.local_search import LocalSearchConfig, evaluations_needed, local_search_table
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Draws, Prior


class Line:
    """A latent of two numbers is an image; its property is 5 plus the first of them; p(z|c) is right to 0.1."""

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
        return labels, np.ones_like(labels)

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 5 + labels[:, :1], np.ones((len(labels), 1))


@pytest.fixture(autouse=True)
def latents_are_images(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (
        "experiments.inverse.local_search",
        "design.search.condition_correction",
        "design.search.gauss_newton",
    ):
        monkeypatch.setattr(f"microdesign.{module}.decode_labels", lambda surrogate, z: z)


TARGETS = np.linspace(3, 7, 6)[:, None]
KNOWN = 2 * np.random.default_rng(5).standard_normal((40, 2))


def needed(offset: float = 0.0, **changes: object) -> tuple[dict[str, np.ndarray], int]:
    calls = 0

    class Offset:
        fingerprint = "offset"

        def evaluate(self, images: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
            nonlocal calls
            calls += len(images)
            return {"E": 5 + images[:, 0] + offset}

    evaluator = TableEvaluator(Offset(), Materials(phases=[{"k": 1}]), Line.properties)

    config = LocalSearchConfig.model_validate({"targets": 6, "draws": 4, "enough": 0.01} | changes)
    return evaluations_needed(Line(), evaluator, TARGETS, KNOWN, config), calls


def test_a_draw_that_the_regressor_knows_is_there_at_once_and_a_random_start_is_not() -> None:
    found, _ = needed(draws=64)
    np.testing.assert_array_equal(found["draws"], 1)
    assert np.median(found["random starts"]) > 5
    assert (found["random starts"] <= 256).all()


def test_aimed_by_a_right_regressor_one_draw_is_enough() -> None:
    found, _ = needed(draws=1)
    assert found["draws"].max() > 1
    np.testing.assert_array_equal(found["aimed draws"], 1)


def test_where_the_regressor_is_wrong_the_search_corrects_it() -> None:
    found, _ = needed(offset=0.3, draws=64)
    assert (found["draws"] > 1).all()
    assert np.median(found["draws"]) < np.median(found["random starts"])


def test_what_cannot_be_reached_costs_the_budget() -> None:
    found, calls = needed(offset=0.3, enough=1e-12, budget=20)
    assert {value for values in found.values() for value in values} == {21}
    assert calls >= 3 * 6 * 20


def test_the_table_compares_with_the_draws() -> None:
    found, _ = needed(offset=0.3, draws=64)
    first, second, third = local_search_table({"mixture": found}, LocalSearchConfig()).rows
    assert first[:3] == ["mixture", "draws", np.median(found["draws"])]
    assert second[:2] == ["mixture", "aimed draws"]
    assert first[-1] == pytest.approx(np.median(found["draws"]) / np.median(found["random starts"]))
    assert third[-1] == 1
