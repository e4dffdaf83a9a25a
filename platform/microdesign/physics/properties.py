"""Engineering constants of effective tensors, by the definitions of the MICRO2D data set."""

import numpy as np

from microdesign.physics.materials import Materials

PROPERTY_NAMES = ("Ex", "vxy", "Ey", "vyx", "Gxy", "kx", "ky")
"""The seven properties of a two-dimensional microstructure, in MICRO2D's order."""


def engineering_constants(stiffness: np.ndarray, conductivity: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the seven constants, each from a unit stress or flux load (Robertson et al., MICRO2D, 2024).

    With the compliance S = C^-1 and the resistivity R = K^-1: Ex = 1/S11, vxy = -S12/S11, Ey = 1/S22, vyx = -S12/S22,
    Gxy = 1/S33, kx = 1/Rxx, ky = 1/Ryy. So kx is not Kxx when Kxy is not 0.

    Args:
        stiffness: `(n, 3, 3)`, order xx, yy, xy with engineering shear.
        conductivity: `(n, 2, 2)`.

    Returns:
        A `(n,)` float64 array for each of `PROPERTY_NAMES`, in the units of the tensors.
    """
    compliance, resistivity = np.linalg.inv(stiffness), np.linalg.inv(conductivity)
    s_11, s_22, s_12 = compliance[:, 0, 0], compliance[:, 1, 1], compliance[:, 0, 1]
    return {
        "Ex": 1 / s_11,
        "vxy": -s_12 / s_11,
        "Ey": 1 / s_22,
        "vyx": -s_12 / s_22,
        "Gxy": 1 / compliance[:, 2, 2],
        "kx": 1 / resistivity[:, 0, 0],
        "ky": 1 / resistivity[:, 1, 1],
    }


def property_units(materials: Materials) -> dict[str, str]:
    """Returns the unit of each property: that of E for moduli, that of k for conductivities, 1 for Poisson's ratios."""
    unit = {"E": materials.units.E, "G": materials.units.E, "k": materials.units.k, "v": "1"}
    return {name: unit[name[0]] for name in PROPERTY_NAMES}
