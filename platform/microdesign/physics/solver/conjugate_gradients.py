"""Conjugate gradients preconditioned by a Green operator: the iteration and its stopping rule.

Solves K u = f, K = B^T C B, f = -B^T C E, with the preconditioner K0^-1 of a homogeneous medium in the same
discretization: the condition number is bounded by the contrast of the phases, whatever the grid. The iterates are those
of the strain-based (Lippmann-Schwinger, Fourier-Galerkin) methods, with displacements stored instead of strains
(J. Vondrejc, J. Zeman, I. Marek, Comput. Math. Appl. 68 (2014); S. Lucarini, J. Segurado, Comput. Mech. 63 (2019)).

The fields may be NumPy arrays or tensors on a GPU: the iteration knows only the operations of `Iterates`. The numbers
of each load case (energies, steps, errors) are NumPy arrays in any case.

Shapes in names: B images, L load cases.
"""

from typing import Protocol

import numpy as np

from microdesign.physics.solver._compiled import compiled, compiled_strictly

VANISHING = 1e-6
"""With voids, a load whose energy falls below this part of the Voigt average counts as one that the solid cannot carry.

Every iterate's energy is an upper bound, so the effective modulus is then smaller still."""

_UNBOUNDED = 1e200
MOST_ITERATIONS = 10_000
"""Usual limit. Most images take a hundred; of solids that hang together by necks of a pixel, 256 x 256 take 3000."""
"""Stands for 1 / (smallest eigenvalue) where that is 0: it makes any error too large, and no error none."""


class Iterates(Protocol):
    """The fields of the iteration: solution u, residual r, z = K0^-1 r and direction d, one for each load case."""

    def curvature(self) -> np.ndarray:
        """Computes K d and returns d.K d, `(B, L)`."""
        ...

    def advance(self, alpha_BL: np.ndarray) -> np.ndarray:
        """Computes u += alpha d, r -= alpha K d and z, and returns r.z, `(B, L)`."""
        ...

    def redirect(self, beta_BL: np.ndarray) -> None:
        """Computes d = z + beta d."""
        ...


def delay(iterations: int) -> int:
    """How many of the last energy decrements, added up, estimate the error that was left before them.

    Where convergence is slow a few miss most of it: at contrast 1000 a sixth of the iterations left 2.5 times the
    tolerance in one image of seven, a third 0.65 times at most.
    """
    return max(3, iterations // 3)


def iterate(
    iterates: Iterates,
    rz_BL: np.ndarray,
    energy_BL: np.ndarray,
    *,
    voigt_BL: np.ndarray,
    floor_BL: np.ndarray,
    smallest_eigenvalue: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Iterates until the error of every load case's energy is below `tolerance` of it, or `max_iterations` are done.

    The energy of a load case is the diagonal entry of the effective tensor. Its error r.K^-1 r is known from both
    sides: it is at most gamma r.z with z = K0^-1 r and gamma from the Gauss-Radau quadrature at a lower bound of the
    eigenvalues of K0^-1 K (G. Meurant and P. Tichy, Numerical Algorithms 62 (2013)), and before the last iterations it
    was at least the sum of their decrements alpha r.z (M. Hestenes and E. Stiefel 1952; Z. Strakos and P. Tichy, ETNA
    13 (2002)). The second, with a delay of three iterations or a third of those done, decides where it is the smaller,
    at high contrast, and with voids, where there is no first. K is then singular, but f lies in its range, so the
    iteration converges to the energy of the solid.

    Args:
        iterates: The fields, with d = z.
        rz_BL: r.z of the first residual.
        energy_BL: Twice the energy of each load case at the start, summed over the pixels.
        voigt_BL: The same at u = 0, of which a load that the solid cannot carry keeps less than `VANISHING`.
        floor_BL: What r.z has at least while it is more than round-off.
        smallest_eigenvalue: A lower bound for those of K0^-1 K; 0 with voids.
        tolerance: Relative.
        max_iterations: Of each load case.

    Returns:
        Iterations after which each image was done and its estimated relative error, `(B,)` each.
    """
    gamma_BL = np.full_like(rz_BL, 1 / smallest_eigenvalue if smallest_eigenvalue else _UNBOUNDED)
    carried_BL = voigt_BL * (0.0 if smallest_eigenvalue else VANISHING)
    energy_BL = energy_BL.copy()
    none_BL, unknown_BL = np.zeros_like(rz_BL), np.full_like(rz_BL, np.inf)
    decrements: list[np.ndarray] = []
    iterations_B = np.full(len(rz_BL), -1)
    while True:
        done = len(decrements)
        recent_BL = sum(decrements[-delay(done) :], none_BL) if done >= delay(done) else unknown_BL
        error_B = _errors(rz_BL, floor_BL, gamma_BL, recent_BL, energy_BL, carried_BL)
        reached_B = error_B <= tolerance
        if reached_B.all() or done >= max_iterations:
            iterations_B[iterations_B < 0] = done
            return iterations_B, error_B
        if len(rz_BL) > 1:
            iterations_B[reached_B & (iterations_B < 0)] = done
        decrement_BL = np.zeros_like(rz_BL)
        alpha_BL = _steps(rz_BL, floor_BL, iterates.curvature(), energy_BL, decrement_BL)
        decrements.append(decrement_BL)
        new_BL = iterates.advance(alpha_BL)
        iterates.redirect(_turns(alpha_BL, rz_BL, new_BL, floor_BL, gamma_BL, smallest_eigenvalue))
        rz_BL = new_BL


@compiled_strictly
def _errors(
    rz_BL: np.ndarray,
    floor_BL: np.ndarray,
    gamma_BL: np.ndarray,
    recent_BL: np.ndarray,
    energy_BL: np.ndarray,
    carried_BL: np.ndarray,
) -> np.ndarray:
    """The largest relative error of the loads that each image's solid carries, `(B,)`: 0 if it carries none; or NaN."""
    B, L = rz_BL.shape
    error_B = np.zeros(B)
    for b in range(B):
        for load in range(L):
            error = 0.0 if rz_BL[b, load] <= floor_BL[b, load] else rz_BL[b, load] * gamma_BL[b, load]
            error = recent_BL[b, load] if recent_BL[b, load] < error else error
            relative = 0.0 if energy_BL[b, load] <= carried_BL[b, load] else error / energy_BL[b, load]
            if relative > error_B[b] or np.isnan(relative):
                error_B[b] = relative
    return error_B


@compiled
def _steps(
    rz_BL: np.ndarray, floor_BL: np.ndarray, curvature_BL: np.ndarray, energy_BL: np.ndarray, decrement_BL: np.ndarray
) -> np.ndarray:
    """alpha = r.z / d.K d, by which the energy falls alpha r.z; 0 of a load case at the floor of round-off."""
    B, L = rz_BL.shape
    alpha_BL = np.zeros((B, L))
    for b in range(B):
        for load in range(L):
            if rz_BL[b, load] > floor_BL[b, load] and curvature_BL[b, load] > 0:
                alpha_BL[b, load] = rz_BL[b, load] / curvature_BL[b, load]
                decrement_BL[b, load] = alpha_BL[b, load] * rz_BL[b, load]
                energy_BL[b, load] -= decrement_BL[b, load]
    return alpha_BL


@compiled
def _turns(
    alpha_BL: np.ndarray,
    rz_BL: np.ndarray,
    new_BL: np.ndarray,
    floor_BL: np.ndarray,
    gamma_BL: np.ndarray,
    smallest: float,
) -> np.ndarray:
    """beta = r.z / (the previous r.z); gamma, by which gamma r.z is an upper bound, becomes that of the next iteration.

    gamma' = (gamma - alpha) / (smallest (gamma - alpha) + beta); it begins with 1 / smallest and never exceeds it.
    """
    B, L = rz_BL.shape
    beta_BL = np.zeros((B, L))
    for b in range(B):
        for load in range(L):
            gap = gamma_BL[b, load] - alpha_BL[b, load]
            if rz_BL[b, load] > floor_BL[b, load]:
                beta_BL[b, load] = new_BL[b, load] / rz_BL[b, load]
            if smallest > 0:
                # Where round-off has eaten the gap, the bound that always holds.
                valid = gap > 0 and beta_BL[b, load] > 0
                gamma_BL[b, load] = gap / (smallest * gap + beta_BL[b, load]) if valid else 1 / smallest
    return beta_BL
