"""Material transfer: a model's predictions for phases other than those that it was trained on.

A prediction is mapped by the bounds of the phases: a property that lies a third of the way, on a logarithmic scale,
from the lowest to the highest value of the old phases is taken to lie there for the new ones. Exact when all moduli are
scaled by one factor, rough otherwise; a campaign learns the residuals.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from microdesign.core.properties import is_signed
from microdesign.physics.bounds.property_bounds import Interval, property_bounds
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Draws, Prior, Surrogate, decode_labels
from microdesign.surrogate.wrapped import WrappedSurrogate


class MaterialTransfer(WrappedSurrogate):
    """A `Surrogate` for other phases.

    Args:
        surrogate: The model.
        trained: The phases that it was trained on.
        materials: The phases that predictions and targets are of.
    """

    def __init__(self, surrogate: Surrogate, trained: Materials, materials: Materials) -> None:
        super().__init__(surrogate)
        old, new = property_bounds(trained), property_bounds(materials)
        self._maps = {name: _logarithmic_map(name, old.get(name), new.get(name)) for name in surrogate.properties}

    def describe(self) -> Mapping[str, Any]:
        """See `Surrogate.describe`; the standardization is that of the transferred properties."""
        description = dict(self._surrogate.describe())
        standardization = dict(description["standardization"])
        slopes, shifts = (np.array([self._maps[name][i] for name in standardization["names"]]) for i in (0, 1))
        standardization["offsets"] = (slopes * np.array(standardization["offsets"]) + shifts).tolist()
        standardization["scales"] = (slopes * np.array(standardization["scales"])).tolist()
        return description | {"standardization": standardization}

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.predict`."""
        mean, std = self._surrogate.predict(labels)
        transferred, derivatives = self._transfer(mean)
        return transferred, std * derivatives

    def jacobian(self, z: np.ndarray) -> np.ndarray | None:
        """See `Surrogate.jacobian`."""
        found = self._surrogate.jacobian(z)
        if found is None:
            return None
        return found * self._transfer(self._surrogate.predict(decode_labels(self, z))[0])[1][:, :, None]

    def prior(self, target: Mapping[str, float]) -> Prior:
        """See `Surrogate.prior`."""
        return self._surrogate.prior({name: self._original(name, value) for name, value in target.items()})

    def sample(self, target: Mapping[str, float], n: int, seed: int) -> Draws:
        """See `Surrogate.sample`."""
        return self.prior(target).sample(n, seed)

    def transfer(self, properties: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Maps properties of the trained phases, `(N,)` each, to these phases: those that the model has."""
        return {name: self._transferred(name, properties[name]) for name in self.properties if name in properties}

    def _transfer(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values `(n, P)` for these phases, and their derivatives with respect to the given ones."""
        transferred = np.stack([self._transferred(name, values[:, i]) for i, name in enumerate(self.properties)], 1)
        slopes = np.array([self._maps[name][0] for name in self.properties])
        # d(v')/dv of v' = exp(slope log v + shift) is slope v'/v; signed ones stay as they are.
        signed = np.array([is_signed(name) for name in self.properties], bool)
        return transferred, np.where(signed, 1, slopes * transferred / values)

    def _transferred(self, name: str, values: np.ndarray) -> np.ndarray:
        slope, shift = self._maps[name]
        return values if is_signed(name) else np.exp(slope * np.log(values) + shift)

    def _original(self, name: str, value: float) -> float:
        slope, shift = self._maps.get(name, (1.0, 0.0))
        return value if is_signed(name) or value <= 0 else float(np.exp((np.log(value) - shift) / slope))


def _logarithmic_map(name: str, old: Interval | None, new: Interval | None) -> tuple[float, float]:
    """Slope and shift of log v' = slope log v + shift; where an end is 0, or both are equal, only the upper counts.

    A property that may be negative has no logarithm, and stays as it is.
    """
    if is_signed(name) or old is None or new is None:
        return 1.0, 0.0
    (old_low, old_high), (new_low, new_high) = old, new
    if not 0 < old_low < old_high or not 0 < new_low < new_high:
        return 1.0, float(np.log(new_high / old_high))
    slope = float(np.log(new_high / new_low) / np.log(old_high / old_low))
    return slope, float(np.log(new_high) - slope * np.log(old_high))
