"""Properties that a model does not have: by a regression on labelled images, or, the density, by the image itself.

A data set often has more labels than a model was trained on, and the properties of a microstructure are strongly
dependent: of the demo's images Ex, Ey and kx explain 99.6 % of the variance of log ky. A quadratic polynomial of
logarithms also extrapolates: fitted without the tenth of the images with the largest kx/ky it is 2.4 % off on the
twentieth of them, and at the laminate, 38 % beyond all of them, 4 %.

Shapes: N labelled images, n images, P properties of the model, F monomials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.properties import is_signed, quotient
from microdesign.physics.density import DENSITY, with_density
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_values
from microdesign.surrogate.protocol import Surrogate
from microdesign.surrogate.wrapped import WrappedSurrogate

_LEAST = 4
"""Labelled images for each monomial that a regression takes at least."""
_RIDGE = 1e-6
"""Ridge of the regression, of standardized monomials; it keeps those of dependent properties apart."""


@dataclass(frozen=True)
class PropertyRegression:
    """A property as a quadratic polynomial of others, all on a logarithmic scale where they are positive.

    Attributes:
        names: The P others.
        logarithmic: Whether each of them is on a logarithmic scale, bool `(P,)`.
        is_positive: Whether the property itself is.
        middle: What is subtracted from each, `(P,)`.
        scale: What it is then divided by, `(P,)`.
        weights: Of the monomials, `(F,)`.
        deviation: Standard deviation of what is not explained: relative for a positive property.
    """

    names: tuple[str, ...]
    logarithmic: np.ndarray
    is_positive: bool
    middle: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    deviation: float

    @classmethod
    def fit(
        cls, table: Mapping[str, np.ndarray], names: Sequence[str], name: str, dims: int = 2, least: int = _LEAST
    ) -> "PropertyRegression | None":
        """Fits a property to others of the same images; None where they are too few, or one lacks a property.

        Args:
            table: Properties of labelled images by name, `(N,)` each.
            names: What to predict from.
            name: What to predict; a quotient `A/B` as well.
            dims: 2, of images, or 3, of volumes.
            least: Images for each monomial that it takes.

        Example:
            >>> kx = np.exp(np.random.default_rng(0).standard_normal(100))
            >>> fitted = PropertyRegression.fit({"kx": kx, "ky": 3 / kx}, ["kx"], "ky")
            >>> fitted.values({"kx": np.array([0.5])}).round(3)
            array([6.])
        """
        try:
            columns = np.stack([property_values(table, each, dims) for each in names], axis=1).astype(float)
            wanted = property_values(table, name, dims).astype(float)
        except InputError:
            return None
        finite = np.isfinite(columns).all(1) & np.isfinite(wanted)
        columns, wanted = columns[finite], wanted[finite]
        size = (len(names) + 1) * (len(names) + 2) // 2
        if len(wanted) < least * size:
            return None
        logarithmic = np.array([not is_signed(each) for each in names], bool) & (columns > 0).all(0)
        is_positive = not is_signed(name) and bool((wanted > 0).all())
        x, y = _scaled(columns, logarithmic), np.log(wanted) if is_positive else wanted
        middle, scale = x.mean(0), np.maximum(x.std(0), 1e-12)
        terms = _monomials((x - middle) / scale)
        weights = np.linalg.solve(terms.T @ terms + _RIDGE * len(terms) * np.eye(terms.shape[1]), terms.T @ y)
        deviation = float(np.sqrt(np.square(terms @ weights - y).mean()))
        return cls(tuple(names), logarithmic, is_positive, middle, scale, weights, deviation)

    def values(self, known: Mapping[str, np.ndarray]) -> np.ndarray:
        """The property `(n,)` of images with the others, `(n,)` each; NaN where one that is positive is not."""
        columns = np.stack([known[each] for each in self.names], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            x = (_scaled(columns, self.logarithmic) - self.middle) / self.scale
            found = _monomials(np.where(np.isfinite(x), x, np.nan)) @ self.weights
        return np.asarray(np.exp(found) if self.is_positive else found)


class FurtherProperties(WrappedSurrogate):
    """A `Surrogate` with properties that the model itself does not have.

    Args:
        surrogate: The model.
        regressions: By the name of the property.
        materials: The phases, whose densities give that of an image; None where it is not asked for.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        regressions: Mapping[str, PropertyRegression],
        materials: Materials | None = None,
    ) -> None:
        super().__init__(surrogate)
        self.regressions, self._materials = dict(regressions), materials

    def of_images(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """What images uint8 `(n, *N)` say exactly, each `(n,)`: their density, if the phases state densities."""
        return {} if self._materials is None else with_density({}, labels, self._materials)


def with_further_properties(
    surrogate: Surrogate,
    names: Sequence[str],
    table: Mapping[str, np.ndarray] | None,
    materials: Materials | None = None,
    dims: int = 2,
) -> Surrogate:
    """The model with regressions of those of the properties `names` that it does not determine and labels tell of.

    Where one of them is, or is per, density, that of an image is exact; the regression then serves the Jacobian.

    Args:
        surrogate: The model.
        names: Properties; quotients `A/B` as well.
        table: Properties of labelled images by name, `(N,)` each; None without.
        materials: The phases, for the density; None without.
        dims: 2, of images, or 3, of volumes.
    """
    dense = materials if any(DENSITY in (quotient(name) or (name,)) for name in names) else None
    if table is None:
        return surrogate if dense is None else FurtherProperties(surrogate, {}, dense)
    example = dict.fromkeys(surrogate.properties, np.ones(1))
    found = {}
    for name in names:
        try:
            property_values(example, name, dims)
        except InputError:
            if (fitted := PropertyRegression.fit(table, surrogate.properties, name, dims)) is not None:
                found[name] = fitted
    return FurtherProperties(surrogate, found, dense) if found or dense else surrogate


def _scaled(columns: np.ndarray, logarithmic: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(logarithmic, np.log(columns), columns)


def _monomials(x: np.ndarray) -> np.ndarray:
    """1, each variable and each product of two, `(n, P) -> (n, F)`."""
    first, second = np.triu_indices(x.shape[1])
    return np.concatenate([np.ones((len(x), 1)), x, x[:, first] * x[:, second]], axis=1)
