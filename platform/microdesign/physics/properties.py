"""Formulas of effective properties: MICRO2D's engineering constants, components of tensors, isotropic averages.

Which properties there are, and what else is known of them, is the catalogue's: `microdesign.core.properties`.

Shapes: n images.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.properties import Tensor, find, known, quotient, standard_names, unit_of
from microdesign.physics.materials import Materials

Formula = TypeVar("Formula", bound=Callable[..., np.ndarray])

_FORMULAS: dict[tuple[str, int], Callable[..., np.ndarray]] = {}

_ROUND_OFF = 1e-13
"""Eigenvalues of a tensor, scaled to ones on its diagonal, up to which it is singular: far below any contrast."""
_OF_TOLERANCE = 1e-2
"""Those of a porous solid that are noise, as a share of the solver's tolerance.

A solid that hangs together along a diagonal alone has k11 = k22 = k12: kx = 1 / (K^-1)_xx is 0, and the solver leaves
1e-7 of k11 with a tolerance of 1e-4. Beams of one pixel among 512 have 4e-6.
"""


def engineering_constants(
    stiffness: np.ndarray, conductivity: np.ndarray, singular: float = _ROUND_OFF
) -> dict[str, np.ndarray]:
    """Returns the seven constants, each from a unit stress or flux load (Robertson et al., MICRO2D, 2024).

    With the compliance S = C^-1 and the resistivity R = K^-1: Ex = 1/S11, vxy = -S12/S11, Ey = 1/S22, vyx = -S12/S22,
    Gxy = 1/S33, kx = 1/Rxx, ky = 1/Ryy. So kx is not Kxx when Kxy is not 0.

    A modulus is 0 where the solid of an image with pores cannot carry the stress or the flux. Then a Poisson's ratio
    is not defined, if nothing pulls or if nothing resists the contraction; it alone is NaN. What cannot be carried
    is told from the zeros of the tensor, never from its contrast.

    Args:
        stiffness: `(n, 3, 3)`, order xx, yy, xy with engineering shear.
        conductivity: `(n, 2, 2)`.
        singular: Eigenvalues of a tensor, scaled to ones on its diagonal, that count as 0.

    Returns:
        A `(n,)` float64 array for each constant, in the units of the tensors.

    Example:
        >>> layer = np.diag([0.0, 2.0, 0.0])  # solid layers along y, pores between them
        >>> constants = engineering_constants(layer[None], np.diag([0.0, 3.0])[None])
        >>> {name: float(value[0]) for name, value in constants.items()}
        {'Ex': 0.0, 'vxy': nan, 'Ey': 2.0, 'vyx': nan, 'Gxy': 0.0, 'kx': 0.0, 'ky': 3.0}
    """
    elastic, thermal = _Compliance.of(stiffness, singular), _Compliance.of(conductivity, singular)
    Ex, Ey, Gxy = elastic.moduli.T
    return {
        "Ex": Ex,
        "vxy": elastic.ratio(0, 1),
        "Ey": Ey,
        "vyx": elastic.ratio(1, 0),
        "Gxy": Gxy,
        "kx": thermal.moduli[:, 0],
        "ky": thermal.moduli[:, 1],
    }


def elastic_constants(stiffness: np.ndarray, singular: float = _ROUND_OFF) -> dict[str, np.ndarray]:
    """Returns Young's moduli, Poisson's ratios and shear moduli of volumes, each from a unit stress.

    With the compliance S = C^-1: Ex = 1/S11, Ey = 1/S22, Ez = 1/S33, vxy = -S12/S11 (the contraction along y under a
    pull along x), vyx = -S12/S22 and so on, Gyz = 1/S44, Gxz = 1/S55, Gxy = 1/S66. They describe an orthotropic
    material whole; of another one the components say more. What cannot be carried is 0, as in `engineering_constants`.

    Args:
        stiffness: `(n, 6, 6)`, order xx, yy, zz, yz, xz, xy with engineering shear.
        singular: As of `engineering_constants`.

    Returns:
        A `(n,)` float64 array for each constant, in the unit of the tensors.

    Example:
        >>> solid = np.diag([2.0, 2, 2, 1, 1, 1])  # E = 2, nu = 0, G = 1
        >>> {name: float(value[0]) for name, value in elastic_constants(solid[None]).items() if name[0] != "v"}
        {'Ex': 2.0, 'Ey': 2.0, 'Ez': 2.0, 'Gyz': 1.0, 'Gxz': 1.0, 'Gxy': 1.0}
    """
    compliance = _Compliance.of(stiffness, singular)
    moduli = dict(zip(("Ex", "Ey", "Ez", "Gyz", "Gxz", "Gxy"), compliance.moduli.T, strict=True))
    ratios = {f"v{'xyz'[i]}{'xyz'[j]}": compliance.ratio(i, j) for i in range(3) for j in range(3) if i != j}
    return {**moduli, **ratios}


def directional_conductivities(conductivity: np.ndarray, singular: float = _ROUND_OFF) -> dict[str, np.ndarray]:
    """Returns kx, ky and kz of volumes, each from a unit flux: 1 / (K^-1)_xx and so on, `(n,)`.

    Args:
        conductivity: `(n, 3, 3)`.
        singular: As of `engineering_constants`.
    """
    return dict(zip(("kx", "ky", "kz"), _Compliance.of(conductivity, singular).moduli.T, strict=True))


def tensor_entries(stiffness: np.ndarray, conductivity: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the components `C11`, `k11` and so on of effective tensors, each `(n,)`.

    Args:
        stiffness: `(n, 3, 3)` of images, `(n, 6, 6)` of volumes, in Voigt's order with engineering shear.
        conductivity: `(n, 2, 2)` or `(n, 3, 3)`.
    """
    tensors = {"stiffness": stiffness, "conductivity": conductivity}
    entries = known(conductivity.shape[-1]).values()
    return {p.name: tensors[p.tensors[0]][:, p.entry[0], p.entry[1]] for p in entries if p.entry is not None}


def volume_properties(
    stiffness: np.ndarray, conductivity: np.ndarray, singular: float = _ROUND_OFF
) -> dict[str, np.ndarray]:
    """Returns the components of the tensors of volumes, their engineering constants and `isotropic_averages`.

    Args:
        stiffness: `(n, 6, 6)`, order xx, yy, zz, yz, xz, xy with engineering shear.
        conductivity: `(n, 3, 3)`.
        singular: As of `engineering_constants`.

    Returns:
        A `(n,)` float64 array for each, in the units of the tensors.
    """
    return {
        **tensor_entries(stiffness, conductivity),
        **isotropic_averages(stiffness, singular),
        **elastic_constants(stiffness, singular),
        **directional_conductivities(conductivity, singular),
    }


def isotropic_averages(stiffness: np.ndarray, singular: float = _ROUND_OFF) -> dict[str, np.ndarray]:
    """Returns isotropic averages `K`, `G`, `E` of volumes and the universal anisotropy index `AU`, `(n,)` each.

    K and G are the Voigt-Reuss-Hill averages, the means of Voigt's, K_V = (C_11 + C_22 + C_33 + 2 (C_12 + C_13 + C_23))
    / 9, G_V = (C_11 + C_22 + C_33 - C_12 - C_13 - C_23 + 3 (C_44 + C_55 + C_66)) / 15, and of Reuss's, the same with
    the compliance, K_R = 1 / (S_11 + ... + 2 (S_12 + ...)), G_R = 15 / (4 (S_11 + ...) - 4 (S_12 + ...) + 3 (S_44 +
    ...)) (R. Hill, Proc. Phys. Soc. A 65 (1952)); E = 9 K G / (3 K + G). AU = 5 G_V / G_R + K_V / K_R - 6 is 0 for an
    isotropic tensor (S. I. Ranganathan, M. Ostoja-Starzewski, Phys. Rev. Lett. 101 (2008)).

    Where the solid of a volume with pores cannot carry a stress, Reuss's averages of stresses with it are 0; then `AU`
    is not defined and NaN.

    Args:
        stiffness: `(n, 6, 6)`, order xx, yy, zz, yz, xz, xy with engineering shear.
        singular: As of `engineering_constants`.
    """
    compliance = _Compliance.of(stiffness, singular)
    C_normal, C_cross, C_shear = _sums(stiffness)
    S_normal, S_cross, S_shear = _sums(compliance.S)
    K_V, G_V = (C_normal + 2 * C_cross) / 9, (C_normal - C_cross + 3 * C_shear) / 15
    with np.errstate(divide="ignore", invalid="ignore"):
        normal, all_stresses = compliance.carried[:, :3].all(1), compliance.carried.all(1)
        K_R = np.where(normal, 1 / (S_normal + 2 * S_cross), 0 * K_V)
        G_R = np.where(all_stresses, 15 / (4 * S_normal - 4 * S_cross + 3 * S_shear), 0 * G_V)
    K, G = (K_V + K_R) / 2, (G_V + G_R) / 2
    return {
        "K": K,
        "G": G,
        "E": _divided(9 * K * G, 3 * K + G, of_zeros=0),
        "AU": 5 * _divided(G_V, G_R) + _divided(K_V, K_R) - 6,
    }


def properties_of(
    stiffness: np.ndarray, conductivity: np.ndarray, materials: Materials, tolerance: float = 1e-4
) -> dict[str, np.ndarray]:
    """Returns the `property_names` of these phases, from the effective tensors of images or of volumes.

    Args:
        stiffness: `(n, 3, 3)` or `(n, 6, 6)`, as of `tensor_entries`; NaN if the phases have none.
        conductivity: `(n, 2, 2)` or `(n, 3, 3)`; likewise.
        materials: The phases.
        tolerance: The solver's, which with pores says what it leaves of a load that the solid does not carry.

    Returns:
        Each `(n,)`; NaN is a value that is not defined, see `engineering_constants` and `undefined_because`.
    """
    dims = conductivity.shape[-1]
    singular = max(_ROUND_OFF, _OF_TOLERANCE * tolerance / materials.contrast) if materials.has_voids else _ROUND_OFF
    if dims == 2:
        values = engineering_constants(stiffness, conductivity, singular) | tensor_entries(stiffness, conductivity)
    else:
        values = volume_properties(stiffness, conductivity, singular)
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

    A quotient by 0 is NaN.

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
        return _divided(above, below)
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

    1 / (S11 + S22 + 2 S12) = 1 / (1/Ex + 1/Ey - 2 vxy/Ex), with the compliance S; 0 where Ex or Ey is.
    """
    return _of_compliances((Ex, Ey), lambda: 1 / (1 / Ex + 1 / Ey - 2 * vxy / Ex))


@formula("G", 2)
def plane_shear_modulus(Ex: np.ndarray, vxy: np.ndarray, Ey: np.ndarray, Gxy: np.ndarray) -> np.ndarray:
    """Returns the shear modulus of the mean compliance over all directions of shear, Reuss's.

    2 / (S11 + S22 - 2 S12 + S33) = 2 / (1/Ex + 1/Ey + 2 vxy/Ex + 1/Gxy); 0 where Ex, Ey or Gxy is.
    """
    return _of_compliances((Ex, Ey, Gxy), lambda: 2 / (1 / Ex + 1 / Ey + 2 * vxy / Ex + 1 / Gxy))


@formula("E", 2)
def plane_young_modulus(K: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Returns Young's modulus 4 K G / (K + G) of the plane; 0 where K and G are."""
    return _divided(4 * K * G, K + G, of_zeros=0)


@formula("AU", 2)
def plane_anisotropy(
    K: np.ndarray, G: np.ndarray, C11: np.ndarray, C12: np.ndarray, C22: np.ndarray, C33: np.ndarray
) -> np.ndarray:
    """Returns the universal anisotropy index in the plane, K_V / K + 2 G_V / G - 3; 0 if isotropic, NaN if K or G is 0.

    With Voigt's K_V = (C11 + C22 + 2 C12) / 4 and G_V = (C11 + C22 - 2 C12 + 4 C33) / 8 (S. I. Ranganathan,
    M. Ostoja-Starzewski, Phys. Rev. Lett. 101 (2008)).
    """
    K_V, G_V = (C11 + C22 + 2 * C12) / 4, (C11 + C22 - 2 * C12 + 4 * C33) / 8
    return _divided(K_V, K) + 2 * _divided(G_V, G) - 3


def _of_volume(name: str, constants: Callable[[np.ndarray], dict[str, np.ndarray]]) -> None:
    """Makes the formula of a volume's property out of the components of its tensor: those of the upper triangle."""

    @formula(name, 3)
    def from_components(*components: np.ndarray) -> np.ndarray:
        upper = np.stack(np.broadcast_arrays(*components), axis=-1).astype(float)
        size = (math.isqrt(8 * upper.shape[-1] + 1) - 1) // 2
        tensor = np.empty((*upper.shape[:-1], size, size))
        rows, columns = np.triu_indices(size)
        tensor[..., rows, columns] = tensor[..., columns, rows] = upper
        return constants(tensor.reshape(-1, size, size))[name].reshape(upper.shape[:-1])


for _entry in known(3).values():
    if _entry.needs and _entry.tensors == ("conductivity",):
        _of_volume(_entry.name, directional_conductivities)
    elif _entry.needs:
        _of_volume(_entry.name, isotropic_averages if _entry.name in ("K", "G", "E", "AU") else elastic_constants)


def given_tensors(materials: Materials) -> tuple[Tensor, ...]:
    """Returns the effective tensors that these phases give."""
    given: dict[Tensor, bool] = {
        "stiffness": materials.has_stiffness,
        "conductivity": materials.has_conductivity,
        "density": materials.has_density,
    }
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
    units = materials.units
    return unit_of(name, {"stiffness": units.E, "conductivity": units.k, "density": units.density, "none": "1"})


@dataclass(frozen=True)
class _Compliance:
    """What tensors `(n, K, K)`, positive semidefinite, say of unit stresses or fluxes.

    Attributes:
        S: The inverse among the loads that are carried, `(n, K, K)`; 0 elsewhere.
        carried: Whether each load is, `(n, K)`; the diagonal entry of one that is not is 0, or the load has a part in a
            null vector.
        known: Which tensors are finite, `(n,)`.
    """

    S: np.ndarray
    carried: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, tensors: np.ndarray, singular: float) -> "_Compliance":
        n, K = tensors.shape[:2]
        S, carried, known = np.zeros((n, K, K)), np.zeros((n, K), bool), np.isfinite(tensors).all(axis=(1, 2))
        for i in np.flatnonzero(known):
            (there,) = np.nonzero(np.diag(tensors[i]) > 0)
            size = np.sqrt(np.diag(tensors[i])[there])
            values, vectors = np.linalg.eigh(tensors[i][np.ix_(there, there)] / size[:, None] / size)
            null = values <= singular * len(there)
            inverse = (vectors[:, ~null] / values[~null]) @ vectors[:, ~null].T / size[:, None] / size
            S[i][np.ix_(there, there)] = inverse
            carried[i, there] = np.square(vectors[:, null]).sum(1) < 1e-6
        return cls(S, carried, known)

    @property
    def moduli(self) -> np.ndarray:
        """1 / S_ii of each load, 0 of one that is not carried, `(n, K)`; NaN of tensors that are not known."""
        diagonal = np.diagonal(self.S, axis1=1, axis2=2)
        moduli = np.where(self.carried, 1 / np.where(self.carried, diagonal, 1), 0.0)
        moduli[~self.known] = np.nan
        return moduli

    def ratio(self, pulled: int, across: int) -> np.ndarray:
        """-S_ij / S_ii, `(n,)`; NaN unless both loads are carried, so that the strain across is determined."""
        defined = self.carried[:, pulled] & self.carried[:, across]
        along = np.where(defined, self.S[:, pulled, pulled], 1)
        return np.where(defined, -self.S[:, pulled, across] / along, np.nan)


def undefined_because(name: str) -> str:
    """Returns why a property has no value where the solid with pores cannot carry a stress or a flux."""
    if quotient(name):
        return "a quotient by 0"
    if name.startswith("v"):
        return "the solid does not hang together along one of its axes, so that there is no contraction to compare"
    return "the solid does not hang together in some direction" if find(name) else "its evaluator gives no value"


def _divided(above: np.ndarray, below: np.ndarray, of_zeros: float = np.nan) -> np.ndarray:
    """The quotient; by 0 it is `of_zeros`."""
    zero = np.asarray(below) == 0
    return np.where(zero, of_zeros, above / np.where(zero, 1, below))


def _of_compliances(moduli: tuple[np.ndarray, ...], modulus: Callable[[], np.ndarray]) -> np.ndarray:
    """A modulus of the mean compliance: 0 where one of these moduli is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.min(np.broadcast_arrays(*moduli), axis=0) == 0, 0.0, modulus())


def _sums(tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sums of the entries 11, 22, 33, of 12, 13, 23, and of 44, 55, 66."""
    diagonal = np.diagonal(tensor, axis1=1, axis2=2)
    return diagonal[:, :3].sum(1), tensor[:, 0, 1] + tensor[:, 0, 2] + tensor[:, 1, 2], diagonal[:, 3:].sum(1)
