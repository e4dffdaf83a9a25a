"""Engineering constants of effective tensors: MICRO2D's definitions in two dimensions, components in three."""

from collections.abc import Mapping

import numpy as np

from microdesign.core.errors import EvaluationError, InputError
from microdesign.physics.materials import Materials

PROPERTY_NAMES = ("Ex", "vxy", "Ey", "vyx", "Gxy", "kx", "ky")
"""The seven properties of a two-dimensional microstructure, in MICRO2D's order."""

_UPPER_6 = tuple((a, b) for a in range(6) for b in range(a, 6))
_UPPER_3 = tuple((a, b) for a in range(3) for b in range(a, 3))

VOLUME_PROPERTY_NAMES = (
    *(f"C{a + 1}{b + 1}" for a, b in _UPPER_6),
    *(f"k{a + 1}{b + 1}" for a, b in _UPPER_3),
    *("K", "G", "E", "AU"),
)
"""The properties of a volume: stiffness (Voigt's order), conductivity, isotropic averages, universal anisotropy."""

PLANE_TENSOR_NAMES = ("C11", "C12", "C13", "C22", "C23", "C33", "k11", "k12", "k22")
"""Entries of plane tensors: stiffness (order xx, yy, xy, engineering shear) and conductivity."""

DERIVED_NAMES = ("K", "G", "E", "AU")
"""What `property_values` derives for a plane microstructure."""

_PLANE_DERIVED = {"K": ("Ex", "vxy", "Ey"), "G": ("Ex", "vxy", "Ey", "Gxy"), "E": ("Ex", "vxy", "Ey", "Gxy")}
_PLANE_DERIVED["AU"] = (*_PLANE_DERIVED["G"], "C11", "C12", "C22", "C33")
"""What the derived properties of a plane microstructure are computed from."""

_SINGULAR = 1e-7
"""Smallest ratio of a tensor's eigenvalues that still has an inverse worth reporting."""


def engineering_constants(stiffness: np.ndarray, conductivity: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the seven constants, each from a unit stress or flux load (Robertson et al., MICRO2D, 2024).

    With the compliance S = C^-1 and the resistivity R = K^-1: Ex = 1/S11, vxy = -S12/S11, Ey = 1/S22, vyx = -S12/S22,
    Gxy = 1/S33, kx = 1/Rxx, ky = 1/Ryy. So kx is not Kxx when Kxy is not 0.

    Args:
        stiffness: `(n, 3, 3)`, order xx, yy, xy with engineering shear.
        conductivity: `(n, 2, 2)`.

    Returns:
        A `(n,)` float64 array for each of `PROPERTY_NAMES`, in the units of the tensors.

    Raises:
        EvaluationError: A tensor has no inverse, since a solid with voids does not hang together.
    """
    compliance, resistivity = _inverse(stiffness, "stiffness"), _inverse(conductivity, "conductivity")
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


def plane_tensor_entries(stiffness: np.ndarray, conductivity: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the `PLANE_TENSOR_NAMES` of tensors `(n, 3, 3)` and `(n, 2, 2)`, each `(n,)`."""
    tensors = {"C": stiffness, "k": conductivity}
    return {name: tensors[name[0]][:, int(name[1]) - 1, int(name[2]) - 1] for name in PLANE_TENSOR_NAMES}


def volume_properties(stiffness: np.ndarray, conductivity: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the components of the tensors of volumes, isotropic averages and the universal anisotropy index.

    K and G are the Voigt-Reuss-Hill averages, the means of Voigt's, K_V = (C_11 + C_22 + C_33 + 2 (C_12 + C_13 + C_23))
    / 9, G_V = (C_11 + C_22 + C_33 - C_12 - C_13 - C_23 + 3 (C_44 + C_55 + C_66)) / 15, and of Reuss's, the same with
    the compliance, K_R = 1 / (S_11 + ... + 2 (S_12 + ...)), G_R = 15 / (4 (S_11 + ...) - 4 (S_12 + ...) + 3 (S_44 +
    ...)) (R. Hill, Proc. Phys. Soc. A 65 (1952)); E = 9 K G / (3 K + G). AU = 5 G_V / G_R + K_V / K_R - 6 is 0 for an
    isotropic tensor (S. I. Ranganathan, M. Ostoja-Starzewski, Phys. Rev. Lett. 101 (2008)).

    Args:
        stiffness: `(n, 6, 6)`, order xx, yy, zz, yz, xz, xy with engineering shear.
        conductivity: `(n, 3, 3)`.

    Returns:
        A `(n,)` float64 array for each of `VOLUME_PROPERTY_NAMES`, in the units of the tensors.

    Raises:
        EvaluationError: A stiffness has no inverse, since a solid with voids does not hang together.
    """
    S = _inverse(stiffness, "stiffness")
    C_normal, C_cross, C_shear = _sums(stiffness)
    S_normal, S_cross, S_shear = _sums(S)
    K_V, G_V = (C_normal + 2 * C_cross) / 9, (C_normal - C_cross + 3 * C_shear) / 15
    K_R, G_R = 1 / (S_normal + 2 * S_cross), 15 / (4 * S_normal - 4 * S_cross + 3 * S_shear)
    K, G = (K_V + K_R) / 2, (G_V + G_R) / 2
    return {
        **{f"C{a + 1}{b + 1}": stiffness[:, a, b] for a, b in _UPPER_6},
        **{f"k{a + 1}{b + 1}": conductivity[:, a, b] for a, b in _UPPER_3},
        "K": K,
        "G": G,
        "E": 9 * K * G / (3 * K + G),
        "AU": 5 * G_V / G_R + K_V / K_R - 6,
    }


def properties_of(stiffness: np.ndarray, conductivity: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
    """Returns the `property_names` of these phases: `engineering_constants` of plane tensors, else `volume_properties`.

    Args:
        stiffness: As of those functions; NaN if the phases have none.
        conductivity: Likewise.
        materials: The phases.
    """
    dims = conductivity.shape[-1]
    values = (engineering_constants if dims == 2 else volume_properties)(stiffness, conductivity)
    return {name: values[name] for name in property_names(materials, dims)}


def property_values(values: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Returns a property `(...)`: one of the `values`, or one that they determine.

    - `A/B` is the quotient of two others, such as `kx/ky`.
    - `K` and `G` of a plane microstructure are from a load, as its engineering constants are: `K` the mean stress over
      the change of area under equal stresses, 1 / (S11 + S22 + 2 S12) = 1 / (1/Ex + 1/Ey - 2 vxy/Ex); `G` the mean over
      all directions of shear, 2 / (S11 + S22 - 2 S12 + S33) = 2 / (1/Ex + 1/Ey + 2 vxy/Ex + 1/Gxy), Reuss's. `E` is
      4 K G / (K + G).
    - `AU` = K_V / K + 2 G_V / G - 3 is the universal anisotropy index (Ranganathan and Ostoja-Starzewski 2008) in the
      plane, with Voigt's K_V = (C11 + C22 + 2 C12) / 4 and G_V = (C11 + C22 - 2 C12 + 4 C33) / 8; 0 if isotropic.

    Raises:
        InputError: The property is not among the values and they do not determine it.
    """
    if name in values:
        return np.asarray(values[name])
    if "/" in name:
        above, _, below = name.partition("/")
        return property_values(values, above.strip()) / property_values(values, below.strip())
    needs = _PLANE_DERIVED.get(name, ())
    missing = [each for each in needs if each not in values]
    if missing or not needs:
        reason = f"; it needs {', '.join(needs)}" if needs else ""
        raise InputError(f"property '{name}' is not at hand{reason}; there are {', '.join(values)}.")
    if name == "E":
        K, G = property_values(values, "K"), property_values(values, "G")
        return 4 * K * G / (K + G)
    if name == "AU":
        C11, C12, C22, C33 = (np.asarray(values[each]) for each in ("C11", "C12", "C22", "C33"))
        K_V, G_V = (C11 + C22 + 2 * C12) / 4, (C11 + C22 - 2 * C12 + 4 * C33) / 8
        return K_V / property_values(values, "K") + 2 * G_V / property_values(values, "G") - 3
    Ex, vxy, Ey = (np.asarray(values[each]) for each in _PLANE_DERIVED["K"])
    if name == "K":
        return 1 / (1 / Ex + 1 / Ey - 2 * vxy / Ex)
    return 2 / (1 / Ex + 1 / Ey + 2 * vxy / Ex + 1 / np.asarray(values["Gxy"]))


def is_signed(name: str) -> bool:
    """Whether a property may be 0 or negative: Poisson's ratios, entries off a tensor's diagonal, their quotients."""
    above, _, below = name.partition("/")
    if below:
        return is_signed(above.strip()) or is_signed(below.strip())
    return name[:1] == "v" or name == "AU" or (name[1:].isdigit() and name[1] != name[2:])


def property_names(materials: Materials, dims: int = 2) -> tuple[str, ...]:
    """Returns the names of the properties that these phases give images (`dims` = 2) or volumes (3).

    Phases without moduli give none but conductivities, phases without conductivity all but those.
    """
    given = {True: materials.has_conductivity, False: materials.has_stiffness}
    names = PROPERTY_NAMES if dims == 2 else VOLUME_PROPERTY_NAMES
    return tuple(name for name in names if given[name.startswith("k")])


def property_units(materials: Materials, dims: int = 2) -> dict[str, str]:
    """Returns the unit of each of `property_names`, see `property_unit`."""
    return {name: property_unit(name, materials) for name in property_names(materials, dims)}


def property_unit(name: str, materials: Materials) -> str:
    """Returns the unit of a property, also of tensor entries, derived ones and quotients; `?` of an unknown one."""
    above, _, below = name.partition("/")
    if below:
        units = property_unit(above.strip(), materials), property_unit(below.strip(), materials)
        return "1" if units[0] == units[1] else f"({units[0]})/({units[1]})" if units[1] != "1" else units[0]
    kinds = {"v": "1", "A": "1", "k": materials.units.k} | dict.fromkeys("EGCK", materials.units.E)
    return kinds.get(name[:1], "?")


def _inverse(tensors: np.ndarray, name: str) -> np.ndarray:
    known = np.isfinite(tensors).all(axis=(1, 2))
    inverse = np.full_like(tensors, np.nan)
    values = np.linalg.eigvalsh(tensors[known])
    singular = np.flatnonzero(values[:, 0] <= _SINGULAR * values[:, -1])
    if len(singular):
        raise EvaluationError(
            f"the effective {name} of image {np.flatnonzero(known)[singular[0]]} is singular: the solid does not hang "
            "together in some direction, so that it has no engineering constants."
        )
    inverse[known] = np.linalg.inv(tensors[known])
    return inverse


def _sums(tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sums of the entries 11, 22, 33, of 12, 13, 23, and of 44, 55, 66."""
    diagonal = np.diagonal(tensor, axis1=1, axis2=2)
    return diagonal[:, :3].sum(1), tensor[:, 0, 1] + tensor[:, 0, 2] + tensor[:, 1, 2], diagonal[:, 3:].sum(1)
