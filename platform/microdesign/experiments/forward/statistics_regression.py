"""Forward models without a network: regression on principal components of two-point statistics.

The field's usual structure-property linkage (Paulson et al. 2017, Acta Materialia 129, 428; third parties' figures on
MICRO2D's class GRF with 25 and 50 components are 4.2 % and 3.0 %).

Shapes: n images, P properties, F offsets.
"""

from typing import Self

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from microdesign.experiments.forward.config import StatisticsRegressorConfig
from microdesign.microstructure.statistics.two_point import two_point
from microdesign.model.standardization import Standardization

_IMAGES = 256


class StatisticsRegressor:
    """Predicts properties of two-phase images or volumes from their autocorrelations."""

    def __init__(self, config: StatisticsRegressorConfig, standardization: Standardization) -> None:
        self.config, self.standardization = config, standardization

    def fit(self, labels: np.ndarray, values: np.ndarray) -> Self:
        """Fits to labels uint8 `(n, *N)` and physical properties `(n, P)`; each property has a regressor of its own."""
        features = self._features(labels)
        count = min(self.config.components, *features.shape)
        self._axes = PCA(count, svd_solver="randomized", random_state=self.config.seed).fit(features)
        scores, wanted = self._axes.transform(features), self.standardization.forward(values)
        self._regressors = [self._regressor().fit(scores, column) for column in wanted.T]
        return self

    def predict(self, labels: np.ndarray) -> np.ndarray:
        """Properties `(n, P)` of labels uint8 `(n, *N)`, physical units."""
        scores = self._axes.transform(self._features(labels))
        columns = [each.predict(scores) for each in self._regressors]
        return self.standardization.inverse(np.stack(columns, axis=1))

    def _regressor(self) -> HistGradientBoostingRegressor | RandomForestRegressor:
        if self.config.kind == "gradient_boosting":
            return HistGradientBoostingRegressor(max_iter=self.config.trees, random_state=self.config.seed)
        return RandomForestRegressor(self.config.trees, random_state=self.config.seed)

    def _features(self, labels: np.ndarray) -> np.ndarray:
        """Autocorrelations `(n, F)` at one of each two opposite offsets."""
        dims = labels.ndim - 1
        parts = []
        for start in range(0, len(labels), _IMAGES):
            indicator = torch.from_numpy((labels[start : start + _IMAGES] == 1).astype(np.float32))
            f = torch.fft.fftshift(two_point(indicator, dims), dim=tuple(range(1, dims + 1)))
            for axis in range(1, dims + 1):
                n = f.shape[axis]
                reach = min(self.config.offsets, n) // 2
                last = n // 2 + 1 if axis == 1 else n // 2 + reach
                f = f.narrow(axis, n // 2 - reach, last - (n // 2 - reach))
            parts.append(f.flatten(1).numpy())
        return np.concatenate(parts)
