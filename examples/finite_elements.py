"""A program for `command:`: the seven properties by finite elements, one bilinear element a pixel, with scikit-fem.

    pip install 'microdesign[examples]'
    microdesign data label images labelled --materials materials.yaml \\
        --evaluator 'command: python examples/finite_elements.py' --timeout 60

It reads `images.npy` and `materials.yaml` from the folder that it is started in and writes `properties.json` there. It
uses nothing of microdesign: take it as the pattern for a solver of your own.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementQuad0, ElementQuad1, ElementVector, LinearForm, MeshQuad, asm
from skfem.helpers import ddot, dot, grad, sym_grad, trace

STRAINS = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 0.5], [0.5, 0]]])
"""Unit macroscopic strains xx, yy and xy (engineering shear)."""


@BilinearForm
def elastic(u: Any, v: Any, w: Any) -> Any:
    """Energy of the displacements u and v."""
    return w["lam"] * trace(sym_grad(u)) * trace(sym_grad(v)) + 2 * w["mu"] * ddot(sym_grad(u), sym_grad(v))


@BilinearForm
def conductive(u: Any, v: Any, w: Any) -> Any:
    """The same for temperatures."""
    return w["k"] * dot(grad(u), grad(v))


def effective(
    labels: np.ndarray,
    form: Any,
    element: Any,
    loads: Callable[[int, Any, Any], Any],
    fields: Mapping[str, np.ndarray],
) -> np.ndarray:
    """The effective tensor of one image `(X, Y)`: <E_i C E_j> - f_i.u_j, with K u_j = f_j and u_j periodic.

    Args:
        labels: Phase of each pixel.
        form: The bilinear form.
        element: Of the field.
        loads: Function of (number, test function, fields) that gives E_number : C : gradient of the test function.
        fields: Name to the value of each phase.
    """
    X, Y = labels.shape
    mesh = MeshQuad.init_tensor(np.arange(X + 1.0), np.arange(Y + 1.0))
    basis = Basis(mesh, element, intorder=2)
    x, y = mesh.p[:, mesh.t].mean(axis=1).astype(int)
    pixelwise = basis.with_element(ElementQuad0())
    values = {name: pixelwise.interpolate(np.asarray(of_phase)[labels[x, y]]) for name, of_phase in fields.items()}

    # Nodes on opposite edges share their unknowns: P adds them up.
    column, row = mesh.p.astype(int)
    node = (column % X) * Y + row % Y
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


def tensors(labels: np.ndarray, materials: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The effective stiffness `(3, 3)` and conductivity `(2, 2)` of one image."""
    E, nu, k = (np.array([phase[name] for phase in materials["phases"]], float) for name in ("E", "nu", "k"))
    mu = E / (2 * (1 + nu))
    strain = materials.get("plane", "stress") == "strain"
    lam = E * nu / ((1 + nu) * (1 - 2 * nu)) if strain else E * nu / (1 - nu**2)

    def stress_power(i: int, v: Any, w: Any) -> Any:
        macro = STRAINS[i]
        shear = sum(macro[a, b] * sym_grad(v)[a, b] for a in range(2) for b in range(2))
        return w["lam"] * np.trace(macro) * trace(sym_grad(v)) + 2 * w["mu"] * shear

    fraction = np.bincount(labels.reshape(-1), minlength=len(E)) / labels.size
    mean_lam, mean_mu = fraction @ lam, fraction @ mu
    C = np.array([[mean_lam + 2 * mean_mu, mean_lam, 0], [mean_lam, mean_lam + 2 * mean_mu, 0], [0, 0, mean_mu]])
    C -= effective(labels, elastic, ElementVector(ElementQuad1()), stress_power, {"lam": lam, "mu": mu})
    K = fraction @ k * np.eye(2)
    K -= effective(labels, conductive, ElementQuad1(), lambda i, v, w: w["k"] * grad(v)[i], {"k": k})
    return C, K


def properties(C: np.ndarray, K: np.ndarray) -> dict[str, float]:
    """The seven properties by name."""
    S, R = np.linalg.inv(C), np.linalg.inv(K)
    return {
        "Ex": 1 / S[0, 0],
        "vxy": -S[0, 1] / S[0, 0],
        "Ey": 1 / S[1, 1],
        "vyx": -S[0, 1] / S[1, 1],
        "Gxy": 1 / S[2, 2],
        "kx": 1 / R[0, 0],
        "ky": 1 / R[1, 1],
    }


if __name__ == "__main__":
    materials = yaml.safe_load(Path("materials.yaml").read_text())
    entries = [properties(*tensors(labels, materials)) for labels in np.load("images.npy")]
    Path("properties.json").write_text(json.dumps(entries))
