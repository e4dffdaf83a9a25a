"""The floating-point type of the fields."""

from typing import Literal

from microdesign.core.errors import InputError

Precision = Literal["auto", "float32", "float64"]


def field_type(precision: Precision, contrast: float, tolerance: float) -> str:
    """Returns `float32` or `float64`; see `homogenize`.

    Raises:
        InputError: The precision is unknown.
    """
    if precision == "auto":
        return "float32" if contrast <= 1000 and tolerance >= 1e-5 else "float64"
    if precision not in ("float32", "float64"):
        raise InputError(f"precision = {precision!r} is unknown; expected auto, float32 or float64.")
    return precision
