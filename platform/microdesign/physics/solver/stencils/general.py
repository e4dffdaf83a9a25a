"""The operators for any phases: tensors of elasticity or conduction, two or three dimensions, table-driven loops.

They follow the equations of `discretization` term by term: for each Legendre mode p, the strain eps_p from the modes
M_(p + e_j) u, the stress C : eps_p, and the adjoint of the same modes. The loops for isotropic phases, `stencil` and
`stencil_3d`, are the same sums written out, several times faster, and held equal to these by the tests. A plane image
counts as one layer of voxels along an additional first axis, along which no difference is taken.

Shapes in names: L load cases, C components of the displacement (1 in conduction), K components of the strain or of the
temperature gradient, P phases, X, Y and Z space.
"""

from typing import NamedTuple

import numpy as np

from microdesign.physics.solver._compiled import compiled
from microdesign.physics.solver.discretization import legendre_modes, with_direction
from microdesign.physics.solver.stencils.voxel import add_adjoint, pair, to_modes
from microdesign.physics.tensors import voigt_index

_ROW: dict[tuple[int, ...], int] = {
    (1, 0, 0): 0,
    (0, 1, 0): 1,
    (0, 0, 1): 2,
    (1, 1, 0): 3,
    (1, 0, 1): 4,
    (0, 1, 1): 5,
    (1, 1, 1): 6,
}


class Terms(NamedTuple):
    """The strains eps_p as sums of modes: `table` has a row (p, M, component of u, component of eps) for each term.

    `starts[p]` is the first row of Legendre mode p, `powers[p]` is |p|.
    """

    table: np.ndarray
    starts: np.ndarray
    powers: np.ndarray


def terms(dims: int, elastic: bool) -> Terms:
    """Returns the terms of the strain, or of the temperature gradient, in two or three dimensions."""
    index = voigt_index(dims)
    rows, starts, powers = [], [0], []
    for number, p in enumerate(legendre_modes(dims)):
        for j in range(dims):
            if p[j] == 0:
                mode = _ROW[(0,) * (3 - dims) + with_direction(p, j)]
                rows += [(number, mode, c, index[j, c]) for c in range(dims)] if elastic else [(number, mode, 0, j)]
        starts.append(len(rows))
        powers.append(sum(p))
    return Terms(np.array(rows), np.array(starts), np.array(powers))


@compiled
def divergence(
    u_LCXYZ: np.ndarray,
    strain_LK: np.ndarray,
    labels_XYZ: np.ndarray,
    tensors_PKK: np.ndarray,
    hourglass_tensors_PKK: np.ndarray,
    weight: float,
    terms: Terms,
    out_LCXYZ: np.ndarray,
) -> None:
    """Writes B^T C (E + B u), for the displacement or the temperature u and the macroscopic strain or gradient E.

    Args:
        u_LCXYZ: Periodic field at the nodes, `(L, C, X, Y, Z)`, float32 or float64 as all the arrays; a plane image
            has X = 1.
        strain_LK: E of each load case, `(L, K)`.
        labels_XYZ: Phase of each voxel, uint8 `(X, Y, Z)`.
        tensors_PKK: Stiffness or conductivity of each phase, `(P, K, K)`.
        hourglass_tensors_PKK: What the modes p with |p| > 0 see, `(P, K, K)`: the same, or its deviatoric part.
        weight: 1/12 for full integration, 0 for the rotated scheme.
        terms: What `terms` returns.
        out_LCXYZ: Receives the result.
    """
    L, C, X, Y, Z = u_LCXYZ.shape
    K = strain_LK.shape[1]
    dtype = u_LCXYZ.dtype
    edges, modes = np.empty((4, Z + 1), dtype), np.empty((C, 7, Z + 1), dtype)
    forces, sums = np.empty((C, 7, Z + 1), dtype), np.empty((4, Z), dtype)
    strain, stress = np.empty((K, Z), dtype), np.empty((K, Z), dtype)
    row_tensors = np.empty((2, K, K, Z), dtype)
    present = np.empty(K, np.bool_)
    modes_p = len(terms.powers) if weight > 0 else 1
    out_LCXYZ[:] = 0
    for i in range(X):
        right = i + 1 if i + 1 < X else 0
        for j in range(Y):
            above = j + 1 if j + 1 < Y else 0
            labels = labels_XYZ[i, j]
            for a in range(K):
                for b in range(K):
                    for k in range(Z):
                        row_tensors[0, a, b, k] = tensors_PKK[labels[k], a, b]
                        row_tensors[1, a, b, k] = hourglass_tensors_PKK[labels[k], a, b]
            for load in range(L):
                for c in range(C):
                    field = u_LCXYZ[load, c]
                    pair(field[i, j], field[right, j], edges[2], edges[3])
                    to_modes(field[i, above], field[right, above], edges, modes[c])
                forces[:] = 0
                for p in range(modes_p):
                    # eps_p, with the macroscopic strain in p = 0
                    present[:] = p == 0
                    for a in range(K):
                        strain[a] = strain_LK[load, a] if p == 0 else dtype.type(0)
                    for n in range(terms.starts[p], terms.starts[p + 1]):
                        mode, c, a = terms.table[n, 1], terms.table[n, 2], terms.table[n, 3]
                        present[a] = True
                        _add(strain[a], modes[c, mode, 1:])
                    # C : eps_p, for the components that have a term
                    tensor = row_tensors[min(p, 1)]
                    w = dtype.type(weight ** terms.powers[p])
                    for a in range(K):
                        if present[a]:
                            stress[a] = 0
                            for b in range(K):
                                if present[b]:
                                    _add_product(stress[a], w, tensor[a, b], strain[b])
                    for n in range(terms.starts[p], terms.starts[p + 1]):
                        mode, c, a = terms.table[n, 1], terms.table[n, 2], terms.table[n, 3]
                        _add(forces[c, mode, 1:], stress[a])
                for c in range(C):
                    out = out_LCXYZ[load, c]
                    add_adjoint(forces[c], sums, out[i, j], out[right, j], out[i, above], out[right, above])


@compiled
def finite_volume_divergence(
    t_LXYZ: np.ndarray, gradient_LK: np.ndarray, faces_KXYZ: np.ndarray, out_LXYZ: np.ndarray
) -> None:
    """Writes the heat that leaves each cell by two-point fluxes, for temperatures t at the cells' centres.

    Args:
        t_LXYZ: Periodic temperature, `(L, X, Y, Z)`; a plane image has X = 1.
        gradient_LK: Macroscopic temperature gradient E of each load case, `(L, 3)`.
        faces_KXYZ: Conductivity of the face between a cell and the next one along each axis, `(3, X, Y, Z)`.
        out_LXYZ: Receives minus the divergence of the flux, `(L, X, Y, Z)`.
    """
    L, X, Y, Z = t_LXYZ.shape
    out_LXYZ[:] = 0
    for load in range(L):
        t, out = t_LXYZ[load], out_LXYZ[load]
        e_x, e_y, e_z = gradient_LK[load, 0], gradient_LK[load, 1], gradient_LK[load, 2]
        for i in range(X):
            right = i + 1 if i + 1 < X else 0
            for j in range(Y):
                above = j + 1 if j + 1 < Y else 0
                _add_flux(e_x, t[i, j], t[right, j], faces_KXYZ[0, i, j], out[i, j], out[right, j])
                _add_flux(e_y, t[i, j], t[i, above], faces_KXYZ[1, i, j], out[i, j], out[i, above])
                for k in range(Z):
                    behind = k + 1 if k + 1 < Z else 0
                    flux = faces_KXYZ[2, i, j, k] * (e_z + t[i, j, behind] - t[i, j, k])
                    out[i, j, k] -= flux
                    out[i, j, behind] += flux


def harmonic_faces(labels_XYZ: np.ndarray, k_P3: np.ndarray, dtype: str, closed: bool = False) -> np.ndarray:
    """Returns the harmonic mean of the conductivities along each axis of the cells that share a face, `(3, X, Y, Z)`.

    Args:
        labels_XYZ: Phase of each cell.
        k_P3: Conductivity of each phase along each axis, `(P, 3)`; 0 in one of two cells closes their face.
        dtype: Of the result.
        closed: Whether the faces between the last cells and the first ones are closed.
    """
    faces = np.empty((3, *labels_XYZ.shape), dtype)
    for axis, k_P in enumerate(k_P3.T):
        total_PP = k_P[:, None] + k_P
        mean_PP = 2 * k_P[:, None] * k_P / np.where(total_PP > 0, total_PP, 1)
        faces[axis] = mean_PP.astype(dtype)[labels_XYZ, np.roll(labels_XYZ, -1, axis)]
        if closed:
            np.moveaxis(faces[axis], axis, 0)[-1] = 0
    return faces


@compiled
def _add_flux(
    e: float, here: np.ndarray, there: np.ndarray, face: np.ndarray, out_here: np.ndarray, out_there: np.ndarray
) -> None:
    for k in range(here.size):
        flux = face[k] * (e + there[k] - here[k])
        out_here[k] -= flux
        out_there[k] += flux


@compiled
def _add(total: np.ndarray, values: np.ndarray) -> None:
    for k in range(total.size):
        total[k] += values[k]


@compiled
def _add_product(total: np.ndarray, weight: float, modulus: np.ndarray, strain: np.ndarray) -> None:
    for k in range(total.size):
        total[k] += weight * modulus[k] * strain[k]
