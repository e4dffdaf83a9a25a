"""What a campaign is measured against."""

import numpy as np
import pytest

from microdesign.design.report.baselines import (
    AdmittedImages,
    admitted_images,
    best_of_random_draws,
    best_of_training_set,
    met_by_training_images,
)
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate


def data() -> Microstructures:
    """Image i has a share (i + 1) / 8 of phase 1 and properties that grow with it."""
    labels = (np.arange(64) < 8 * np.arange(1, 7)[:, None]).reshape(6, 8, 8).astype(np.uint8)
    Ex = np.array([1.5, 2.0, 3.0, np.nan, 5.0, 6.0])
    return Microstructures(labels=labels, n_phases=2, properties={"Ex": Ex, "kx": Ex + 0.5})


def admitted(target: Target) -> AdmittedImages:
    found = admitted_images(data(), target)
    assert found is not None
    return found


def test_the_nearest_image_by_its_worst_property() -> None:
    target = Target(properties={"kx": 3.4, "Ex": 3.0})
    best = best_of_training_set(admitted(target), target)
    assert best is not None
    np.testing.assert_array_equal(best.labels, data().labels[2])
    assert best.verified == {"kx": 3.5, "Ex": 3.0}
    assert best.error == pytest.approx(0.1 / 3.4)
    assert best.of == 6


def test_constraints_and_unknown_values_leave_images_out() -> None:
    target = Target(properties={"Ex": 3.0}, constraints={"volume_fraction": (0.45, 1.0)})
    best = best_of_training_set(admitted(target), target)
    assert best is not None
    np.testing.assert_array_equal(best.labels, data().labels[4])
    assert best.error == pytest.approx(2 / 3)
    target = Target(properties={"Ex": 3.0}, constraints={"volume_fraction": (0.9, 1.0)})
    assert best_of_training_set(admitted(target), target) is None
    assert admitted_images(data(), Target(properties={"Gxy": 1.0})) is None


def test_training_images_that_meet_the_target() -> None:
    target = Target(properties={"Ex": {"at_least": 2.5}}, tolerance=0.01)
    found = met_by_training_images(admitted(target), target, 2)
    assert 1 <= len(found) <= 2
    for row, values in found:
        assert data().properties["Ex"][row] == values[0] >= 2.5
    target = Target(properties={"Ex": 4.0}, tolerance=0.01)
    assert met_by_training_images(admitted(target), target, 2) == []


def test_random_draws_are_seeded_and_verified(surrogate: LocalSurrogate, materials: Materials) -> None:
    target = Target(properties={"Ex": 3.2, "kx": 3.2})
    known = data().select(np.array([0, 1, 2, 4, 5]))

    def evaluate(images: np.ndarray) -> Values:
        return FFTEvaluator().evaluate(images, materials)

    found = [best_of_random_draws(known, surrogate, target, evaluate, 5, seed) for seed in (0, 0, 1)]
    first, again, other = found
    assert first is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.verified == again.verified
    assert (first.labels != other.labels).any()
    assert first.of == 5
    expected = evaluate(first.labels[None])
    assert first.verified == {name: pytest.approx(expected[name][0]) for name in ("Ex", "kx")}
    assert first.error == pytest.approx(max(abs(v / 3.2 - 1) for v in first.verified.values()))


def test_random_draws_that_break_the_constraint_do_not_count(surrogate: LocalSurrogate) -> None:
    target = Target(properties={"Ex": 3.2, "kx": 3.2}, constraints={"volume_fraction": (0.98, 0.99)})
    known = data().select(np.array([0, 1]))
    assert (
        best_of_random_draws(known, surrogate, target, lambda images: {"Ex": np.ones(3), "kx": np.ones(3)}, 3, 0)
        is None
    )
