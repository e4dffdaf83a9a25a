"""scikit-fem on volumes: elasticity, periodic, one trilinear element a voxel, solved by algebraic multigrid (pyamg)."""

import numpy as np
import pyamg
import scipy.sparse
from skfem import Basis, BilinearForm, ElementHex0, ElementHex1, ElementVector, LinearForm, MeshHex, asm
from skfem.helpers import ddot, sym_grad, trace

PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class Multigrid:
    """Smoothed aggregation in conjugate gradients, with the interface of scipy's `splu`."""

    def __init__(self, K: scipy.sparse.spmatrix, near_null: np.ndarray | None = None) -> None:
        self.levels = pyamg.smoothed_aggregation_solver(K.tocsr(), B=near_null)

    def solve(self, f: np.ndarray) -> np.ndarray:
        """Solves for each column of f."""
        return np.stack([self.levels.solve(column, tol=1e-6, accel="cg") for column in f.T], axis=1)


@BilinearForm
def elastic(u, v, w):
    """Energy of the displacements u and v."""
    return w["lam"] * trace(sym_grad(u)) * trace(sym_grad(v)) + 2 * w["mu"] * ddot(sym_grad(u), sym_grad(v))


def stiffness(labels: np.ndarray, E: np.ndarray, nu: float) -> np.ndarray:
    """Effective stiffness `(6, 6)`, Voigt order with engineering shear, of phases of moduli E and one nu."""
    lam, mu = E * nu / ((1 + nu) * (1 - 2 * nu)), E / (2 * (1 + nu))
    X, Y, Z = labels.shape
    mesh = MeshHex.init_tensor(*(np.arange(n + 1.0) for n in labels.shape))
    basis = Basis(mesh, ElementVector(ElementHex1()), intorder=2)
    x, y, z = mesh.p[:, mesh.t].mean(axis=1).astype(int)
    voxelwise = basis.with_element(ElementHex0())
    fields = {name: voxelwise.interpolate(of_phase[labels[x, y, z]]) for name, of_phase in (("lam", lam), ("mu", mu))}

    # Nodes on opposite faces share their unknowns: P adds them up.
    x, y, z = mesh.p.astype(int)
    node = ((x % X) * Y + y % Y) * Z + z % Z
    shared = np.empty(basis.N, dtype=int)
    for component, dofs in enumerate(basis.nodal_dofs):
        shared[dofs] = 3 * node + component
    P = scipy.sparse.csr_matrix((np.ones(basis.N), (np.arange(basis.N), shared)), shape=(basis.N, 3 * labels.size))

    loads, mean = [], np.zeros((6, 6))
    share = np.bincount(labels.reshape(-1), minlength=len(E)) / labels.size
    for number, (i, j) in enumerate(PAIRS):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = 1.0 if i == j else 0.5
        stress = np.trace(strain) * (share @ lam) * np.eye(3) + 2 * (share @ mu) * strain
        mean[:, number] = [stress[pair] for pair in PAIRS]

        def power(v, w, strain=strain):
            """Work of the stress of the load on the strain of v."""
            shear = sum(strain[a, b] * sym_grad(v)[a, b] for a in range(3) for b in range(3))
            return w["lam"] * np.trace(strain) * trace(sym_grad(v)) + 2 * w["mu"] * shear

        loads.append(-P.T @ asm(LinearForm(power), basis, **fields))
    f = np.stack(loads, axis=1)
    K = (P.T @ asm(elastic, basis, **fields) @ P).tocsr()
    u = np.zeros_like(f)
    translations = np.tile(np.eye(3), (labels.size - 1, 1))
    u[3:] = Multigrid(K[3:, 3:], translations).solve(f[3:])  # node 0 stays where it is
    return mean - f.T @ u / labels.size
