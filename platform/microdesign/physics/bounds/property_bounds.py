"""Bounds on effective properties of plane composites of isotropic phases.

Two-dimensional moduli: K = lambda + mu (bulk, by which plane stress and plane strain differ), mu (shear) and
E = 4 K mu / (K + mu) (Young's modulus of the plane problem; in plane strain that is E / (1 - nu^2) of the solid).

Shapes in names: P phases.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from microdesign.core.properties import Bound, known
from microdesign.physics.materials import Materials
from microdesign.physics.properties import given_tensors

Interval = tuple[float, float]


def plane_moduli(materials: Materials) -> dict[str, np.ndarray]:
    """Returns the two-dimensional moduli of the phases: `K`, `mu`, `E` and `k` (conductivity), each `(P,)`.

    Those that the phases do not have are empty.
    """
    lam, mu = materials.lame_moduli.T
    bulk = lam + mu
    return {"K": bulk, "mu": mu, "E": 4 * bulk * mu / np.where(bulk > 0, bulk + mu, 1), "k": materials.conductivities}


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


def hashin_shtrikman(materials: Materials, fractions: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns the bounds (lower, upper) of *isotropic* plane composites: `K`, `mu` and `k`, each `(...)`.

    With the comparison medium (K*, mu*, k*) of the smallest moduli for the lower bound, of the largest for the upper:

        K  = 1 / sum f_i / (K_i + mu*)   - mu*
        mu = 1 / sum f_i / (mu_i + z*)   - z*,     z* = K* mu* / (K* + 2 mu*)
        k  = 1 / sum f_i / (k_i + k*)    - k*

    Z. Hashin, S. Shtrikman, J. Appl. Phys. 33 (1962); Z. Hashin, J. Mech. Phys. Solids 13 (1965), for two dimensions;
    L. J. Walpole, J. Mech. Phys. Solids 14 (1966), for phases whose K and mu are ordered differently.

    Args:
        materials: The phases.
        fractions: Volume fractions that add up to 1, `(..., P)`.
    """
    moduli = plane_moduli(materials)
    sides = []
    for extreme in (np.min, np.max):
        K, mu, k = (float(extreme(moduli[name])) for name in ("K", "mu", "k"))
        z = K * mu / (K + 2 * mu) if mu > 0 else 0.0
        sides.append(
            {
                "K": reuss(moduli["K"] + mu, fractions) - mu,
                "mu": reuss(moduli["mu"] + z, fractions) - z,
                "k": reuss(moduli["k"] + k, fractions) - k,
            }
        )
    return {name: (sides[0][name], sides[1][name]) for name in ("K", "mu", "k")}


def property_bounds(materials: Materials, fraction: Interval = (0.0, 1.0)) -> dict[str, Interval]:
    """Returns the interval (low, high) of each property that no microstructure of these phases can leave.

    It holds for every anisotropy; the catalogue says which bound is that of which property. Moduli and conductivities
    come from Voigt and Reuss: Ex, Ey and E are at least the smallest E of a Reuss mean; their upper bound is the
    largest Young's modulus of a Voigt mean, which exceeds that of the phases when Poisson's ratios differ. Poisson's
    ratios come from the stiffness being positive definite, vxy^2 < Ex / Ey: a wide interval, but a true one. Of the
    tensors' entries those of the diagonal are bounded: C11 and C22 by Ex or Ey and by Voigt's K + mu. Where all phases
    have one stiffness, or one conductivity, its properties do not depend on the microstructure: both ends are it.

    Args:
        materials: The phases.
        fraction: Least and largest volume fraction of phase 1.
    """
    intervals = _intervals(materials, fraction)
    given = set(given_tensors(materials))
    return {
        name: intervals[entry.bound]
        for name, entry in known(2).items()
        if entry.bound is not None and given >= set(entry.tensors)
    }


def _intervals(materials: Materials, fraction: Interval) -> dict[Bound, Interval]:
    """The interval of each kind of bound that these phases have."""
    mixtures = extreme_mixtures(len(materials.phases), fraction)
    moduli = {name: values for name, values in plane_moduli(materials).items() if len(values)}
    low = {name: float(reuss(values, mixtures).min()) for name, values in moduli.items()}
    high = {name: float(voigt(values, mixtures).max()) for name, values in moduli.items()}
    intervals: dict[Bound, Interval] = {}
    if materials.has_conductivity:
        k = moduli["k"]
        intervals["k"] = (low["k"], high["k"]) if np.ptp(k) else (float(k[0]), float(k[0]))
    if not materials.has_stiffness:
        return intervals
    K, mu, E = (moduli[name] for name in ("K", "mu", "E"))
    if not np.ptp(K) and not np.ptp(mu):
        nu = (K - mu) / (K + mu)
        one: dict[Bound, np.ndarray] = {"K": K, "mu": mu, "E": E, "normal": K + mu, "poisson": nu, "anisotropy": 0 * K}
        return intervals | {bound: (float(values[0]), float(values[0])) for bound, values in one.items()}
    high["E"] = _largest_young(materials, mixtures)
    ratio = float(np.sqrt(high["E"] / low["E"])) if low["E"] > 0 else float("inf")
    elastic: dict[Bound, Interval] = {
        "K": (low["K"], high["K"]),
        "mu": (low["mu"], high["mu"]),
        "E": (low["E"], high["E"]),
        "normal": (low["E"], float(voigt(K + mu, mixtures).max())),
        "poisson": (-ratio, ratio),
        "anisotropy": (0.0, float("inf")),
    }
    return intervals | elastic


def extreme_mixtures(phases: int, fraction: Interval = (0.0, 1.0)) -> np.ndarray:
    """Returns the corners `(n, P)` of all volume fractions of which phase 1 has from `fraction[0]` to `fraction[1]`.

    What is linear in the volume fractions is extreme at one of them.
    """
    if phases == 1:
        return np.ones((1, 1))
    corners = []
    for share in fraction:
        for other in (0, *range(2, phases)):
            corner = np.zeros(phases)
            corner[1], corner[other] = share, 1 - share
            corners.append(corner)
    return np.array(corners)


def young_planes(materials: Materials, t: np.ndarray) -> np.ndarray:
    """Returns planes above the Young's modulus of the Voigt mean, by their values at the phases: `(len(t), P)`.

    E = 4 K mu / (K + mu) is the smallest of 4 (t^2 K + (1 - t)^2 mu) over t in [0, 1], so each t gives an upper bound
    that is linear in the volume fractions.
    """
    moduli = plane_moduli(materials)
    return 4 * (t[:, None] ** 2 * moduli["K"] + (1 - t[:, None]) ** 2 * moduli["mu"])


def _largest_young(materials: Materials, mixtures: np.ndarray) -> float:
    """The largest Young's modulus of a Voigt mean of all mixtures between the given ones `(n, P)`.

    The lowest peak of the planes above it.
    """

    def peak(t: float) -> float:
        return float((mixtures @ young_planes(materials, np.array([t]))[0]).max())

    return float(minimize_scalar(peak, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-10}).fun)
