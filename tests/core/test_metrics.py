"""R2 and MAPE against closed forms and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_percentage_error, r2_score

from microdesign.core.metrics import mape, r2


def test_they_are_scikit_learns() -> None:
    stream = np.random.default_rng(0)
    true = stream.normal(3, 1, (50, 2))
    predicted = true + stream.normal(0, 0.3, true.shape)
    assert r2(true, predicted) == pytest.approx(r2_score(true, predicted, multioutput="raw_values"))
    expected = mean_absolute_percentage_error(true, predicted, multioutput="raw_values")
    assert mape(true, predicted) == pytest.approx(expected)


def test_limits() -> None:
    true = np.array([1.0, 2.0, 4.0])
    assert r2(true, np.full(3, true.mean())) == pytest.approx(0)
    assert np.isnan(r2([2.0, 2.0], [1.0, 2.0]))
    assert mape([0.0, 1.0], [0.1, 1.0]) == np.inf
    assert mape([0.0, 1.0], [0.0, 1.0]) == 0
