"""What is asked of one property: a value, a bound, a range, or as much or as little as can be had."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator, model_serializer, model_validator

from microdesign.core.config import Config
from microdesign.design.target.relative import is_relative

_KINDS = "equals, at_least, at_most, between, maximize or minimize"


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
    tolerance: float | None = Field(
        None, ge=0, description="relative error that counts as met; None takes the target's for `equals`, 0 for bounds"
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
        given = [name for name in type(self).model_fields if name != "tolerance" and getattr(self, name)]
        given += [name for name in ("equals", "at_least", "at_most") if getattr(self, name) == 0]
        if not given:
            raise ValueError(f"nothing is asked; expected {_KINDS}")
        bounds = {"at_least", "at_most"}
        for alone, beside in (
            ("equals", set()),
            ("between", {"maximize", "minimize"}),
            ("maximize", {*bounds, "between"}),
            ("minimize", {*bounds, "between"}),
        ):
            others = set(given) - {alone} - beside
            if alone in given and others:
                raise ValueError(f"{alone} and {min(others)} exclude each other; give one")
        if self.equals is not None and self.tolerance == 0:
            raise ValueError("tolerance 0 of equals is met by no design; expected a number above 0")
        if not self.low <= self.high or (self.between and self.low == self.high):
            raise ValueError(f"no value is at least {self.low:g} and at most {self.high:g}")
        return self

    @model_serializer
    def _short(self) -> float | Mapping[str, Any]:
        """As a person would write it."""
        if self.equals is not None and self.tolerance is None:
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
    def sense(self) -> int:
        """1 to maximise, -1 to minimise, 0 otherwise."""
        return int(self.maximize) - int(self.minimize)

    def __str__(self) -> str:
        """For people: `2.4`, `>= 2`, `1 to 2`, `max`, `max, <= 3`."""
        if self.equals is not None:
            return f"{self.equals:g}"
        parts = [{1: "max", -1: "min"}[self.sense]] if self.sense else []
        if np.isfinite([self.low, self.high]).all():
            parts.append(f"{self.low:g} to {self.high:g}")
        elif np.isfinite(self.low):
            parts.append(f">= {self.low:g}")
        elif np.isfinite(self.high):
            parts.append(f"<= {self.high:g}")
        return ", ".join(parts)
