"""The iteration alone, on small dense matrices whose energies are known."""

import numpy as np
import pytest

from microdesign.physics.solver.conjugate_gradients import iterate


class Dense:
    """Fields `(B, L, n)` of systems K u = f with a matrix K `(B, n, n)` an image; the preconditioner is 1."""

    def __init__(self, K: np.ndarray, f: np.ndarray) -> None:
        self.K, self.u, self.residual = K, np.zeros_like(f), f.copy()
        self.direction = f.copy()

    def curvature(self) -> np.ndarray:
        self.image = self.direction @ self.K
        return (self.direction * self.image).sum(-1)

    def advance(self, alpha: np.ndarray) -> np.ndarray:
        self.u += alpha[..., None] * self.direction
        self.residual -= alpha[..., None] * self.image
        return (self.residual**2).sum(-1)

    def redirect(self, beta: np.ndarray) -> None:
        self.direction = self.residual + beta[..., None] * self.direction


def system(eigenvalues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K with these eigenvalues `(B, n)`, and three loads in its range."""
    stream = np.random.default_rng(3)
    basis = np.linalg.qr(stream.standard_normal((*eigenvalues.shape, eigenvalues.shape[1])))[0]
    K = np.einsum("bij,bj,bkj->bik", basis, eigenvalues, basis)
    return K, np.einsum("bij,blj->bli", K, stream.standard_normal((len(K), 3, K.shape[1])))


def solved(K: np.ndarray, f: np.ndarray, smallest: float, most: int = 500, tolerance: float = 1e-6) -> tuple:
    """Iterations, estimated errors, and the true ones of the energies, for a Voigt average of twice the solution's."""
    exact = np.einsum("bli,bij,blj->bl", f, np.linalg.pinv(K), f)
    voigt, fields = 2 * exact, Dense(K, f)
    rz = (f**2).sum(-1)
    settings = {"voigt_BL": voigt, "floor_BL": 1e-32 * rz, "smallest_eigenvalue": smallest, "tolerance": tolerance}
    iterations, errors = iterate(fields, rz, voigt, max_iterations=most, **settings)
    energy = voigt - np.einsum("bli,bli->bl", f + fields.residual, fields.u)
    return iterations, errors, ((energy - (voigt - exact)) / energy).max(1)


def test_it_stops_when_the_energy_is_known_to_the_tolerance_and_not_much_later() -> None:
    eigenvalues = np.stack([np.linspace(0.1, 2, 60), np.linspace(0.5, 1.5, 60)])
    system_of_two = system(eigenvalues)
    iterations, errors, true = solved(*system_of_two, smallest=0.1)
    assert (errors <= 1e-6).all()
    assert (true <= errors).all()
    assert iterations[1] < iterations[0]
    assert (true > 1e-12).any()
    for number in range(2):  # an image iterates in a batch as it does alone
        alone, *_ = solved(*(part[number : number + 1] for part in system_of_two), smallest=0.1)
        assert alone[0] == iterations[number]


def test_a_singular_matrix_has_no_bound_but_the_decrements() -> None:
    eigenvalues = np.linspace(0.2, 2, 60)[None].copy()
    eigenvalues[0, :9] = 0
    iterations, errors, true = solved(*system(eigenvalues), smallest=0.0)
    assert errors[0] <= 1e-6
    assert true[0] <= 2e-6
    assert iterations[0] >= 4


def test_what_does_not_converge_is_said() -> None:
    K, f = system(np.linspace(0.01, 2, 60)[None])
    iterations, errors, _ = solved(K, f, smallest=0.01, most=5)
    assert iterations.tolist() == [5]
    assert errors[0] > 1e-6
    K[0, 0, 0] = np.nan
    rz = (f**2).sum(-1)
    settings = {"voigt_BL": rz, "floor_BL": 0 * rz, "smallest_eigenvalue": 0.01, "tolerance": 0.1}
    assert not iterate(Dense(K, f), rz, rz, max_iterations=9, **settings)[1] <= 0.1


@pytest.mark.parametrize("smallest", [0.0, 0.5])
def test_no_load_takes_no_iteration(smallest: float) -> None:
    K, f = system(np.ones((1, 8)))
    zeros = np.zeros((1, 3))
    settings = {"voigt_BL": zeros + 1, "floor_BL": zeros, "smallest_eigenvalue": smallest, "tolerance": 1e-9}
    iterations, errors = iterate(Dense(K, 0 * f), zeros, zeros + 1, max_iterations=9, **settings)
    assert (iterations.tolist(), errors.tolist()) == ([0], [0])
