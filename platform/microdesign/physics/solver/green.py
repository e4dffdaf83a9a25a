"""The preconditioner: K0^-1, the Green operator of the homogeneous medium, by one pair of transforms per field.

scipy's transforms are chosen for every size. A complex one in place takes 0.6 (256 x 256) to 0.85 (64^3) of the time of
the real ones of its two parts, which write to new memory. So in the plane, where there are always two fields to pair
(the components of a displacement, the temperatures of the two load cases), they travel as the real and the imaginary
part of one complex field.

Shapes in names: L load cases, C components, S all of space, F = L C real fields, X and Y space in the plane.
"""

import numpy as np
import scipy.fft

from microdesign.physics.solver._compiled import compiled


class GreenOperator:
    """Writes z = K0^-1 r; it keeps the memory in between.

    Args:
        green: K0^-1 on the half spectrum, symmetric: `(1, X, Y // 2 + 1)` or components xx, yy, xy,
            `(3, X, Y // 2 + 1)`; likewise in three dimensions, where the components are xx, yy, zz, yz, xz, xy.
        shape: Of the fields, `(L, C, *S)`; in the plane L C is even.
        dtype: Of the fields.
    """

    def __init__(self, green: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.green, self.space, self.paired = green, shape[2:], len(shape) == 4
        if self.paired:
            fields = shape[0] * shape[1]
            self.components = green if len(green) == 3 else np.stack([green[0], green[0], np.zeros_like(green[0])])
            self.pairs = np.empty((fields // 2, *self.space), np.result_type(dtype, np.complex64))

    def __call__(self, residual_LCS: np.ndarray, z_LCS: np.ndarray) -> None:
        """Writes z for a residual r, both `(L, C, *S)`."""
        if self.paired:
            self._apply_to_pairs(residual_LCS.reshape(-1, *self.space), z_LCS.reshape(-1, *self.space))
            return
        axes = tuple(range(2, residual_LCS.ndim))
        spectrum = scipy.fft.rfftn(residual_LCS, axes=axes)
        L, C = spectrum.shape[:2]
        multiply(spectrum.reshape(L, C, -1), self.green.reshape(len(self.green), -1))
        z_LCS[:] = scipy.fft.irfftn(spectrum, s=self.space, axes=axes, overwrite_x=True)

    def _apply_to_pairs(self, residual_FXY: np.ndarray, z_FXY: np.ndarray) -> None:
        _pack(residual_FXY, self.pairs)
        spectra = scipy.fft.fftn(self.pairs, axes=(1, 2), overwrite_x=True)
        _multiply_pairs(spectra.view(residual_FXY.dtype), self.components)
        _unpack(scipy.fft.ifftn(spectra, axes=(1, 2), overwrite_x=True), z_FXY)


@compiled
def _pack(fields_FXY: np.ndarray, pairs: np.ndarray) -> None:
    for n in range(len(pairs)):
        real, imaginary, pair = fields_FXY[2 * n].reshape(-1), fields_FXY[2 * n + 1].reshape(-1), pairs[n].reshape(-1)
        for i in range(pair.size):
            pair[i] = complex(real[i], imaginary[i])


@compiled
def _unpack(pairs: np.ndarray, fields_FXY: np.ndarray) -> None:
    for n in range(len(pairs)):
        real, imaginary, pair = fields_FXY[2 * n].reshape(-1), fields_FXY[2 * n + 1].reshape(-1), pairs[n].reshape(-1)
        for i in range(pair.size):
            real[i] = pair[i].real
            imaginary[i] = pair[i].imag


@compiled
def _multiply_pairs(spectra: np.ndarray, green: np.ndarray) -> None:
    """Multiplies fields p and q by the symmetric matrix G, given the transform of p + i q.

    With a and b the transform at a wave number and at its negative, those of p and q are (a + b*) / 2 and
    (a - b*) / 2i, so that the product's is s a + (t + i h) b*, s and t half the sum and the difference of G_xx and
    G_yy, h = G_xy.

    Args:
        spectra: Real and imaginary parts next to each other, `(F / 2, X, 2 Y)`.
        green: Components xx, yy, xy, `(3, X, Y // 2 + 1)`.
    """
    pairs, X, Y = spectra.shape[0], spectra.shape[1], spectra.shape[2] // 2
    for n in range(pairs):
        for i in range(X):
            opposite = X - i if i else 0
            here, there = spectra[n, i], spectra[n, opposite]
            xx, yy, xy = green[0, i], green[1, i], green[2, i]
            if i <= opposite:  # a column that is its own opposite: one half of the rows makes all its pairs
                _multiply_two(here, there, 0, 0, xx[0], yy[0], xy[0])
                if Y % 2 == 0:
                    _multiply_two(here, there, Y // 2, Y // 2, xx[Y // 2], yy[Y // 2], xy[Y // 2])
            for j in range(1, (Y + 1) // 2):
                _multiply_two(here, there, j, Y - j, xx[j], yy[j], xy[j])


@compiled
def _multiply_two(
    here: np.ndarray, there: np.ndarray, j: int, k: int, xx: np.floating, yy: np.floating, xy: np.floating
) -> None:
    half = here.dtype.type(0.5)
    s, t, h = half * (xx + yy), half * (xx - yy), xy
    a_r, a_i, b_r, b_i = here[2 * j], here[2 * j + 1], there[2 * k], there[2 * k + 1]
    here[2 * j] = s * a_r + t * b_r + h * b_i
    here[2 * j + 1] = s * a_i + h * b_r - t * b_i
    there[2 * k] = s * b_r + t * a_r + h * a_i
    there[2 * k + 1] = s * b_i + h * a_r - t * a_i


@compiled
def multiply(spectrum_LCS: np.ndarray, green: np.ndarray) -> None:
    """Multiplies the components by a symmetric matrix at each wave number, in place.

    Args:
        spectrum_LCS: `(L, C, S)`, S all wave numbers.
        green: `(1, S)`, or components xx, yy, xy, `(3, S)`, or xx, yy, zz, yz, xz, xy, `(6, S)`.
    """
    L, C, S = spectrum_LCS.shape
    block = 1024  # three components of so many wave numbers at a time: short loops over few arrays become vector code
    before = np.empty((C, block), spectrum_LCS.dtype)
    for load in range(L):
        if C == 1:
            for n in range(S):
                spectrum_LCS[load, 0, n] *= green[0, n]
        elif C == 2:
            for n in range(S):
                x, y = spectrum_LCS[load, 0, n], spectrum_LCS[load, 1, n]
                spectrum_LCS[load, 0, n] = green[0, n] * x + green[2, n] * y
                spectrum_LCS[load, 1, n] = green[2, n] * x + green[1, n] * y
        else:
            for first in range(0, S, block):
                part = min(block, S - first)
                g = green[:, first : first + part]
                for c in range(C):
                    before[c, :part] = spectrum_LCS[load, c, first : first + part]
                _row_times_vector(g[0], g[5], g[4], before, spectrum_LCS[load, 0, first : first + part])
                _row_times_vector(g[5], g[1], g[3], before, spectrum_LCS[load, 1, first : first + part])
                _row_times_vector(g[4], g[3], g[2], before, spectrum_LCS[load, 2, first : first + part])


@compiled
def _row_times_vector(x: np.ndarray, y: np.ndarray, z: np.ndarray, vector_CS: np.ndarray, out_S: np.ndarray) -> None:
    for n in range(out_S.size):
        out_S[n] = x[n] * vector_CS[0, n] + y[n] * vector_CS[1, n] + z[n] * vector_CS[2, n]
