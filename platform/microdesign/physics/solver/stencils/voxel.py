"""The operators of `stencil` on a periodic grid of cubic voxels, as fused loops over rows of voxels along z.

One voxel is one trilinear element with its eight nodes at the corners. With A the mean and D the difference of the two
nodes along an axis, a nodal field has seven modes in each voxel: M100 u = D_x A_y A_z u is its gradient along x at the
centre, M110 u = D_x D_y A_z u is how the gradients along x and y vary along y and x, M111 u = D_x D_y D_z u. The energy
of Legendre mode p has the weight 12^-|p| and the strain that is symmetric in the gradient (grad_p u)_j = M_(p + e_j) u,
for the directions j in which p is 0.

Shapes in names: L load cases, C components of the displacement (x, y, z), K components of the strain (xx, yy, zz, yz,
xz, xy, the shears being the engineering ones) or of the temperature gradient (x, y, z), X, Y and Z space.
"""

import numpy as np

from microdesign.physics.solver._compiled import compiled

_100, _010, _001, _110, _101, _011, _111 = range(7)


@compiled
def stress_divergence(
    u_LCXYZ: np.ndarray,
    strain_LK: np.ndarray,
    lam_XYZ: np.ndarray,
    mu_XYZ: np.ndarray,
    hourglass: tuple[float, float, float],
    out_LCXYZ: np.ndarray,
) -> None:
    """Writes the nodal forces B^T C (E + B u), which are minus the divergence of the stress.

    Args:
        u_LCXYZ: Periodic displacement at the nodes, `(L, 3, X, Y, Z)`, float32 or float64 as all the arrays.
        strain_LK: Macroscopic strain E of each load case, `(L, 6)`.
        lam_XYZ: Lame modulus lambda of each voxel, `(X, Y, Z)`.
        mu_XYZ: Shear modulus of each voxel, `(X, Y, Z)`.
        hourglass: Weight of the modes p with |p| = 1, and the share of lambda and of mu in the lambda that they see;
            see `discretization.Hourglass`. With weight 0 this is the rotated scheme.
        out_LCXYZ: Receives the forces, `(L, 3, X, Y, Z)`.
    """
    L, _, X, Y, Z = u_LCXYZ.shape
    real = u_LCXYZ.dtype.type
    two, four = real(2), real(4)
    w, w2 = real(hourglass[0]), real(hourglass[0] ** 2)
    of_lam, of_mu = real(hourglass[1]), real(hourglass[2])
    edges = np.empty((3, 4, Z + 1), u_LCXYZ.dtype)  # of each component: A_x and D_x at y = j and at y = j + 1
    modes = np.empty((3, 7, Z + 1), u_LCXYZ.dtype)  # of each component; entry k + 1 is voxel k, entry 0 the last one
    sums = np.empty((4, Z), u_LCXYZ.dtype)
    x, y, z = modes[0], modes[1], modes[2]
    out_LCXYZ[:] = 0
    for load in range(L):
        e_xx, e_yy, e_zz = strain_LK[load, 0], strain_LK[load, 1], strain_LK[load, 2]
        e_yz, e_xz, e_xy = strain_LK[load, 3], strain_LK[load, 4], strain_LK[load, 5]
        for i in range(X):
            right = i + 1 if i + 1 < X else 0
            for c in range(3):
                pair(u_LCXYZ[load, c, i, 0], u_LCXYZ[load, c, right, 0], edges[c, 2], edges[c, 3])
            for j in range(Y):
                above = j + 1 if j + 1 < Y else 0
                lam, mu = lam_XYZ[i, j], mu_XYZ[i, j]
                for c in range(3):
                    to_modes(u_LCXYZ[load, c, i, above], u_LCXYZ[load, c, right, above], edges[c], modes[c])
                # p = 000: the strain at the centre.
                for k in range(1, Z + 1):
                    xx, yy, zz = e_xx + x[_100, k], e_yy + y[_010, k], e_zz + z[_001, k]
                    trace = lam[k - 1] * (xx + yy + zz)
                    x[_100, k] = trace + two * mu[k - 1] * xx
                    y[_010, k] = trace + two * mu[k - 1] * yy
                    z[_001, k] = trace + two * mu[k - 1] * zz
                for k in range(1, Z + 1):
                    y[_001, k] = z[_010, k] = mu[k - 1] * (e_yz + y[_001, k] + z[_010, k])
                    x[_001, k] = z[_100, k] = mu[k - 1] * (e_xz + x[_001, k] + z[_100, k])
                    x[_010, k] = y[_100, k] = mu[k - 1] * (e_xy + x[_010, k] + y[_100, k])
                if w == 0:
                    modes[:, _110:] = 0
                else:
                    # p = 100, 010, 001: e.g. p = 100 has the strains yy = M110 u_y, zz = M101 u_z, xy = M110 u_x, ...
                    for k in range(1, Z + 1):
                        soft = w * (of_lam * lam[k - 1] + of_mu * mu[k - 1])
                        stiff = soft + real(3) * w * mu[k - 1]
                        a, b = y[_110, k], z[_101, k]
                        y[_110, k], z[_101, k] = stiff * a + soft * b, soft * a + stiff * b
                        a, b = x[_110, k], z[_011, k]
                        x[_110, k], z[_011, k] = stiff * a + soft * b, soft * a + stiff * b
                        a, b = x[_101, k], y[_011, k]
                        x[_101, k], y[_011, k] = stiff * a + soft * b, soft * a + stiff * b
                    for k in range(1, Z + 1):
                        shear = w * mu[k - 1]
                        a, b, c_ = x[_011, k], y[_101, k], z[_110, k]
                        x[_011, k] = shear * (two * a + b + c_)
                        y[_101, k] = shear * (a + two * b + c_)
                        z[_110, k] = shear * (a + b + two * c_)
                    # p = 110, 101, 011: one normal strain and two shears each, all made of M111.
                    for k in range(1, Z + 1):
                        last = w2 * (of_lam * lam[k - 1] + (of_mu + four) * mu[k - 1])
                        x[_111, k] *= last
                        y[_111, k] *= last
                        z[_111, k] *= last
                for c in range(3):
                    add_adjoint(
                        modes[c],
                        sums,
                        out_LCXYZ[load, c, i, j],
                        out_LCXYZ[load, c, right, j],
                        out_LCXYZ[load, c, i, above],
                        out_LCXYZ[load, c, right, above],
                    )


@compiled
def flux_divergence(
    t_LXYZ: np.ndarray, gradient_LK: np.ndarray, k_XYZ: np.ndarray, weight: float, out_LXYZ: np.ndarray
) -> None:
    """Writes the nodal heat B^T k (E + B t), for temperature t and macroscopic gradient E.

    Args:
        t_LXYZ: Periodic temperature at the nodes, `(L, X, Y, Z)`, float32 or float64 as all the arrays.
        gradient_LK: Macroscopic temperature gradient E of each load case, `(L, 3)`.
        k_XYZ: Conductivity of each voxel, `(X, Y, Z)`.
        weight: 1/12 for trilinear elements with full integration, 0 for the rotated scheme.
        out_LXYZ: Receives the heat, `(L, X, Y, Z)`.
    """
    L, X, Y, Z = t_LXYZ.shape
    real = t_LXYZ.dtype.type
    w1, w2 = real(2 * weight), real(3 * weight**2)  # M110 is part of two modes p, M111 of three
    edges = np.empty((4, Z + 1), t_LXYZ.dtype)
    modes = np.empty((7, Z + 1), t_LXYZ.dtype)
    sums = np.empty((4, Z), t_LXYZ.dtype)
    out_LXYZ[:] = 0
    for load in range(L):
        e_x, e_y, e_z = gradient_LK[load, 0], gradient_LK[load, 1], gradient_LK[load, 2]
        for i in range(X):
            right = i + 1 if i + 1 < X else 0
            pair(t_LXYZ[load, i, 0], t_LXYZ[load, right, 0], edges[2], edges[3])
            for j in range(Y):
                above = j + 1 if j + 1 < Y else 0
                to_modes(t_LXYZ[load, i, above], t_LXYZ[load, right, above], edges, modes)
                conductivity = k_XYZ[i, j]
                for k in range(1, Z + 1):
                    modes[_100, k] = conductivity[k - 1] * (e_x + modes[_100, k])
                    modes[_010, k] = conductivity[k - 1] * (e_y + modes[_010, k])
                    modes[_001, k] = conductivity[k - 1] * (e_z + modes[_001, k])
                for k in range(1, Z + 1):
                    modes[_110, k] *= w1 * conductivity[k - 1]
                    modes[_101, k] *= w1 * conductivity[k - 1]
                    modes[_011, k] *= w1 * conductivity[k - 1]
                    modes[_111, k] *= w2 * conductivity[k - 1]
                add_adjoint(
                    modes,
                    sums,
                    out_LXYZ[load, i, j],
                    out_LXYZ[load, right, j],
                    out_LXYZ[load, i, above],
                    out_LXYZ[load, right, above],
                )


@compiled
def pair(row: np.ndarray, next_row: np.ndarray, mean: np.ndarray, difference: np.ndarray) -> None:
    """A and D across two neighbouring rows of nodes, each continued periodically by one node."""
    Z = row.size
    half = row.dtype.type(0.5)
    for k in range(Z):
        mean[k] = half * (next_row[k] + row[k])
        difference[k] = next_row[k] - row[k]
    mean[Z] = mean[0]
    difference[Z] = difference[0]


@compiled
def to_modes(node: np.ndarray, right: np.ndarray, edges: np.ndarray, modes: np.ndarray) -> None:
    """Writes the seven modes of one row of voxels, into entries 1 to Z.

    Args:
        node: The row of nodes at y = j + 1 and the lower x, `(Z,)`.
        right: That at the higher x, `(Z,)`.
        edges: A_x and D_x at y = j in its rows 2 and 3, which move to 0 and 1; those at y = j + 1 replace them.
        modes: `(7, Z + 1)`.
    """
    Z = node.size
    half = node.dtype.type(0.5)
    edges[0] = edges[2]
    edges[1] = edges[3]
    mean, diff, mean_above, diff_above = edges[0], edges[1], edges[2], edges[3]
    pair(node, right, mean_above, diff_above)
    for k in range(Z):
        low, high = half * (mean[k] + mean_above[k]), half * (mean[k + 1] + mean_above[k + 1])
        modes[_001, k + 1] = high - low
        low, high = mean_above[k] - mean[k], mean_above[k + 1] - mean[k + 1]
        modes[_010, k + 1] = half * (low + high)
        modes[_011, k + 1] = high - low
    for k in range(Z):
        low, high = half * (diff[k] + diff_above[k]), half * (diff[k + 1] + diff_above[k + 1])
        modes[_100, k + 1] = half * (low + high)
        modes[_101, k + 1] = high - low
        low, high = diff_above[k] - diff[k], diff_above[k + 1] - diff[k + 1]
        modes[_110, k + 1] = half * (low + high)
        modes[_111, k + 1] = high - low


@compiled
def add_adjoint(
    modes: np.ndarray,
    sums: np.ndarray,
    node: np.ndarray,
    right: np.ndarray,
    above: np.ndarray,
    right_above: np.ndarray,
) -> None:
    """Adds the sum of M_m^T m over the seven modes of one row of voxels to the four rows of nodes around it.

    Along an axis, A^T gives each of the two nodes half a voxel's value, D^T gives -1 to the lower and +1 to the upper.
    """
    Z = node.size
    half, quarter = node.dtype.type(0.5), node.dtype.type(0.25)
    for m in range(7):
        modes[m, 0] = modes[m, Z]
    aa, da, ad, dd = sums[0], sums[1], sums[2], sums[3]  # what is left to do along x and y
    for k in range(Z):
        aa[k] = quarter * (modes[_001, k] - modes[_001, k + 1])
        ad[k] = half * (half * (modes[_010, k] + modes[_010, k + 1]) + modes[_011, k] - modes[_011, k + 1])
    for k in range(Z):
        da[k] = half * (half * (modes[_100, k] + modes[_100, k + 1]) + modes[_101, k] - modes[_101, k + 1])
        dd[k] = half * (modes[_110, k] + modes[_110, k + 1]) + modes[_111, k] - modes[_111, k + 1]
    for k in range(Z):
        node[k] += aa[k] - da[k] - ad[k] + dd[k]
        right[k] += aa[k] + da[k] - ad[k] - dd[k]
    for k in range(Z):
        above[k] += aa[k] - da[k] + ad[k] - dd[k]
        right_above[k] += aa[k] + da[k] + ad[k] + dd[k]
