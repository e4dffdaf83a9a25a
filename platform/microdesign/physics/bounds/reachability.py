"""Whether any microstructure of given phases could have the properties that are asked for.

Voigt and Reuss bounds restrict the volume fractions f: a property that shall be at least v needs `sum f_i v_i >= v`,
one that shall be at most v needs `sum f_i / v_i >= 1 / v`. Both are linear in f, so that several targets are compatible
only if a linear programme has a solution, for any number of phases. Of two phases, kx and ky are also looked at
together (`conductor_pair`), and so are quotients. Passing is necessary, not sufficient: there may still be no such
microstructure.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from microdesign.core.errors import InputError
from microdesign.core.properties import Tensor, known, quotient
from microdesign.physics.bounds.conductor_pair import pair_lens
from microdesign.physics.bounds.property_bounds import (
    ANY_FRACTIONS,
    Fractions,
    Interval,
    described_fractions,
    phase_moduli,
    property_bounds,
    reuss,
    voigt,
    young_modulus,
    young_planes,
)
from microdesign.physics.materials import Materials
from microdesign.physics.properties import given_tensors, property_names

_REASONS = {"poisson": "the stiffness is positive definite", "anisotropy": "by definition"}
"""Why a property is bounded, where that is not by the Voigt and Reuss means of a modulus."""
_PHASES_LACK: dict[Tensor, str] = {
    "stiffness": "stiffness (E and nu)",
    "conductivity": "conductivity (k)",
    "density": "density",
}

_PLANES = np.linspace(0, 1, 401)
"""Planes that stand for the upper bound of Young's modulus; they lie above it by less than 1e-4 of it."""

_STEPS = 2001
"""Volume fractions of two phases that are tried for what is not linear in them."""


def is_property(name: str, dims: int = 2) -> bool:
    """Whether the built-in physics gives a property of images (2) or volumes (3), or a quotient of two."""
    return all(part in known(dims) for part in quotient(name) or (name,))


def bounding_modulus(name: str, dims: int = 2) -> str | None:
    """Returns the modulus of the phases, `E`, `K`, `mu`, `k` or `density`, whose means bound a property.

    Those of Voigt and Reuss; the density is Voigt's mean itself.
    """
    entry = known(dims).get(name)
    return entry.bound if entry is not None and entry.bound in ("E", "K", "mu", "k", "density") else None


def check_reachable(
    targets: Mapping[str, float | Interval],
    materials: Materials,
    fractions: Fractions = ANY_FRACTIONS,
    tolerance: float = 1e-3,
    dims: int = 2,
) -> None:
    """Refuses target properties that no microstructure of these phases can have.

    Args:
        targets: Value, or least and largest value, of each property asked for, in the units of the materials.
        materials: The phases.
        fractions: Least and largest volume fractions.
        tolerance: Relative slack of each value.
        dims: 2, of images, or 3, of volumes.

    Raises:
        InputError: A property is unknown, does not exist for these phases or is not a number, its value is outside
            `property_bounds`, or no volume fractions of the phases satisfy the bounds of all the targets at once.
    """
    wanted = {name: _interval(name, value, materials, tolerance, dims) for name, value in targets.items()}
    bounds = property_bounds(materials, fractions, dims)
    for name, (low, high) in wanted.items():
        if name in bounds and not (bounds[name][0] <= high and low <= bounds[name][1]):
            raise InputError(_outside(name, targets[name], bounds[name], fractions, dims))
    moduli = {name: modulus for name in wanted if (modulus := bounding_modulus(name, dims))}
    needs = {name: _needs(modulus, wanted[name], materials, dims) for name, modulus in moduli.items()}
    shares = _share_rows(len(materials.phases), fractions)
    ends = _fraction_range([shares, *needs.values()])
    if ends is None:
        raise InputError(_conflict(targets, needs, shares, fractions))
    if len(materials.phases) == 2:
        _check_two_phases(targets, wanted, materials, np.linspace(*ends, _STEPS), fractions, dims)


def describe_interval(name: str, value: float | Interval) -> str:
    """Returns `kx = 2`, `kx >= 2`, `kx <= 3` or `kx from 2 to 3`."""
    low, high = (value, value) if isinstance(value, int | float) else value
    if low == high:
        return f"{name} = {low:g}"
    if np.isinf(high):
        return f"{name} >= {low:g}"
    return f"{name} <= {high:g}" if np.isinf(low) else f"{name} from {low:g} to {high:g}"


def _interval(name: str, value: float | Interval, materials: Materials, tolerance: float, dims: int) -> Interval:
    """Least and largest value with the slack."""
    if not is_property(name, dims):
        names, what = ", ".join(known(dims)), "images" if dims == 2 else "volumes"
        raise InputError(
            f"target {name!r} is no property of {what}; expected some of {names}, or a quotient such as kx/ky."
        )
    needed = {tensor for part in quotient(name) or (name,) for tensor in known(dims)[part].tensors}
    for tensor in sorted(needed - set(given_tensors(materials))):
        raise InputError(
            f"target {name} does not exist for these materials, whose phases have no {_PHASES_LACK[tensor]}; expected "
            f"some of {', '.join(property_names(materials, dims))}."
        )
    low, high = (value, value) if isinstance(value, int | float) else value
    if np.isnan([low, high]).any() or (low == high and np.isinf(low)):
        raise InputError(f"target {name} = {value} is not a number.")
    return low - tolerance * abs(low) if np.isfinite(low) else low, high + tolerance * abs(high)


def _outside(name: str, value: float | Interval, bounds: Interval, fractions: Fractions, dims: int) -> str:
    reason = _REASONS.get(str(known(dims)[name].bound), "Voigt-Reuss bounds")
    where = _with_fractions(fractions) or "whatever the microstructure"
    return (
        f"target {describe_interval(name, value)} is out of reach: {where}, these phases give {name} "
        f"from {bounds[0]:.6g} to {bounds[1]:.6g} ({reason})."
    )


def _with_fractions(fractions: Fractions) -> str:
    """The fractions that are limited, empty if none is."""
    limited = {phase: ends for phase, ends in fractions.items() if ends != (0, 1)}
    return f"with a volume fraction {described_fractions(limited)}" if limited else ""


def _needs(modulus: str, interval: Interval, materials: Materials, dims: int) -> np.ndarray:
    """Rows a with a.f >= 1 for volume fractions f at which the modulus may be in the interval: `(rows, P)`."""
    low, high = interval
    moduli = phase_moduli(materials, dims)[modulus]
    rows = [np.empty((0, len(moduli)))]
    if low > 0:
        rows.append((young_planes(materials, _PLANES, dims) if modulus == "E" else moduli[None]) / low)
    if modulus == "density" and np.isfinite(high):
        rows.append(2 - moduli[None] / high)  # f.rho <= high where the fractions f add up to 1
    elif np.isfinite(high) and moduli.all():  # any volume fraction of a void brings Reuss's bound down to 0
        rows.append(high / moduli[None])
    return np.concatenate(rows)


def _share_rows(phases: int, fractions: Fractions) -> np.ndarray:
    """Rows a with a.f >= 1 for volume fractions in their intervals: `(rows, P)`."""
    rows = [np.empty((0, phases))]
    for phase, (low, high) in fractions.items():
        own = np.arange(phases) == phase
        if low > 0:
            rows.append(own[None] / low)
        if high < 1:
            rows.append(~own[None] / (1 - high))
    return np.concatenate(rows)


def _fraction_range(needs: list[np.ndarray]) -> tuple[float, float] | None:
    """Smallest and largest volume fraction of the last phase under the rows, None if there is none."""
    rows = np.concatenate(needs)
    phases = rows.shape[1]
    last = np.eye(phases)[-1]
    ends = []
    for sign in (1.0, -1.0):
        answer = linprog(sign * last, A_ub=-rows, b_ub=-np.ones(len(rows)), A_eq=np.ones((1, phases)), b_eq=[1.0])
        if answer.x is None:
            return None
        ends.append(float(answer.x[-1]))
    return ends[0], ends[1]


def _conflict(
    targets: Mapping[str, float | Interval], needs: Mapping[str, np.ndarray], shares: np.ndarray, fractions: Fractions
) -> str:
    """Names the fewest targets that exclude each other, which make the clearest message."""
    groups = (names for count in range(1, len(needs) + 1) for names in combinations(needs, count))
    names = next(g for g in groups if _fraction_range([shares, *(needs[name] for name in g)]) is None)
    together = " and ".join(describe_interval(name, targets[name]) for name in names)
    message = f"targets {together} exclude each other: no volume fractions satisfy the Voigt-Reuss bounds of all"
    if shares.shape[1] == 2:
        ranges = {name: _fraction_range([shares, needs[name]]) for name in names}
        each = "; ".join(f"{name} needs {ends[0]:.3f} to {ends[1]:.3f}" for name, ends in ranges.items() if ends)
        message += f" (of phase 1, {each})"
    where = _with_fractions(fractions)
    return message + (f", {where}." if where else ".")


def _check_two_phases(
    targets: Mapping[str, float | Interval],
    wanted: Mapping[str, Interval],
    materials: Materials,
    f: np.ndarray,
    fractions: Fractions,
    dims: int,
) -> None:
    """Checks what ties properties of two phases together, at volume fractions `f` of phase 1."""
    limited = _with_fractions(fractions)
    where = f"{limited}, " if limited else ""
    for name, (low, high) in wanted.items():
        above, below = quotient(name) or ("", "")
        moduli = bounding_modulus(above, dims), bounding_modulus(below, dims)
        if moduli[0] and moduli[1]:
            top, bottom = (_means(modulus, materials, f, dims) for modulus in moduli if modulus)
            with np.errstate(divide="ignore", invalid="ignore"):  # of a pore alone 0 / 0
                least, most = float(np.nanmin(top[0] / bottom[1])), float(np.nanmax(top[1] / bottom[0]))
            if not (least <= high and low <= most):
                raise InputError(
                    f"target {describe_interval(name, targets[name])} is out of reach: {where}these phases give {name} "
                    f"from {least:.6g} to {most:.6g} (Voigt-Reuss bounds)."
                )
    if dims == 2 and {"kx", "ky"} <= set(wanted):
        k_0, k_1 = map(float, materials.conductivities)
        lens = pair_lens((k_0, k_1), f, wanted["kx"])
        low, high = wanted["ky"]
        if not ((lens.low <= high) & (low <= lens.high)).any():
            both = " and ".join(describe_interval(name, targets[name]) for name in ("kx", "ky"))
            raise InputError(
                f"targets {both} exclude each other: {where}such kx comes with ky from "
                f"{np.nanmin(lens.low):.4g} to {np.nanmax(lens.high):.4g} (Hashin-Shtrikman bounds)."
            )


def _means(modulus: str, materials: Materials, f: np.ndarray, dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of a modulus at each volume fraction, `(F,)` each."""
    fractions = np.stack([1 - f, f], axis=1)
    moduli = phase_moduli(materials, dims)
    if modulus == "density":
        return (mean := voigt(moduli[modulus], fractions)), mean
    if modulus != "E":
        return reuss(moduli[modulus], fractions), voigt(moduli[modulus], fractions)
    K, mu = voigt(moduli["K"], fractions), voigt(moduli["mu"], fractions)
    return reuss(moduli["E"], fractions), young_modulus(K, mu, dims)
