"""What is asked of one property: a value, a bound, a range, or as much or as little as can be had."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_serializer, model_validator

from microdesign.core.config import Config
from microdesign.core.metrics import magnitude
from microdesign.core.units import split_quantity
from microdesign.design.target.relative import is_relative

_KINDS = "equals, at_least, at_most, between, maximize or minimize"
WEIGHT = 0.2
"""Weight of a preference that states none."""


class Goal(Config):
    """A goal of one property: a number is short for `{equals: number}`.

    `at_least` and `at_most` may stand together, and beside `maximize` or `minimize`.
    """

    equals: float | None = Field(None, description="the value, within the tolerance")
    at_least: float | None = Field(None, description="lower bound")
    at_most: float | None = Field(None, description="upper bound")
    between: tuple[float, float] | None = Field(None, description="lower and upper bound")
    maximize: bool = Field(False, description="as large as can be had")
    minimize: bool = Field(False, description="as small as can be had")
    percentile: float | None = Field(
        None, gt=0, lt=100, description="the value that this share of the data set's images is below, in per cent"
    )
    at_least_percentile: float | None = Field(None, gt=0, lt=100, description="lower bound, likewise")
    at_most_percentile: float | None = Field(None, gt=0, lt=100, description="upper bound, likewise")
    prefer: Literal["max", "min"] | None = Field(
        None, description="soft: of designs that meet every goal the larger or smaller values come first"
    )
    weight: float | None = Field(
        None, gt=0, description="of `prefer`: at 0.5 a property better by 4 % outweighs an error of 2 %; null is 0.2"
    )
    tolerance: float | None = Field(
        None, ge=0, description="relative error that counts as met; None takes the target's for `equals`, 0 for bounds"
    )
    within: float | None = Field(
        None, gt=0, description="the same in the unit of the property, of `equals` or of one bound"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if is_relative(value):
            raise ValueError(
                "a goal relative to an image takes `microdesign design --from MICROGRAPH`; expected numbers"
            )
        return {"equals": value} if isinstance(value, int | float | str) and not isinstance(value, bool) else value

    @field_validator("equals", "at_least", "at_most", "between")
    @classmethod
    def _check_finite(cls, value: Any) -> Any:
        if value is not None and not np.isfinite(value).all():
            raise ValueError("expected a finite number")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        others_than_goals = ("tolerance", "within", "weight")
        given = [name for name in type(self).model_fields if name not in others_than_goals and getattr(self, name)]
        given += [name for name in ("equals", "at_least", "at_most") if getattr(self, name) == 0]
        if not given:
            raise ValueError(f"nothing is asked; expected {_KINDS}")
        bounds = {"at_least", "at_most", "at_least_percentile", "at_most_percentile"}
        for alone, beside in (
            ("equals", set()),
            ("percentile", set()),
            ("between", {"maximize", "minimize", "prefer"}),
            ("maximize", {*bounds, "between"}),
            ("minimize", {*bounds, "between"}),
            ("prefer", {*bounds, "between"}),
            ("at_least", bounds - {"at_least_percentile"} | {"maximize", "minimize", "prefer"}),
            ("at_most", bounds - {"at_most_percentile"} | {"maximize", "minimize", "prefer"}),
        ):
            others = set(given) - {alone} - beside
            if alone in given and others:
                raise ValueError(f"{alone} and {min(others)} exclude each other; give one")
        if self.equals is not None and self.tolerance == 0:
            raise ValueError("tolerance 0 of equals is met by no design; expected a number above 0")
        if self.within is not None and (self.tolerance is not None or self._one_bound is None):
            wrong = "tolerance and within exclude each other; give one" if self.tolerance is not None else ""
            raise ValueError(
                wrong or "within goes with equals, at_least or at_most alone; expected one number of these"
            )
        if self.weight is not None and self.prefer is None:
            raise ValueError("weight goes with prefer alone; expected prefer: max or prefer: min")
        if not self.low <= self.high or (self.between and self.low == self.high):
            raise ValueError(f"no value is at least {self.low:g} and at most {self.high:g}")
        return self

    @model_serializer
    def _short(self) -> float | Mapping[str, Any]:
        """As a person would write it."""
        if self.equals is not None and self.tolerance is None and self.within is None:
            return self.equals
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {n: list(v) if isinstance(v, tuple) else v for n, v in given if v is not None and v is not False}

    @property
    def low(self) -> float:
        """The least value that meets the goal; -inf without a lower bound."""
        bounds = (self.equals, self.at_least, self.between and self.between[0])
        return max((float(bound) for bound in bounds if bound is not None), default=-np.inf)

    @property
    def high(self) -> float:
        """The largest value that meets the goal; inf without an upper bound."""
        bounds = (self.equals, self.at_most, self.between and self.between[1])
        return min((float(bound) for bound in bounds if bound is not None), default=np.inf)

    @property
    def _one_bound(self) -> float | None:
        """The only number that is asked for; None where there is none, or more."""
        bounds = [bound for bound in (self.equals, self.at_least, self.at_most) if bound is not None]
        return bounds[0] if len(bounds) == 1 and self.between is None else None

    @property
    def own_tolerance(self) -> float | None:
        """Relative error that counts as met; None where the goal states none, and the target's counts."""
        if self.within is None or self._one_bound is None:
            return self.tolerance
        return self.within / float(magnitude(self._one_bound))

    @property
    def preference(self) -> float:
        """Weight of a soft preference, positive for large values, negative for small ones; 0 without."""
        weight = WEIGHT if self.weight is None else self.weight
        return 0.0 if self.prefer is None else weight if self.prefer == "max" else -weight

    @property
    def is_of_data(self) -> bool:
        """Whether a data set has to say what is asked: the goal states percentiles."""
        return any(each is not None for each in (self.percentile, self.at_least_percentile, self.at_most_percentile))

    def of_data(self, values: np.ndarray) -> "Goal":
        """The goal with the percentiles of a data set's values `(n,)` in numbers."""
        numbers = {
            name: float(np.percentile(values, share))
            for name, share in (
                ("equals", self.percentile),
                ("at_least", self.at_least_percentile),
                ("at_most", self.at_most_percentile),
            )
            if share is not None
        }
        none = {"percentile": None, "at_least_percentile": None, "at_most_percentile": None}
        return Goal.model_validate({**dict(self), **none, **numbers})

    @property
    def sense(self) -> int:
        """1 to maximise, -1 to minimise, 0 otherwise."""
        return int(self.maximize) - int(self.minimize)

    def __str__(self) -> str:
        """For people: `2.4`, `>= 2`, `1 to 2`, `max`, `max, <= 3`."""
        around = "" if self.within is None else f" ± {self.within:g}"
        if self.equals is not None:
            return f"{self.equals:g}{around}"
        parts = [{1: "max", -1: "min"}[self.sense]] if self.sense else []
        if np.isfinite([self.low, self.high]).all():
            parts.append(f"{self.low:g} to {self.high:g}")
        elif np.isfinite(self.low):
            parts.append(f">= {self.low:g}{around}")
        elif np.isfinite(self.high):
            parts.append(f"<= {self.high:g}{around}")
        for name, share in (("", self.percentile), (">= ", self.at_least_percentile), ("<= ", self.at_most_percentile)):
            parts += [] if share is None else [f"{name}{share:g} % of the data"]
        if self.prefer is not None:
            parts.append(f"rather {'large' if self.prefer == 'max' else 'small'}")
        return ", ".join(parts)


def without_units(goal: Any) -> tuple[Any, list[str]]:
    """A goal as a user writes it, with the units of its numbers taken out, and these.

    Example:
        >>> without_units({"equals": "2.4 GPa", "within": "0.05 GPa"})
        ({'equals': 2.4, 'within': 0.05}, ['GPa', 'GPa'])
        >>> without_units("1.15x"), without_units(2.4)
        (('1.15x', []), (2.4, []))
    """
    if isinstance(goal, Mapping):
        parts = {key: without_units(value) for key, value in goal.items()}
        return {key: value for key, (value, _) in parts.items()}, [
            unit for _, found in parts.values() for unit in found
        ]
    if isinstance(goal, list | tuple):
        both = [without_units(value) for value in goal]
        return [value for value, _ in both], [unit for _, found in both for unit in found]
    parts_of_text = split_quantity(goal) if isinstance(goal, str) and not is_relative(goal) else None
    return (goal, []) if parts_of_text is None or not parts_of_text[1] else (parts_of_text[0], [parts_of_text[1]])
