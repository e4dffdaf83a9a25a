"""`q1` against an independent finite-element solve: assembled bilinear elements, periodic, 2 x 2 Gauss points."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import spsolve

from microdesign.physics.materials import Materials
from microdesign.physics.properties import engineering_constants
from microdesign.physics.solver.homogenization import homogenize

CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))


def gauss_gradients() -> list[np.ndarray]:
    """Gradients of the four bilinear shape functions at the 2 x 2 Gauss points of the unit square: `(2, 4)` each."""
    points = (0.5 - 0.5 / np.sqrt(3), 0.5 + 0.5 / np.sqrt(3))
    gradients = []
    for x in points:
        for y in points:
            along_x = [(2 * a - 1) * (y if b else 1 - y) for a, b in CORNERS]
            along_y = [(2 * b - 1) * (x if a else 1 - x) for a, b in CORNERS]
            gradients.append(np.array([along_x, along_y]))
    return gradients


def strain_matrix(gradient: np.ndarray) -> np.ndarray:
    """Strain (xx, yy, engineering xy) of the eight displacements ux0, uy0, ux1, ..."""
    B = np.zeros((3, 8))
    B[0, 0::2], B[1, 1::2] = gradient
    B[2, 0::2], B[2, 1::2] = gradient[1], gradient[0]
    return B


def effective_tensor(labels: np.ndarray, tensors: np.ndarray, matrices: list[np.ndarray], per_node: int) -> np.ndarray:
    """Assembles K and the loads of unit macroscopic strains, fixes node 0, solves directly, averages the stress."""
    X, Y = labels.shape
    i, j = np.meshgrid(np.arange(X), np.arange(Y), indexing="ij")
    nodes = np.stack([((i + a) % X) * Y + (j + b) % Y for a, b in CORNERS], axis=-1).reshape(-1, 4)
    dofs = (per_node * nodes[:, :, None] + np.arange(per_node)).reshape(len(nodes), -1)
    phase = labels.reshape(-1)
    elements = np.array([sum(B.T @ C @ B / 4 for B in matrices) for C in tensors])[phase]
    loads = np.array([sum(B.T @ C / 4 for B in matrices) for C in tensors])[phase]
    size = per_node * X * Y
    rows, columns = np.repeat(dofs, dofs.shape[1], axis=1).reshape(-1), np.tile(dofs, dofs.shape[1]).reshape(-1)
    K = sparse.csc_matrix((elements.reshape(-1), (rows, columns)), shape=(size, size))
    f = np.zeros((size, tensors.shape[1]))
    np.add.at(f, dofs, -loads)
    u = np.zeros_like(f)
    u[per_node:] = spsolve(K[per_node:, per_node:], f[per_node:])
    stress = tensors[phase].sum(axis=0) + np.einsum("eds,edl->sl", loads, u[dofs])
    return stress / (X * Y)


def test_q1_equals_assembled_finite_elements(subtests: pytest.Subtests) -> None:
    for contrast, phases in itertools.product([10, 100, 1000], [2, 3]):
        with subtests.test(contrast=contrast, phases=phases):
            labels = np.random.default_rng(phases).integers(0, phases, (24, 20)).astype(np.uint8)
            given = [(1, 0.3, 1), (contrast, 0.3, contrast), (contrast**0.5, 0.1, 0.5)][:phases]
            stiffness = np.array(
                [E / (1 - nu**2) * np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]]) for E, nu, _ in given]
            )
            C = effective_tensor(labels, stiffness, [strain_matrix(g) for g in gauss_gradients()], 2)
            k = effective_tensor(labels, np.array([p[2] * np.eye(2) for p in given]), gauss_gradients(), 1)
            materials = Materials.model_validate({"phases": [{"E": E, "nu": nu, "k": k} for E, nu, k in given]})

            tight = homogenize(labels, materials, tolerance=1e-10)
            np.testing.assert_allclose(tight.stiffness[0], C, atol=1e-8 * C.max())
            np.testing.assert_allclose(tight.conductivity[0], k, atol=1e-8 * k.max())

            usual = homogenize(labels, materials, tolerance=1e-5)
            ours, theirs = (
                engineering_constants(usual.stiffness, usual.conductivity),
                engineering_constants(C[None], k[None]),
            )
            for name in ("Ex", "Ey", "Gxy", "kx", "ky", "vxy", "vyx"):
                assert ours[name][0] == pytest.approx(theirs[name][0], rel=1e-4), name
