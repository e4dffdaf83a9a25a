"""The operators of the loops in plain torch: any device, batched, differentiable, and several times slower on a CPU.

Each line is an equation of `discretization`, for images and volumes and for any phases; the loops are held equal to it
by the tests.

Shapes in names: B batch, L load cases, C components of the displacement, K components of the strain, S all of space:
(X, Y) or (X, Y, Z).
"""

import torch

from microdesign.physics.solver.discretization import Mode, legendre_modes, with_direction
from microdesign.physics.tensors import voigt_index


def stress_divergence(
    u_BLCS: torch.Tensor,
    strain_LK: torch.Tensor,
    stiffness_BKKS: torch.Tensor,
    hourglass_stiffness_BKKS: torch.Tensor,
    weight: float,
) -> torch.Tensor:
    """Returns the nodal forces B^T C (E + B u), `(B, L, C, *S)`.

    Args:
        u_BLCS: Periodic displacement at the nodes, `(B, L, d, *S)`, d = 2 or 3 the number of dimensions.
        strain_LK: Macroscopic strain of each load case, Voigt's order with engineering shear, `(L, K)`.
        stiffness_BKKS: Stiffness of each pixel or voxel, `(B, K, K, *S)`; see `isotropic`.
        hourglass_stiffness_BKKS: What the Legendre modes p with |p| > 0 see: the same, or its deviatoric part.
        weight: 1/12 for elements with full integration, 0 for the rotated scheme.
    """
    dims = u_BLCS.ndim - 3
    index = voigt_index(dims)
    terms = [(j, c, index[j, c]) for j in range(dims) for c in range(dims)]
    return _divergence(u_BLCS, strain_LK, stiffness_BKKS, hourglass_stiffness_BKKS, weight, terms)


def flux_divergence(
    t_BLS: torch.Tensor, gradient_LK: torch.Tensor, conductivity_BKKS: torch.Tensor, weight: float
) -> torch.Tensor:
    """Returns the nodal heat B^T k (E + B t), `(B, L, *S)`.

    Args:
        t_BLS: Periodic temperature at the nodes, `(B, L, *S)`.
        gradient_LK: Macroscopic temperature gradient of each load case, `(L, d)`.
        conductivity_BKKS: Conductivity of each pixel or voxel, `(B, d, d, *S)`.
        weight: 1/12 for elements with full integration, 0 for the rotated scheme.
    """
    terms = [(j, 0, j) for j in range(t_BLS.ndim - 2)]
    heat = _divergence(t_BLS[:, :, None], gradient_LK, conductivity_BKKS, conductivity_BKKS, weight, terms)
    return heat[:, :, 0]


def isotropic(lam_BS: torch.Tensor, mu_BS: torch.Tensor) -> torch.Tensor:
    """Returns lambda I (x) I + 2 mu I_s of each pixel or voxel, `(B, K, K, *S)`; differentiable.

    Args:
        lam_BS: (Plane) Lame modulus lambda, `(B, *S)`.
        mu_BS: Shear modulus, `(B, *S)`.
    """
    dims = lam_BS.ndim - 1
    K = 3 * dims - 3
    normal = lam_BS.new_zeros(K)
    normal[:dims] = 1
    shape = (1, K, K, *[1] * dims)
    volume = torch.outer(normal, normal).reshape(shape)
    shear = torch.diag(1 + normal).reshape(shape)
    return lam_BS[:, None, None] * volume + mu_BS[:, None, None] * shear


def _divergence(
    u_BLCS: torch.Tensor,
    strain_LK: torch.Tensor,
    tensors: torch.Tensor,
    hourglass_tensors: torch.Tensor,
    weight: float,
    terms: list[tuple[int, int, int]],
) -> torch.Tensor:
    """The sum over Legendre modes p; `terms` are the direction, the component of u and that of the strain."""
    dims = u_BLCS.ndim - 3
    K = strain_LK.shape[1]
    components = u_BLCS.unbind(2)
    forces = [torch.zeros_like(component) for component in components]
    for p in legendre_modes(dims):
        if any(p) and weight == 0:
            break
        present = [(with_direction(p, j), c, a) for j, c, a in terms if p[j] == 0]
        strain = [torch.zeros_like(components[0]) for _ in range(K)]
        if not any(p):
            strain = [zero + strain_LK[:, a].reshape(-1, *[1] * dims) for a, zero in enumerate(strain)]
        for m, c, a in present:
            strain[a] = strain[a] + _mode(components[c], m)
        C = hourglass_tensors if any(p) else tensors
        stress = torch.einsum("bak...,blk...->bla...", C, torch.stack(strain, 2)) * weight ** sum(p)
        for m, c, a in present:
            forces[c] = forces[c] + _adjoint(stress[:, :, a], m)
    return torch.stack(forces, 2)


def _mode(u: torch.Tensor, m: Mode) -> torch.Tensor:
    """M_m u at the pixels: along an axis the difference (1) or the mean (0) of the two nodes."""
    for axis, difference in enumerate(m, start=-len(m)):
        upper = u.roll(-1, axis)
        u = upper - u if difference else (upper + u) / 2
    return u


def _adjoint(s: torch.Tensor, m: Mode) -> torch.Tensor:
    """M_m^T s at the nodes."""
    for axis, difference in enumerate(m, start=-len(m)):
        lower = s.roll(1, axis)
        s = lower - s if difference else (lower + s) / 2
    return s
