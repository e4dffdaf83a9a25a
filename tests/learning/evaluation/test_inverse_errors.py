"""The error of draws from the prior, against a surrogate and physics that can be worked out by hand."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.learning.evaluation.inverse_errors import inverse_errors
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Prior


class Fractions:
    """A model of one property, the volume fraction, whose latent is the fraction that it decodes to."""

    properties = ("phi",)

    def prior(self, target: Mapping[str, float]) -> Prior:
        return Prior(np.ones(1), np.full((1, 1), target["phi"]), np.full((1, 1), 0.01))

    def sample(self, target: Mapping[str, float], n: int, seed: int) -> Any:
        return self.prior(target).sample(n, seed)

    def decode(self, z: np.ndarray) -> np.ndarray:
        return np.broadcast_to(z[:, :, None, None], (len(z), 1, 20, 20)).astype(np.float32).clip(0, 1)

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 2 * labels.mean((1, 2))[:, None], np.zeros((len(labels), 1))


MATERIALS = Materials(phases=[{"k": 1}, {"k": 2}])
TARGETS = np.array([[0.25], [0.5]])


class Gives:
    """Physics of one property, a function of images `(n, *N)`."""

    fingerprint = "given"

    def __init__(self, name: str, values: Callable[[np.ndarray], np.ndarray]) -> None:
        self.name, self.values = name, values

    def evaluate(self, images: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
        assert materials is MATERIALS
        return {self.name: self.values(images)}


def test_errors_are_those_of_the_decodes() -> None:
    surrogate = Fractions()
    evaluator = Gives("phi", lambda images: images.mean((1, 2)))
    errors = inverse_errors(surrogate, TARGETS, 5, 7, evaluator, MATERIALS)
    assert errors.shape == (2, 5)
    for number, target in enumerate(TARGETS[:, 0]):
        drawn = surrogate.sample({"phi": target}, 5, 7 + number).z[:, 0]
        # A decode of 400 pixels has its fraction rounded to one of them.
        assert errors[number] == pytest.approx(np.abs(np.round(drawn * 400) / 400 - target) / target, abs=1e-9)
    # The regressor predicts twice the fraction: without physics, an error of one or so.
    assert inverse_errors(surrogate, TARGETS, 5, 7) == pytest.approx(1, abs=0.2)


def test_an_image_without_an_answer_counts_as_infinitely_wrong() -> None:
    evaluator = Gives("phi", lambda images: np.full(len(images), np.nan))
    assert np.isinf(inverse_errors(Fractions(), TARGETS, 2, 0, evaluator, MATERIALS)).all()


def test_what_cannot_be_evaluated() -> None:
    with pytest.raises(InputError, match="The evaluator gives no 'phi'; it gives Ex"):
        inverse_errors(Fractions(), TARGETS, 2, 0, Gives("Ex", lambda images: np.ones(len(images))), MATERIALS)
    with pytest.raises(InputError, match="The materials are not known"):
        inverse_errors(Fractions(), TARGETS, 2, 0, Gives("phi", len))
