"""What a campaign is asked for: goals of properties and constraints on the microstructure.

Shapes: n designs, P target properties, M of them to be maximised or minimised, V variants of a design.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.core.metrics import relative_deviations
from microdesign.core.properties import is_signed
from microdesign.design.target.constraints import Check, Constraints
from microdesign.design.target.goal import Goal, without_units
from microdesign.design.target.like_with_like import Discretized, OwnValue
from microdesign.design.target.pareto import crowding, front_numbers
from microdesign.physics.evaluators.manufacturing import by_variant
from microdesign.physics.properties import property_values

LEAST_DATA = 10
"""Images of which percentiles are taken, at least."""
_ROUNDING = 1e-9
"""Relative deviation that is rounding."""


class Target(Config):
    """Goals and constraints.

    Example:
        >>> Target(properties={"Ex": 2.4, "ky": {"at_most": 8}, "kx/ky": {"maximize": True}})
    """

    properties: Mapping[str, Goal] = Field(
        default_factory=dict, description="goal of each property, in the materials' units; `A/B` is the quotient of two"
    )
    match: str | None = Field(
        None, description="file of an image whose properties, all that the model has, become goals; given ones stay"
    )
    units: Mapping[str, str] = Field(
        default_factory=dict,
        description="unit of each property, checked against the materials', never converted; `2.4 GPa` states it too",
    )
    tolerance: float = Field(0.05, gt=0, description="relative error of the worst property up to which a design counts")
    constraints: Constraints = Constraints()
    relative_to: Mapping[str, OwnValue] = Field(
        {},
        description="of goals that are multiples of an image's own values: these values by each discretization, which "
        "`design --from` states; a design is compared with the image by the same one",
    )
    dims: Literal[2, 3] = Field(2, description="2 of images, 3 of volumes; a campaign takes it from the model")
    phases: int = Field(2, ge=2, description="number of phases; a campaign takes it from the model")
    periodic: bool = Field(
        True,
        description="whether designs repeat, or are mirrored; a campaign takes it from its boundary",
    )

    @model_validator(mode="before")
    @classmethod
    def _take_units(cls, values: Any) -> Any:
        """Numbers with a unit, `2.4 GPa`, are the number and an entry of `units`."""
        if not isinstance(values, Mapping) or not isinstance(values.get("properties"), Mapping):
            return values
        goals, units = {}, dict(values.get("units") or {})
        for name, goal in values["properties"].items():
            goals[name], found = without_units(goal)
            for unit in found:
                if units.setdefault(name, unit) != unit:
                    raise ValueError(f"{name} is asked in {unit} and in {units[name]}; expected one unit")
        return {**values, "properties": goals} | ({"units": units} if units else {})

    @model_validator(mode="after")
    def _check_goals(self) -> Self:
        if not self.properties and self.match is None:
            raise ValueError("nothing is asked; expected properties, or an image to match")
        if unknown := sorted(set(self.relative_to) - set(self.properties)):
            raise ValueError(f"relative_to.{unknown[0]} is no property of the target")
        for name, goal in self.properties.items():
            if goal.prefer and (is_signed(name) or any(other.sense for other in self.properties.values())):
                why = "it may be 0 or negative" if is_signed(name) else "another property is maximised or minimised"
                raise ValueError(f"{name}: prefer compares ratios of positive values beside plain goals, but {why}")
            if goal.equals == 0 and not is_signed(name):
                raise ValueError(f"{name} = 0: expected a number other than 0")
        return self

    @model_serializer(mode="wrap")
    def _short(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `relative_to` where no goal is relative: the identity of such a campaign is what it was before."""
        values: dict[str, Any] = dump(self)
        if not self.relative_to:
            values.pop("relative_to", None)
        return values

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the target properties, in the order of every property axis of a campaign."""
        return tuple(self.properties)

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The goals in the order of `names`."""
        return tuple(self.properties.values())

    @property
    def lows(self) -> np.ndarray:
        """Least values that meet the goals, `(P,)`: -inf without a bound; of `equals`, as `highs`, the value."""
        return np.array([goal.low for goal in self.goals])

    @property
    def highs(self) -> np.ndarray:
        """Largest values that meet the goals, `(P,)`: inf without a bound."""
        return np.array([goal.high for goal in self.goals])

    @property
    def senses(self) -> np.ndarray:
        """1 for each property to maximise, -1 to minimise, 0 for the others, `(P,)`."""
        return np.array([goal.sense for goal in self.goals])

    @property
    def tolerances(self) -> np.ndarray:
        """Relative tolerance of each property, `(P,)`: its own, or the target's."""
        own = [goal.own_tolerance for goal in self.goals]
        return np.array([self.tolerance if each is None else each for each in own])

    @property
    def fixed(self) -> dict[str, float]:
        """Value of each property that has to equal one."""
        return {name: goal.equals for name, goal in self.properties.items() if goal.equals is not None}

    def table(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The target's properties `(n, P)` out of named ones, each `(n,)`: quotients and derived ones are computed.

        Where the values are of designs as drawn and as they may come out (`physics.evaluators.manufacturing`), it is
        the worst case of each.

        Raises:
            InputError: A property is not among them and cannot be computed from them.
        """
        each = by_variant(values).values() or [values]
        tables = [[property_values(given, name, self.dims) for name in self.names] for given in each]
        return self.worst_case(np.stack([np.stack(columns, axis=-1) for columns in tables]))

    def like_with_like(self, values: np.ndarray, discretized: Discretized) -> np.ndarray:
        """Values `(..., P)` by a discretization, as they count for the goals.

        Those of goals that are relative to an image are multiplied by what the image's own value by the evaluator's
        discretization, of which the goals' numbers are multiples, is to its own value by this one.
        """
        own = (self.relative_to.get(name) for name in self.names)
        return values * np.array([1.0 if each is None else each.factor(discretized) for each in own])

    def worst_case(self, values: np.ndarray) -> np.ndarray:
        """Of each property the value that is farthest from its goal, `(V, n, P) -> (n, P)`, NaN where one is.

        The error of these is the largest of the V errors, and an optimised property has its worst value. Where a bound
        is kept by all it is the value nearest to the bound.
        """
        beyond = np.abs(self.deviations(values))
        worse = np.where(self.senses, -self.senses * values, np.fmax(self.lows - values, values - self.highs))
        farthest = np.where(beyond >= beyond.max(0), worse, -np.inf)
        chosen = np.take_along_axis(values, np.nan_to_num(farthest, nan=-np.inf).argmax(0)[None], axis=0)[0]
        return np.where(np.isnan(values).any(0), np.nan, chosen)

    def deviations(self, values: np.ndarray) -> np.ndarray:
        """Signed relative deviations from the nearest value that meets each goal, `(n, P) -> (n, P)`.

        Positive where a value is too large; 0 where a bound holds, and for an optimum without bounds; see
        `core.metrics.relative_deviations`, also for goals of 0.
        """
        return relative_deviations(values, np.clip(values, self.lows, self.highs))

    def errors(self, values: np.ndarray) -> np.ndarray:
        """Error of the worst property, `(n, P) -> (n,)`: all goals are met where it is at most `tolerance`.

        That is |deviation|, scaled where a goal has a tolerance of its own; what breaks a bound that has none counts
        `tolerance` more. A value that is NaN, not predicted, does not count.
        """
        return self.property_errors(values).max(-1)

    def property_errors(self, values: np.ndarray) -> np.ndarray:
        """The error of each property, of which `errors` takes the largest, `(n, P) -> (n, P)`."""
        deviations = np.nan_to_num(np.abs(self.deviations(values)))
        own = [goal.own_tolerance for goal in self.goals]
        strict = np.array([goal.equals is None and not goal.own_tolerance for goal in self.goals])
        scale = np.array([self.tolerance / each if each else 1.0 for each in own])
        return scale * deviations + self.tolerance * (strict & (deviations > _ROUNDING))

    def objectives(self, values: np.ndarray) -> np.ndarray:
        """What is to be maximised, `(n, P) -> (n, M)`: minimised properties with the sign turned; M may be 0."""
        chosen = np.flatnonzero(self.senses)
        return np.asarray(values, float)[..., chosen] * self.senses[chosen]

    @property
    def prefers(self) -> bool:
        """Whether soft preferences are stated."""
        return any(goal.prefer for goal in self.goals)

    def preferences(self, values: np.ndarray) -> np.ndarray:
        """What the soft preferences cost, `(n, P) -> (n,)`, as an error does: -weight ln(value), summed.

        Only differences mean something: at a weight of 0.5 a value smaller by 4 % is worth 2 % of error.
        """
        weights = np.array([goal.preference for goal in self.goals])
        preferred = np.flatnonzero(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            return -(weights[preferred] * np.log(np.asarray(values, float)[..., preferred])).sum(-1)

    def of_data(self, values: Mapping[str, np.ndarray]) -> Self:
        """The target with percentiles in numbers, of a data set's properties by name, `(N,)` each.

        Raises:
            InputError: The data have no values of such a property.
        """
        goals = dict(self.properties)
        for name, goal in self.properties.items():
            if not goal.is_of_data:
                continue
            known = property_values(values, name, self.dims) if values else np.empty(0)
            known = known[np.isfinite(known)]
            if len(known) < LEAST_DATA:
                raise InputError(
                    f"{name}: {goal} needs a labelled data set with at least {LEAST_DATA} images that satisfy the "
                    f"constraints and have a value of it; there are {len(known)}."
                )
            goals[name] = goal.of_data(known)
        return self.model_copy(update={"properties": goals})

    def ranks(self, values: np.ndarray, errors: np.ndarray | None = None) -> np.ndarray:
        """Position of each of the designs, int `(n, P) -> (n,)`, 0 the best; `errors` `(n,)` replace their own.

        Without optima by error; where preferences are stated, those that meet the goals by error and `preferences`
        together. With optima those that meet the other goals come first: by the objective, or, of
        several, front by front (Pareto), within a front those that stand most alone first; then the others, by error.
        """
        errors, objectives = self.errors(values) if errors is None else errors, self.objectives(values)
        keys = [errors]
        if self.prefers:
            missed = np.where(errors <= self.tolerance, 0, errors)
            keys = [errors + np.nan_to_num(self.preferences(values)), missed]
        if objectives.shape[-1]:
            missed = np.where(errors <= self.tolerance, 0, errors)
            keys = [*_preference(objectives, missed), missed]
        ranks = np.empty(len(errors), int)
        ranks[np.lexsort(keys)] = np.arange(len(errors))
        return ranks

    def of_images(self, dims: Literal[2, 3], phases: int, periodic: bool = True) -> Self:
        """The same target for images or volumes of so many phases, which repeat or are mirrored.

        Raises:
            InputError: It states other ones.
        """
        own = {"dims": dims, "phases": phases, "periodic": periodic}
        for name, value in own.items():
            if name in self.model_fields_set and getattr(self, name) != value:
                raise InputError(
                    f"target.{name} = {getattr(self, name)}: the model's images have {name} = {value}; leave it out."
                )
        return self.model_copy(update=own)

    def admits(self, labels: np.ndarray) -> np.ndarray:
        """Whether images uint8 `(n, *N)` satisfy the constraints, bool `(n,)`."""
        return self.constraints.admits(labels, self.phases, self.periodic)

    def constraint_values(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """What the constraints are about, `(n,)` each, of images uint8 `(n, *N)`."""
        return self.constraints.values(labels, self.phases, self.periodic)

    def constraint_counts(self, labels: np.ndarray) -> dict[str, int]:
        """How many of the images uint8 `(n, *N)` satisfy each constraint."""
        return self.constraints.counts(labels, self.phases, self.periodic)

    @property
    def checks(self) -> tuple[Check, ...]:
        """All constraints, the quickest to measure first."""
        return self.constraints.checks(self.phases, self.periodic)

    def coordinates(self, labels: np.ndarray) -> np.ndarray:
        """Points `(n, F)` of images uint8 `(n, *N)` whose distances are differences; see `statistics.difference`."""
        # Its statistics need torch, which takes seconds to import, and a config is read without it.
        from microdesign.microstructure.statistics.difference import coordinates

        return coordinates(labels, self.phases)


def _preference(objectives: np.ndarray, missed: np.ndarray) -> list[np.ndarray]:
    """Keys by which designs with the same `missed` are sorted, the last one first."""
    if objectives.shape[-1] == 1:
        return [-objectives[:, 0]]
    met = missed == 0
    fronts, alone = np.zeros(len(missed)), np.zeros(len(missed))
    if met.any():
        fronts[met] = front_numbers(objectives[met])
        for number in np.unique(fronts[met]):
            members = np.flatnonzero(met & (fronts == number))
            alone[members] = crowding(objectives[members])
    return [-alone, fronts]
