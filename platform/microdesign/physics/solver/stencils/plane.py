"""The operators of the discrete equations on a periodic pixel grid, as fused loops.

One pixel is one square element with its four nodes at the corners; node (i, j) is the corner of lowest i and j of pixel
(i, j), axis 0 is x, the pixel's side is 1. With A the mean and D the difference of the two nodes along an axis, a nodal
field u gives each pixel the modes

    M10 u = D_x A_y u,    M01 u = A_x D_y u,    M11 u = D_x D_y u.

M10 and M01 are its gradient at the pixel's centre, M11 is how the gradient varies over the pixel. The exact energy of a
bilinear element adds to the centre's energy that of M11, times 1/12 per direction; leaving it out (weight 0) gives
Willot's rotated scheme. So the weights of `discretization.Hourglass` switch between the discretizations.

Shapes in names: L load cases, C components of the displacement (x, y), K components of the strain (xx, yy, xy, the
shear being the engineering one) or of the temperature gradient (x, y), X and Y space.
"""

import numpy as np

from microdesign.physics.solver._compiled import compiled


@compiled
def stress_divergence(
    u_LCXY: np.ndarray,
    strain_LK: np.ndarray,
    lam_XY: np.ndarray,
    mu_XY: np.ndarray,
    hourglass: tuple[float, float, float],
    out_LCXY: np.ndarray,
) -> None:
    """Writes the nodal forces B^T C (E + B u), which are minus the divergence of the stress.

    Args:
        u_LCXY: Periodic displacement at the nodes, `(L, 2, X, Y)`, float32 or float64 as all the arrays.
        strain_LK: Macroscopic strain E of each load case, `(L, 3)`.
        lam_XY: Plane Lame modulus lambda of each pixel, `(X, Y)`.
        mu_XY: Shear modulus of each pixel, `(X, Y)`.
        hourglass: Weight of the mode M11, and the share of lambda and of mu in the lambda that it sees; see
            `discretization.Hourglass`. With weight 0 this is the rotated scheme.
        out_LCXY: Receives the forces, `(L, 2, X, Y)`.
    """
    L, _, X, Y = u_LCXY.shape
    # Two rows of nodes, then one row of pixels whose entry j + 1 is pixel j and whose entry 0 is the last pixel.
    along_x = np.empty((4, Y + 1), u_LCXY.dtype)
    stress = np.empty((5, Y + 1), u_LCXY.dtype)
    mean_ux, diff_ux, mean_uy, diff_uy = along_x[0], along_x[1], along_x[2], along_x[3]
    s_xx, s_yy, s_xy, h_x, h_y = stress[0], stress[1], stress[2], stress[3], stress[4]
    half = u_LCXY.dtype.type(0.5)
    two = u_LCXY.dtype.type(2)
    of_lam = u_LCXY.dtype.type(hourglass[0] * hourglass[1])
    of_mu = u_LCXY.dtype.type(hourglass[0] * (hourglass[2] + 3))
    out_LCXY[:] = 0
    for load in range(L):
        e_xx, e_yy, e_xy = strain_LK[load, 0], strain_LK[load, 1], strain_LK[load, 2]
        for i in range(X):
            above = i + 1 if i + 1 < X else 0
            lam, mu = lam_XY[i], mu_XY[i]
            _pair(u_LCXY[load, 0, i], u_LCXY[load, 0, above], mean_ux, diff_ux)
            _pair(u_LCXY[load, 1, i], u_LCXY[load, 1, above], mean_uy, diff_uy)
            for j in range(Y):
                eps_xx = e_xx + half * (diff_ux[j] + diff_ux[j + 1])
                eps_yy = e_yy + (mean_uy[j + 1] - mean_uy[j])
                s_xx[j + 1] = (lam[j] + two * mu[j]) * eps_xx + lam[j] * eps_yy
            for j in range(Y):
                eps_xx = e_xx + half * (diff_ux[j] + diff_ux[j + 1])
                eps_yy = e_yy + (mean_uy[j + 1] - mean_uy[j])
                s_yy[j + 1] = lam[j] * eps_xx + (lam[j] + two * mu[j]) * eps_yy
            for j in range(Y):
                s_xy[j + 1] = mu[j] * (e_xy + (mean_ux[j + 1] - mean_ux[j]) + half * (diff_uy[j] + diff_uy[j + 1]))
            # Over the pixel, M11 u_x is the slope of the strains xx (along y) and xy (along x): stiffness
            # lambda + 2 mu, and mu, together lambda + 3 mu; likewise M11 u_y.
            for j in range(Y):
                h_x[j + 1] = (of_lam * lam[j] + of_mu * mu[j]) * (diff_ux[j + 1] - diff_ux[j])
            for j in range(Y):
                h_y[j + 1] = (of_lam * lam[j] + of_mu * mu[j]) * (diff_uy[j + 1] - diff_uy[j])
            stress[:, 0] = stress[:, Y]
            _add_adjoint(s_xx, s_xy, h_x, out_LCXY[load, 0, i], out_LCXY[load, 0, above])
            _add_adjoint(s_xy, s_yy, h_y, out_LCXY[load, 1, i], out_LCXY[load, 1, above])


@compiled
def flux_divergence(
    t_LXY: np.ndarray, gradient_LK: np.ndarray, k_XY: np.ndarray, weight: float, out_LXY: np.ndarray
) -> None:
    """Writes the nodal heat B^T k (E + B t), for temperature t and macroscopic gradient E.

    Args:
        t_LXY: Periodic temperature at the nodes, `(L, X, Y)`, float32 or float64 as all the arrays.
        gradient_LK: Macroscopic temperature gradient E of each load case, `(L, 2)`.
        k_XY: Conductivity of each pixel, `(X, Y)`.
        weight: 1/12 for bilinear elements with full integration, 0 for the rotated scheme.
        out_LXY: Receives the heat, `(L, X, Y)`.
    """
    L, X, Y = t_LXY.shape
    along_x = np.empty((2, Y + 1), t_LXY.dtype)
    flux = np.empty((3, Y + 1), t_LXY.dtype)
    mean_t, diff_t = along_x[0], along_x[1]
    q_x, q_y, h = flux[0], flux[1], flux[2]
    half = t_LXY.dtype.type(0.5)
    w = t_LXY.dtype.type(2 * weight)  # M11 t is the slope of both components of the gradient
    out_LXY[:] = 0
    for load in range(L):
        e_x, e_y = gradient_LK[load, 0], gradient_LK[load, 1]
        for i in range(X):
            above = i + 1 if i + 1 < X else 0
            k = k_XY[i]
            _pair(t_LXY[load, i], t_LXY[load, above], mean_t, diff_t)
            for j in range(Y):
                q_x[j + 1] = k[j] * (e_x + half * (diff_t[j] + diff_t[j + 1]))
            for j in range(Y):
                q_y[j + 1] = k[j] * (e_y + (mean_t[j + 1] - mean_t[j]))
            for j in range(Y):
                h[j + 1] = w * k[j] * (diff_t[j + 1] - diff_t[j])
            flux[:, 0] = flux[:, Y]
            _add_adjoint(q_x, q_y, h, out_LXY[load, i], out_LXY[load, above])


@compiled
def _pair(row: np.ndarray, above: np.ndarray, mean: np.ndarray, difference: np.ndarray) -> None:
    """A_x and D_x of two neighbouring rows of nodes, continued periodically by one node."""
    Y = row.size
    half = row.dtype.type(0.5)
    for j in range(Y):
        mean[j] = half * (above[j] + row[j])
        difference[j] = above[j] - row[j]
    mean[Y] = mean[0]
    difference[Y] = difference[0]


@compiled
def _add_adjoint(m10: np.ndarray, m01: np.ndarray, m11: np.ndarray, row: np.ndarray, above: np.ndarray) -> None:
    """Adds M10^T m10 + M01^T m01 + M11^T m11 of one row of pixels to the rows of nodes below and above it.

    Along an axis, A^T gives each of the two nodes half a pixel's value, D^T gives -1 to the lower and +1 to the upper.
    """
    half = row.dtype.type(0.5)
    for j in range(row.size):
        odd = half * (m10[j] + m10[j + 1]) + (m11[j] - m11[j + 1])
        even = half * (m01[j] - m01[j + 1])
        row[j] += even - odd
        above[j] += even + odd
