"""The solver's iteration on NumPy arrays by compiled loops, for all load cases of one image.

Shapes in names: L load cases, C components (2 or 3 in elasticity, 1 in conduction), S all of space: (X, Y) or
(X, Y, Z).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from microdesign.physics.solver._compiled import compiled
from microdesign.physics.solver.conjugate_gradients import iterate

_TOGETHER = 2**15
"""Values of a field up to which load cases are iterated together: small ones share the calls, large ones the cache."""


@dataclass(frozen=True)
class Problem:
    """One image's equations for one physics.

    Attributes:
        operator: `operator(u_LCS, out_LCS)` writes K u, for any number of load cases.
        f: Right-hand sides, `(L, C, *S)`.
        preconditioner: `preconditioner(shape, dtype)` returns `precondition(r_LCS, z_LCS)`, which writes K0^-1 r for
            fields of that shape; see `green` and `mirror_green`.
        energy: Twice the energy of each load case per pixel at u = 0, the Voigt average, `(L,)`.
        pixels: Their number.
        smallest_eigenvalue: A lower bound for those of K0^-1 K: the smallest ratio of a phase to the reference, 0 if a
            phase is a void.
    """

    operator: Callable[[np.ndarray, np.ndarray], None]
    f: np.ndarray
    preconditioner: Callable[[tuple[int, ...], np.dtype], Callable[[np.ndarray, np.ndarray], None]]
    energy: np.ndarray
    pixels: int
    smallest_eigenvalue: float


@dataclass(frozen=True)
class Solution:
    """What the iteration reached: field and residual `(L, C, *S)`, iterations, estimated relative error."""

    u: np.ndarray
    residual: np.ndarray
    iterations: int
    error_estimate: float


def solve(problem: Problem, tolerance: float, max_iterations: int, start: np.ndarray | None = None) -> Solution:
    """Solves the equations of one image, see `conjugate_gradients.iterate`.

    Args:
        problem: The equations.
        tolerance: Relative error of the energies.
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
        reached.append(_solve(case, u[part], residual[part], tolerance, max_iterations, start is not None))
    return Solution(u, residual, max(n for n, _ in reached), max(error for _, error in reached))


def _solve(
    problem: Problem, u: np.ndarray, residual: np.ndarray, tolerance: float, max_iterations: int, warm: bool
) -> tuple[int, float]:
    """Solves for u and its residual in place, from u = 0 unless `warm`; returns iterations and estimated error."""
    f = problem.f
    iterates = ArrayIterates(problem, u, residual)
    voigt_BL = problem.energy[None] * problem.pixels
    energy_BL = voigt_BL
    # The floor of round-off is that of the whole load, which a warm start leaves less of.
    iterates.precondition(f, iterates.z)
    floor_BL = _dot(f, iterates.z) * float(np.finfo(f.dtype).eps) ** 2
    if warm:
        problem.operator(u, iterates.image)
        residual -= iterates.image
        energy_BL = voigt_BL - _dot(f, u) - _dot(u, residual)
        iterates.precondition(residual, iterates.z)
    iterates.direction[:] = iterates.z
    iterations, error = iterate(
        iterates,
        _dot(residual, iterates.z),
        energy_BL,
        voigt_BL=voigt_BL,
        floor_BL=floor_BL,
        smallest_eigenvalue=problem.smallest_eigenvalue,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    return int(iterations[0]), float(error[0])


class ArrayIterates:
    """The fields of one image's iteration, `(L, C, *S)` each; u and its residual are changed in place."""

    def __init__(self, problem: Problem, u: np.ndarray, residual: np.ndarray) -> None:
        self.operator, self.u, self.residual = problem.operator, u, residual
        self.precondition = problem.preconditioner(u.shape, u.dtype)
        self.image, self.z, self.direction = (np.empty_like(residual) for _ in range(3))

    def curvature(self) -> np.ndarray:
        """Computes K d and returns d.K d, `(1, L)`."""
        self.operator(self.direction, self.image)
        return _dot(self.direction, self.image)

    def advance(self, alpha_BL: np.ndarray) -> np.ndarray:
        """Computes u += alpha d, r -= alpha K d and z, and returns r.z, `(1, L)`."""
        _advance(alpha_BL, self.direction, self.image, self.u, self.residual)
        self.precondition(self.residual, self.z)
        return _dot(self.residual, self.z)

    def redirect(self, beta_BL: np.ndarray) -> None:
        """Computes d = z + beta d."""
        _redirect(beta_BL, self.z, self.direction)


@compiled
def _dot(a_LCS: np.ndarray, b_LCS: np.ndarray) -> np.ndarray:
    """Returns the inner product of each load case, `(1, L)`, added up in float64."""
    L = a_LCS.shape[0]
    result = np.zeros((1, L))
    for load in range(L):
        a, b = a_LCS[load].reshape(-1), b_LCS[load].reshape(-1)
        total = 0.0
        for n in range(a.size):
            total += np.float64(a[n]) * np.float64(b[n])
        result[0, load] = total
    return result


@compiled
def _advance(
    alpha_BL: np.ndarray, direction: np.ndarray, image: np.ndarray, u: np.ndarray, residual: np.ndarray
) -> None:
    """u += alpha d, r -= alpha K d."""
    for load in range(alpha_BL.size):
        step = u.dtype.type(alpha_BL[0, load])
        d, kd = direction[load].reshape(-1), image[load].reshape(-1)
        x, r = u[load].reshape(-1), residual[load].reshape(-1)
        for n in range(x.size):
            x[n] += step * d[n]
            r[n] -= step * kd[n]


@compiled
def _redirect(beta_BL: np.ndarray, z: np.ndarray, direction: np.ndarray) -> None:
    """d = z + beta d."""
    for load in range(beta_BL.size):
        beta = direction.dtype.type(beta_BL[0, load])
        d, s = direction[load].reshape(-1), z[load].reshape(-1)
        for n in range(d.size):
            d[n] = s[n] + beta * d[n]
