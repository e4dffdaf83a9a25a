"""Conformal intervals: the promised coverage, whatever the head's own spread is worth."""

import numpy as np
import pytest

from microdesign.model.calibration import Calibration
from microdesign.model.standardization import Standardization

STANDARDIZATION = Standardization(names=("Ex", "vxy"), units=("", ""), offsets=(1.0, 0.3), scales=(0.5, 0.1))


def predictions(n: int, seed: int, wrong_by: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True values, means and standard deviations whose spread is too small by a factor, and differs between images."""
    stream = np.random.default_rng(seed)
    centre, spread = stream.standard_normal((n, 2)), stream.uniform(0.05, 0.5, (n, 2))
    # No Gaussian, so that no factor could be right by luck.
    true = centre + wrong_by * spread * stream.laplace(size=(n, 2))
    mean = STANDARDIZATION.inverse(centre)
    return STANDARDIZATION.inverse(true), mean, STANDARDIZATION.inverse_std(mean, spread)


@pytest.mark.parametrize("wrong_by", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_new_images_are_covered_as_promised(wrong_by: float, level: float) -> None:
    calibration = Calibration.fit(*predictions(4000, 0, wrong_by), STANDARDIZATION, level)
    true, mean, std = predictions(20000, 1, wrong_by)
    low, high = calibration.interval(mean, std, STANDARDIZATION)
    assert ((low <= true) & (true <= high)).mean(0) == pytest.approx(level, abs=0.02)
    # The quantile of the Laplace distribution in closed form: P(|t| <= q) = 1 - exp(-q).
    assert calibration.factors == pytest.approx([-wrong_by * np.log(1 - level)] * 2, rel=0.1)


def test_positive_properties_have_positive_bounds() -> None:
    calibration = Calibration(level=0.9, factors=(50.0, 50.0), samples=10)
    low, high = calibration.interval(np.array([[2.0, 0.3]]), np.array([[1.0, 0.1]]), STANDARDIZATION)
    assert 0 < low[0, 0] < 2 < high[0, 0]
    assert low[0, 1] == pytest.approx(0.3 - 5)
    # On the scale of its logarithm the interval lies evenly about the mean.
    assert low[0, 0] * high[0, 0] == pytest.approx(4)


def test_the_factor_is_the_conformal_quantile() -> None:
    centre = np.zeros((9, 2))
    mean = STANDARDIZATION.inverse(centre)
    true = STANDARDIZATION.inverse(np.arange(1.0, 10)[:, None] * [1, -1])
    calibration = Calibration.fit(true, mean, STANDARDIZATION.inverse_std(mean, np.ones((9, 2))), STANDARDIZATION, 0.5)
    assert calibration.factors == pytest.approx((5, 5))
    # Of nine, no tenth: the largest is the best that there is.
    widest = Calibration.fit(true, mean, STANDARDIZATION.inverse_std(mean, np.ones((9, 2))), STANDARDIZATION, 0.95)
    assert widest.factors == pytest.approx((9, 9))
