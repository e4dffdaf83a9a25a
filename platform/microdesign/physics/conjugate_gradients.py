"""Conjugate gradients preconditioned by a Green operator, for all load cases of one image at once.

Solves K u = f, K = B^T C B, f = -B^T C E, with the preconditioner K0^-1 of a homogeneous medium in the same
discretization: the condition number is bounded by the contrast of the phases, whatever the grid. The iterates are those
of the strain-based (Lippmann-Schwinger, Fourier-Galerkin) methods, with displacements stored instead of strains
(J. Vondrejc, J. Zeman, I. Marek, Comput. Math. Appl. 68 (2014); S. Lucarini, J. Segurado, Comput. Mech. 63 (2019)).

Shapes in names: L load cases, C components (2 in elasticity, 1 in conduction), X and Y space.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft

from microdesign.physics._compiled import compiled

_DELAY = 3
"""The fewest iterations whose energy decrements, added up, estimate the error that was left before them."""

_DELAY_SHARE = 6
"""One in so many iterations belongs to the delay: where convergence is slow, a short one misses most of the error."""


@dataclass(frozen=True)
class Problem:
    """One image's equations for one physics.

    Attributes:
        operator: `operator(u_LCXY, out_LCXY)` writes K u.
        f: Right-hand sides, `(L, C, X, Y)`.
        green: Inverse of K0 on the half spectrum, symmetric: `(1, X, Y // 2 + 1)` or components xx, yy, xy.
        energy: Twice the energy of each load case per pixel at u = 0, the Voigt average, `(L,)`.
        smallest_eigenvalue: A lower bound for those of K0^-1 K: the smallest ratio of a phase to the reference.
    """

    operator: Callable[[np.ndarray, np.ndarray], None]
    f: np.ndarray
    green: np.ndarray
    energy: np.ndarray
    smallest_eigenvalue: float


@dataclass(frozen=True)
class Solution:
    """What the iteration reached: field and residual `(L, C, X, Y)`, iterations, estimated relative error."""

    u: np.ndarray
    residual: np.ndarray
    iterations: int
    error_estimate: float


def solve(problem: Problem, tolerance: float, max_iterations: int) -> Solution:
    """Iterates until the error of every load case's energy is below `tolerance` of it, or `max_iterations` are done.

    The energy of a load case is the diagonal entry of the effective tensor. Its error r.K^-1 r is known from both
    sides: it is at most r.z / (smallest eigenvalue of K0^-1 K) with z = K0^-1 r, and before the last iterations it was
    at least the sum of their decrements alpha r.z (M. Hestenes and E. Stiefel 1952; Z. Strakos and P. Tichy, ETNA 13
    (2002)). The first is used when it is good enough, as it is for mild contrasts and for loads that leave the strain
    uniform; the second, with a delay of three iterations or a sixth of those done, when it is not.
    """
    f = problem.f
    pixels = f.shape[-2] * f.shape[-1]
    u, residual, image = np.zeros_like(f), f.copy(), np.empty_like(f)
    z = _precondition(residual, problem.green)
    direction = z.copy()
    energy_L = problem.energy * pixels
    rz_L = _dot(residual, z)
    floor_L = rz_L * float(np.finfo(f.dtype).eps) ** 2
    decrements: list[np.ndarray] = []
    while True:
        error_L = np.where(rz_L > floor_L, rz_L, 0.0) / problem.smallest_eigenvalue
        if len(decrements) >= _DELAY:
            delay = max(_DELAY, len(decrements) // _DELAY_SHARE)
            error_L = np.minimum(error_L, sum(decrements[-delay:]))
        error = float((error_L / energy_L).max())
        if error <= tolerance or len(decrements) >= max_iterations:
            return Solution(u, residual, len(decrements), error)
        problem.operator(direction, image)
        decrement_L = np.empty_like(rz_L)
        _advance(direction, image, rz_L, floor_L, u, residual, decrement_L)
        energy_L = energy_L - decrement_L
        decrements.append(decrement_L)
        z = _precondition(residual, problem.green)
        _redirect(residual, z, rz_L, floor_L, direction)


def _precondition(residual_LCXY: np.ndarray, green: np.ndarray) -> np.ndarray:
    """z = K0^-1 r, by one pair of transforms per component."""
    spectrum = scipy.fft.rfftn(residual_LCXY, axes=(2, 3))
    _apply_green(spectrum, green)
    return scipy.fft.irfftn(spectrum, s=residual_LCXY.shape[2:], axes=(2, 3), overwrite_x=True)


@compiled
def _apply_green(spectrum_LCXY: np.ndarray, green: np.ndarray) -> None:
    L, C, X, Y = spectrum_LCXY.shape
    for load in range(L):
        for i in range(X):
            if C == 1:
                for j in range(Y):
                    spectrum_LCXY[load, 0, i, j] *= green[0, i, j]
            else:
                for j in range(Y):
                    x, y = spectrum_LCXY[load, 0, i, j], spectrum_LCXY[load, 1, i, j]
                    spectrum_LCXY[load, 0, i, j] = green[0, i, j] * x + green[2, i, j] * y
                    spectrum_LCXY[load, 1, i, j] = green[2, i, j] * x + green[1, i, j] * y


@compiled
def _dot(a_LCXY: np.ndarray, b_LCXY: np.ndarray) -> np.ndarray:
    """Returns the inner product of each load case, `(L,)`, added up in float64."""
    L = a_LCXY.shape[0]
    result = np.zeros(L)
    for load in range(L):
        a, b = a_LCXY[load].reshape(-1), b_LCXY[load].reshape(-1)
        total = 0.0
        for n in range(a.size):
            total += np.float64(a[n]) * np.float64(b[n])
        result[load] = total
    return result


@compiled
def _advance(
    direction: np.ndarray,
    image: np.ndarray,
    rz_L: np.ndarray,
    floor_L: np.ndarray,
    u: np.ndarray,
    residual: np.ndarray,
    decrement_L: np.ndarray,
) -> None:
    """u += alpha d, r -= alpha K d with alpha = r.z / d.K d; a load case at the floor of round-off stays as it is."""
    curvature_L = _dot(direction, image)
    for load in range(rz_L.size):
        alive = rz_L[load] > floor_L[load] and curvature_L[load] > 0
        alpha = rz_L[load] / curvature_L[load] if alive else 0.0
        decrement_L[load] = alpha * rz_L[load]
        step = u.dtype.type(alpha)
        d, kd = direction[load].reshape(-1), image[load].reshape(-1)
        x, r = u[load].reshape(-1), residual[load].reshape(-1)
        for n in range(x.size):
            x[n] += step * d[n]
            r[n] -= step * kd[n]


@compiled
def _redirect(
    residual: np.ndarray, z: np.ndarray, rz_L: np.ndarray, floor_L: np.ndarray, direction: np.ndarray
) -> None:
    """d = z + beta d with beta = r.z / (the previous r.z), which is then replaced by the new one."""
    new_L = _dot(residual, z)
    for load in range(rz_L.size):
        beta = direction.dtype.type(new_L[load] / rz_L[load] if rz_L[load] > floor_L[load] else 0.0)
        rz_L[load] = new_L[load]
        d, s = direction[load].reshape(-1), z[load].reshape(-1)
        for n in range(d.size):
            d[n] = s[n] + beta * d[n]
