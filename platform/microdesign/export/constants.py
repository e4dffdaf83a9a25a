"""Stiffness tensors as the numbers that finite-element programs take."""

import numpy as np
from numpy.typing import NDArray

ABAQUS = (0, 1, 2, 5, 4, 3)
"""Abaqus and CalculiX order the components xx, yy, zz, xy, xz, yz; ours are xx, yy, zz, yz, xz, xy."""
XY_YZ_XZ = (0, 1, 2, 5, 3, 4)
"""The order xx, yy, zz, xy, yz, xz of Ansys and LS-DYNA."""


def upper_by_columns(stiffness: NDArray[np.float64], order: tuple[int, ...]) -> list[float]:
    """Returns the 21 constants C11, C12, C22, C13, C23, C33, ... of a stiffness `(6, 6)` in another order."""
    C = stiffness[np.ix_(order, order)]
    return [float(C[row, column]) for column in range(6) for row in range(column + 1)]


def upper_by_rows(stiffness: NDArray[np.float64], order: tuple[int, ...]) -> list[float]:
    """Returns the 21 constants C11, C12, ..., C16, C22, ... of a stiffness `(6, 6)` in another order."""
    C = stiffness[np.ix_(order, order)]
    return [float(C[row, column]) for row in range(6) for column in range(row, 6)]


def engineering_constants(stiffness: NDArray[np.float64]) -> dict[str, float]:
    """Returns the nine engineering constants of a stiffness `(6, 6)`, from its compliance: Ex, ..., vxy, ..., Gxy.

    `vxy` is minus the strain along y over that along x under a stress along x. Where shear and normal strains are
    coupled they describe the response to one stress at a time, and nothing of the coupling.

    Example:
        >>> from microdesign.physics.tensors import isotropic_stiffness
        >>> constants = engineering_constants(isotropic_stiffness(1.2, 0.8, 3))
        >>> round(constants["Ex"], 6), round(constants["vxy"], 6), round(constants["Gxy"], 6)
        (2.08, 0.3, 0.8)
    """
    S = np.linalg.inv(stiffness)
    return {
        "Ex": float(1 / S[0, 0]),
        "Ey": float(1 / S[1, 1]),
        "Ez": float(1 / S[2, 2]),
        "vxy": float(-S[1, 0] / S[0, 0]),
        "vxz": float(-S[2, 0] / S[0, 0]),
        "vyz": float(-S[2, 1] / S[1, 1]),
        "Gxy": float(1 / S[5, 5]),
        "Gxz": float(1 / S[4, 4]),
        "Gyz": float(1 / S[3, 3]),
    }


def coupling(stiffness: NDArray[np.float64]) -> float:
    """Returns the largest entry that orthotropy along the axes has as 0, over the smallest on the diagonal."""
    shear = np.arange(6) >= 3
    orthotropic = (~shear[:, None] & ~shear[None]) | np.eye(6, dtype=bool)
    return float(np.abs(stiffness[~orthotropic]).max() / np.diag(stiffness).min())
