"""Formulas of effective properties: MICRO2D's engineering constants in the plane, components in three dimensions.

Which properties there are, and what else is known of them, is the catalogue's: `microdesign.core.properties`.

Shapes: n images.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from microdesign.core.errors import EvaluationError, InputError
from microdesign.core.properties import Tensor, known, quotient, standard_names, unit_of
from microdesign.physics.materials import Materials

Formula = TypeVar("Formula", bound=Callable[..., np.ndarray])

_FORMULAS: dict[tuple[str, int], Callable[..., np.ndarray]] = {}

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
        A `(n,)` float64 array for each constant, in the units of the tensors.

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


def tensor_entries(stiffness: np.ndarray, conductivity: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the components `C11`, `k11` and so on of effective tensors, each `(n,)`.

    Args:
        stiffness: `(n, 3, 3)` of images, `(n, 6, 6)` of volumes, in Voigt's order with engineering shear.
        conductivity: `(n, 2, 2)` or `(n, 3, 3)`.
    """
    tensors = {"stiffness": stiffness, "conductivity": conductivity}
    entries = known(conductivity.shape[-1]).values()
    return {p.name: tensors[p.tensors[0]][:, p.entry[0], p.entry[1]] for p in entries if p.entry is not None}


def volume_properties(stiffness: np.ndarray, conductivity: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the components of the tensors of volumes, isotropic averages and the universal anisotropy index `AU`.

    K and G are the Voigt-Reuss-Hill averages, the means of Voigt's, K_V = (C_11 + C_22 + C_33 + 2 (C_12 + C_13 + C_23))
    / 9, G_V = (C_11 + C_22 + C_33 - C_12 - C_13 - C_23 + 3 (C_44 + C_55 + C_66)) / 15, and of Reuss's, the same with
    the compliance, K_R = 1 / (S_11 + ... + 2 (S_12 + ...)), G_R = 15 / (4 (S_11 + ...) - 4 (S_12 + ...) + 3 (S_44 +
    ...)) (R. Hill, Proc. Phys. Soc. A 65 (1952)); E = 9 K G / (3 K + G). AU = 5 G_V / G_R + K_V / K_R - 6 is 0 for an
    isotropic tensor (S. I. Ranganathan, M. Ostoja-Starzewski, Phys. Rev. Lett. 101 (2008)).

    Args:
        stiffness: `(n, 6, 6)`, order xx, yy, zz, yz, xz, xy with engineering shear.
        conductivity: `(n, 3, 3)`.

    Returns:
        A `(n,)` float64 array for each, in the units of the tensors.

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
        **tensor_entries(stiffness, conductivity),
        "K": K,
        "G": G,
        "E": 9 * K * G / (3 * K + G),
        "AU": 5 * G_V / G_R + K_V / K_R - 6,
    }


def properties_of(stiffness: np.ndarray, conductivity: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
    """Returns the `property_names` of these phases, from the effective tensors of images or of volumes.

    Args:
        stiffness: `(n, 3, 3)` or `(n, 6, 6)`, as of `tensor_entries`; NaN if the phases have none.
        conductivity: `(n, 2, 2)` or `(n, 3, 3)`; likewise.
        materials: The phases.

    Raises:
        EvaluationError: A tensor has no inverse, since a solid with voids does not hang together.
    """
    dims = conductivity.shape[-1]
    if dims == 2:
        values = engineering_constants(stiffness, conductivity) | tensor_entries(stiffness, conductivity)
    else:
        values = volume_properties(stiffness, conductivity)
    return {name: property_values(values, name, dims) for name in property_names(materials, dims)}


def formula(name: str, dims: int) -> Callable[[Formula], Formula]:
    """Makes a function the formula of a property of the catalogue; it takes the arrays of the property's `needs`.

    Args:
        name: The property.
        dims: 2, of images, or 3, of volumes.
    """

    def add(function: Formula) -> Formula:
        _FORMULAS[name, dims] = function
        return function

    return add


def property_values(values: Mapping[str, np.ndarray], name: str, dims: int = 2) -> np.ndarray:
    """Returns a property `(...)`: one of the `values`, a quotient `A/B`, or one that a `formula` has of them.

    Args:
        values: Arrays `(...)` by name.
        name: The property.
        dims: 2, of images, or 3, of volumes.

    Raises:
        InputError: The property is not among the values and they do not determine it.

    Example:
        >>> float(property_values({"Ex": np.array(2.0), "Ey": np.array(8.0)}, "Ex/Ey"))
        0.25
    """
    if name in values:
        return np.asarray(values[name])
    if parts := quotient(name):
        above, below = (property_values(values, part, dims) for part in parts)
        return above / below
    entry, function = known(dims).get(name), _FORMULAS.get((name, dims))
    if entry is None or function is None:
        raise InputError(f"property '{name}' is not at hand; there are {', '.join(values)}.")
    missing = [each for each in entry.needs if each not in values and (each, dims) not in _FORMULAS]
    if missing:
        raise InputError(
            f"property '{name}' is not at hand; it needs {', '.join(entry.needs)}; there are {', '.join(values)}."
        )
    return function(*(property_values(values, each, dims) for each in entry.needs))


@formula("K", 2)
def plane_bulk_modulus(Ex: np.ndarray, vxy: np.ndarray, Ey: np.ndarray) -> np.ndarray:
    """Returns the mean stress over the change of area under equal stresses along x and y.

    1 / (S11 + S22 + 2 S12) = 1 / (1/Ex + 1/Ey - 2 vxy/Ex), with the compliance S.
    """
    return 1 / (1 / Ex + 1 / Ey - 2 * vxy / Ex)


@formula("G", 2)
def plane_shear_modulus(Ex: np.ndarray, vxy: np.ndarray, Ey: np.ndarray, Gxy: np.ndarray) -> np.ndarray:
    """Returns the shear modulus of the mean compliance over all directions of shear, Reuss's.

    2 / (S11 + S22 - 2 S12 + S33) = 2 / (1/Ex + 1/Ey + 2 vxy/Ex + 1/Gxy).
    """
    return 2 / (1 / Ex + 1 / Ey + 2 * vxy / Ex + 1 / Gxy)


@formula("E", 2)
def plane_young_modulus(K: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Returns Young's modulus 4 K G / (K + G) of the plane."""
    return 4 * K * G / (K + G)


@formula("AU", 2)
def plane_anisotropy(
    K: np.ndarray, G: np.ndarray, C11: np.ndarray, C12: np.ndarray, C22: np.ndarray, C33: np.ndarray
) -> np.ndarray:
    """Returns the universal anisotropy index in the plane, K_V / K + 2 G_V / G - 3; 0 if isotropic.

    With Voigt's K_V = (C11 + C22 + 2 C12) / 4 and G_V = (C11 + C22 - 2 C12 + 4 C33) / 8 (S. I. Ranganathan,
    M. Ostoja-Starzewski, Phys. Rev. Lett. 101 (2008)).
    """
    K_V, G_V = (C11 + C22 + 2 * C12) / 4, (C11 + C22 - 2 * C12 + 4 * C33) / 8
    return K_V / K + 2 * G_V / G - 3


def given_tensors(materials: Materials) -> tuple[Tensor, ...]:
    """Returns the effective tensors that these phases give."""
    given: dict[Tensor, bool] = {"stiffness": materials.has_stiffness, "conductivity": materials.has_conductivity}
    return tuple(tensor for tensor, has in given.items() if has)


def property_names(materials: Materials, dims: int = 2) -> tuple[str, ...]:
    """Returns the names of the standard properties that these phases give images (`dims` = 2) or volumes (3).

    Phases without moduli give none but conductivities, phases without conductivity all but those.
    """
    return standard_names(dims, given_tensors(materials))


def component_names(materials: Materials, dims: int = 2) -> tuple[str, ...]:
    """Returns the names of the tensors' components, `C11`, `k11` and so on, that these phases give."""
    given = set(given_tensors(materials))
    return tuple(p.name for p in known(dims).values() if p.entry is not None and given >= set(p.tensors))


def property_units(materials: Materials, dims: int = 2) -> dict[str, str]:
    """Returns the unit of each of `property_names`, see `property_unit`."""
    return {name: property_unit(name, materials) for name in property_names(materials, dims)}


def property_unit(name: str, materials: Materials) -> str:
    """Returns the unit of a property, also of tensor entries, derived ones and quotients; `?` of an unknown one."""
    return unit_of(name, {"stiffness": materials.units.E, "conductivity": materials.units.k, "none": "1"})


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
