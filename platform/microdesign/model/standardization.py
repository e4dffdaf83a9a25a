"""Properties as the model sees them: standardised logarithms of positive constants, standardised values of the others.

Shapes: N samples, P properties. Values outside the model are physical, in the units of the materials.
"""

import numpy as np
import torch
from pydantic import PositiveFloat, model_validator
from torch import Tensor

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.core.properties import is_signed


class Standardization(Config):
    """Names, units and the affine map of each property, in the order of the model's property axis; none is fine too."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    offsets: tuple[float, ...]
    scales: tuple[PositiveFloat, ...]

    @model_validator(mode="after")
    def _check_lengths(self) -> "Standardization":
        lengths = {name: len(getattr(self, name)) for name in ("units", "offsets", "scales")}
        for name, length in lengths.items():
            if length != len(self.names):
                raise ValueError(f"{name} has {length} entries; expected {len(self.names)}, one per property")
        return self

    @classmethod
    def fit(cls, values: np.ndarray, names: tuple[str, ...], units: tuple[str, ...]) -> "Standardization":
        """Fits mean and standard deviation of the transformed `(N, P)` values.

        Raises:
            InputError: A value is not finite, not positive where it must be, or a property does not vary.
        """
        if not len(values):
            raise InputError("There are no samples to fit a standardization to.")
        _check(values, names)
        transformed = _transform(values, names)
        scales = transformed.std(0)
        for name, scale in zip(names, scales, strict=True):
            if scale < 1e-9:
                raise InputError(
                    f"Property '{name}' is the same in all {len(values)} samples; a model needs variation."
                )
        return cls(names=names, units=units, offsets=tuple(transformed.mean(0).tolist()), scales=tuple(scales.tolist()))

    def check(self, values: np.ndarray) -> None:
        """Refuses physical values `(N, P)` that have no image under the transform.

        Raises:
            InputError: A value is not finite, or not positive where it must be.
        """
        _check(values, self.names)

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Maps physical values `(..., P)` to standardised ones, float64; NaN, not known, where one has no logarithm."""
        return (_transform(np.asarray(values, float), self.names) - self.offsets) / self.scales

    def inverse(self, standardized: np.ndarray) -> np.ndarray:
        """Maps standardised values `(..., P)` to physical ones."""
        transformed = np.asarray(standardized, float) * self.scales + self.offsets
        return np.where(_signed(self.names), transformed, np.exp(np.where(_signed(self.names), 0, transformed)))

    def inverse_std(self, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """First-order physical standard deviation for standardised `std` at physical `mean`, both `(..., P)`."""
        return np.asarray(std, float) * self.scales * np.where(_signed(self.names), 1.0, mean)

    def relative(self, standardized: Tensor) -> Tensor:
        """Relative change of the physical value per unit of standardised values `(..., P)`, where NaN gives 0.

        The scale of a logarithm; of a property that can be negative, its scale over its size, and 1 where it is smaller
        than its scale: an error relative to a coupling near 0 means nothing.
        """
        scales = standardized.new_tensor(self.scales)
        value = (standardized * scales + standardized.new_tensor(self.offsets)).abs()
        signed = torch.from_numpy(_signed(self.names)).to(standardized.device)
        return torch.nan_to_num(torch.where(signed, scales / torch.maximum(value, scales), scales.expand_as(value)))


def _signed(names: tuple[str, ...]) -> np.ndarray:
    """Which properties can be negative or zero, and so are not taken by their logarithm, bool `(P,)`."""
    return np.array([is_signed(name) for name in names], bool)


def _check(values: np.ndarray, names: tuple[str, ...]) -> None:
    for name, column in zip(names, values.T, strict=True):
        signed = is_signed(name)
        good = np.isfinite(column) & ((column > 0) | signed)
        if not good.all():
            index = int(np.flatnonzero(~good)[0])
            expected = "finite" if signed else "finite and > 0"
            raise InputError(f"Property '{name}' of sample {index} is {column[index]}; expected it {expected}.")


def _transform(values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    # A modulus of 0, of a solid that pores cut, is what no model learns, as a value that is not known. Any offset or
    # asinh in its place would make its errors, and those of all others near it, depend on that choice.
    signed, has_logarithm = _signed(names), np.asarray(values) > 0
    return np.where(signed, values, np.log(np.where(has_logarithm & ~signed, values, np.where(signed, 1.0, np.nan))))
