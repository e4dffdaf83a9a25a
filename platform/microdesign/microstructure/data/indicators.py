"""What counts as a phase indicator: spatial axes at the end, and either floating point or hard."""

import torch
from torch import Tensor

from microdesign.core.errors import InputError


def floating(indicator: Tensor, dims: int) -> Tensor:
    """Returns the indicator `(..., *N)` in float64 if it is so already, else in float32.

    Raises:
        InputError: There are fewer than `dims` axes.
    """
    if indicator.ndim < dims:
        raise InputError(f"indicator has shape {tuple(indicator.shape)}; expected {dims} spatial axes at its end.")
    return indicator if indicator.dtype == torch.float64 else indicator.float()


def hard(indicator: Tensor, dims: int) -> Tensor:
    """Returns a hard indicator `(..., *N)` as bool.

    Raises:
        InputError: There are fewer than `dims` axes, or values other than 0 and 1.
    """
    if indicator.ndim < dims:
        raise InputError(f"indicator has shape {tuple(indicator.shape)}; expected {dims} spatial axes at its end.")
    as_bool = indicator.bool()
    if not torch.equal(as_bool.to(indicator.dtype), indicator):
        raise InputError("indicator holds values other than 0 and 1, which have no clear outline; cut it first.")
    return as_bool
