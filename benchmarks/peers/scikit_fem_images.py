"""scikit-fem on images: the seven properties and the components, bilinear elements, periodic, sparse direct."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementQuad0, ElementQuad1, ElementVector, LinearForm, MeshQuad, asm
from skfem.helpers import ddot, dot, grad, sym_grad, trace

from microdesign.physics.materials import Materials

STRAINS = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 0.5], [0.5, 0]]])
PORE = 1e-9
"""What a pore has of the stiffest phase: the matrix stays regular."""


@BilinearForm
def elastic(u: Any, v: Any, w: Any) -> Any:
    """Energy of the displacements u and v."""
    return w["lam"] * trace(sym_grad(u)) * trace(sym_grad(v)) + 2 * w["mu"] * ddot(sym_grad(u), sym_grad(v))


@BilinearForm
def conductive(u: Any, v: Any, w: Any) -> Any:
    """The same for temperatures."""
    return w["k"] * dot(grad(u), grad(v))


def properties(labels: np.ndarray, materials: Materials, elements: int) -> dict[str, float]:
    """Properties of an image `(X, Y)` of isotropic phases, by name, with so many elements along a pixel's edge."""
    E, nu, k = (np.array([getattr(phase, name) for phase in materials.phases], float) for name in ("E", "nu", "k"))
    E, k = (np.maximum(values, PORE * values.max()) for values in (E, k))
    mu = E / (2 * (1 + nu))
    lam = E * nu / ((1 + nu) * (1 - 2 * nu)) if materials.plane == "strain" else E * nu / (1 - nu**2)
    labels = labels.repeat(elements, 0).repeat(elements, 1)
    share = np.bincount(labels.reshape(-1), minlength=len(E)) / labels.size
    mean_lam, mean_mu = share @ lam, share @ mu

    def work(i: int, v: Any, w: Any) -> Any:
        shear = sum(STRAINS[i][a, b] * sym_grad(v)[a, b] for a in range(2) for b in range(2))
        return w["lam"] * np.trace(STRAINS[i]) * trace(sym_grad(v)) + 2 * w["mu"] * shear

    C = np.array([[mean_lam + 2 * mean_mu, mean_lam, 0], [mean_lam, mean_lam + 2 * mean_mu, 0], [0, 0, mean_mu]])
    C -= relaxed(labels, elastic, ElementVector(ElementQuad1()), work, {"lam": lam, "mu": mu})
    K = share @ k * np.eye(2)
    K -= relaxed(labels, conductive, ElementQuad1(), lambda i, v, w: w["k"] * grad(v)[i], {"k": k})
    S, R = np.linalg.inv(C), np.linalg.inv(K)
    components = {f"C{i + 1}{j + 1}": C[i, j] for i in range(3) for j in range(i, 3)}
    return {
        "Ex": 1 / S[0, 0],
        "vxy": -S[0, 1] / S[0, 0],
        "Ey": 1 / S[1, 1],
        "vyx": -S[0, 1] / S[1, 1],
        "Gxy": 1 / S[2, 2],
        "kx": 1 / R[0, 0],
        "ky": 1 / R[1, 1],
        **components,
        **{f"k{i + 1}{j + 1}": K[i, j] for i in range(2) for j in range(i, 2)},
    }


def relaxed(
    labels: np.ndarray,
    form: Any,
    element: Any,
    loads: Callable[[int, Any, Any], Any],
    fields: Mapping[str, np.ndarray],
) -> np.ndarray:
    """What relaxation takes from the mean tensor: f_i.u_j with K u_j = f_j and u_j periodic."""
    X, Y = labels.shape
    mesh = MeshQuad.init_tensor(np.arange(X + 1.0), np.arange(Y + 1.0))
    basis = Basis(mesh, element, intorder=2)
    x, y = mesh.p[:, mesh.t].mean(axis=1).astype(int)
    pixelwise = basis.with_element(ElementQuad0())
    values = {name: pixelwise.interpolate(of_phase[labels[x, y]]) for name, of_phase in fields.items()}
    column, row = mesh.p.astype(int)
    node = (column % X) * Y + row % Y  # nodes on opposite edges share their unknowns
    components = len(basis.nodal_dofs)
    shared = np.empty(basis.N, dtype=int)
    for component, dofs in enumerate(basis.nodal_dofs):
        shared[dofs] = components * node + component
    P = csr_matrix((np.ones(basis.N), (np.arange(basis.N), shared)), shape=(basis.N, components * X * Y))
    K = (P.T @ asm(form, basis, **values) @ P).tocsc()
    count = 3 if components == 2 else 2
    f = np.stack(
        [-P.T @ asm(LinearForm(lambda v, w, i=i: loads(i, v, w)), basis, **values) for i in range(count)], axis=1
    )
    u = np.zeros_like(f)
    u[components:] = splu(K[components:, components:]).solve(f[components:])  # node 0 stays where it is
    return f.T @ u / (X * Y)
