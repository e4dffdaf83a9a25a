import numpy as np
import pytest

from microdesign.design.campaign.campaign_config import RobustnessConfig
from microdesign.design.report.robustness import other_discretization, redraws, robustness
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.materials import Materials
from microdesign.physics.solver.homogenization import homogenize
from microdesign.surrogate.local import LocalSurrogate

TARGET = Target(properties={"Ex": 3.2, "kx/ky": 1.0}, tolerance=0.5)


def test_redraws_are_near_and_seeded(surrogate: LocalSurrogate) -> None:
    z, std, config = np.ones(4), np.array([1.0, 2.0, 0.1, 1.0]), RobustnessConfig(draws=200, radius=0.1)
    near, images = redraws(z, std, surrogate, config, seed=0)
    np.testing.assert_allclose((near - z).std(0), 0.1 * std, rtol=0.2)
    assert images.shape == (200, 32, 32)
    np.testing.assert_array_equal(near, redraws(z, std, surrogate, config, seed=0)[0])


def test_the_spread_is_that_of_physics(surrogate: LocalSurrogate, materials: Materials) -> None:
    latents, std, config = np.stack([np.zeros(4), np.ones(4)]), np.ones((2, 4)), RobustnessConfig(draws=3, radius=0.3)
    found = robustness(
        latents, std, surrogate, TARGET, lambda images: FFTEvaluator().evaluate(images, materials), config, seed=1
    )
    for row, answer in enumerate(found):
        assert answer is not None
        values = FFTEvaluator().evaluate(redraws(latents[row], std[row], surrogate, config, 1)[1], materials)
        table = np.stack([values["Ex"], values["kx"] / values["ky"]], axis=1)
        assert answer.draws == 3
        assert list(answer.spread.values()) == pytest.approx((table.std(0) / table.mean(0)).tolist())
        assert answer.worst_error == pytest.approx(TARGET.errors(table).max())
        assert answer.share_within == pytest.approx((TARGET.errors(table) <= 0.5).mean())
        assert answer.spread["Ex"] > 0


def test_without_redraws_there_is_no_robustness(surrogate: LocalSurrogate) -> None:
    none = RobustnessConfig(draws=0)
    assert robustness(np.ones((1, 4)), np.ones((1, 4)), surrogate, TARGET, lambda images: {}, none, 0) == [None]


def test_the_gap_of_two_discretizations(materials: Materials) -> None:
    rough = (np.random.default_rng(0).random((16, 16)) < 0.5).astype(np.uint8)
    stripes = np.repeat([0, 1], 8)[:, None].repeat(16, axis=1).astype(np.uint8)
    target = Target(properties={"Ex": 3.0, "kx/ky": 1.0, "C13": 0, "K": 2})

    def gap_of(labels: np.ndarray) -> dict[str, float] | None:
        verified = {name: array[0] for name, array in FFTEvaluator().evaluate(labels[None], materials).items()}
        found = other_discretization(labels, verified, target, FFTEvaluator(), materials)
        return None if found is None else found.gap

    gap = gap_of(rough)
    assert gap is not None
    q1, rotated = (homogenize(rough, materials, discretization=d).stiffness[0] for d in ("q1", "rotated"))
    values = [1 / np.linalg.inv(each)[0, 0] for each in (q1, rotated)]
    assert gap["Ex"] == pytest.approx(abs(values[0] - values[1]) / values[0], rel=1e-3)
    exact = gap_of(stripes)
    assert exact is not None
    assert exact["Ex"] < 1e-3 < gap["Ex"]  # a laminate is the same by both


def test_a_bound_has_to_hold_by_both_discretizations(materials: Materials) -> None:
    rough = (np.random.default_rng(0).random((16, 16)) < 0.5).astype(np.uint8)
    verified = {name: array[0] for name, array in FFTEvaluator().evaluate(rough[None], materials).items()}
    stiff, soft = (
        float(1 / np.linalg.inv(homogenize(rough, materials, discretization=each).stiffness[0])[0, 0])
        for each in ("q1", "rotated")
    )
    assert soft < stiff
    for bound, holds in ((0.99 * soft, True), ((soft + stiff) / 2, False)):
        target = Target(properties={"Ex": {"at_least": bound}})
        found = other_discretization(rough, verified, target, FFTEvaluator(), materials)
        assert found is not None
        assert found.holds is holds, bound


def test_no_gap_for_another_physics(materials: Materials) -> None:
    class Other:
        fingerprint = "other"

        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            return {"Ex": images.mean((1, 2))}

    assert other_discretization(np.eye(8, dtype=np.uint8), {"Ex": 0.5}, TARGET, Other(), materials) is None
