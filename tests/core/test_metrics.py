"""Errors against closed forms, and near a reference of 0."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_percentage_error, r2_score

from microdesign.core.metrics import magnitude, mape, r2, relative_deviations, relative_spread, worst_errors


def test_r2_and_mape_are_scikit_learns() -> None:
    stream = np.random.default_rng(0)
    true = stream.lognormal(size=(40, 3)) * [1, -1, 5]
    predicted = true + 0.1 * stream.normal(size=true.shape)
    np.testing.assert_allclose(r2(true, predicted), r2_score(true, predicted, multioutput="raw_values"))
    np.testing.assert_allclose(
        mape(true, predicted), mean_absolute_percentage_error(true, predicted, multioutput="raw_values")
    )
    assert r2([1.0, 2.0, 4.0], [7 / 3] * 3) == pytest.approx(0)
    assert np.isnan(r2([2.0, 2.0], [1.0, 2.0]))


def test_an_error_against_zero_is_absolute_and_finite_everywhere() -> None:
    """The definition that targets, rankings and reports share."""
    values, reference = np.array([[1.1, 0.001], [0.9, -0.002]]), np.array([1.0, 0.0])
    np.testing.assert_allclose(relative_deviations(values, reference), [[0.1, 0.001], [-0.1, -0.002]])
    np.testing.assert_allclose(worst_errors(values, reference), [0.1, 0.1])
    np.testing.assert_allclose(worst_errors(values[:, 1:], reference[1:]), [0.001, 0.002])
    np.testing.assert_allclose(mape(np.zeros((2, 1)), values[:, 1:]), [0.0015])
    np.testing.assert_allclose(relative_spread(np.array([[1.0, -1.0], [3.0, 1.0]])), [0.5, 1.0])
    assert magnitude(np.array(-3.0)) == 3


def test_the_worst_property_counts_and_what_has_no_answer_is_infinitely_wrong() -> None:
    values = np.array([[1.1, 2.0], [1.0, np.nan], [-0.9, 2.2], [np.inf, 2.0]])
    targets = np.array([[1.0, 2.0], [1.0, 2.0], [-1.0, 2.0], [1.0, 2.0]])
    assert worst_errors(values, targets).tolist() == pytest.approx([0.1, np.inf, 0.1, np.inf])
