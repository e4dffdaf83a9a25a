"""A model for phases other than those that it was trained on.

What the model says is carried over by the bounds of the phases: a property that lies a third of the way, on a
logarithmic scale, from the lowest to the highest value of the old phases is taken to lie there for the new ones. Exact
when all moduli are scaled by one factor, rough otherwise: the residuals that a campaign learns take care of the rest.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from microdesign.model.standardization import is_signed
from microdesign.physics.bounds.property_bounds import Interval, property_bounds
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import Draws, Prior, Surrogate, decode_labels, draw
from microdesign.surrogate.wrapped import WrappedSurrogate


class CarriedOver(WrappedSurrogate):
    """A `Surrogate` that speaks of other phases.

    Args:
        surrogate: The model.
        trained: The phases that it was trained on.
        materials: The phases that it shall speak of.
    """

    def __init__(self, surrogate: Surrogate, trained: Materials, materials: Materials) -> None:
        super().__init__(surrogate)
        old, new = property_bounds(trained), property_bounds(materials)
        self._maps = {name: _logarithmic_map(name, old.get(name), new.get(name)) for name in surrogate.properties}

    def describe(self) -> Mapping[str, Any]:
        """See `Surrogate.describe`; the standardization is that of the carried over properties."""
        description = dict(self._surrogate.describe())
        standardization = dict(description["standardization"])
        slopes, shifts = (np.array([self._maps[name][i] for name in standardization["names"]]) for i in (0, 1))
        standardization["offsets"] = (slopes * np.array(standardization["offsets"]) + shifts).tolist()
        standardization["scales"] = (slopes * np.array(standardization["scales"])).tolist()
        return description | {"standardization": standardization}

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.predict`."""
        mean, std = self._surrogate.predict(labels)
        carried, slopes = self._carried_over(mean)
        return carried, std * slopes

    def sensitivities(self, z: np.ndarray) -> np.ndarray | None:
        """See `Surrogate.sensitivities`."""
        found = self._surrogate.sensitivities(z)
        if found is None:
            return None
        return found * self._carried_over(self._surrogate.predict(decode_labels(self, z))[0])[1][:, :, None]

    def _carried_over(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values `(n, P)` for these phases, and their derivatives with respect to the given ones."""
        carried = np.stack([self._carried(name, values[:, i]) for i, name in enumerate(self.properties)], axis=1)
        slopes = np.array([self._maps[name][0] for name in self.properties])
        # d(v')/dv of v' = exp(slope log v + shift) is slope v'/v; signed ones are not carried over.
        return carried, np.where(is_signed(self.properties), 1, slopes * carried / values)

    def prior(self, target: Mapping[str, float]) -> Prior:
        """See `Surrogate.prior`."""
        return self._surrogate.prior({name: self._original(name, value) for name, value in target.items()})

    def sample(self, target: Mapping[str, float], n: int, seed: int) -> Draws:
        """See `Surrogate.sample`."""
        return draw(self.prior(target), n, seed)

    def table(self, properties: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Properties of training samples, `(N,)` each, carried over: those that the model has."""
        return {name: self._carried(name, properties[name]) for name in self.properties if name in properties}

    def _carried(self, name: str, values: np.ndarray) -> np.ndarray:
        slope, shift = self._maps[name]
        return values if _keeps(name) else np.exp(slope * np.log(values) + shift)

    def _original(self, name: str, value: float) -> float:
        slope, shift = self._maps.get(name, (1.0, 0.0))
        return value if _keeps(name) or value <= 0 else float(np.exp((np.log(value) - shift) / slope))


def _keeps(name: str) -> bool:
    """Whether a property is not carried over: one that may be negative has no logarithm."""
    return bool(is_signed((name,))[0])


def _logarithmic_map(name: str, old: Interval | None, new: Interval | None) -> tuple[float, float]:
    """Slope and shift of log v' = slope log v + shift; where an end is 0, or both are equal, only the upper counts."""
    if _keeps(name) or old is None or new is None:
        return 1.0, 0.0
    (old_low, old_high), (new_low, new_high) = old, new
    if not 0 < old_low < old_high or not 0 < new_low < new_high:
        return 1.0, float(np.log(new_high / old_high))
    slope = float(np.log(new_high / new_low) / np.log(old_high / old_low))
    return slope, float(np.log(new_high) - slope * np.log(old_high))
