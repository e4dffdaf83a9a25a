"""Tensors in Voigt's notation: isotropic ones, rotations, plane reductions.

Order xx, yy, xy in two dimensions and xx, yy, zz, yz, xz, xy in three, with engineering shear strains.

Shapes in names: K components of the strain (3 or 6), d dimensions (2 or 3).
"""

from typing import Literal

import numpy as np

from microdesign.core.properties import VOIGT_PAIRS

PAIRS = VOIGT_PAIRS
"""The pair of axes of each strain component, by the number of dimensions."""


def voigt_index(dims: int) -> dict[tuple[int, int], int]:
    """Returns the strain component of each pair of axes, in either order."""
    index = {pair: n for n, pair in enumerate(PAIRS[dims])}
    return {**index, **{(b, a): n for (a, b), n in index.items()}}


def isotropic_stiffness(lam: float, mu: float, dims: int) -> np.ndarray:
    """Returns lambda I (x) I + 2 mu I_s, `(K, K)`."""
    K = len(PAIRS[dims])
    stiffness = np.zeros((K, K))
    stiffness[:dims, :dims] = lam
    stiffness[np.arange(K), np.arange(K)] += [2 * mu] * dims + [mu] * (K - dims)
    return stiffness


def deviatoric_part(stiffness: np.ndarray) -> np.ndarray:
    """Returns P C P of a stiffness `(6, 6)`, P the projection of a strain to its deviator."""
    projection = np.eye(6)
    projection[:3, :3] -= 1 / 3
    return projection.T @ stiffness @ projection


def euler_rotation(phi1: float, Phi: float, phi2: float) -> np.ndarray:
    """Returns the rotation R `(3, 3)` that takes crystal coordinates to those of the sample, x = R x_crystal.

    Bunge's convention, degrees: about z by phi1, about the new x by Phi, about the new z by phi2
    (H.-J. Bunge, Texture Analysis in Materials Science, 1982).
    """

    def about(axis: int, degrees: float) -> np.ndarray:
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        rotation = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        rotation[a, a], rotation[a, b], rotation[b, a], rotation[b, b] = cos, -sin, sin, cos
        return rotation

    return about(2, phi1) @ about(0, Phi) @ about(2, phi2)


def rotate_stiffness(stiffness: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Returns C'_ijkl = R_ia R_jb R_kc R_ld C_abcd in Voigt's notation, `(K, K)`."""
    dims = len(rotation)
    index = voigt_index(dims)
    axes = np.array([[index[a, b] for b in range(dims)] for a in range(dims)])
    full = stiffness[axes[:, :, None, None], axes[None, None]]
    turned = np.einsum("ia,jb,kc,ld,abcd->ijkl", rotation, rotation, rotation, rotation, full)
    a, b = np.array(PAIRS[dims]).T
    return turned[a[:, None], b[:, None], a[None], b[None]]


def plane_part(tensor: np.ndarray, components: list[int], plane: Literal["stress", "strain"]) -> np.ndarray:
    """Returns the tensor of the plane problem from that of the solid.

    In plane strain the other strains (gradients) are zero: the block of these `components`. In plane stress the
    other stresses (fluxes) are zero: the inverse of that block of the inverse.
    """
    block = np.ix_(components, components)
    if plane == "strain" or not tensor.any():
        return tensor[block]
    return np.linalg.inv(np.linalg.inv(tensor)[block])


def mandel(stiffness: np.ndarray) -> np.ndarray:
    """Returns the stiffness with shears scaled by sqrt(2), so that eigenvalues do not depend on the axes."""
    K = len(stiffness)
    dims = {3: 2, 6: 3}[K]
    scale = np.array([1.0] * dims + [np.sqrt(2)] * (K - dims))
    return stiffness * scale[:, None] * scale
