"""Bounds on effective properties of composites of isotropic phases, in the plane and of volumes.

Moduli of the plane: K = lambda + mu (bulk, by which plane stress and plane strain differ), mu (shear) and
E = 4 K mu / (K + mu) (Young's modulus of the plane problem; in plane strain that is E / (1 - nu^2) of the solid). Of
volumes the solid's: K = lambda + 2/3 mu, mu and E = 9 K mu / (3 K + mu).

Shapes in names: P phases.
"""

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

import numpy as np
from scipy.optimize import minimize_scalar

from microdesign.core.errors import InputError
from microdesign.core.properties import Bound, known
from microdesign.physics.materials import Materials
from microdesign.physics.properties import given_tensors

Interval = tuple[float, float]
Fractions = Mapping[int, Interval]
"""Least and largest volume fraction of some phases, by label; those of the others are free."""
ANY_FRACTIONS: Fractions = MappingProxyType({})
_YOUNG = {2: (4.0, 4.0), 3: (9.0, 3.0)}
"""a and b of Young's modulus, 1 / E = 1 / (a K) + 1 / (b mu), by dimensions."""


def phase_moduli(materials: Materials, dims: int = 2) -> dict[str, np.ndarray]:
    """Returns the moduli of the phases in two or three dimensions: `K`, `mu`, `E`, `k` and `density`, each `(P,)`.

    Those that the phases do not have are empty.
    """
    lam, mu = materials.lame_moduli_of(dims).T
    bulk = lam + 2 / dims * mu
    young = young_modulus(bulk, mu, dims)
    return {"K": bulk, "mu": mu, "E": young, "k": materials.conductivities, "density": materials.densities}


def young_modulus(K: np.ndarray, mu: np.ndarray, dims: int) -> np.ndarray:
    """Returns Young's modulus of bulk and shear moduli, `(...)`; 0 of a void."""
    a, b = _YOUNG[dims]
    total = a * K + b * mu
    return a * K * b * mu / np.where(total > 0, total, 1)


def voigt(values_P: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Returns the arithmetic mean `sum f_i v_i` (uniform strain or gradient): an upper bound of K, mu and k.

    Args:
        values_P: A modulus of each phase, `(P,)`.
        fractions: Volume fractions that add up to 1, `(..., P)`.
    """
    return np.asarray(fractions) @ np.asarray(values_P)


def reuss(values_P: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Returns the harmonic mean `1 / sum f_i / v_i` (uniform stress or flux): a lower bound of K, mu, E and k.

    It is 0 where a void has a volume fraction. Arguments as in `voigt`.
    """
    values_P, fractions = np.asarray(values_P), np.asarray(fractions)
    void = values_P == 0
    with np.errstate(divide="ignore"):  # of the void alone
        mean = 1 / (fractions @ (1 / np.where(void, np.inf, values_P)))
    return np.where((fractions[..., void] > 0).any(axis=-1), 0.0, mean) if void.any() else mean


def hashin_shtrikman(
    materials: Materials, fractions: np.ndarray, dims: int = 2
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns the bounds (lower, upper) of *isotropic* composites: `K`, `mu` and `k`, each `(...)`.

    With the comparison medium (K*, mu*, k*) of the smallest moduli for the lower bound, of the largest for the upper:

        K  = 1 / sum f_i / (K_i + y*)    - y*,     y* = mu* in the plane, 4/3 mu* of volumes
        mu = 1 / sum f_i / (mu_i + z*)   - z*,     z* = K* mu* / (K* + 2 mu*), mu* (9 K* + 8 mu*) / (6 (K* + 2 mu*))
        k  = 1 / sum f_i / (k_i + w*)    - w*,     w* = k*, 2 k*

    Z. Hashin, S. Shtrikman, J. Appl. Phys. 33 (1962); J. Mech. Phys. Solids 11 (1963), for volumes; Z. Hashin, J. Mech.
    Phys. Solids 13 (1965), for two dimensions; L. J. Walpole, J. Mech. Phys. Solids 14 (1966), for phases whose K and
    mu are ordered differently.

    Args:
        materials: The phases.
        fractions: Volume fractions that add up to 1, `(..., P)`.
        dims: 2 or 3.
    """
    moduli = phase_moduli(materials, dims)
    sides = []
    for extreme in (np.min, np.max):
        K, mu, k = (float(extreme(moduli[name])) for name in ("K", "mu", "k"))
        y, w = (mu, k) if dims == 2 else (4 / 3 * mu, 2 * k)
        z = 0.0
        if mu > 0:
            z = K * mu / (K + 2 * mu) if dims == 2 else mu * (9 * K + 8 * mu) / (6 * (K + 2 * mu))
        sides.append(
            {
                "K": reuss(moduli["K"] + y, fractions) - y,
                "mu": reuss(moduli["mu"] + z, fractions) - z,
                "k": reuss(moduli["k"] + w, fractions) - w,
            }
        )
    return {name: (sides[0][name], sides[1][name]) for name in ("K", "mu", "k")}


def property_bounds(materials: Materials, fractions: Fractions = ANY_FRACTIONS, dims: int = 2) -> dict[str, Interval]:
    """Returns the interval (low, high) of each property that no microstructure of these phases can leave.

    It holds for every anisotropy; the catalogue says which bound is that of which property. Moduli and conductivities
    come from Voigt and Reuss: Ex, Ey, Ez and E are at least the smallest E of a Reuss mean; their upper bound is the
    largest Young's modulus of a Voigt mean, which exceeds that of the phases when Poisson's ratios differ. Poisson's
    ratios come from the stiffness being positive definite, vxy^2 < Ex / Ey: a wide interval, but a true one. Of the
    tensors' entries those of the diagonal are bounded: C11 and C22 by Ex or Ey and by Voigt's K + mu, K + 4/3 mu of
    volumes. Where all phases have one stiffness, or one conductivity, its properties do not depend on the
    microstructure: both ends are it.

    Args:
        materials: The phases.
        fractions: Least and largest volume fractions.
        dims: 2, of images, or 3, of volumes.
    """
    intervals = _intervals(materials, fractions, dims)
    given = set(given_tensors(materials))
    return {
        name: intervals[entry.bound]
        for name, entry in known(dims).items()
        if entry.bound is not None and given >= set(entry.tensors)
    }


def _intervals(materials: Materials, fractions: Fractions, dims: int) -> dict[Bound, Interval]:
    """The interval of each kind of bound that these phases have."""
    mixtures = extreme_mixtures(len(materials.phases), fractions)
    moduli = {name: values for name, values in phase_moduli(materials, dims).items() if len(values)}
    low = {name: float(reuss(values, mixtures).min()) for name, values in moduli.items()}
    high = {name: float(voigt(values, mixtures).max()) for name, values in moduli.items()}
    intervals: dict[Bound, Interval] = {}
    if materials.has_density:  # the arithmetic mean itself
        means = voigt(moduli["density"], mixtures)
        intervals["density"] = float(means.min()), float(means.max())
    if materials.has_conductivity:
        k = moduli["k"]
        intervals["k"] = (low["k"], high["k"]) if np.ptp(k) else (float(k[0]), float(k[0]))
    if not materials.has_stiffness:
        return intervals
    K, mu, E = (moduli[name] for name in ("K", "mu", "E"))
    normal = K + (2 - 2 / dims) * mu
    if not np.ptp(K) and not np.ptp(mu):
        lam = K - 2 / dims * mu
        nu = lam / (normal + (dims - 2) * lam)
        one: dict[Bound, np.ndarray] = {"K": K, "mu": mu, "E": E, "normal": normal, "poisson": nu, "anisotropy": 0 * K}
        return intervals | {bound: (float(values[0]), float(values[0])) for bound, values in one.items()}
    high["E"] = _largest_young(materials, mixtures, dims)
    ratio = float(np.sqrt(high["E"] / low["E"])) if low["E"] > 0 else float("inf")
    elastic: dict[Bound, Interval] = {
        "K": (low["K"], high["K"]),
        "mu": (low["mu"], high["mu"]),
        "E": (low["E"], high["E"]),
        "normal": (low["E"], float(voigt(normal, mixtures).max())),
        "poisson": (-ratio, ratio),
        "anisotropy": (0.0, float("inf")),
    }
    return intervals | elastic


def extreme_mixtures(phases: int, fractions: Fractions = ANY_FRACTIONS) -> np.ndarray:
    """Returns the corners `(n, P)` of all volume fractions that keep to their intervals.

    What is linear in the volume fractions is extreme at one of them. At a corner at most one phase is between the ends
    of its interval.

    Raises:
        InputError: No volume fractions do.

    Example:
        >>> extreme_mixtures(2, {1: (0.2, 0.3)}).tolist()
        [[0.8, 0.2], [0.7, 0.3]]
    """
    intervals = [fractions.get(phase, (0.0, 1.0)) for phase in range(phases)]
    corners: dict[tuple[float, ...], None] = {}
    for rest in range(phases):
        # Of a phase that is free everything is the rest, or nothing of it is there.
        ends = [(0.0,) if phase not in fractions else intervals[phase] for phase in range(phases)]
        ends[rest] = (0.0,)
        for corner in product(*ends):
            left = 1 - sum(corner)
            low, high = intervals[rest]
            if low - 1e-9 <= left <= high + 1e-9:
                corners[tuple(round(left if phase == rest else each, 12) for phase, each in enumerate(corner))] = None
    if not corners:
        raise InputError(f"volume fractions {described_fractions(fractions)} of {phases} phases do not add up to 1.")
    return np.array(list(corners))


def described_fractions(fractions: Fractions) -> str:
    """Returns `of phase 1 from 0.2 to 0.3 and of phase 2 from 0 to 0.1`."""
    return " and ".join(f"of phase {phase} from {low:g} to {high:g}" for phase, (low, high) in fractions.items())


def young_planes(materials: Materials, t: np.ndarray, dims: int = 2) -> np.ndarray:
    """Returns planes above the Young's modulus of the Voigt mean, by their values at the phases: `(len(t), P)`.

    E with 1 / E = 1 / (a K) + 1 / (b mu) is the smallest of t^2 a K + (1 - t)^2 b mu over t in [0, 1], so each t gives
    an upper bound that is linear in the volume fractions.
    """
    a, b = _YOUNG[dims]
    moduli = phase_moduli(materials, dims)
    return a * t[:, None] ** 2 * moduli["K"] + b * (1 - t[:, None]) ** 2 * moduli["mu"]


def _largest_young(materials: Materials, mixtures: np.ndarray, dims: int) -> float:
    """The largest Young's modulus of a Voigt mean of all mixtures between the given ones `(n, P)`.

    The lowest peak of the planes above it.
    """

    def peak(t: float) -> float:
        return float((mixtures @ young_planes(materials, np.array([t]), dims)[0]).max())

    return float(minimize_scalar(peak, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-10}).fun)
