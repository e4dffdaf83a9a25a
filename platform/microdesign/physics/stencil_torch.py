"""The operators of `stencil` in plain torch: any device, batched, differentiable, and several times slower on a CPU.

Each line is an equation; the fused loops are held equal to it by the tests.

Shapes in names: B batch, L load cases, C components of the displacement, X and Y space.
"""

import torch


def stress_divergence(
    u_BLCXY: torch.Tensor,
    strain_LK: torch.Tensor,
    lam_BXY: torch.Tensor,
    mu_BXY: torch.Tensor,
    hourglass: tuple[float, float, float],
) -> torch.Tensor:
    """Returns the nodal forces B^T C (E + B u), `(B, L, 2, X, Y)`.

    Args:
        u_BLCXY: Periodic displacement at the nodes, `(B, L, 2, X, Y)`.
        strain_LK: Macroscopic strain of each load case (xx, yy, engineering xy), `(L, 3)`.
        lam_BXY: Plane Lame modulus lambda of each pixel, `(B, X, Y)`.
        mu_BXY: Shear modulus of each pixel, `(B, X, Y)`.
        hourglass: Weight of the mode M11, and the share of lambda and of mu in the lambda that it sees; see
            `discretization.Hourglass`.
    """
    ux, uy = u_BLCXY.unbind(2)
    e_xx, e_yy, e_xy = (strain_LK[:, i, None, None] for i in range(3))
    lam, mu = lam_BXY[:, None], mu_BXY[:, None]
    eps_xx = e_xx + _mode(ux, 1, 0)
    eps_yy = e_yy + _mode(uy, 0, 1)
    eps_xy = e_xy + _mode(ux, 0, 1) + _mode(uy, 1, 0)
    s_xx = (lam + 2 * mu) * eps_xx + lam * eps_yy
    s_yy = lam * eps_xx + (lam + 2 * mu) * eps_yy
    s_xy = mu * eps_xy
    weight, of_lam, of_mu = hourglass
    h_x, h_y = (weight * (of_lam * lam + (of_mu + 3) * mu) * _mode(u, 1, 1) for u in (ux, uy))
    f_x = _adjoint(s_xx, 1, 0) + _adjoint(s_xy, 0, 1) + _adjoint(h_x, 1, 1)
    f_y = _adjoint(s_xy, 1, 0) + _adjoint(s_yy, 0, 1) + _adjoint(h_y, 1, 1)
    return torch.stack([f_x, f_y], dim=2)


def flux_divergence(
    t_BLXY: torch.Tensor, gradient_LK: torch.Tensor, k_BXY: torch.Tensor, weight: float
) -> torch.Tensor:
    """Returns the nodal heat B^T k (E + B t), `(B, L, X, Y)`.

    Args:
        t_BLXY: Periodic temperature at the nodes, `(B, L, X, Y)`.
        gradient_LK: Macroscopic temperature gradient of each load case, `(L, 2)`.
        k_BXY: Conductivity of each pixel, `(B, X, Y)`.
        weight: 1/12 for bilinear elements with full integration, 0 for the rotated scheme.
    """
    e_x, e_y = (gradient_LK[:, i, None, None] for i in range(2))
    k = k_BXY[:, None]
    q_x = k * (e_x + _mode(t_BLXY, 1, 0))
    q_y = k * (e_y + _mode(t_BLXY, 0, 1))
    h = 2 * weight * k * _mode(t_BLXY, 1, 1)
    return _adjoint(q_x, 1, 0) + _adjoint(q_y, 0, 1) + _adjoint(h, 1, 1)


def _mode(u: torch.Tensor, along_x: int, along_y: int) -> torch.Tensor:
    """M u at the pixels: along an axis the difference (1) or the mean (0) of the two nodes."""
    for axis, difference in ((-2, along_x), (-1, along_y)):
        upper = u.roll(-1, axis)
        u = upper - u if difference else (upper + u) / 2
    return u


def _adjoint(s: torch.Tensor, along_x: int, along_y: int) -> torch.Tensor:
    """M^T s at the nodes."""
    for axis, difference in ((-2, along_x), (-1, along_y)):
        lower = s.roll(1, axis)
        s = lower - s if difference else (lower + s) / 2
    return s
