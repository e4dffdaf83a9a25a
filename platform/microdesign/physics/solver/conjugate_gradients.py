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

from microdesign.physics.solver._compiled import compiled
from microdesign.physics.solver.green import GreenOperator

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
        green: Inverse of K0 on the half spectrum, see `GreenOperator`.
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


def delay(iterations: int) -> int:
    """How many of the last energy decrements, added up, estimate the error that was left before them.

    Where convergence is slow a few miss most of it: at contrast 1000 a sixth of the iterations left 2.5 times the
    tolerance in one image of seven, a third 0.65 times at most.
    """
    return max(3, iterations // 3)


def solve(problem: Problem, tolerance: float, max_iterations: int, start: np.ndarray | None = None) -> Solution:
    """Iterates until the error of every load case's energy is below `tolerance` of it, or `max_iterations` are done.

    The energy of a load case is the diagonal entry of the effective tensor. Its error r.K^-1 r is known from both
    sides: it is at most gamma r.z with z = K0^-1 r and gamma from the Gauss-Radau quadrature at a lower bound of the
    eigenvalues of K0^-1 K (G. Meurant and P. Tichy, Numerical Algorithms 62 (2013)), and before the last iterations it
    was at least the sum of their decrements alpha r.z (M. Hestenes and E. Stiefel 1952; Z. Strakos and P. Tichy, ETNA
    13 (2002)). The second, with a delay of three iterations or a third of those done, decides where it is the smaller,
    at high contrast, and with voids, where there is no first. K is then singular, but f lies in its range, so the
    iteration converges to the energy of the solid.

    Args:
        problem: The equations.
        tolerance: Relative.
        max_iterations: Of each load case.
        start: Fields to begin with, `(L, C, *S)`, such as a similar image's solution; None is 0.
    """
    f = problem.f
    u = np.zeros_like(f) if start is None else start.astype(f.dtype)
    residual = f.copy()
    step = len(f)
    if f[0].size > _TOGETHER:
        step = 2 if f.ndim == 4 and f.shape[1] == 1 else 1  # in the plane `GreenOperator` pairs fields
    reached = []
    for load in range(0, len(f), step):
        part = slice(load, load + step)
        case = replace(problem, f=f[part], energy=problem.energy[part])
        reached.append(_iterate(case, u[part], residual[part], tolerance, max_iterations, start is not None))
    return Solution(u, residual, max(n for n, _ in reached), max(error for _, error in reached))


def _iterate(
    problem: Problem, u: np.ndarray, residual: np.ndarray, tolerance: float, max_iterations: int, warm: bool
) -> tuple[int, float]:
    """Iterates on u and its residual in place, from u = 0 unless `warm`; returns iterations and estimated error."""
    f = problem.f
    precondition = GreenOperator(problem.green, f.shape, f.dtype)
    image, z = np.empty_like(f), np.empty_like(f)
    voigt_L = problem.energy * math.prod(f.shape[2:])
    energy_L = voigt_L
    precondition(f, z)
    load_L = _dot(f, z)
    if warm:
        problem.operator(u, image)
        residual -= image
        energy_L = voigt_L - _dot(f, u) - _dot(u, residual)
        precondition(residual, z)
    # The floor of round-off is that of the whole load, which a warm start leaves less of.
    floor_L = load_L * float(np.finfo(f.dtype).eps) ** 2
    direction = z.copy()
    rz_L = _dot(residual, z)
    voids = problem.smallest_eigenvalue == 0
    gamma_L = np.full(len(f), _UNBOUNDED if voids else 1 / problem.smallest_eigenvalue)
    carried_L = voigt_L * VANISHING
    decrements: list[np.ndarray] = []
    while True:
        error_L = np.where(rz_L > floor_L, rz_L, 0.0) * gamma_L
        if len(decrements) >= delay(len(decrements)):
            error_L = np.minimum(error_L, sum(decrements[-delay(len(decrements)) :]))
        error = float((error_L / energy_L).max()) if not voids else _error_with_voids(error_L, energy_L, carried_L)
        if error <= tolerance or len(decrements) >= max_iterations:
            return len(decrements), error
        problem.operator(direction, image)
        decrement_L = np.empty_like(rz_L)
        _advance(direction, image, rz_L, floor_L, u, residual, decrement_L)
        energy_L = energy_L - decrement_L
        decrements.append(decrement_L)
        precondition(residual, z)
        previous_L = rz_L.copy()
        _redirect(residual, z, rz_L, floor_L, direction)
        if not voids:
            _tighten(gamma_L, decrement_L, previous_L, rz_L, problem.smallest_eigenvalue)


def _error_with_voids(error_L: np.ndarray, energy_L: np.ndarray, carried_L: np.ndarray) -> float:
    """The largest relative error of the loads that the solid carries; 0 if it carries none."""
    carried = energy_L > carried_L
    return float((error_L[carried] / energy_L[carried]).max(initial=0.0))


@compiled
def _tighten(
    gamma_L: np.ndarray, decrement_L: np.ndarray, previous_L: np.ndarray, rz_L: np.ndarray, smallest: float
) -> None:
    """Makes gamma, by which gamma r.z is an upper bound of the error, that of the next iteration.

    gamma' = (gamma - alpha) / (smallest (gamma - alpha) + beta), with alpha and beta those of the iteration; it begins
    with 1 / smallest and never exceeds it.
    """
    for load in range(gamma_L.size):
        gap, beta = 0.0, 0.0
        if previous_L[load] > 0:
            gap = gamma_L[load] - decrement_L[load] / previous_L[load]
            beta = rz_L[load] / previous_L[load]
        # Where round-off has eaten the gap, the bound that always holds.
        gamma_L[load] = gap / (smallest * gap + beta) if gap > 0 and beta > 0 else 1 / smallest


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
