"""The discretizations in Fourier space: symbols of the modes and Green operators of a homogeneous reference.

A periodic field of wave number xi sees the mode M_m of `stencil` as a multiplication by

    prod over axes of ( 2 sin(xi / 2) if m = 1 else cos(xi / 2) ),

times a phase that cancels in K. So the stiffness of a homogeneous isotropic medium is real and symmetric at each wave
number (k_p is the gradient of Legendre mode p; F. Willot, C. R. Mecanique 343 (2015) for the rotated scheme;
S. Leuschner and F. Fritzen, Comput. Mech. 62 (2018) for bilinear elements):

    K0(xi) = sum over p of 12^-|p| [ mu |k_p|^2 I + (lambda + mu) k_p k_p^T ].
"""

from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from microdesign.errors import InputError

Discretization = Literal["q1", "rotated"]
"""`q1`: one bilinear element per pixel, full integration. `rotated`: Willot's scheme, one integration point."""

DISCRETIZATIONS: tuple[str, ...] = get_args(Discretization)


def mode_weight(discretization: str) -> float:
    """Returns the weight of the mode M11: 1/12 for `q1`, 0 for `rotated`.

    Raises:
        InputError: The name is none of `DISCRETIZATIONS`.
    """
    if discretization not in DISCRETIZATIONS:
        raise InputError(
            f"discretization = {discretization!r} is unknown; expected one of {', '.join(DISCRETIZATIONS)}."
        )
    return 1 / 12 if discretization == "q1" else 0.0


def mode_symbols(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the symbols of M10, M01 and M11 on the half spectrum of `rfftn`, each `(X, Y // 2 + 1)` float64."""
    xi_x = 2 * np.pi * np.fft.fftfreq(shape[0])[:, None]
    xi_y = 2 * np.pi * np.fft.rfftfreq(shape[1])[None, :]
    mean_x, diff_x = _mean_symbol(xi_x), 2 * np.sin(xi_x / 2)
    mean_y, diff_y = _mean_symbol(xi_y), 2 * np.sin(xi_y / 2)
    return diff_x * mean_y, mean_x * diff_y, diff_x * diff_y


@lru_cache(maxsize=64)
def elastic_green(shape: tuple[int, int], lam: float, mu: float, discretization: str, dtype: str) -> np.ndarray:
    """Returns the inverse of K0 for elasticity: components xx, yy, xy, `(3, X, Y // 2 + 1)` of `dtype`, read-only.

    Built and inverted in float64. Where K0 has a null vector (the mean; for `rotated` also the checkerboard) it is 0.
    """
    weight = mode_weight(discretization)
    m10, m01, m11 = mode_symbols(shape)
    square = m10**2 + m01**2
    # p = 0 has k = (M10, M01); p = x has k = (0, M11); p = y has k = (M11, 0).
    k_xx = mu * square + (lam + mu) * m10**2 + weight * (lam + 3 * mu) * m11**2
    k_yy = mu * square + (lam + mu) * m01**2 + weight * (lam + 3 * mu) * m11**2
    k_xy = (lam + mu) * m10 * m01
    determinant = k_xx * k_yy - k_xy**2
    null = k_xx + k_yy <= 1e-10 * (k_xx + k_yy).max()
    inverse = np.where(null, 0.0, 1 / np.where(null, 1.0, determinant))
    return _frozen(np.stack([k_yy, k_xx, -k_xy]) * inverse, dtype)


@lru_cache(maxsize=64)
def conductive_green(shape: tuple[int, int], k: float, discretization: str, dtype: str) -> np.ndarray:
    """Returns the inverse of K0 for conduction, `(1, X, Y // 2 + 1)` of `dtype`, read-only; 0 at null vectors."""
    m10, m01, m11 = mode_symbols(shape)
    symbol = k * (m10**2 + m01**2 + 2 * mode_weight(discretization) * m11**2)
    null = symbol <= 1e-10 * symbol.max()
    return _frozen(np.where(null, 0.0, 1 / np.where(null, 1.0, symbol))[None], dtype)


def _mean_symbol(xi: np.ndarray) -> np.ndarray:
    # cos(pi / 2) is 6e-17 in floating point; the alternating field's mean is exactly 0.
    return np.where(np.abs(xi) > np.pi * (1 - 1e-12), 0.0, np.cos(xi / 2))


def _frozen(green: np.ndarray, dtype: str) -> np.ndarray:
    result = np.ascontiguousarray(green.astype(dtype))
    result.flags.writeable = False
    return result
