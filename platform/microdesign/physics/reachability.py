"""Whether any microstructure of given phases could have the properties that are asked for.

Voigt and Reuss bounds restrict the volume fractions f: a target value v of a property needs `sum f_i v_i >= v` and
`sum f_i / v_i >= 1 / v`. Both are linear in f, so that several targets are compatible only if a linear programme has a
solution, for any number of phases. Passing is necessary, not sufficient: there may still be no such microstructure.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from microdesign.errors import InputError
from microdesign.physics.bounds import plane_moduli, property_bounds, young_planes
from microdesign.physics.materials import Materials
from microdesign.physics.properties import PROPERTY_NAMES

_MODULUS = {"E": "E", "G": "mu", "k": "k"}

_PLANES = np.linspace(0, 1, 401)
"""Planes that stand for the upper bound of Young's modulus; they lie above it by less than 1e-4 of it."""


def check_reachable(targets: Mapping[str, float], materials: Materials, tolerance: float = 1e-3) -> None:
    """Refuses target properties that no microstructure of these phases can have.

    Args:
        targets: Value of each property asked for, in the units of the materials; any of `PROPERTY_NAMES`.
        materials: The phases.
        tolerance: Relative slack of each value.

    Raises:
        InputError: A property is unknown, does not exist for these phases or is not a finite number, its value is
            outside `property_bounds`, or no volume fractions of the phases satisfy the Voigt-Reuss bounds of all the
            targets at once.
    """
    bounds = property_bounds(materials)
    for name, value in targets.items():
        if name not in PROPERTY_NAMES:
            raise InputError(f"target {name!r} is no property; expected some of {', '.join(PROPERTY_NAMES)}.")
        if name not in bounds:
            lacking = "conductivity (k)" if name.startswith("k") else "stiffness (E and nu)"
            raise InputError(
                f"target {name} does not exist for these materials, whose phases have no {lacking}; expected some of "
                f"{', '.join(bounds)}."
            )
        if not np.isfinite(value):
            raise InputError(f"target {name} = {value} is not a number.")
        low, high = bounds[name]
        slack = tolerance * abs(value)
        if not low - slack <= value <= high + slack:
            reason = "the stiffness is positive definite" if name.startswith("v") else "Voigt-Reuss bounds"
            raise InputError(
                f"target {name} = {value:g} is out of reach: whatever the microstructure, these phases give {name} "
                f"from {low:.6g} to {high:.6g} ({reason})."
            )
    needs = {name: _needs(name, value, materials, tolerance) for name, value in targets.items() if name[0] in _MODULUS}
    for count in range(2, len(needs) + 1):  # the fewest targets that exclude each other make the clearest message
        for names in combinations(needs, count):
            if _fraction_range([needs[name] for name in names]) is None:
                raise InputError(_conflict({name: targets[name] for name in names}, needs))


def _needs(name: str, value: float, materials: Materials, tolerance: float) -> np.ndarray:
    """Rows a with a.f >= 1 for volume fractions f at which the property may have the value: `(rows, P)`."""
    moduli = plane_moduli(materials)[_MODULUS[name[0]]]
    upper = young_planes(materials, _PLANES) if name[0] == "E" else moduli[None]
    rows = upper * (1 + tolerance) / value
    if not moduli.all():  # any volume fraction of a void brings Reuss's bound down to 0
        return rows
    return np.concatenate([rows, value * (1 + tolerance) / moduli[None]])


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


def _conflict(targets: Mapping[str, float], needs: Mapping[str, np.ndarray]) -> str:
    together = " and ".join(f"{name} = {value:g}" for name, value in targets.items())
    message = f"targets {together} exclude each other: no volume fractions satisfy the Voigt-Reuss bounds of all"
    if next(iter(needs.values())).shape[1] == 2:
        ranges = {name: _fraction_range([needs[name]]) for name in targets}
        each = "; ".join(f"{name} needs {ends[0]:.3f} to {ends[1]:.3f}" for name, ends in ranges.items() if ends)
        message += f" (of phase 1, {each})"
    return message + "."
