"""Base of the surrogates that wrap another one: what a wrapper does not override is the other's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from microdesign.core.progress import Progress, silent
from microdesign.surrogate.protocol import DrawRequest, Draws, Prior, Surrogate


class WrappedSurrogate:
    """A `Surrogate` that delegates everything; subclasses override what they change."""

    def __init__(self, surrogate: Surrogate) -> None:
        self._surrogate = surrogate

    @property
    def properties(self) -> tuple[str, ...]:
        """See `Surrogate.properties`."""
        return self._surrogate.properties

    @property
    def digest(self) -> str:
        """See `Surrogate.digest`."""
        return self._surrogate.digest

    def describe(self) -> Mapping[str, Any]:
        """See `Surrogate.describe`."""
        return self._surrogate.describe()

    def encode(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.encode`."""
        return self._surrogate.encode(labels)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """See `Surrogate.decode`."""
        return self._surrogate.decode(z)

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.predict`."""
        return self._surrogate.predict(labels)

    def jacobian(self, z: np.ndarray) -> np.ndarray | None:
        """See `Surrogate.jacobian`."""
        return self._surrogate.jacobian(z)

    def prior(self, target: Mapping[str, float]) -> Prior:
        """See `Surrogate.prior`."""
        return self._surrogate.prior(target)

    def sample(self, target: Mapping[str, float], n: int, seed: int) -> Draws:
        """See `Surrogate.sample`."""
        return self._surrogate.sample(target, n, seed)

    def draw(self, request: DrawRequest, like: np.ndarray | None = None, progress: Progress = silent) -> np.ndarray:
        """See `Surrogate.draw`."""
        return self._surrogate.draw(request, like, progress)
