import numpy as np
import pytest

from microdesign.design.campaign.campaign_config import RobustnessConfig
from microdesign.design.report.robustness import redraws, robustness
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials
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
