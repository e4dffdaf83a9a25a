"""A model that predicts no better than the mean is refused."""

import math
from pathlib import Path

import pytest

from microdesign.core.errors import InputError
from microdesign.learning.training.registration import NotRegisteredError, check_quality

BUNDLE = Path("runs/bundle")


def test_each_property_has_to_be_better_than_the_mean() -> None:
    check_quality({"r2_Ex": 0.9, "r2_kx": 0.0, "mape_Ex": 3.0}, 0.0, BUNDLE)
    check_quality({"reconstruction_excess_cess_median": 3.0}, 0.0, BUNDLE)  # a model of images alone
    check_quality({"r2_Ex": -10.0}, None, BUNDLE)
    for value in (-1e-6, -17.0, math.nan, -math.inf):
        with pytest.raises(
            NotRegisteredError, match=r"R2 on the test split is kx \S+, where.*stays in runs/bundle"
        ) as caught:
            check_quality({"r2_Ex": 0.9, "r2_kx": value}, 0.0, BUNDLE)
        assert caught.value.bundle == BUNDLE
        assert not isinstance(caught.value, InputError)  # exit code 1
