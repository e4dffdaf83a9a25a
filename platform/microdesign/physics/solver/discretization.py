"""The discretizations: their modes, and in Fourier space the Green operators of a homogeneous reference.

On a unit pixel or voxel in d dimensions, a nodal field has the modes M_m = prod over axes of (D if m_i else A), with A
the mean and D the difference of the two nodes along an axis, m in {0, 1}^d. The gradient of Legendre mode p is

    (grad_p u)_j = M_(p + e_j) u  if p_j = 0, else 0,

and the energy is 1/2 sum over p of 12^-|p| eps_p : C : eps_p with eps_p the symmetric part of grad_p: all p make the
bilinear or trilinear element with full integration (`q1`), p = 0 alone Willot's rotated scheme (`rotated`).

A periodic field of wave number xi sees the mode M_m as a multiplication by

    prod over axes of ( 2 sin(xi / 2) if m = 1 else cos(xi / 2) ),

times a phase that cancels in K. So the stiffness of a homogeneous medium C0 is real and symmetric at each wave number
(k_p is the symbol of grad_p; F. Willot, C. R. Mecanique 343 (2015) for the rotated scheme; S. Leuschner and F. Fritzen,
Comput. Mech. 62 (2018) for the elements):

    K0(xi) = sum over p of 12^-|p| k_p . C0 . k_p.

Pixels and voxels of spacing h are mapped to unit ones: with u_i = v_i / h_i the strain is eps_ij = e_ij(v) / (h_i h_j),
so that C_ijkl / (h_i h_j h_k h_l) takes the place of C; with the gradient, k_ij / (h_i h_j) that of k.
"""

import itertools
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np

from microdesign.core.errors import InputError
from microdesign.physics.tensors import voigt_index

Discretization = Literal["q1", "rotated", "q1bbar", "fv"]
"""`q1`: one bilinear or trilinear element per pixel or voxel, full integration. `rotated`: Willot's scheme, one
integration point. `q1bbar`: `q1` with the mean dilatation in elasticity. `fv`: finite volumes (two-point flux, harmonic
mean on faces) in conduction. Conduction by `q1bbar` and elasticity by `fv` are those by `q1`."""

DISCRETIZATIONS: tuple[str, ...] = get_args(Discretization)

Mode = tuple[int, ...]
Matrix = tuple[tuple[float, ...], ...]
"""A tensor that can be a key of a cache."""


class Hourglass(NamedTuple):
    """What the modes p with |p| > 0 see of an isotropic medium.

    Attributes:
        weight: 1/12, to the power |p|; 0 leaves these modes out.
        of_lam: Their lambda is of_lam * lambda + of_mu * mu: (1, 0), or with the mean dilatation that of the
            deviatoric part of C, (0, -2/3).
        of_mu: As above.
    """

    weight: float
    of_lam: float = 1.0
    of_mu: float = 0.0


def hourglass(discretization: str) -> Hourglass:
    """Returns the weights of a discretization.

    Raises:
        InputError: The name is none of `DISCRETIZATIONS`.
    """
    if discretization not in DISCRETIZATIONS:
        raise InputError(
            f"discretization = {discretization!r} is unknown; expected one of {', '.join(DISCRETIZATIONS)}."
        )
    if discretization == "rotated":
        return Hourglass(0.0)
    return Hourglass(1 / 12, 0.0, -2 / 3) if discretization == "q1bbar" else Hourglass(1 / 12)


def legendre_modes(dims: int) -> list[Mode]:
    """Returns the modes p, without (1, ..., 1), which has no gradient; (0, ..., 0) is the first."""
    return sorted(itertools.product((0, 1), repeat=dims), key=lambda p: (sum(p), p))[:-1]


def with_direction(p: Mode, j: int) -> Mode:
    """Returns p + e_j."""
    return (*p[:j], p[j] + 1, *p[j + 1 :])


def wave_numbers(shape: tuple[int, ...], boundary: str) -> list[np.ndarray]:
    """Returns the wave numbers along each axis, to broadcast against each other.

    Of a periodic image those of the half spectrum of `rfftn`, of a mirrored one pi q / N, q from 0 to N.
    """
    if boundary == "mirror":
        xi = [np.pi / size * np.arange(size + 1) for size in shape]
    else:
        xi = [2 * np.pi * np.fft.fftfreq(size) for size in shape[:-1]] + [2 * np.pi * np.fft.rfftfreq(shape[-1])]
    return list(np.meshgrid(*xi, indexing="ij", sparse=True))


def mode_symbols(shape: tuple[int, ...], boundary: str = "periodic") -> dict[Mode, np.ndarray]:
    """Returns the symbol of each M_m but m = 0 at the `wave_numbers`: `(X, Y // 2 + 1)`, float64, if periodic."""
    xi = wave_numbers(shape, boundary)
    means, differences = [_mean_symbol(x) for x in xi], [2 * np.sin(x / 2) for x in xi]
    symbols = {}
    for m in itertools.product((0, 1), repeat=len(shape)):
        factors = (d if along else a for along, a, d in zip(m, means, differences, strict=True))
        symbol = next(factors)
        for factor in factors:
            symbol = symbol * factor
        symbols[m] = symbol
    return {m: symbol for m, symbol in symbols.items() if any(m)}


@lru_cache(maxsize=16)
def elastic_green(
    shape: tuple[int, ...],
    stiffness: Matrix,
    hourglass_stiffness: Matrix,
    weight: float,
    dtype: str,
    boundary: str = "periodic",
) -> np.ndarray:
    """Returns the inverse of K0 for elasticity, read-only, of `dtype`.

    Built and inverted in float64. Where K0 has a null vector (the mean; for `rotated` also fields that alternate along
    two axes) it is 0.

    Args:
        shape: Of the image.
        stiffness: C0, Voigt's notation, `(K, K)`.
        hourglass_stiffness: What the modes p with |p| > 0 see: C0, or its deviatoric part with the mean dilatation.
        weight: 1/12, or 0 for the rotated scheme.
        dtype: `float32` or `float64`.
        boundary: `periodic` or `mirror`, which decides on the `wave_numbers`.

    Returns:
        Components xx, yy, xy, `(3, X, Y // 2 + 1)`, or xx, yy, zz, yz, xz, xy, `(6, X, Y, Z // 2 + 1)`; of a mirrored
        image `(3, X + 1, Y + 1)` or `(6, X + 1, Y + 1, Z + 1)`.
    """
    dims = len(shape)
    index, symbols = voigt_index(dims), mode_symbols(shape, boundary)
    k0 = np.zeros((3 * dims - 3, *symbols[(1,) * dims].shape))
    for p in legendre_modes(dims):
        C = np.array(hourglass_stiffness if any(p) else stiffness) * weight ** sum(p)
        directions = [j for j in range(dims) if p[j] == 0] if C.any() else []
        for (a, b), component in index.items():
            if a > b:
                continue
            for i, j in itertools.product(directions, repeat=2):
                modulus = C[index[a, i], index[b, j]]
                if modulus != 0:
                    k0[component] += modulus * symbols[with_direction(p, i)] * symbols[with_direction(p, j)]
    return _frozen(_inverse(k0, dims), dtype)


@lru_cache(maxsize=16)
def conductive_green(
    shape: tuple[int, ...], conductivity: Matrix, weight: float, dtype: str, boundary: str = "periodic"
) -> np.ndarray:
    """Returns the inverse of K0 for conduction, `(1, X, Y // 2 + 1)` of `dtype`, read-only; 0 at null vectors.

    Args:
        shape: Of the image.
        conductivity: k0, `(d, d)`.
        weight: 1/12, or 0 for the rotated scheme.
        dtype: `float32` or `float64`.
        boundary: As of `elastic_green`.
    """
    dims, symbols = len(shape), mode_symbols(shape, boundary)
    symbol = np.zeros(symbols[(1,) * dims].shape)
    for p in legendre_modes(dims):
        directions = [j for j in range(dims) if p[j] == 0]
        for i, j in itertools.product(directions, repeat=2):
            k = conductivity[i][j] * weight ** sum(p)
            if k != 0:
                symbol += k * symbols[with_direction(p, i)] * symbols[with_direction(p, j)]
    return _frozen(_reciprocal(symbol)[None], dtype)


@lru_cache(maxsize=16)
def finite_volume_green(
    shape: tuple[int, ...], conductivity: Matrix, dtype: str, boundary: str = "periodic"
) -> np.ndarray:
    """Returns the inverse of K0 = sum over axes of k0_jj 4 sin(xi_j / 2)^2; see `conductive_green`."""
    xi = wave_numbers(shape, boundary)
    symbol = sum(4 * conductivity[j][j] * np.sin(x / 2) ** 2 for j, x in enumerate(xi))
    return _frozen(_reciprocal(np.asarray(symbol))[None], dtype)


def _inverse(k0: np.ndarray, dims: int) -> np.ndarray:
    """The inverse of symmetric matrices given by their components in Voigt's order, 0 where they are singular."""
    trace = k0[:dims].sum(axis=0)
    null = trace <= 1e-10 * trace.max()
    if dims == 2:
        xx, yy, xy = k0
        cofactors = [yy, xx, -xy]
        determinant = xx * yy - xy**2
    else:
        xx, yy, zz, yz, xz, xy = k0
        cofactors = [
            yy * zz - yz**2,
            xx * zz - xz**2,
            xx * yy - xy**2,
            xy * xz - xx * yz,
            xy * yz - yy * xz,
            xz * yz - zz * xy,
        ]
        determinant = xx * cofactors[0] + xy * cofactors[5] + xz * cofactors[4]
    return np.stack(cofactors) * np.where(null, 0.0, 1 / np.where(null, 1.0, determinant))


def _reciprocal(symbol: np.ndarray) -> np.ndarray:
    null = symbol <= 1e-10 * symbol.max()
    symbol[null] = 1
    np.reciprocal(symbol, out=symbol)  # in place: a volume of 500^3 has 1 GB here
    symbol[null] = 0
    return symbol


def _mean_symbol(xi: np.ndarray) -> np.ndarray:
    # cos(pi / 2) is 6e-17 in floating point; the alternating field's mean is exactly 0.
    return np.where(np.abs(xi) > np.pi * (1 - 1e-12), 0.0, np.cos(xi / 2))


def _frozen(green: np.ndarray, dtype: str) -> np.ndarray:
    result = np.ascontiguousarray(green.astype(dtype))
    result.flags.writeable = False
    return result
