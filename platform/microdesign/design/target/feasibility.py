"""What can be said before anything is computed: what no microstructure can be, and what is unlike the training data.

Refused, with the numbers: what is outside the bounds of the phases, at the volume fractions that the constraints allow.
Warned of: what only anisotropic microstructures have, targets outside the training data, phases new to the model.
"""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from microdesign.core.errors import InputError
from microdesign.design.target.distance_to_data import DistanceToData, distance_to_data
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.physics.bounds.property_bounds import (
    Interval,
    extreme_mixtures,
    hashin_shtrikman,
    property_bounds,
    young_modulus,
)
from microdesign.physics.bounds.reachability import (
    bounding_modulus,
    check_reachable,
    describe_interval,
    is_property,
)
from microdesign.physics.evaluators.protocol import Evaluator, given_properties
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_unit, property_values

End = Annotated[float | None, BeforeValidator(lambda value: None if value is None or np.isinf(value) else value)]
"""An end of an interval; None of an open one."""


class Feasibility(BaseModel):
    """What is known of a target before the search."""

    model_config = ConfigDict(frozen=True)

    bounds: dict[str, dict[str, tuple[End, End]]] = Field(
        default_factory=dict,
        description="of each target property that has some: `any`, what no microstructure within the constraints can "
        "leave (Voigt and Reuss), and `isotropic`, what no isotropic one can (Hashin and Shtrikman)",
    )
    distance_to_data: DistanceToData | None = Field(None, description="None without training data")
    warnings: tuple[str, ...] = Field((), description="sentences for people")


def check_feasible(target: Target, materials: Materials, evaluator: Evaluator | None = None) -> None:
    """Refuses what no microstructure can be.

    Args:
        target: What is asked.
        materials: The phases.
        evaluator: The physics. Properties of its own, other than the built-in ones, have no bounds. None, when it is
            not known yet, takes the built-in one.

    Raises:
        InputError: A property is unknown, not given by the evaluator, or asked in another unit than the materials'; the
            goals and the volume fraction exclude each other by the bounds of the phases; or a tolerance is below that
            of the physics.
    """
    for name, unit in target.units.items():
        if name not in target.properties:
            known = ", ".join(target.names)
            raise InputError(f"units name '{name}', which is no property of the target; expected some of {known}.")
        if unit != (expected := property_unit(name, materials)):
            raise InputError(f"{name} is asked in {unit}; the materials state {expected}, and nothing is converted.")
    given = None if evaluator is None else given_properties(evaluator, materials, target.dims)
    built_in = given is not None and all(is_property(name, target.dims) for name in given)
    check_bounds(target, materials, all_known=evaluator is None or built_in)
    example = dict.fromkeys(given or (), np.ones(1))
    for name in target.names if given is not None else ():
        try:
            property_values(example, name, target.dims)
        except InputError as error:
            raise InputError(f"The campaign's evaluator does not give {name}: {error}") from None
    finest = getattr(evaluator, "tolerance", None)
    if finest is None:
        return
    for name, goal in target.properties.items():
        own = goal.own_tolerance
        tolerance = target.tolerance if own is None else own
        if goal.equals is not None and tolerance < finest:
            raise InputError(
                f"the tolerance {tolerance:g} of {name} is below that of the physics, {finest:g}; "
                "raise it or lower evaluator_settings.tolerance."
            )


def check_bounds(target: Target, materials: Materials, all_known: bool = False) -> None:
    """Refuses goals and volume fractions that exclude each other by the bounds of the phases.

    Args:
        target: What is asked.
        materials: The phases.
        all_known: Whether a property that the built-in physics does not have is refused; else it is not looked at.

    Raises:
        InputError: They do.
    """
    goals = {
        name: (goal.low, goal.high)
        for name, goal in target.properties.items()
        if all_known or is_property(name, target.dims)
    }
    check_reachable(goals, materials, target.constraints.volume_fraction, dims=target.dims)


def feasibility_of(
    target: Target,
    materials: Materials,
    model_materials: Materials | None = None,
    data: Microstructures | None = None,
) -> Feasibility:
    """What is known of a feasible target.

    Args:
        target: What is asked, after `check_feasible`.
        materials: The phases.
        model_materials: Those that the model was trained on; None when they are not known.
        data: Labelled training images of these `materials`; None without.
    """
    bounds = _bounds(target, materials)
    warnings = [_anisotropic(name, target, bounds[name]["isotropic"]) for name in bounds if "isotropic" in bounds[name]]
    if model_materials is not None and model_materials.tensor_digest != materials.tensor_digest:
        warnings.append(
            "The model was trained on other phases. Physics is exact for these; the model's predictions are "
            "transferred by the bounds of the phases and corrected by the campaign's evaluations: expect to need more."
        )
    return Feasibility(
        bounds=bounds,
        distance_to_data=None if data is None else _distance_to(data, target),
        warnings=tuple(warning for warning in warnings if warning),
    )


def _bounds(target: Target, materials: Materials) -> dict[str, dict[str, Interval]]:
    fractions, dims = target.constraints.volume_fraction, target.dims
    general = property_bounds(materials, fractions, dims)
    bounds: dict[str, dict[str, Interval]] = {n: {"any": general[n]} for n in target.names if n in general}
    if len(materials.phases) == 2 and materials.has_stiffness and materials.has_conductivity:
        ends = extreme_mixtures(2, fractions)[:, 1]
        f = np.linspace(float(ends.min()), float(ends.max()), 501)
        sides = hashin_shtrikman(materials, np.stack([1 - f, f], axis=1), dims)
        (K_low, K_high), (mu_low, mu_high) = sides["K"], sides["mu"]
        with np.errstate(invalid="ignore"):
            young = [young_modulus(K, mu, dims) for K, mu in ((K_low, mu_low), (K_high, mu_high))]
        sides |= {"E": (young[0], young[1])}
        for name in bounds:
            # Of an isotropic microstructure a property is the modulus that bounds it.
            if (modulus := bounding_modulus(name, dims)) in sides:
                low, high = sides[modulus]
                bounds[name]["isotropic"] = float(low.min()), float(high.max())
    return bounds


def _anisotropic(name: str, target: Target, isotropic: Interval) -> str:
    goal = target.properties[name]
    if isotropic[0] <= goal.high and goal.low <= isotropic[1]:
        return ""
    return (
        f"{describe_interval(name, (goal.low, goal.high))} takes an anisotropic microstructure: isotropic ones of "
        f"these volume fractions have {isotropic[0]:.4g} to {isotropic[1]:.4g} (Hashin-Shtrikman bounds)."
    )


def _distance_to(data: Microstructures, target: Target) -> DistanceToData | None:
    """The target's distance to the data by the properties that these have; None if they have none of them."""
    known = {}
    for name, goal in target.properties.items():
        try:
            property_values(data.properties, name, target.dims)
        except InputError:
            continue
        known[name] = goal
    if not known:
        return None
    part = target.model_copy(update={"properties": known})
    table = part.table(data.properties)
    return distance_to_data(part, table[np.isfinite(table).all(1)])
