"""The error of draws from the prior, against a surrogate and physics that can be worked out by hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.learning.evaluation.inverse_errors import inverse_errors, load_verifier
from microdesign.physics.verification import verify
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


TARGETS = np.array([[0.25], [0.5]])


def test_errors_are_those_of_the_decodes() -> None:
    def physics(labels: np.ndarray, materials: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
        assert materials == {"phases": 2}
        return {"phi": labels.mean((1, 2))}

    surrogate = Fractions()
    errors = inverse_errors(surrogate, TARGETS, 5, 7, physics, {"phases": 2})
    assert errors.shape == (2, 5)
    for number, target in enumerate(TARGETS[:, 0]):
        drawn = surrogate.sample({"phi": target}, 5, 7 + number).z[:, 0]
        # A decode of 400 pixels has its fraction rounded to one of them.
        assert errors[number] == pytest.approx(np.abs(np.round(drawn * 400) / 400 - target) / target, abs=1e-9)
    # The regressor says twice the fraction: without physics, an error of one or so.
    assert inverse_errors(surrogate, TARGETS, 5, 7) == pytest.approx(1, abs=0.2)


def test_an_image_that_physics_cannot_do_counts_as_infinitely_wrong() -> None:
    errors = inverse_errors(Fractions(), TARGETS, 2, 0, lambda labels, _: {"phi": np.full(len(labels), np.nan)})
    assert np.isinf(errors).all()


def test_a_verifier_of_other_properties() -> None:
    with pytest.raises(InputError, match="The verifier gives no 'phi'; it gives Ex"):
        inverse_errors(Fractions(), TARGETS, 2, 0, lambda labels, _: {"Ex": np.ones(len(labels))})


def test_the_solver_as_a_verifier() -> None:
    materials = {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]}
    labels = np.zeros((2, 16, 16), np.uint8)
    labels[0, :4], labels[1, :, :8] = 1, 1
    found = load_verifier("microdesign.physics.verification:verify")(labels, materials)
    # Laminates: arithmetic mean along the layers, harmonic across.
    assert found["kx"] == pytest.approx([1 / (0.25 / 10 + 0.75), 5.5], rel=1e-3)
    assert found["ky"] == pytest.approx([0.25 * 10 + 0.75, 1 / (0.5 / 10 + 0.5)], rel=1e-3)
    with pytest.raises(InputError, match="names no materials"):
        verify(labels, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere:verify", "ModuleNotFoundError"), ("math:nothing", "AttributeError"), ("math:pi", "is a float")],
)
def test_no_verifier(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"verifier = '{name}'.*{message}"):
        load_verifier(name)
