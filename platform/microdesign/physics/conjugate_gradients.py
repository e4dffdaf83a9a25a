"""Conjugate gradients preconditioned by a Green operator, for all load cases of one image at once.

Solves K u = f, K = B^T C B, f = -B^T C E, with the preconditioner K0^-1 of a homogeneous medium in the same
discretization: the condition number is bounded by the contrast of the phases, whatever the grid. The iterates are those
of the strain-based (Lippmann-Schwinger, Fourier-Galerkin) methods, with displacements stored instead of strains
(J. Vondrejc, J. Zeman, I. Marek, Comput. Math. Appl. 68 (2014); S. Lucarini, J. Segurado, Comput. Mech. 63 (2019)).

Shapes in names: L load cases, C components (2 or 3 in elasticity, 1 in conduction), S all of space: (X, Y) or
(X, Y, Z).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from microdesign.physics._compiled import compiled

_DELAY = 3
"""The fewest iterations whose energy decrements, added up, estimate the error that was left before them."""

_DELAY_SHARE = 6
"""One in so many iterations belongs to the delay: where convergence is slow, a short one misses most of the error."""


_TOGETHER = 2**15
"""Values of a field up to which load cases are iterated together: small ones share the calls, large ones the cache."""

VANISHING = 1e-6
"""With voids, a load whose energy falls below this part of the Voigt average counts as one that the solid cannot carry.

Every iterate's energy is an upper bound, so the effective modulus is then smaller still."""

_UNBOUNDED = 1e200
"""Stands for 1 / (smallest eigenvalue) where that is 0: it makes any error too large, and no error none."""


@dataclass(frozen=True)
class Problem:
    """One image's equations for one physics.

    Attributes:
        operator: `operator(u_LCS, out_LCS)` writes K u, for any number of load cases.
        f: Right-hand sides, `(L, C, *S)`.
        green: Inverse of K0 on the half spectrum, symmetric: `(1, X, Y // 2 + 1)` or components xx, yy, xy,
            `(3, X, Y // 2 + 1)`; likewise in three dimensions, where the components are xx, yy, zz, yz, xz, xy.
        energy: Twice the energy of each load case per pixel at u = 0, the Voigt average, `(L,)`.
        smallest_eigenvalue: A lower bound for those of K0^-1 K: the smallest ratio of a phase to the reference, 0 if a
            phase is a void.
    """

    operator: Callable[[np.ndarray, np.ndarray], None]
    f: np.ndarray
    green: np.ndarray
    energy: np.ndarray
    smallest_eigenvalue: float


@dataclass(frozen=True)
class Solution:
    """What the iteration reached: field and residual `(L, C, *S)`, iterations, estimated relative error."""

    u: np.ndarray
    residual: np.ndarray
    iterations: int
    error_estimate: float


def solve(problem: Problem, tolerance: float, max_iterations: int, start: np.ndarray | None = None) -> Solution:
    """Iterates until the error of every load case's energy is below `tolerance` of it, or `max_iterations` are done.

    The energy of a load case is the diagonal entry of the effective tensor. Its error r.K^-1 r is known from both
    sides: it is at most r.z / (smallest eigenvalue of K0^-1 K) with z = K0^-1 r, and before the last iterations it was
    at least the sum of their decrements alpha r.z (M. Hestenes and E. Stiefel 1952; Z. Strakos and P. Tichy, ETNA 13
    (2002)). The first is used when it is good enough, as it is for mild contrasts and for loads that leave the strain
    uniform; the second, with a delay of three iterations or a sixth of those done, when it is not, and with voids,
    where there is no first. K is then singular, but f lies in its range, so the iteration converges to the energy of
    the solid.

    Args:
        problem: The equations.
        tolerance: Relative.
        max_iterations: Of each load case.
        start: Fields to begin with, `(L, C, *S)`, such as a similar image's solution; None is 0.
    """
    if problem.f[0].size <= _TOGETHER:
        return _iterate(problem, tolerance, max_iterations, start)
    parts = []
    for load in range(len(problem.f)):
        one = slice(load, load + 1)
        case = replace(problem, f=problem.f[one], energy=problem.energy[one])
        parts.append(_iterate(case, tolerance, max_iterations, None if start is None else start[one]))
    return Solution(
        np.concatenate([part.u for part in parts]),
        np.concatenate([part.residual for part in parts]),
        max(part.iterations for part in parts),
        max(part.error_estimate for part in parts),
    )


def _iterate(problem: Problem, tolerance: float, max_iterations: int, start: np.ndarray | None) -> Solution:
    f = problem.f
    pixels = math.prod(f.shape[2:])
    residual, image = f.copy(), np.empty_like(f)
    voigt_L = problem.energy * pixels
    if start is None:
        u, energy_L = np.zeros_like(f), voigt_L
    else:
        u = start.astype(f.dtype)
        problem.operator(u, image)
        residual -= image
        energy_L = voigt_L - _dot(f, u) - _dot(u, residual)
    z = _precondition(residual, problem.green)
    direction = z.copy()
    rz_L = _dot(residual, z)
    # The floor of round-off is that of the whole load, which a warm start leaves less of.
    load_L = rz_L if start is None else _dot(f, _precondition(f.copy(), problem.green))
    floor_L = load_L * float(np.finfo(f.dtype).eps) ** 2
    voids = problem.smallest_eigenvalue == 0
    worst = _UNBOUNDED if voids else 1 / problem.smallest_eigenvalue
    carried_L = voigt_L * VANISHING
    decrements: list[np.ndarray] = []
    while True:
        error_L = np.where(rz_L > floor_L, rz_L, 0.0) * worst
        if len(decrements) >= _DELAY:
            delay = max(_DELAY, len(decrements) // _DELAY_SHARE)
            error_L = np.minimum(error_L, sum(decrements[-delay:]))
        error = float((error_L / energy_L).max()) if not voids else _error_with_voids(error_L, energy_L, carried_L)
        if error <= tolerance or len(decrements) >= max_iterations:
            return Solution(u, residual, len(decrements), error)
        problem.operator(direction, image)
        decrement_L = np.empty_like(rz_L)
        _advance(direction, image, rz_L, floor_L, u, residual, decrement_L)
        energy_L = energy_L - decrement_L
        decrements.append(decrement_L)
        z = _precondition(residual, problem.green)
        _redirect(residual, z, rz_L, floor_L, direction)


def _error_with_voids(error_L: np.ndarray, energy_L: np.ndarray, carried_L: np.ndarray) -> float:
    """The largest relative error of the loads that the solid carries; 0 if it carries none."""
    carried = energy_L > carried_L
    return float((error_L[carried] / energy_L[carried]).max(initial=0.0))


def _precondition(residual_LCS: np.ndarray, green: np.ndarray) -> np.ndarray:
    """z = K0^-1 r, by one pair of transforms per component.

    scipy's transform is chosen for every size: against torch's MKL the pair takes 0.8 to 1.2 times as long where the
    edges are powers of two, and 0.6 times at 51 = 3 * 17.
    """
    axes = tuple(range(2, residual_LCS.ndim))
    spectrum = scipy.fft.rfftn(residual_LCS, axes=axes)
    L, C = spectrum.shape[:2]
    _apply_green(spectrum.reshape(L, C, -1), green.reshape(len(green), -1))
    return scipy.fft.irfftn(spectrum, s=residual_LCS.shape[2:], axes=axes, overwrite_x=True)


@compiled
def _apply_green(spectrum_LCS: np.ndarray, green: np.ndarray) -> None:
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


@compiled
def _dot(a_LCS: np.ndarray, b_LCS: np.ndarray) -> np.ndarray:
    """Returns the inner product of each load case, `(L,)`, added up in float64."""
    L = a_LCS.shape[0]
    result = np.zeros(L)
    for load in range(L):
        a, b = a_LCS[load].reshape(-1), b_LCS[load].reshape(-1)
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
