import numpy as np
import pytest

from microdesign.core.metrics import mape
from microdesign.experiments.forward.config import StatisticsRegressorConfig
from microdesign.experiments.forward.figures import parity
from microdesign.experiments.forward.statistics_regression import StatisticsRegressor
from microdesign.experiments.forward.tables import error_table
from microdesign.learning.data.feed import fit_standardization
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.standardization import Standardization

NAMES = ("Ex", "kx")


@pytest.fixture(scope="module")
def standardization(dataset: Dataset) -> Standardization:
    manifest = dataset.manifest
    return fit_standardization(dataset.load("train").properties, manifest.shape, NAMES, manifest.properties)


def test_properties_are_predicted_from_statistics(dataset: Dataset, standardization: Standardization) -> None:
    train, test = dataset.load("train"), dataset.load("test")
    true = test.property_table(NAMES)
    by_median = mape(true, np.median(train.property_table(NAMES), axis=0)[None].repeat(len(true), 0))
    for kind in ("gradient_boosting", "random_forest"):
        config = StatisticsRegressorConfig(kind=kind, components=4, offsets=16, trees=60)
        regressor = StatisticsRegressor(config, standardization).fit(train.labels, train.property_table(NAMES))
        predicted = regressor.predict(test.labels)
        assert (mape(true, predicted) < 0.9 * by_median).all(), kind
        shifted = regressor.predict(np.roll(test.labels, (5, 3), (1, 2)))
        np.testing.assert_allclose(shifted, predicted, rtol=0.05, err_msg=kind)


def test_the_features_are_half_of_the_crop_of_offsets(standardization: Standardization) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (3, 12, 12)).astype(np.uint8)
    config = StatisticsRegressorConfig(kind="random_forest", components=2, offsets=6)
    features = StatisticsRegressor(config, standardization)._features(labels)
    assert features.shape == (3, 4 * 6)  # offsets -3 to 0 along x, -3 to 2 along y
    np.testing.assert_allclose(features[:, 3 * 6 + 3], labels.mean((1, 2)), rtol=1e-5)


def test_the_table_shows_relative_errors() -> None:
    true = np.array([[1.0, 2.0], [2.0, 4.0]])
    table = error_table(NAMES, true, {"exact": true, "tenth": 1.1 * true})
    assert table.rows[0] == ("exact", 0.0, 0.0, 0.0, 1.0)
    assert table.rows[1][1:4] == pytest.approx((10, 10, 10))
    assert len(parity(NAMES, true, {"exact": true}).axes) == 2
